"""The fourteen V1 calls [wire 2], one module per path family. Each takes an account and a body, returns `result`."""
