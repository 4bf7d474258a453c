"""Ids of a finished run that somebody else changed in the status: restored from memory.

A finished run is not looked at any more, so that a wrong id would stay, and a missing one would let the run be paid for
again. What this process has read or written itself is trusted more than what others write. A status of which the
attempt is gone, too, was wiped: what it recorded is looked for in the cloud.
"""

from typing import Any

from qianfan_operator.api.job import JobStatus, QianfanJob
from qianfan_operator.kinds.interface import Updates
from qianfan_operator.kinds.job import adopting, runs

_SAME = ("attempt", "highest_attempt")
_IDS = ("task_name", "task_id", "task_uuid", "job_id", "job_uuid")

Ended = tuple[Any, ...]
"""The values of `_SAME` and `_IDS`."""


def ended(status: JobStatus) -> Ended | None:
    """Return what to remember of a run that has ended; None while it works, or may have been made."""
    if status.in_doubt or runs.end_of(status) is None:
        return None
    return tuple(getattr(status, name) for name in (*_SAME, *_IDS))


def restored(job: QianfanJob, known: Ended) -> Updates:
    """Return the ids that were changed or removed, as they were."""
    status, (attempt, highest, *values) = job.status, known
    if status.in_doubt or (status.attempt, status.highest_attempt) != (attempt, highest):
        return {}
    ids = {name: value for name, value in zip(_IDS, values, strict=True) if value is not None}
    if job.spec.adopt and adopting.adopts(job) and not adopting.names(status.model_copy(update=ids), job.spec.adopt):
        return {}
    return {name: value for name, value in ids.items() if getattr(status, name) != value}
