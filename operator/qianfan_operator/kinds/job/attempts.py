"""The runs of a job's attempts: observing, recording and stopping them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.training import SCHEME, inputs_hash
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.deadlines import cloud_now
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.views import Run, RunItem, TaskItem
from qianfan_operator.kinds.interface import MAY_WORK, Cause, Phase, Present, ReconcileContext, Unknown, Updates
from qianfan_operator.kinds.job import runs
from qianfan_operator.kinds.marks import Mark
from qianfan_operator.kinds.texts import unknown

FRESH: Updates = dict.fromkeys((*(name for name in runs.RUN_FIELDS if name != "attempt"), "console_url"))
RAISE = "raise spec.attempt to train again, which is paid for."


def why(phase: Phase, job: QianfanJob, word: str | None) -> Cause:
    """Say what a phase means for the selected run."""
    status = job.status
    run = f"Run {status.job_id or status.job_uuid} in task {status.task_name}"
    texts: Mapping[Phase, Cause] = {
        Phase.WORKING: Cause(Reason.TRAINING, f"{run} is training."),
        Phase.READY: Cause(Reason.SUCCEEDED, f"{run} has finished."),
        Phase.FAILED: Cause(Reason.TRAINING_FAILED, f"{run} failed; mend the cause, and {RAISE} {_pages(job)}"),
        Phase.STOPPED: _stopped(job, run),
        Phase.GONE: Cause(Reason.GONE, f"{run} is no longer in the cloud; {RAISE}"),
        Phase.UNKNOWN: unknown(run, word, status.console_url),
    }
    return texts.get(phase, Cause(Reason.CREATING))


def _pages(job: QianfanJob) -> str:
    """Say where a person sees what went wrong, as far as that is known.

    See docs/design/wire.md#links.
    """
    log, curves = job.status.console_url, job.status.vdl_link
    where = f"Its log: {log}" if log else "Its log is in the console"
    return f"{where} and its curves: {curves}" if curves else where


def _stopped(job: QianfanJob, run: str) -> Cause:
    if job.spec.desired_state == "Stopped":
        return Cause(Reason.STOPPED, f"{run} is stopped, as spec.desiredState asks.")
    if job.status.stop_reason == Reason.DEADLINE_EXCEEDED:
        return Cause(
            Reason.DEADLINE_EXCEEDED, f"{run} was stopped after spec.activeDeadlineSeconds; raise it, and {RAISE}"
        )
    if job.status.stop_reason:
        return Cause(Reason.STOPPED, f"{run} was stopped and cannot go on; {RAISE}")
    return Cause(Reason.STOPPED_EXTERNALLY, f"{run} was stopped outside of this object; {RAISE}")


def are_over(status: JobStatus) -> bool:
    """Say whether every run that was ever made is known, and has ended."""
    recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
    known = status.highest_attempt is not None and not any(record.pending for record in recorded)
    return known and not any(runs.may_work(record) for record in recorded)


def are_adopted(status: JobStatus) -> bool:
    """Say whether a run was taken over, and none was created that may work."""
    recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
    open_ = any(record.pending or (runs.may_work(record) and not record.adopted) for record in recorded)
    return not open_ and any(record.adopted for record in recorded)


def is_ours(job: QianfanJob, record: JobStatus | RunRecord) -> bool:
    """Say whether deleting the object means this run: what others made is not stopped unasked.

    See docs/design/api.md#deletionpolicy.
    """
    return job.spec.deletion_policy_for(adopted=bool(record.adopted)) == "Delete"


def others(job: QianfanJob) -> tuple[JobStatus | RunRecord, ...]:
    """The runs that may work of attempts that the spec does not select: what surely does, and for longest, first."""

    def order(record: JobStatus | RunRecord) -> tuple[bool, float]:
        return runs.phase_of(record) is not Phase.WORKING, runs.began(record.start_time)

    recorded: tuple[JobStatus | RunRecord, ...] = (job.status, *job.status.runs)
    working = (record for record in recorded if record.attempt != job.spec.attempt and runs.may_work(record))
    return tuple(sorted(working, key=order))


def works(run: RunItem) -> bool:
    """Say whether a listed run may still cost something."""
    return runs.STATES.get(run.status, Phase.UNKNOWN) in MAY_WORK


def look_at(account: Account, record: JobStatus | RunRecord) -> tuple[Run | None, Phase]:
    """Read a run; one that the cloud does not know is GONE."""
    try:
        run = runs.read(account, record)
    except CloudError as error:
        if error.fate is not Fate.GONE and not runs.unlisted(account, record, error):
            raise
        return None, Phase.GONE
    return run, Phase.ABSENT if run is None else runs.STATES.get(run.status, Phase.UNKNOWN)


def look_at_current(account: Account, status: JobStatus, *, again: bool = False) -> tuple[Run | None, Phase]:
    """Read the current run, unless its end is recorded; one that was found when it had ended is read once.

    `again`: also if its end is recorded. A finished run may be deleted in the cloud: that it is gone changes nothing.
    """
    recorded = runs.phase_of(status)
    known = recorded in runs.ENDED and bool(status.start_time)
    if recorded is Phase.ABSENT or (known and not again):
        return None, recorded
    run, phase = _of_this(account, status.account, status, *look_at(account, status))
    return (run, recorded) if known and phase is Phase.GONE else (run, phase)


def _of_this(
    account: Account, recorded: str | None, record: JobStatus | RunRecord, run: Run | None, phase: Phase
) -> tuple[Run | None, Phase]:
    """Leave out what other keys show under the same integers and is another run."""
    other = run is not None and recorded not in {None, account.name} and runs.is_another(run, record)
    return (None, Phase.GONE) if other else (run, phase)


@dataclass(frozen=True)
class SeenAgain:
    """An earlier attempt as the cloud shows it now."""

    record: RunRecord
    looked: bool = False
    overdue: bool = False


def seen_again(ctx: ReconcileContext, account: Account, job: QianfanJob, record: RunRecord) -> SeenAgain:
    """Look at the run of an earlier attempt, if it may work; other keys than it was made with cannot tell its end."""
    record, _ = look_again(ctx, account, record)
    if not runs.may_work(record):
        return SeenAgain(record)
    run, phase = _of_this(account, job.status.account, record, *look_at(account, record))
    if run is None:
        over = phase is Phase.GONE and job.status.account == account.name
        return SeenAgain(record.model_copy(update={"train_status": "STOP"}) if over else record, looked=over)
    seen = record.model_copy(update=dict(runs.facts(run, record)))
    return SeenAgain(seen, True, phase in MAY_WORK and overdue(account, job, run))


def overdue(account: Account, job: QianfanJob, run: Run) -> bool:
    """Say whether a run has worked for as long as it may."""
    deadline = job.spec.active_deadline_seconds
    return deadline is not None and runs.running_seconds(run, cloud_now(account)) >= deadline


def marked(job: QianfanJob, record: JobStatus | RunRecord, *, selected: bool) -> Updates:
    """Record why a run is stopped before it is: who stopped it cannot be asked of the cloud afterwards.

    An earlier stop that the cloud did not carry out may have had another reason. Empty: it is recorded.
    """
    asked = job.spec.desired_state == "Stopped" or (not selected and job.spec.concurrency_policy == "Replace")
    reason = {"stop_reason": Reason.STOPPED if asked else Reason.DEADLINE_EXCEEDED}
    if record.stop_reason == reason["stop_reason"]:
        return {}
    if not isinstance(record, RunRecord):
        return reason
    return {"runs": tuple(one.model_copy(update=reason) if one is record else one for one in job.status.runs)}


def unseen(run: Run | None, status: JobStatus) -> Cause | None:
    """Warn that a task of ours holds a run that is recorded nowhere: ours is not the first one in it.

    See docs/design/create-protocol.md#unseen-runs.
    """
    if run is None or run.version in {None, 1} or status.adopted:
        return None
    number = f"Run {status.job_id} is number {run.version} of task {status.task_name}"
    return Cause(Reason.DUPLICATE_CLOUD_RESOURCE, f"{number}: another one in it is recorded nowhere.")


def look_again(ctx: ReconcileContext, account: Account, record: RunRecord) -> tuple[RunRecord, Cause | None]:
    """Look for the run of an earlier attempt whose outcome is unknown; say why it still is, if it is."""
    pending = record.pending
    if pending is None:
        return record, None
    if ctx.grace_left("intent", pending.nonce):
        return record, Cause(Reason.CONFIRMING, Reason.CONFIRMING.sentence)
    found = runs.look(ctx, account, pending.inputs)
    if isinstance(found, Unknown):
        return record, found.why
    ids = dict(found.updates) if isinstance(found, Present) else {}
    return record.model_copy(update={**ids, "pending": None}), None


def stopping(ask: runs.Ask, account: Account, records: Sequence[JobStatus | RunRecord]) -> Cause | None:
    """Have all runs stopped that may work; say what is waited for until none does: their ends, or a person."""
    stopped: list[str] = []
    refused: list[str] = []
    for record in records:
        run, phase = look_at(account, record)
        if run and phase in MAY_WORK:
            ends = runs.stop_once(ask, account, record, run.status) or phase is Phase.WORKING
            (stopped if ends else refused).append(str(record.job_id or record.job_uuid))
    if stopped:
        return Cause(Reason.DELETING, f"Stopping run {', '.join(stopped)}.")
    if refused:
        unknown_state = (
            "is in a state that this version of the operator does not know, and the cloud refuses to stop it"
        )
        return Cause(Reason.DELETION_BLOCKED, f"Run {', '.join(refused)} {unknown_state}. Stop it in the console.")
    return None


def recovered_runs(
    job: QianfanJob, mark: Mark, found: Sequence[tuple[Mark, TaskItem, RunItem]]
) -> tuple[RunRecord, ...]:
    """Record the runs that a recovery found, one per attempt: rather one that works, ours by the inputs, our own.

    Left out is what the selected attempt does not go by: an end that was another uid's, or that other inputs led to.
    """

    def order(each: tuple[Mark, TaskItem, RunItem]) -> tuple[object, ...]:
        theirs, _, run = each
        return works(run), theirs.inputs == mark.inputs, theirs.uid == mark.uid, run.create_time or ""

    records: dict[int, RunRecord] = {}
    for theirs, item, run in sorted(found, key=order):
        usable = runs.STATES.get(run.status) is Phase.READY or theirs.uid == mark.uid
        if not works(run) and not (usable and (theirs.attempt != mark.attempt or theirs.inputs == mark.inputs)):
            continue
        records[theirs.attempt] = RunRecord(
            attempt=theirs.attempt, task_name=item.name, task_uuid=item.task_uuid, job_uuid=run.job_uuid,
            train_status=run.status, inputs_hash=hash_of(job, mark, theirs),
        )  # fmt: skip
    newest = [records[attempt] for attempt in sorted(records, reverse=True)]
    if len(newest) > runs.MOST:
        newest.sort(key=runs.may_work, reverse=True)
    return tuple(newest[: runs.MOST])


def unrecorded(status: JobStatus, found: Sequence[tuple[Mark, TaskItem, RunItem]]) -> tuple[RunRecord, ...] | None:
    """The recorded runs and, besides, those that a recovery found at work; None if it found none."""
    known = {status.job_uuid, *(record.job_uuid for record in status.runs)}
    working = [
        RunRecord(
            attempt=0, task_name=item.name, task_uuid=item.task_uuid, job_uuid=run.job_uuid, train_status=run.status
        )
        for _, item, run in found
        if works(run) and run.job_uuid not in known
    ]
    all_ = runs.besides(status.runs, working)
    return all_ if all_ != status.runs else None


def hash_of(job: QianfanJob, mark: Mark, theirs: Mark) -> str | None:
    """Say what a found run was trained with: a mark tells only whether it is what the selected attempt asks for."""
    if theirs.attempt != mark.attempt:
        return None
    return inputs_hash(job.spec) if theirs.inputs == mark.inputs else f"{SCHEME}:{theirs.inputs}"
