"""Adoption of an existing run, by V1 integers or V2 strings.

The cloud is asked first, so that nothing is recorded that is not there. What is recorded already is never exchanged for
another run; but the ids that are missing from it can be given, and are checked against it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qianfan_operator.api.job import JobAdopt, JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.views import Run
from qianfan_operator.kinds import adoption
from qianfan_operator.kinds.interface import Cause, Phase, ReconcileContext, UpdateStatus, Wait, stalled
from qianfan_operator.kinds.job import runs
from qianfan_operator.kinds.job.attempts import FRESH, look_at

_IDS = ("task_id", "task_uuid", "job_id", "job_uuid")


def adopts(job: QianfanJob) -> bool:
    """Say whether the selected attempt is to be adopted."""
    return job.spec.adopt is not None and job.spec.adopt.attempt == job.spec.attempt


def advised(job: QianfanJob, why: Cause) -> Cause:
    """Add to what the cloud cannot tell how a person finds it out and goes on.

    See docs/design/create-protocol.md#unknown-outcome.
    """
    spec, number = job.spec, job.spec.attempt
    if why.reason not in {Reason.CREATE_OUTCOME_UNKNOWN, Reason.TASK_EXISTS}:
        return why
    if job.metadata.deletion_timestamp:
        way = "If there is one, stop it in the console first."
    elif spec.adopt and not adopts(job):
        way = f"{out_of_step(job)} Set spec.adopt.attempt to {number} if it names the run of attempt {number}."
    else:
        run = "its run" if number == 1 else f"its run, with attempt: {number} in it"
        way = f"Look into the task in the console: set spec.adopt to {run}, or raise spec.attempt if there is none."
    return replace(why, message=f"{why.message} {way}{_hint(job)}")


def _hint(job: QianfanJob) -> str:
    """Name the run that the status of a former life names: a person may know it; nothing is done by it."""
    former = job.former
    if not isinstance(former, JobStatus) or former.job_id is None or former.task_id is None:
        return ""
    return f" The status names run {former.job_id} of task {former.task_id}."


def advise(job: QianfanJob, hold: Wait) -> Wait:
    """Add the same to a step that cannot be taken."""
    summary = hold.summary
    return replace(hold, summary=replace(summary, message=advised(job, Cause(summary.reason, summary.message)).message))


def out_of_step(job: QianfanJob) -> str:
    """Say that `adopt` is for another attempt than the selected one; empty if it is not."""
    ref = job.spec.adopt
    if ref is None or adopts(job):
        return ""
    return f"spec.adopt stands for attempt {ref.attempt}, and spec.attempt selects {job.spec.attempt}."


def names(status: JobStatus, ref: JobAdopt) -> bool:
    """Say whether `adopt` names the recorded run."""
    return ref.job_id in {status.job_id, status.job_uuid} and not contradicts(status, ref)


def contradicts(status: JobStatus, ref: JobAdopt) -> bool:
    """Say whether `adopt` names another run than the recorded one; ids that are not recorded contradict nothing."""
    wanted = _wanted(ref)
    both = ((getattr(status, name), getattr(wanted, name)) for name in _IDS)
    return any(held is not None and told is not None and held != told for held, told in both)


def adopt(ctx: ReconcileContext, account: Account, job: QianfanJob) -> UpdateStatus | Wait:
    """Record the run that `spec.adopt` names, once the cloud has shown it; a run that makes room is kept besides."""
    ref, status, attempt = job.spec.adopt, job.status, job.spec.attempt
    if ref is None:
        raise AssertionError("there is nothing to adopt")
    if off := adoption.switched_off(ctx, "spec.adopt"):
        return off
    wanted = _wanted(ref)
    run, phase = look_at(account, wanted)
    if run is None:
        return _not_there(ref, phase)
    if refused := adoption.refused_run(ctx, account, job, "spec.adopt", run):
        return refused
    if run.task_uuid and wanted.task_uuid and run.task_uuid != wanted.task_uuid:
        return stalled(Reason.INVALID_SPEC, f"Run {ref.job_id} is in task {run.task_uuid}, not in {ref.task_id}.")
    ids = {name: getattr(wanted, name) or getattr(run, name) for name in _IDS}
    if status.attempt == attempt and runs.phase_of(status) is not Phase.ABSENT and not status.pending:
        return _completed(account, status, run, ids, ref)
    known: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
    created = any(not record.adopted and _shares(record, ids, "task_id", "task_uuid") for record in known)
    archive = (
        runs.archived(status) if status.attempt != attempt else runs.besides(status.runs, [runs.record_of(status)])
    )
    seen = {**runs.facts(run, JobStatus()), "console_url": runs.page(JobStatus(**ids))}
    archive = tuple(record for record in archive if record.attempt >= 1 or not _shares(record, ids, *_IDS[2:]))
    return UpdateStatus(
        {
            **FRESH, "runs": archive, "attempt": attempt, "highest_attempt": max(attempt, status.highest_attempt or 0),
            "task_name": run.task_name, **ids, **seen,
            "adopted": None if created else True, "account": account.name, "inputs_hash": None,
            "inputs": {"peftType": run.peft_type} if run.peft_type else {}, "pending": None,
        }
    )  # fmt: skip


def _completed(
    account: Account, status: JobStatus, run: Run, ids: Mapping[str, Any], ref: JobAdopt
) -> UpdateStatus | Wait:
    """Add the ids that were not known of the recorded run, if it is certain that they are its own.

    No call tells a run's integers with its strings. But the name of a task is unique: one task with one run is the one.
    """
    same = run.task_name == as_told(status.task_name or "")
    task_uuid = status.task_uuid or ids["task_uuid"]
    if not same or task_uuid is None or len(account.client.fine_tuning_tasks(task_uuid)) != 1:
        held = f"This attempt is run {status.job_id or status.job_uuid} of task {status.task_name}"
        what = f"it cannot be told that this is run {ref.job_id}" if same else f"run {ref.job_id} is another one"
        return stalled(Reason.ALREADY_BOUND, f"{held}, and {what}.")
    return UpdateStatus({name: getattr(status, name) or told for name, told in ids.items()})


def _not_there(ref: JobAdopt, phase: Phase) -> Wait:
    if phase is Phase.GONE:
        message = f"Run {ref.job_id} of task {ref.task_id} is not in the cloud"
        hint = "taskId is the task's (job-...), jobId the run's (task-...)"
        return stalled(Reason.GONE, f"{message}; correct spec.adopt: {hint}.")
    message = "must be given by two integers or by the string of the run"
    return stalled(Reason.INVALID_SPEC, f"Run {ref.job_id} of task {ref.task_id} in spec.adopt {message}.")


def _wanted(ref: JobAdopt) -> JobStatus:
    return JobStatus(
        task_id=ref.task_id if isinstance(ref.task_id, int) else None,
        task_uuid=ref.task_id if isinstance(ref.task_id, str) else None,
        job_id=ref.job_id if isinstance(ref.job_id, int) else None,
        job_uuid=ref.job_id if isinstance(ref.job_id, str) else None,
    )


def _shares(record: JobStatus | RunRecord, ids: Mapping[str, Any], *fields: str) -> bool:
    return any(ids[name] is not None and getattr(record, name) == ids[name] for name in fields)
