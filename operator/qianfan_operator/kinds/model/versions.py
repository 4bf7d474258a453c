"""Model versions: reading, finding and adopting them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from qianfan_operator.api.common import RECONCILE_ANNOTATION
from qianfan_operator.api.conditions import READY, find
from qianfan_operator.api.keys import same
from qianfan_operator.api.model import ModelAdopt, ModelStatus, ModelVersion, PublishedFrom, QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud import views
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.fields import as_told, as_utc
from qianfan_operator.kinds import adoption
from qianfan_operator.kinds.interface import Cause, Phase, ReconcileContext, Step, UpdateStatus, stalled
from qianfan_operator.kinds.marks import Mark, source_hash
from qianfan_operator.kinds.texts import unknown

STATES = {"Creating": Phase.WORKING, "Ready": Phase.READY, "Fail": Phase.FAILED, "Failed": Phase.FAILED}
IDS = ("model_id", "model_id_str", "model_version_id", "model_version_id_str", "published", "adopted", "preset")
"""Fields of the status that tell which versions the object has."""

_LISTED, _PUBLISHED = 10, 20
_PRESET = "PlatformPreset"  # the cloud's word for a version of its own
_PUBLISH_AGAIN = f"change the annotation {RECONCILE_ANNOTATION} to publish it again."
_CONSOLE = "https://console.bce.baidu.com/qianfan/modelcenter/model/user/list"  # the vendor's documentation names it


def why(phase: Phase, status: ModelStatus, word: str | None) -> Cause:
    """Say what a phase means for the current version."""
    version = f"Version {status.model_version_id or status.model_version_id_str}"
    where = f" of model {status.model_name}" if status.model_name else ""
    texts: Mapping[Phase, Cause] = {
        Phase.WORKING: Cause(Reason.PUBLISHING, f"{version} is being published."),
        Phase.READY: Cause(Reason.AVAILABLE, f"{version}{where} is ready."),
        Phase.FAILED: Cause(Reason.PUBLISHING_FAILED, f"{version} failed to publish; {_try_again(status)}"),
        Phase.GONE: Cause(Reason.GONE, f"{version} is no longer in the cloud; {_PUBLISH_AGAIN}"),
        Phase.UNKNOWN: unknown(version, word, _CONSOLE),
    }
    return texts.get(phase, Cause(Reason.PUBLISHING))


def _try_again(status: ModelStatus) -> str:
    ours = status.model_version_id in status.published
    return _PUBLISH_AGAIN if ours else f"it was not created by this object: delete it, then {_PUBLISH_AGAIN}"


def published(status: ModelStatus) -> bool:
    """Say whether the status names a version."""
    return status.model_version_id is not None or status.model_version_id_str is not None


def model_id_of(status: ModelStatus) -> int | str | None:
    """Return the recorded id of the model, rather the integer."""
    return status.model_id or status.model_id_str


def asked_again(model: QianfanModel) -> bool:
    """Say whether a person asks to publish again what failed to publish or is gone; that costs nothing."""
    ready = find(model.status.conditions, READY)
    gone = ready is not None and ready.reason == Reason.GONE
    return model.reconcile_requested and (gone or has_failed(model.status))


def has_failed(status: ModelStatus) -> bool:
    """Say whether the current version is recorded and has failed to publish."""
    return published(status) and STATES.get(status.state or "") is Phase.FAILED


def with_own(status: ModelStatus, version_id: int | None) -> tuple[int, ...]:
    """Add a version to those that the object published, the newest last."""
    return (*(one for one in status.published if one != version_id), *filter(None, (version_id,)))[-_PUBLISHED:]


def make_way(account: Account, status: ModelStatus) -> Step:
    """Forget a version that is gone, and remove one that failed: the cloud takes a run once per model.

    Nothing is lost: it cannot be used, and publishing is free. What this object did not publish is left alone.

    See docs/design/wire.md#publishtrainmodel.
    """
    version = status.model_version_id or status.model_version_id_str
    try:
        if has_failed(status) and version not in status.published:
            account.client.model_version_detail(version or 0)
            return stalled(Reason.PUBLISHING_FAILED, why(Phase.FAILED, status, status.state).message)
        if has_failed(status):
            account.client.delete_model_versions([version or 0])
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
    rest = tuple(one for one in status.published if one != version)
    return UpdateStatus({"model_version_id": None, "model_version_id_str": None, "state": None, "published": rest})


def is_named(status: ModelStatus, adopt: ModelAdopt) -> bool:
    """Say whether `adopt` names the version that the status names."""
    model = adopt.model_id in {None, status.model_id, status.model_id_str}
    return model and adopt.model_version_id in {None, status.model_version_id, status.model_version_id_str}


def source(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of the run that a version was published from."""
    source = PublishedFrom(
        task_id=inputs.get("taskId"), task_uuid=inputs.get("taskUuid"),
        job_id=inputs.get("jobId"), job_uuid=inputs.get("jobUuid"),
    )  # fmt: skip
    return {"source": source, "inputs_hash": inputs.get("inputsHash")}


