"""The three ways in which the console writes a moment.

See docs/design/wire.md#dates.
"""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

_BEIJING = timezone(timedelta(hours=8))

# What stands where there is no date: not a valid date, on purpose. docs/design/wire.md#dates
NEVER_V1 = "0000-00-00 00:00:00"
NEVER_V2 = "0000-00-00T00:00:00Z"


def v1_date(moment: float) -> str:
    """`YYYY-MM-DD hh:mm:ss` without a zone; Beijing time (INFERRED, wire 2.1)."""
    return datetime.fromtimestamp(moment, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def v1_model_date(moment: float) -> str:
    """RFC 3339 with +08:00, as models and versions have it.

    See docs/design/wire.md#modeldetail.
    """
    return datetime.fromtimestamp(moment, _BEIJING).isoformat(timespec="seconds")


def v2_date(moment: float) -> str:
    """`YYYY-MM-DDThh:mm:ssZ`.

    See docs/design/wire.md#describefinetuningtask.
    """
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(moment: float) -> str:
    """Return the value of an HTTP `Date` header."""
    return format_datetime(datetime.fromtimestamp(int(moment), UTC), usegmt=True)
