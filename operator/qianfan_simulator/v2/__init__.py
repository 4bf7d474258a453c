"""The V2 actions, one module per route, over the same memory as V1. Each returns `result`.

See docs/design/wire.md#v2-calls.
"""