def kept_run(model: QianfanModel) -> dict[str, Any] | None:
    """The recorded run, which stays with Manual as long as the spec asks for the same source.

    See docs/design/api.md#qianfanmodel.
    """
    spec, status = model.spec, model.status
    if spec.update_policy != "Manual" or spec.source is None or status.source is None:
        return None
    run = status.source
    kept = {"taskId": run.task_id, "taskUuid": run.task_uuid, "jobId": run.job_id, "jobUuid": run.job_uuid}
    return kept if status.inputs_hash == source_hash(spec.source) else None


def same_run(source: PublishedFrom | None, inputs: Mapping[str, Any]) -> bool:
    """Say whether a version was published from the run that is asked for."""
    return source is not None and same((source.job_id, source.job_uuid), (inputs.get("jobId"), inputs.get("jobUuid")))


def is_run(version: views.ModelVersion, inputs: Mapping[str, Any]) -> bool:
    """Say whether a version of the cloud was published from the run that is asked for."""
    return same((version.job_id, version.job_uuid), (inputs.get("jobId"), inputs.get("jobUuid")))


def model_named(account: Account, name: str) -> int | str | None:
    """Find the account's own model of a name."""
    for item in account.client.user_models(name):
        if item.model_name == as_told(name):
            return item.model_id or item.model_id_str
    return None


def version_facts(version: views.ModelVersion, status: ModelStatus) -> dict[str, Any]:
    """What a look at a version adds to the status; what a reply leaves out stays."""
    return {
        "model_id": version.model_id or status.model_id,
        "model_id_str": version.model_id_str or status.model_id_str,
        "model_name": version.model_name or status.model_name,
        "model_version_id": version.version_id or status.model_version_id,
        "model_version_id_str": version.version_id_str or status.model_version_id_str,
        "version": version.version or status.version,
        "state": version.state,
        "preset": True if version.source_type == _PRESET else None,
        "train_type": version.train_type or status.train_type,
        "create_time": version.create_time or status.create_time,
        "console_url": _CONSOLE,
    }


def model_of(account: Account, model_id: int | str) -> views.Model | None:
    """Read a model; None if it is gone.

    The code for an unknown one is inferred: it counts only if two complete lists do not show the model.

    See docs/design/wire.md#modeldetail.
    """
    try:
        return account.client.model_detail(model_id)
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
        listed = [item for _ in range(2) for item in account.client.user_models()]
        if any(_may_be(model_id, item.model_id, item.model_id_str) for item in listed):
            raise
        return None


def look(account: Account, model: QianfanModel) -> views.ModelVersion | None:
    """Read the current version, by its string where the integer shows none or another object's; None if it is gone.

    What is returned is another object's only if both ids are: see `is_foreign`.
    """
    status, found, refused = model.status, None, None
    numbers = [one for one in (status.model_version_id, status.model_version_id_str) if one is not None]
    for number in numbers:
        try:
            seen = account.client.model_version_detail(number)
        except CloudError as error:
            if error.fate is not Fate.GONE:
                raise
            refused = error
            continue
        if status.account not in {None, account.name} and is_another(seen, status):
            return None
        if not is_foreign(seen, model):
            return seen
        found = found or seen
    if found is None and refused is not None and _is_listed(account, status, numbers):
        raise refused
    return found


def _is_listed(account: Account, status: ModelStatus, numbers: Sequence[int | str]) -> bool:
    """Say whether one of two looks at its model shows a version: the code for an unknown one is inferred."""
    where = model_id_of(status)
    for _ in range(2 if where is not None else 0):
        model = model_of(account, where or "")
        ids = [(version.version_id, version.version_id_str) for version in model.versions] if model else []
        if any(_may_be(sought, *each) for sought in numbers for each in ids):
            return True
    return False


def _ids_of(version: views.ModelVersion) -> tuple[int | str, ...]:
    return tuple(one for one in (version.version_id, version.version_id_str) if one is not None)


def is_foreign(version: views.ModelVersion, model: QianfanModel) -> bool:
    """Say whether a version that the status names is surely not the object's: others may have written the id.

    It was made of another run than the object published; if no run is known, it bears another object's mark, or has
    another id than the status names besides.
    """
    status, run, adopt = model.status, model.status.source, model.spec.adopt
    if status.adopted and adopt and adopt.model_version_id is not None:
        return adopt.model_version_id not in _ids_of(version)
    runs = ((version.job_id, run.job_id), (version.job_uuid, run.job_uuid)) if run else ()
    known = [one == other for one, other in runs if one is not None and other is not None]
    if known:
        return not any(known)
    if bears_other_mark(version, model):
        return True
    pairs = zip((version.version_id, version.version_id_str), named_by(status), strict=True)
    return any(one and other and one != other for one, other in pairs)


def named_by(status: ModelStatus) -> tuple[int | None, str | None]:
    """Return both ids of the version that a status names."""
    return status.model_version_id, status.model_version_id_str


