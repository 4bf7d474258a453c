"""The `Retry-After` header: parsed, and bounded to what is believed."""

from typing import Final

RETRY_AFTER_LIMIT: Final = 3600.0
"""Seconds: an hour is the longest that anybody keeps the operator from asking."""


def retry_after(header: str | None) -> float | None:
    """Read a `Retry-After` in seconds, bounded; the form with a date is not worth the trust in two clocks."""
    if header is None or not header.isascii() or not header.strip().isdigit():
        return None
    return min(float(header), RETRY_AFTER_LIMIT)
