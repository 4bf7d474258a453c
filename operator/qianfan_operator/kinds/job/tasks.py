"""Tasks as locks: the unique name of a task protects its one run."""

from dataclasses import dataclass

from qianfan_operator.api.job import QianfanJob
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.views import RunItem, TaskItem
from qianfan_operator.kinds.interface import Adopt, Phase, ReconcileContext, Wait, confirming, stalled
from qianfan_operator.kinds.job.runs import STATES, UNPROVEN, owned_tasks, run_list_probe
from qianfan_operator.kinds.marks import Mark, task_name
from qianfan_operator.kinds.texts import searched_for

_SEQUENCES = 8  # tasks that one attempt may use up: every reconcile that is cut off after createTask leaves one


@dataclass(frozen=True)
class Claimed:
    """A task of ours without a run."""

    task_id: int
    task_uuid: str | None
    name: str


@dataclass(frozen=True)
class Found:
    """A run of ours that exists already, known by its string ids."""

    task_name: str
    task_uuid: str | None
    run: RunItem


def claim(ctx: ReconcileContext, account: Account, job: QianfanJob, mark: Mark) -> Claimed | Found | Wait:
    """Get the task for an attempt: a new one, or what an earlier life of this object left behind.

    Raises CloudError when createTask is refused or its outcome is unknown; the next reconcile meets the name.
    """
    for sequence in range(1, _SEQUENCES + 1):
        name = task_name(mark, job.metadata.name, job.spec.task_name, sequence)
        ours = account.name, mark, name
        if ours not in ctx.claims:
            try:
                task = account.client.create_task(name, mark.describe(job.spec.description))
                ctx.claims[ours] = Claimed(task.id, task.uuid, name)
            except CloudError as error:
                if not error.exists:
                    raise
        claimed: Claimed | None = ctx.claims.get(ours)
        if claimed:  # also if the object was written by others since: nothing was sent to it
            return claimed
        result = _whose(ctx, account, job, mark, name)
        if result is not None:
            return result
    message = f"{_SEQUENCES} tasks of this attempt exist and none can be used."
    return stalled(Reason.CREATE_OUTCOME_UNKNOWN, message)


def _whose(ctx: ReconcileContext, account: Account, job: QianfanJob, mark: Mark, name: str) -> Found | Wait | None:
    """Find out whose a task of this name is; None means: not this one, go on under the next sequence number."""
    try:
        item = _scan(account, name)
        if item is None:
            left = ctx.grace_left("unlisted", name, ctx.foreign_version)
            if left:
                return confirming(left, f"A task {name} exists; waiting for the cloud's lists to show whose it is.")
            return stalled(Reason.TASK_EXISTS, f"A task {name} exists, but the cloud's lists do not show it.")
        theirs = Mark.read(item.description)
        if mark.ours(theirs):
            return _mine(ctx, account, mark, theirs, item)
    except CloudError as error:
        if not error.unsupported:
            raise
        message = f"A task {name} exists, and without V2 the cloud cannot tell whose it is."
        return stalled(Reason.TASK_EXISTS, message)
    if mark.same_object(theirs) or name != job.spec.task_name:
        return None
    begins = f"its description begins with {(item.description or '')[:60]!r}"
    told = theirs is None and ctx.adopt is Adopt.ANY  # else it may be another namespace's
    whose = begins if told else "it bears the mark of another object" if theirs else "it bears no mark"
    taken = f"A task named {name} already exists and was not created by this object"
    message = f"{taken}: {whose}. Choose another spec.taskName."
    return stalled(Reason.NAME_TAKEN, message)


def _mine(
    ctx: ReconcileContext, account: Account, mark: Mark, theirs: Mark | None, item: TaskItem
) -> Found | Wait | None:
    """Decide about a task with our mark by the runs in it."""
    runs = account.client.fine_tuning_tasks(item.task_uuid)
    same_uid = theirs is not None and theirs.uid == mark.uid
    for run in runs:
        phase = STATES.get(run.status, Phase.UNKNOWN)
        if phase in {Phase.WORKING, Phase.READY, Phase.UNKNOWN} or same_uid:
            return Found(item.name, item.task_uuid, run)
    if runs or same_uid:  # what was sent for this very object is in its status, which is complete: nothing was, here
        return None
    # A createJob of an earlier life may be on its way: only after the grace, and a second look, is the task empty. The
    # count starts again when others change more than annotations and labels: they may have had it in hand.
    if left := ctx.grace_left("empty", item.name, ctx.foreign_version):
        return confirming(left, f"Task {item.name} already exists. Waiting to see whether it contains a run.")
    if again := account.client.fine_tuning_tasks(item.task_uuid):
        return Found(item.name, item.task_uuid, again[0])
    if run_list_probe(ctx, account):
        return None
    message = f"Cannot determine whether task {item.name} contains a run: {UNPROVEN}."
    return stalled(Reason.CREATE_OUTCOME_UNKNOWN, message)


def _scan(account: Account, name: str) -> TaskItem | None:
    return next((item for item in account.client.fine_tuning_jobs() if item.name == as_told(name)), None)


def find_all(ctx: ReconcileContext, account: Account, mark: Mark) -> list[tuple[Mark, TaskItem, RunItem]] | Wait:
    """Find the runs of this object, by two complete scans after the grace.

    For an object whose status may have been wiped, or whose attempt says that it had a life before.

    See docs/design/create-protocol.md#recovering-a-status.
    """
    if left := ctx.grace_left("survey", ctx.foreign_version):
        return confirming(left, searched_for("run"))
    try:
        found = {
            run.job_uuid: (theirs, item, run)
            for _ in range(2)
            for item, theirs in owned_tasks(account, mark)
            for run in account.client.fine_tuning_tasks(item.task_uuid)
        }
        if not found and not run_list_probe(ctx, account):
            message = f"Cannot determine whether this object has a run: {UNPROVEN}."
            remedy = "Set spec.adopt to its run, or have another QianfanJob train with these keys first."
            return stalled(Reason.CREATE_OUTCOME_UNKNOWN, f"{message} {remedy}")
    except CloudError as error:
        if not error.unsupported:
            raise
        message = "Cannot determine without V2 whether this object already has a run."
        return stalled(Reason.CREATE_OUTCOME_UNKNOWN, message)
    return list(found.values())
