"""Unknown outcomes of createJob: what may have been created, and how a change of the spec decides it.

A run that was made besides the one of its attempt is never forgotten: it is recorded under a number below 1, which no
attempt has, and so is observed, waited for and stopped as every other one.
"""

from collections.abc import Iterable
from dataclasses import replace

from qianfan_operator.api.common import Pending
from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.views import RunIds, RunItem
from qianfan_operator.kinds.interface import (
    Adopt,
    Cause,
    Found,
    Phase,
    Present,
    ReconcileContext,
    Unknown,
    Updates,
    UpdateStatus,
)
from qianfan_operator.kinds.job import adopting, attempts, runs
from qianfan_operator.kinds.job.selection import recorded


def status_after_create(status: JobStatus, pending: Pending, reply: RunIds) -> Updates:
    """Record a run that was made under the attempt that it was made for, whichever is current by now."""
    ids = {"job_id": reply.job_id, "job_uuid": reply.job_uuid, "train_status": "RUNNING"}
    if status.attempt == pending.attempt or pending.attempt is None:
        return ids
    inputs = pending.inputs
    known = recorded(status, pending.attempt) or RunRecord(
        attempt=pending.attempt, task_name=inputs.get("taskName"), task_id=inputs.get("taskId"),
        task_uuid=inputs.get("taskUuid"),
    )  # fmt: skip
    others = tuple(run for run in status.runs if run.attempt != pending.attempt)
    return {"runs": (known.model_copy(update={**ids, "pending": None}), *others)}


def recorded_ids(status: JobStatus, pending: Pending) -> tuple[object, ...] | None:
    """Return the ids that are recorded for the attempt of an intent; None if there are none."""
    record: JobStatus | RunRecord | None = status
    if status.attempt != pending.attempt:
        record = recorded(status, pending.attempt or 0)
    if record is None or runs.phase_of(record) is Phase.ABSENT:
        return None
    return record.job_id, record.job_uuid


def look(ctx: ReconcileContext, account: Account, job: QianfanJob, pending: Pending) -> Found:
    """Look for the run of an open intent; where nobody can tell, let a person's decision end it.

    See docs/design/create-protocol.md#unknown-outcome.
    """
    if pending.inputs.get("made"):
        return _chosen(ctx, account, job, pending)
    found = runs.look(ctx, account, pending.inputs)
    if not isinstance(found, Unknown):
        return found
    several = found.runs if isinstance(found, runs.Several) else ()
    found = replace(found, why=adopting.advised(job, found.why))
    beside = [_record(pending, run.job_uuid, status=run.status) for run in several]
    if job.metadata.deletion_timestamp:
        return Present({"runs": runs.besides(job.status.runs, beside)}) if beside else found
    if job.spec.attempt != pending.attempt:  # a person goes on without knowing
        return Present(_shelved(job.status, beside))
    return _taken(ctx, account, job, beside) if adopting.adopts(job) else found


def found_again(
    ctx: ReconcileContext, account: Account, recorded: Iterable[RunRecord]
) -> tuple[tuple[RunRecord, ...], Cause | None]:
    """The earlier runs, with what is found now where that was not known, and why it may not be all of them."""
    kept, beside, unknown = list[RunRecord](), list[RunRecord](), None
    for record in recorded:
        known, why = attempts.look_again(ctx, account, record)
        several: Iterable[RunItem] = ()
        if why and why.reason is Reason.DUPLICATE_CLOUD_RESOURCE and record.pending:
            found = runs.look(ctx, account, record.pending.inputs)
            several = found.runs if isinstance(found, runs.Several) else ()
            beside += [_record(record.pending, run.job_uuid, status=run.status) for run in several]
        if not several:
            kept.append(known)
            unknown = unknown or why
    return runs.besides(kept, beside), unknown


def _chosen(ctx: ReconcileContext, account: Account, job: QianfanJob, pending: Pending) -> Found:
    """Two runs were made where one was wanted: the one that a person has named in `adopt` is the attempt's."""
    status, adopt, made = job.status, job.spec.adopt, _record(pending, *pending.inputs["made"])
    held = status.job_id or status.job_uuid
    kept = adopt is not None and adopt.job_id in {status.job_id, status.job_uuid}
    if kept or job.metadata.deletion_timestamp or job.spec.attempt != pending.attempt:
        return Present({"runs": runs.besides(status.runs, [made])})
    if adopt and adopting.adopts(job) and adopt.job_id in {made.job_id, made.job_uuid}:
        return _taken(replace(ctx, adopt=Adopt.ANY), account, job, [])  # what it made itself is nobody else's
    message = f"Run {held} is recorded and run {pending.inputs['made'][0]} was made, too."
    return Unknown(Cause(Reason.DUPLICATE_CLOUD_RESOURCE, f"{message} Set spec.adopt to the one to keep."))


def _taken(ctx: ReconcileContext, account: Account, job: QianfanJob, beside: Iterable[RunRecord]) -> Found:
    """Read the run to adopt before anything that is recorded makes room for it: it may not be there."""
    status = job.status.model_copy(update={"runs": runs.besides(job.status.runs, beside)})
    step = adopting.adopt(ctx, account, job.model_copy(update={"status": status}))
    if isinstance(step, UpdateStatus):
        return Present(step.updates)
    return Unknown(Cause(step.summary.reason, step.summary.message))


def _shelved(status: JobStatus, beside: list[RunRecord]) -> Updates:
    """Move the current attempt, of which nobody can tell whether it has a run, to the earlier ones."""
    known = status.model_copy(update={"pending": None}) if beside else status
    return {**attempts.FRESH, "attempt": None, "runs": runs.besides(runs.archived(known), beside)}


def _record(pending: Pending, *ids: int | str, status: str = "RUNNING") -> RunRecord:
    inputs = pending.inputs
    return RunRecord(
        attempt=0, task_name=inputs.get("taskName"), task_id=inputs.get("taskId"), task_uuid=inputs.get("taskUuid"),
        job_id=next((name for name in ids if isinstance(name, int)), None),
        job_uuid=next((name for name in ids if isinstance(name, str)), None), train_status=status,
    )  # fmt: skip
