"""An attempt whose task is recorded, and whose run is not: whether it may be paid for.

The status alone does not tell. It may have been put back to the moment of a refusal, by a backup or by hand, after the
run was paid for. Only what this process itself has learned counts; else the cloud is asked.
"""

from qianfan_operator.api.job import QianfanJob, RunRecord
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.views import RunItem, TaskItem
from qianfan_operator.kinds.interface import (
    MAY_WORK,
    Phase,
    Present,
    ReconcileContext,
    Unknown,
    UpdateStatus,
    Wait,
    stalled,
)
from qianfan_operator.kinds.job import attempts, runs, tasks
from qianfan_operator.kinds.marks import Mark


def made_before(ctx: ReconcileContext, account: Account, job: QianfanJob, mark: Mark) -> UpdateStatus | Wait | None:
    """Find the run of an attempt that was begun, of which no run is recorded; None: there is none.

    By two complete scans after a grace, which begins again when others change the object.

    See docs/design/create-protocol.md#a-task-without-a-run.
    """
    status = job.status
    place = runs.place(status.task_id, status.task_uuid, status.task_name)
    if status.attempt != job.spec.attempt or place in ctx.unpaid:
        return None
    found = tasks.find_all(ctx, account, mark)
    if isinstance(found, Wait):
        return found
    if mine := [each for each in found if _is_of_attempt(mark, *each)]:
        return _recorded(job, mark, sorted(mine, key=lambda each: _order(mark, *each), reverse=True))
    if not place:
        return None
    inputs = {"taskId": status.task_id, "taskUuid": status.task_uuid, "taskName": status.task_name}
    there = runs.look(ctx, account, inputs)
    if isinstance(there, Unknown):
        return stalled(there.why.reason, there.why.message)
    if isinstance(there, Present):
        return UpdateStatus(dict(there.updates), marked=True)
    ctx.unpaid.clear()
    ctx.unpaid.add(place)
    return None


def _is_of_attempt(mark: Mark, theirs: Mark, _item: TaskItem, run: RunItem) -> bool:
    """Say whether a found run is the attempt: any of this very object's, and a predecessor's that it would take."""
    if theirs.attempt != mark.attempt:
        return False
    phase = runs.STATES.get(run.status, Phase.UNKNOWN)
    return theirs.uid == mark.uid or (theirs.inputs == mark.inputs and phase in {*MAY_WORK, Phase.READY})


def _order(mark: Mark, theirs: Mark, _item: TaskItem, run: RunItem) -> tuple[object, ...]:
    return attempts.works(run), theirs.uid == mark.uid, theirs.inputs == mark.inputs, run.create_time or ""


def _recorded(job: QianfanJob, mark: Mark, found: list[tuple[Mark, TaskItem, RunItem]]) -> UpdateStatus:
    """Record the first run as the attempt's, and besides it those that work and should not be there."""
    status, (theirs, item, run), others = job.status, found[0], found[1:]
    beside = (
        RunRecord(
            attempt=0, task_name=other.name, task_uuid=other.task_uuid, job_uuid=one.job_uuid, train_status=one.status
        )
        for _, other, one in others
        if attempts.works(one)
    )
    kept = tuple(record for record in status.runs if record.attempt != status.attempt)
    updates = {
        "task_name": item.name,
        "task_id": status.task_id if item.task_uuid == status.task_uuid else None,
        "task_uuid": item.task_uuid,
        "job_id": None,
        "job_uuid": run.job_uuid,
        "train_status": run.status,
        "inputs_hash": attempts.hash_of(job, mark, theirs),
        "runs": runs.besides(kept, beside),
    }
    return UpdateStatus(updates, marked=True)
