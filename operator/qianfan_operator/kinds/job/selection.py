"""The selected attempt of a job: the recorded one, another recorded one, or a new one.

Only a number above `status.highestAttempt` can lead to another paid run. Every other one is either recorded, and then
current again without a call, or refused.
"""

from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.training import missing_fields, same_inputs, unfit
from qianfan_operator.kinds.interface import Cause, Phase, Plan, ReconcileContext, Updates, Want
from qianfan_operator.kinds.job import adopting, runs
from qianfan_operator.kinds.job.attempts import FRESH, RAISE
from qianfan_operator.kinds.job.bases import base_of
from qianfan_operator.kinds.texts import already_bound


def plan(ctx: ReconcileContext, job: QianfanJob) -> Plan:
    """Say what `spec.attempt` asks beyond what is recorded."""
    spec, status = job.spec, job.status
    if spec.attempt == status.attempt:
        return _current(ctx, job)
    if found := recorded(status, spec.attempt):
        if found.inputs_hash and not same_inputs(found.inputs_hash, spec):
            return _changed(spec.attempt, "status.runs")
        return Plan(Want.CREATE, Cause(Reason.TRAINING, "Making a recorded attempt current again."))
    highest = max(ctx.begun, status.highest_attempt or 0)
    if spec.attempt <= highest and not adopting.adopts(job):
        return _mismatch(f"Attempt {spec.attempt} is not recorded, and attempts up to {highest} were begun before")
    return _new(ctx, job)


def _current(ctx: ReconcileContext, job: QianfanJob) -> Plan:
    status, ref = job.status, job.spec.adopt
    if runs.phase_of(status) is Phase.ABSENT:
        if status.train_status and not adopting.adopts(job):
            return Plan(Want.BLOCKED, Cause(Reason.CREATE_OUTCOME_UNKNOWN, _without_ids(job)))
        changed = status.inputs_hash and not same_inputs(status.inputs_hash, job.spec)
        return _changed(status.attempt, "status.inputs") if changed and not adopting.adopts(job) else _new(ctx, job)
    if ref and adopting.adopts(job) and not adopting.names(status, ref):
        if adopting.contradicts(status, ref):
            held, named = f"run {status.job_id or status.job_uuid}", f"run {ref.job_id} of task {ref.task_id}"
            return Plan(Want.BLOCKED, already_bound(held, named))
        return _new(ctx, job)  # the ids of the other console: they may be the same run's
    if status.inputs_hash and not same_inputs(status.inputs_hash, job.spec):
        return _changed(status.attempt, "status.inputs")
    return Plan(Want.NOTHING)


def _new(ctx: ReconcileContext, job: QianfanJob) -> Plan:
    spec = job.spec
    if spec.adopt and adopting.adopts(job):
        return Plan(Want.ADOPT, Cause(Reason.CREATING, f"Taking over run {spec.adopt.job_id}."))
    if missing := missing_fields(spec):
        needed = f"spec.{missing[0]} must be set to train attempt {spec.attempt}."
        apart = adopting.out_of_step(job)
        why = f"{apart} Select that attempt to take the run over; {needed}" if apart else needed
        return Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, why))
    if wrong := unfit(spec):
        return Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, wrong))
    return base_of(ctx, job, Cause(Reason.CREATING, f"Creating the task and the run of attempt {spec.attempt}."))


def _without_ids(job: QianfanJob) -> str:
    """Say that the ids of a run were taken out of the status: whoever trains then pays for it a second time."""
    what = f"status.trainStatus is {job.status.train_status}, but status.jobId and status.jobUuid are missing"
    ways = f"Set spec.adopt to the run of task {job.status.task_name}, or {RAISE}"
    return f"{what}: another writer removed them. Nothing is created. {ways}"


def _changed(attempt: int | None, where: str) -> Plan:
    ways = f"Restore its inputs, which {where} shows, or select another recorded attempt with its inputs"
    return _mismatch(f"Attempt {attempt} was trained with other inputs", ways)


def _mismatch(what: str, ways: str = "Select a recorded attempt with its inputs") -> Plan:
    return Plan(Want.BLOCKED, Cause(Reason.ATTEMPT_MISMATCH, f"{what}; nothing is paid for. {ways}, or {RAISE}"))


def recorded(status: JobStatus, attempt: int) -> RunRecord | None:
    """Find an earlier attempt in `runs`."""
    return next((record for record in status.runs if record.attempt == attempt), None)


def select(job: QianfanJob) -> Updates:
    """Make the recorded attempt that the spec names the current one; empty if there is none with these inputs."""
    status, found = job.status, recorded(job.status, job.spec.attempt)
    if found is None or found.attempt == status.attempt or status.pending or status.highest_attempt is None:
        return {}  # of a status that is not complete nobody knows what it lacks
    if found.inputs_hash and not same_inputs(found.inputs_hash, job.spec):
        return {}
    rest = tuple(record for record in runs.archived(status) if record.attempt != found.attempt)
    again = {name: getattr(found, name) for name in runs.RUN_FIELDS}
    return {**FRESH, **again, "console_url": runs.page(found), "runs": rest}