def bears_other_mark(version: views.ModelVersion, model: QianfanModel) -> bool:
    """Say whether a version was published by another object than the one that did not take it over."""
    mark, metadata = Mark.read(version.description), model.metadata
    return (
        not model.status.adopted and mark is not None and not mark.names(model.kind, metadata.namespace, metadata.name)
    )


def foreign(status: ModelStatus) -> Cause:
    """Say that the status names a version that is not the object's."""
    what = f"The status names version {status.model_version_id or status.model_version_id_str}"
    ways = "Correct status.modelVersionId and status.modelVersionIdStr."
    message = f"{what}, which this object did not publish: another writer changed the status. {ways}"
    return Cause(Reason.ALREADY_MANAGED, message)


def _may_be(sought: int | str, number: int | None, string: str | None) -> bool:
    """Say whether a listed thing may be the sought one: surely not if it tells an id of that kind, and another one."""
    return sought in {number, string} or (string if isinstance(sought, str) else number) is None


def place(run: Sequence[object], models: Sequence[object]) -> frozenset[Hashable]:
    """Name a version by the run that it is made of and the model that it is in: the cloud has one of these at most."""
    named = [as_told(model) if isinstance(model, str) else model for model in models if model is not None]
    return frozenset((one, model) for one in run for model in named if one is not None)


def is_read(account: Account, status: ModelStatus, number: object) -> bool:
    """Say whether these keys see a recorded version: by its string, else by its integer and what else is known."""
    current = number in {status.model_version_id, status.model_version_id_str}
    if current and status.model_version_id_str:
        account.client.model_version_detail(status.model_version_id_str)
        return True
    version = account.client.model_version_detail(number if isinstance(number, int | str) else 0)
    if isinstance(number, str):
        return True
    where = (status.model_id, status.model_id_str)
    return where == (None, None) or same(where, (version.model_id, version.model_id_str))


def is_another(version: views.ModelVersion, status: ModelStatus) -> bool:
    """Say whether a version that was read is surely not the recorded one, though it bears the same integer."""
    recorded = as_utc(status.create_time) or status.create_time  # an older operator wrote the cloud's own zone
    pairs = (
        (version.version_id_str, status.model_version_id_str), (version.model_id_str, status.model_id_str),
        (version.create_time, recorded),
    )  # fmt: skip
    return any(now and before and now != before for now, before in pairs)


def model_facts(model: views.Model) -> dict[str, Any]:
    """What a look at the model adds to the status: its versions, newest first."""
    listed = {version.version_id: version for version in reversed(model.versions)}  # the list is a map of these ids
    versions = tuple(
        ModelVersion(
            model_version_id=version.version_id, model_version_id_str=version.version_id_str, version=version.version,
            description=version.description or None, state=version.state, source_type=version.source_type or None,
            train_type=version.train_type or None, task_id=version.task_id, job_id=version.job_id,
            create_time=version.create_time,
        )
        for version in list(reversed(listed.values()))[:_LISTED]
        if version.version_id is not None
    )  # fmt: skip
    return {"versions": versions, "version_count": len(model.versions), "model_name": model.model_name or None}


def adopt(ctx: ReconcileContext, account: Account, model: QianfanModel) -> Step:
    """Record a version that exists; a model alone stands for its newest version."""
    adopt = model.spec.adopt
    if adopt is None:
        raise AssertionError("asked to adopt nothing")
    if off := adoption.switched_off(ctx, "spec.adopt"):
        return off
    version_id = adopt.model_version_id
    try:
        if version_id is None and adopt.model_id is not None:
            versions = account.client.model_detail(adopt.model_id).versions
            if not versions:
                return stalled(Reason.GONE, f"Model {adopt.model_id} has no version.")
            version_id = versions[0].version_id or versions[0].version_id_str
        if version_id is None:
            return stalled(Reason.INVALID_SPEC, "spec.adopt must name a model or a model version.")
        detail = account.client.model_version_detail(version_id)
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
        named = {"Model": adopt.model_id, "Version": adopt.model_version_id}
        what = " or ".join(f"{kind} {number}" for kind, number in named.items() if number is not None)
        return stalled(Reason.GONE, f"{what} is not in the cloud; correct spec.adopt.")
    if refused := adoption.refused_version(ctx, model, "spec.adopt", detail):
        return refused
    if adopt.model_id is not None and adopt.model_id not in {detail.model_id, detail.model_id_str}:
        return stalled(
            Reason.INVALID_SPEC, f"Version {version_id} belongs to model {detail.model_id}, not {adopt.model_id}."
        )
    source = PublishedFrom(
        task_id=detail.task_id, task_uuid=detail.task_uuid, job_id=detail.job_id, job_uuid=detail.job_uuid
    )
    made_of = source if source != PublishedFrom() else None  # a preset version is made of no run
    facts = version_facts(detail, ModelStatus())
    return UpdateStatus({**facts, "source": made_of, "inputs_hash": None, "adopted": True, "account": account.name})
