"""Ids of a model or a service that somebody else changed in the status: restored from memory.

What this process has read or written itself is trusted more than what others write. A status without an account was
wiped: what it recorded is looked for in the cloud.
"""

from collections.abc import Hashable, Sequence

from qianfan_operator.api.common import CommonStatus
from qianfan_operator.api.conditions import READY, find
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import Updates

_WRONG = frozenset({Reason.ALREADY_MANAGED, Reason.DELETION_BLOCKED, Reason.GONE})
"""Reasons of Ready with which the ids in the status may be wrong, so that whoever corrects them is believed."""


def values_of(status: CommonStatus, names: Sequence[str]) -> Hashable:
    """Return what to remember of a status; None if it is in doubt, was wiped, or may have to be corrected."""
    ready = find(status.conditions, READY)
    if status.in_doubt or status.account is None or (ready and ready.reason in _WRONG):
        return None
    return tuple(getattr(status, name) for name in names)


def changed(status: CommonStatus, names: Sequence[str], known: Hashable) -> Updates:
    """Return the fields that were changed or removed, as they were."""
    if status.in_doubt or status.account is None or not isinstance(known, tuple):
        return {}
    return {name: value for name, value in zip(names, known, strict=True) if getattr(status, name) != value}
