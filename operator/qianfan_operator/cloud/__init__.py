"""The Qianfan console API: signing, transport, one method per call, and what its errors mean."""
