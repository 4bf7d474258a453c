"""The V2 actions [wire 3], one module per route, over the same memory as V1. Each returns `result`."""
