"""The fourteen V1 calls, one module per path family. Each takes an account and a body, returns `result`.

See docs/design/wire.md#v1-calls.
"""
