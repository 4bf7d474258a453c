"""Attempts of a QianfanJob: which is selected, what is recorded of the others, and how one is adopted (design 2.2)."""

from collections.abc import Mapping, Sequence

from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.training import SCHEME, inputs_hash
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.views import Run, RunItem, TaskItem
from qianfan_operator.credentials import Account
from qianfan_operator.decide import Phase, Want, Why
from qianfan_operator.external import CannotTell, Hold, Plan, Record, Seen, Updates, World, stalled
from qianfan_operator.kinds import runs
from qianfan_operator.names import Mark
from qianfan_operator.reasons import Reason

FRESH: Updates = dict.fromkeys(
    (*(name for name in runs.RUN_FIELDS if name != "attempt"), "progress", "run_time_seconds", "train_time_seconds",
     "vdl_link", "console_url")
)  # fmt: skip
RAISE = "raise spec.attempt to train again."


def why(phase: Phase, job: QianfanJob, word: str | None) -> Why:
    """Say what a phase means for the selected run."""
    status = job.status
    run = f"Run {status.job_id or status.job_uuid} in task {status.task_name}"
    texts: Mapping[Phase, Why] = {
        Phase.WORKING: Why(Reason.TRAINING, f"{run} is training."),
        Phase.READY: Why(Reason.SUCCEEDED, f"{run} has finished."),
        Phase.FAILED: Why(
            Reason.TRAINING_FAILED, f"{run} failed; see its log in the console, mend the cause, and {RAISE}"
        ),
        Phase.STOPPED: _stopped(job, run),
        Phase.GONE: Why(Reason.GONE, f"{run} is no longer in the cloud; {RAISE}"),
        Phase.UNKNOWN: Why(Reason.UNKNOWN_STATE, f"{run} is in a state that this version does not know: {word!r}."),
    }
    return texts.get(phase, Why(Reason.CREATING))


def _stopped(job: QianfanJob, run: str) -> Why:
    before = job.status.condition("Ready")
    if before and before.reason in {Reason.STOPPING, Reason.STOPPED}:
        return Why(Reason.STOPPED, f"{run} was stopped and cannot go on; {RAISE}")
    return Why(Reason.STOPPED_EXTERNALLY, f"{run} was stopped outside of this object; {RAISE}")


def mismatch(what: str) -> Plan:
    """Refuse an attempt that cannot be selected."""
    message = f"{what}; nothing is paid for. Select a recorded attempt as it was, or {RAISE}"
    return Plan(Want.BLOCKED, Why(Reason.ATTEMPT_MISMATCH, message))


def recorded(status: JobStatus, attempt: int) -> RunRecord | None:
    """Find an earlier attempt in `runs`."""
    return next((record for record in status.runs if record.attempt == attempt), None)


def select(status: JobStatus, recorded: RunRecord) -> Updates:
    """Make a recorded attempt the current one."""
    rest = tuple(record for record in runs.archived(status) if record.attempt != recorded.attempt)
    return {**FRESH, **{name: getattr(recorded, name) for name in runs.RUN_FIELDS}, "runs": rest}


def may_work(record: JobStatus | RunRecord) -> bool:
    """Say whether a run may still cost something."""
    return runs.phase_of(record) in {Phase.WORKING, Phase.UNKNOWN}


def others(job: QianfanJob) -> tuple[JobStatus | RunRecord, ...]:
    """The runs of attempts that the spec does not select, as far as they may work; those that surely do first."""
    recorded: tuple[JobStatus | RunRecord, ...] = (job.status, *job.status.runs)
    working = (record for record in recorded if record.attempt != job.spec.attempt and may_work(record))
    return tuple(sorted(working, key=lambda record: runs.phase_of(record) is not Phase.WORKING))


def works(run: RunItem) -> bool:
    """Say whether a listed run may still cost something."""
    return runs.STATES.get(run.status, Phase.UNKNOWN) in {Phase.WORKING, Phase.UNKNOWN}


def look_at(account: Account, record: JobStatus | RunRecord) -> tuple[Run | None, Phase]:
    """Read a run; one that the cloud does not know is GONE."""
    try:
        run = runs.read(account, record)
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
        return None, Phase.GONE
    return run, Phase.ABSENT if run is None else runs.STATES.get(run.status, Phase.UNKNOWN)


def seen_again(world: World, account: Account, record: RunRecord, *, believe_gone: bool) -> tuple[RunRecord, bool]:
    """An earlier attempt as the cloud shows it now, and whether it showed it."""
    record, _ = look_again(world, account, record)
    if not may_work(record):
        return record, False
    run, phase = look_at(account, record)
    if run is None:
        over = phase is Phase.GONE and believe_gone
        return record.model_copy(update={"train_status": "STOP"}) if over else record, over
    seen = {"train_status": run.status, "start_time": run.start_time, "finish_time": run.finish_time}
    return record.model_copy(update=seen), True


