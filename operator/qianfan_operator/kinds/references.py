"""References to other objects: resolved, waited for, or failed."""

import itertools
from collections.abc import Mapping
from typing import Any

from qianfan_operator.api.common import Resource
from qianfan_operator.api.conditions import READY, STALLED, SUCCEEDED, find, is_true
from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.keys import Key
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.references import JobRef, RunSource
from qianfan_operator.kinds.interface import Cause, Phase, Plan, ReconcileContext, Want
from qianfan_operator.kinds.job.runs import phase_of

LONGEST_CHAIN = 100
"""Objects of one kind that may wait for each other in a row; what has finished does not count."""

RunIds = dict[str, Any]  # taskId, taskUuid, jobId, jobUuid: what is known of a run


def run_of(ctx: ReconcileContext, resource: Resource, source: RunSource, why: Cause) -> Plan:
    """Resolve a finished run: by `run` as it is written, by `jobRef` once that job has succeeded."""
    if source.run is not None:
        return Plan(Want.CREATE, why, {"run": _split(source.run.task_id, source.run.job_id)})
    if source.job_ref is None:
        return Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, "spec.source must name a jobRef or a run."))
    job = ctx.fetch(Key(QianfanJob.plural, resource.metadata.namespace, source.job_ref.name))
    return run_of_job(job, source.job_ref, why)


def run_of_job(job: Resource | None, ref: JobRef, why: Cause) -> Plan:
    """Resolve the run of a job as it was read, None if it is not there, once it has succeeded."""
    if not isinstance(job, QianfanJob):
        return _wait(f"QianfanJob {ref.name} does not exist.")
    return _attempt_of(job, ref, why)


def version_of(ctx: ReconcileContext, resource: Resource, name: str, why: Cause) -> Plan:
    """Resolve the current version of a QianfanModel, once it is Ready."""
    model = ctx.fetch(Key(QianfanModel.plural, resource.metadata.namespace, name))
    if not isinstance(model, QianfanModel):
        return _wait(f"QianfanModel {name} does not exist.")
    if unmet := not_met(model, READY):
        return unmet
    status = model.status
    ids = {
        "modelId": status.model_id, "modelIdStr": status.model_id_str,
        "modelVersionId": status.model_version_id, "modelVersionIdStr": status.model_version_id_str,
    }  # fmt: skip
    return Plan(Want.CREATE, why, ids)


def missing(ctx: ReconcileContext, resource: Resource, plural: str, name: str, goes_on: str) -> Cause | None:
    """Say that an object which was there is not any more, and that what was made of it goes on; None if it is there."""
    if ctx.exists(Key(plural, resource.metadata.namespace, name)):
        return None
    kind = {one.plural: one.kind for one in (QianfanJob, QianfanModel)}[plural]
    message = f"{kind} {name}, which spec.source names, does not exist any more. {goes_on}"
    return Cause(Reason.DEPENDENCY_NOT_READY, f"{message} Create it again, or change spec.source.")


def waits_for_ever(ctx: ReconcileContext, resource: Resource, name: str, plan: Plan, field: str) -> Plan | None:
    """Say so if what `field` names, an object of the same kind, waits for this one, or for more than may be.

    Only of an object that cannot go on yet (`plan`). All but the direct reference is known from memory.
    """
    if plan.want is Want.CREATE:
        return None
    own, first = (Key(resource.plural, resource.metadata.namespace, one) for one in (resource.metadata.name, name))
    chain = tuple(itertools.islice(ctx.chain(first), LONGEST_CHAIN + 1))
    if own in chain:
        return failed(f"{field} leads back to the object itself.")
    if plan.want is Want.WAIT and len(chain) > LONGEST_CHAIN:
        what = f"{field} starts a chain of more than {LONGEST_CHAIN} objects that wait for each other"
        return failed(f"{what}. Shorten the chain.")
    return None


def _attempt_of(job: QianfanJob, ref: JobRef, why: Cause) -> Plan:
    status = job.status
    if ref.attempt is None or ref.attempt == job.spec.attempt:
        return not_met(job, SUCCEEDED) or Plan(Want.CREATE, why, {"run": _ids(status)})
    record: JobStatus | RunRecord | None = status if status.attempt == ref.attempt else None
    record = record or next((run for run in status.runs if run.attempt == ref.attempt), None)
    phase = phase_of(record) if record else Phase.ABSENT
    what = f"Attempt {ref.attempt} of QianfanJob {job.metadata.name}"
    if record and phase is Phase.READY:
        return Plan(Want.CREATE, why, {"run": _ids(record)})
    if phase in {Phase.FAILED, Phase.STOPPED}:
        return failed(f"{what} did not succeed. Choose another attempt.")
    return _wait(f"{what} has not succeeded yet.")


def not_met(other: Resource, condition: str) -> Plan | None:
    """Say why another object cannot be used yet, or not at all; None if it can."""
    what = f"{other.kind} {other.metadata.name}"
    if other.metadata.deletion_timestamp:
        return _wait(f"{what} is being deleted.")
    status = other.status
    if status.observed_generation != other.metadata.generation:
        return _wait(f"{what} is not ready yet.")
    if is_true(status.conditions, condition):
        return None
    ended = find(status.conditions, SUCCEEDED)
    if is_true(status.conditions, STALLED) or (ended and ended.status == "False"):
        ready = find(status.conditions, READY)
        reason = f" ({ready.reason})" if ready else ""
        return failed(f"{what} is not usable{reason}. This object continues when {what} is fixed.")
    return _wait(f"{what} is not ready yet.")


def _ids(record: JobStatus | RunRecord) -> RunIds:
    return {
        "taskId": record.task_id, "taskUuid": record.task_uuid, "jobId": record.job_id, "jobUuid": record.job_uuid,
    }  # fmt: skip


def record_named(ids: Mapping[str, Any]) -> RunRecord:
    """Make a record of the run with these ids, to look at it."""
    fields = {"task_id": "taskId", "task_uuid": "taskUuid", "job_id": "jobId", "job_uuid": "jobUuid"}
    return RunRecord(attempt=0, **{field: ids.get(name) for field, name in fields.items()})


def _split(task_id: int | str, job_id: int | str) -> RunIds:
    return {
        "taskId": task_id if isinstance(task_id, int) else None,
        "taskUuid": task_id if isinstance(task_id, str) else None,
        "jobId": job_id if isinstance(job_id, int) else None,
        "jobUuid": job_id if isinstance(job_id, str) else None,
    }


def _wait(message: str) -> Plan:
    return Plan(Want.WAIT, Cause(Reason.DEPENDENCY_NOT_READY, message))


def failed(message: str) -> Plan:
    """Say that a reference cannot be used as it is, which a person must mend."""
    return Plan(Want.BLOCKED, Cause(Reason.DEPENDENCY_FAILED, message))
