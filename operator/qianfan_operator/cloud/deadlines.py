"""Time for deadlines that outlive the process: the cloud's, because a node's clock may be wrong."""

from datetime import UTC, datetime

from qianfan_operator.cloud.account import Account


def cloud_now(account: Account) -> str | None:
    """Return the cloud's time as RFC 3339, for deadlines; None as long as it has not told it.

    See docs/design/architecture.md#one-reconcile.
    """
    seconds = account.client.cloud_time()
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds_between(since: str, now: str) -> float:
    """Return the seconds between two times in RFC 3339."""
    return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
