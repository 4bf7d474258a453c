"""Ids of finished runs that somebody else changed in the status: restored from memory.

A finished run is not looked at any more, so that a wrong id would stay, and a missing one would let the run be paid for
again; an id that was added is removed. What this process has read or written itself is trusted more than what others
write. A status of which the attempt is gone, too, was wiped: what it recorded is looked for in the cloud.
"""

from collections import Counter
from typing import Any

from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.kinds.interface import Updates
from qianfan_operator.kinds.job import adopting, runs

_SAME = ("attempt", "highest_attempt")
_IDS = ("task_name", "task_id", "task_uuid", "job_id", "job_uuid")
_EARLIER = 10  # runs of other attempts whose ids are remembered, of each job; of more the first in the status

Ended = tuple[Any, ...]
"""The values of `_SAME` and `_IDS`, and the ids of the runs of other attempts."""


def ended(status: JobStatus) -> Ended | None:
    """Return what to remember of a run that has ended; None while it works, or may have been made."""
    if status.in_doubt or runs.end_of(status) is None:
        return None
    return (*(getattr(status, name) for name in (*_SAME, *_IDS)), _earlier(status))


def restored(job: QianfanJob, known: Ended) -> Updates:
    """Return the ids that were changed, added or removed, as they were."""
    status, (attempt, highest, *values, earlier) = job.status, known
    if status.in_doubt or (status.attempt, status.highest_attempt) != (attempt, highest):
        return {}
    updates = _restored_runs(status, dict(earlier))
    ids = dict(zip(_IDS, values, strict=True))
    if job.spec.adopt and adopting.adopts(job) and not adopting.names(status.model_copy(update=ids), job.spec.adopt):
        return updates
    return {**_changed(status, ids), **updates}


def _earlier(status: JobStatus) -> tuple[tuple[int, tuple[Any, ...]], ...]:
    """Return the ids of runs of other attempts that have ended, by attempt."""
    times = Counter(record.attempt for record in status.runs)
    over = [one for one in status.runs if times[one.attempt] == 1 and not one.pending and runs.end_of(one)]
    return tuple((one.attempt, tuple(getattr(one, name) for name in _IDS)) for one in over[:_EARLIER])


def _restored_runs(status: JobStatus, known: dict[int, tuple[Any, ...]]) -> Updates:
    """Return the records of runs with the ids that they had; what was removed or announced is left alone."""

    def as_known(record: RunRecord) -> RunRecord:
        if record.pending or record.attempt not in known:
            return record
        return record.model_copy(update=dict(zip(_IDS, known[record.attempt], strict=True)))

    before = tuple(as_known(record) for record in status.runs)
    return {"runs": before} if before != status.runs else {}


def _changed(status: JobStatus, ids: dict[str, Any]) -> Updates:
    return {name: value for name, value in ids.items() if getattr(status, name) != value}
