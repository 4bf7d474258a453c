"""The base run of an incremental training: which one it is, whether it can be used, its integer ids.

createJob takes it by integers only. They are not told with a run that is known by its strings; they are told
with a model version that was published from it.

See docs/design/wire.md#createjob, docs/design/wire.md#modelversiondetail.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from qianfan_operator.api.job import BaseRun, JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.references import JobRef
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.views import ModelVersion
from qianfan_operator.kinds import adoption
from qianfan_operator.kinds.interface import Adopt, Cause, Plan, ReconcileContext, Wait, Want, confirming, stalled
from qianfan_operator.kinds.job.attempts import look_at
from qianfan_operator.kinds.references import failed, record_named, run_of, run_of_job, waits_for_ever
from qianfan_operator.kinds.search import Unfinished, search

_GOES_ON = 1.0  # seconds until a search of the account's models goes on


def base_of(ctx: ReconcileContext, job: QianfanJob, why: Cause) -> Plan:
    """Resolve `spec.incrementalFrom` to the ids of a finished run, as far as objects tell them."""
    source = job.spec.incremental_from
    if source is None:
        return Plan(Want.CREATE, why)
    ref = source.job_ref
    plan = _of_job(ctx, job, ref, why) if ref else run_of(ctx, job, source, why)
    return Plan(Want.CREATE, why, {"base": plan.inputs["run"]}) if plan.want is Want.CREATE else plan


def _of_job(ctx: ReconcileContext, job: QianfanJob, ref: JobRef, why: Cause) -> Plan:
    if ref.name == job.metadata.name:
        return failed("spec.incrementalFrom refers to the object itself.")
    base = ctx.fetch(Key(QianfanJob.plural, job.metadata.namespace, ref.name))
    trained = _peft_type(base, ref.attempt) if isinstance(base, QianfanJob) else None
    if trained not in {None, "ALL"}:
        what = f"QianfanJob {ref.name} trains with peftType {trained}"
        return failed(f"{what}; only a run of ALL can be a base.")
    plan = run_of_job(base, ref, why)
    return waits_for_ever(ctx, job, ref.name, plan, "spec.incrementalFrom") or plan


def with_integers(ctx: ReconcileContext, account: Account, job: QianfanJob, run: Mapping[str, Any]) -> BaseRun | Wait:
    """Complete the ids of the base run: search the models of the account for one that was published from it."""
    if forbidden := _forbidden(ctx, account, job, run):
        return forbidden
    base = BaseRun(task_id=run["taskId"], task_uuid=run["taskUuid"], job_id=run["jobId"], job_uuid=run["jobUuid"])
    if base.task_id is not None and base.job_id is not None:
        return base
    if base.job_uuid is None:
        return stalled(Reason.INVALID_SPEC, "spec.incrementalFrom.run must name two integers or two strings.")
    version = _published(ctx, account, base.job_uuid)
    if isinstance(version, Unfinished):
        return confirming(_GOES_ON, "Searching the models of the account for one that was published from the base run.")
    if version:
        ids = {"task_id": version.task_id, "task_uuid": version.task_uuid or base.task_uuid}
        return base.model_copy(update={**ids, "job_id": version.job_id})
    what = f"Run {base.job_uuid} is known only by its string id, but createJob needs integer ids"
    by_object = job.spec.incremental_from is not None and job.spec.incremental_from.job_ref is not None
    way = "set spec.adopt of its job to the integer ids" if by_object else "name it by the integer ids"
    reason = Reason.DEPENDENCY_FAILED if by_object else Reason.INVALID_SPEC
    return stalled(reason, f"{what}. Publish the run (then the cloud returns them), or {way}.")


def _forbidden(ctx: ReconcileContext, account: Account, job: QianfanJob, ids: Mapping[str, Any]) -> Wait | None:
    """Refuse a run that the spec names by its ids and that is not for this object to go on from."""
    field = "spec.incrementalFrom.run"
    if job.spec.incremental_from is None or job.spec.incremental_from.run is None or ctx.adopt is Adopt.ANY:
        return None
    if off := adoption.switched_off(ctx, field):
        return off
    run, _ = look_at(account, record_named(ids))
    if run is None:
        return stalled(Reason.INVALID_SPEC, f"The run that {field} names is not in the cloud; correct its ids.")
    return adoption.refused_run(ctx, account, job, field, run)


def _published(ctx: ReconcileContext, account: Account, job_uuid: str) -> ModelVersion | Unfinished | None:
    """Find a version that tells the integers of a run: first the latest of each model, which one list shows."""

    def tells(version: ModelVersion | None) -> bool:
        known = version is not None and version.task_id is not None and version.job_id is not None
        return known and version is not None and version.job_uuid == job_uuid

    def places() -> Iterator[ModelVersion | int | str | None]:
        models = account.client.user_models()
        yield from (model.latest for model in models if tells(model.latest))
        yield from (
            model.model_id or model.model_id_str for model in models if model.version_count != 1 or not model.latest
        )

    def look(place: ModelVersion | int | str | None) -> ModelVersion | None:
        if place is None or isinstance(place, ModelVersion):
            return place
        try:
            versions = account.client.model_detail(place).versions
        except CloudError as error:
            if error.fate is not Fate.GONE:
                raise
            return None  # deleted since it was listed
        return next(filter(tells, versions), None)

    return search(ctx, "published", job_uuid, 1, places, look)


def _peft_type(base: QianfanJob, attempt: int | None) -> str | None:
    """Say how the run of a job is trained, as far as the object tells: by what is recorded of it, else by the spec."""
    spec, status = base.spec, base.status
    number = attempt or spec.attempt
    recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
    record = next((record for record in recorded if record.attempt == number), None)
    if record and record.inputs:
        return peft_type(record)
    return spec.peft_type if number == spec.attempt and spec.incremental_from is None else None


def peft_type(record: JobStatus | RunRecord) -> str | None:
    """Say how a recorded run is trained; None if that is not recorded, or incremental, and so from a run of ALL."""
    told = (record.inputs or {}).get("peftType")
    return str(told) if told else None
