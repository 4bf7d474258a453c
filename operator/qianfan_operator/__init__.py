"""A Kubernetes operator that fine-tunes, publishes and serves Baidu Qianfan models."""
