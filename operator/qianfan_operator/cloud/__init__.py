"""The client of the Qianfan console API: signing, transport, calls, reply types and errors."""