def unseen(run: Run | None, status: JobStatus) -> Why | None:
    """Warn that a task of ours holds a run that is recorded nowhere: ours is not the first one in it (design 5.8)."""
    if run is None or run.version in {None, 1} or status.adopted:
        return None
    number = f"Run {status.job_id} is number {run.version} of task {status.task_name}"
    return Why(Reason.DUPLICATE_CLOUD_RESOURCE, f"{number}: another one in it is recorded nowhere.")


def look_again(world: World, account: Account, record: RunRecord) -> tuple[RunRecord, Why | None]:
    """Look for the run of an earlier attempt whose outcome is unknown; say why it still is, if it is."""
    pending = record.pending
    if pending is None:
        return record, None
    if world.grace_left("intent", pending.nonce):
        return record, Why(Reason.CONFIRMING, Reason.CONFIRMING.sentence)
    found = runs.look(world, account, pending.inputs)
    if isinstance(found, CannotTell):
        return record, found.why
    ids = dict(found.updates) if isinstance(found, Seen) else {}
    return record.model_copy(update={**ids, "pending": None}), None


def stopping(account: Account, record: JobStatus | RunRecord) -> bool:
    """Have a run stopped that may work; say whether it still does."""
    phase = look_at(account, record)[1]
    if phase not in {Phase.WORKING, Phase.UNKNOWN}:
        return False
    return runs.stop(account, record) or phase is Phase.WORKING


def surveyed(job: QianfanJob, mark: Mark, found: Sequence[tuple[Mark, TaskItem, RunItem]]) -> tuple[RunRecord, ...]:
    """Record the runs that a survey found, one per attempt: rather one that works, ours by the inputs, our own.

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
            train_status=run.status, inputs_hash=_hash_of(job, mark, theirs),
        )  # fmt: skip
    return tuple(records[attempt] for attempt in sorted(records, reverse=True))


def _hash_of(job: QianfanJob, mark: Mark, theirs: Mark) -> str | None:
    """Say what a found run was trained with: a mark tells only whether it is what the selected attempt asks for."""
    if theirs.attempt != mark.attempt:
        return None
    return inputs_hash(job.spec) if theirs.inputs == mark.inputs else f"{SCHEME}:{theirs.inputs}"


def names(status: JobStatus, task_id: int | str, job_id: int | str) -> bool:
    """Say whether the ids are those of the recorded run."""
    return task_id in {status.task_id, status.task_uuid} and job_id in {status.job_id, status.job_uuid}


def adopts(job: QianfanJob) -> bool:
    """Say whether the selected attempt is to be adopted."""
    return job.spec.adopt is not None and job.spec.adopt.attempt == job.spec.attempt


def adopt(account: Account, job: QianfanJob) -> Record | Hold:
    """Record the run that `spec.adopt` names, once the cloud has shown it; a run that makes room is kept besides."""
    ref, status = job.spec.adopt, job.status
    if ref is None:
        raise AssertionError("there is nothing to adopt")
    wanted = JobStatus(
        task_id=ref.task_id if isinstance(ref.task_id, int) else None,
        task_uuid=ref.task_id if isinstance(ref.task_id, str) else None,
        job_id=ref.job_id if isinstance(ref.job_id, int) else None,
        job_uuid=ref.job_id if isinstance(ref.job_id, str) else None,
    )
    run, phase = look_at(account, wanted)
    if run is None:
        what = (
            "is not in the cloud"
            if phase is Phase.GONE
            else "must be given by two integers or by the string of the run"
        )
        reason = Reason.GONE if phase is Phase.GONE else Reason.INVALID_SPEC
        return stalled(reason, f"Run {ref.job_id} of task {ref.task_id} {what}.")
    attempt = job.spec.attempt
    ids = {
        "task_id": wanted.task_id or run.task_id,
        "task_uuid": wanted.task_uuid or run.task_uuid,
        "job_id": wanted.job_id or run.job_id,
        "job_uuid": wanted.job_uuid or run.job_uuid,
    }
    known: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
    created = any(record.task_id == ids["task_id"] and not record.adopted for record in known if record.task_id)
    archive = (
        runs.archived(status) if status.attempt != attempt else runs.besides(status.runs, [runs.record_of(status)])
    )
    archive = tuple(record for record in archive if record.attempt >= 1 or not _is(record, ids))
    highest = max(attempt, status.highest_attempt or 0)
    return Record(
        {
            **FRESH, "runs": archive, "attempt": attempt, "highest_attempt": highest, "task_name": run.task_name, **ids,
            "train_status": run.status, "adopted": None if created else True, "account": account.name,
            "inputs_hash": None, "inputs": {}, "pending": None,
        }
    )  # fmt: skip


def _is(record: RunRecord, ids: Mapping[str, object]) -> bool:
    return any(getattr(record, name) in {ids[name]} - {None} for name in ("job_id", "job_uuid"))
