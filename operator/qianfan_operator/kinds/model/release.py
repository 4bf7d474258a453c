"""Deletion of a QianfanModel: its versions, and the model if this object created it."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from qianfan_operator.api.common import Need, Resource
from qianfan_operator.api.keys import Key, same
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.service import QianfanService
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.views import Model, ModelVersion
from qianfan_operator.kinds.interface import Cause, ReconcileContext, Released
from qianfan_operator.kinds.marks import Mark
from qianfan_operator.kinds.model import targets, versions
from qianfan_operator.kinds.search import Unfinished, search
from qianfan_operator.kinds.service import endpoints

_MOST = 1000  # versions in a status
_LOOKING = "Looking for the versions that this object published."
_NAMED = 5  # users that are read, named and waited for: one is enough to keep the version


def release(ctx: ReconcileContext, account: Account, resource: QianfanModel) -> Released:
    """Delete the versions, unless somebody needs one; then the model, if this object made it and it is empty."""
    status = resource.status
    me = Key(resource.plural, resource.metadata.namespace, resource.metadata.name)
    if services := _first(key for key in ctx.serving(me) if _serves(ctx.fetch(key))):
        return _in_use(resource, services)
    if not ctx.listed:
        message = "The operator is still listing all objects. A QianfanService may use this model version."
        return Released(False, Cause(Reason.DELETING, message))
    if status.account is None:
        return _forgotten(ctx, account, resource)
    where = versions.model_id_of(status)
    model = versions.model_of(account, where) if where is not None else None
    if where is None or model is None:
        return Released(True)
    mine = status.published or ((status.model_version_id,) if status.adopted else ())
    left = [one for one in model.versions if one.version_id in mine and not versions.bears_other_mark(one, resource)]
    if why := _misnamed(model, resource, left):
        return Released(False, Cause(Reason.DELETION_BLOCKED, why), stalled=True)
    ids = [number for one in left for number in (one.version_id, one.version_id_str)]
    needs: list[Need] = [("version", number) for number in ids if number is not None]
    if needing := _first(ctx.needing(needs, lambda theirs: any(_shows(theirs, one) for one in left))):
        return _in_use(resource, needing)
    if left:
        numbers = [one.version_id for one in left if one.version_id is not None]
        state = tuple((one.version_id, one.state) for one in left)
        ctx.ask_once("versions", state, lambda: account.client.delete_model_versions(numbers))
        return Released(False, Cause(Reason.DELETING, "Deleting the versions that this object published."))
    target = resource.spec.target
    created = target is not None and target.model_name is not None and not status.adopted and bool(mine)
    needs = [("model", number) for number in (model.model_id, model.model_id_str) if number is not None]
    if created and not model.versions and not _targeted(ctx, me, needs, where):
        account.client.delete_models([where])
    return Released(True)


def _forgotten(ctx: ReconcileContext, account: Account, resource: QianfanModel) -> Released:
    """Find by the object's mark what a wiped status forgot, and record it before anything of it is deleted.

    "None" is two complete scans.

    See docs/design/create-protocol.md#two-complete-scans.
    """
    if ctx.grace_left("release"):
        return Released(False, Cause(Reason.CONFIRMING, _LOOKING))
    mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, 1, "")

    def look(where: int | str) -> dict[str, Any] | None:
        model = versions.model_of(account, where)
        mine = [one for one in model.versions if mark.same_object(Mark.read(one.description))] if model else []
        if model is None or not mine:
            return None
        return {
            "account": account.name, "model_id": model.model_id, "model_id_str": model.model_id_str,
            "model_name": model.model_name,
            "published": tuple(one.version_id for one in mine if one.version_id)[:_MOST],
        }  # fmt: skip

    found = search(ctx, "forgotten", "", 2, lambda: targets.candidates(ctx, account, resource), look)
    if isinstance(found, Unfinished):
        return Released(False, Cause(Reason.CONFIRMING, _LOOKING))
    if found:
        return Released(False, Cause(Reason.DELETING, "Recording the versions to delete."), updates=found)
    return Released(True)


def _misnamed(seen: Model, model: QianfanModel, left: Sequence[ModelVersion]) -> str:
    """Say that the version in the status, or the model, belongs to another object."""
    named = versions.named_by(model.status)
    current = [one for one in seen.versions if same((one.version_id, one.version_id_str), named)]
    if any(versions.is_foreign(one, model) for one in current):
        return versions.foreign(model.status).message
    target = model.spec.target if not left else None
    made = target.model_name if target and not model.status.adopted else None
    if made is None or not seen.model_name or seen.model_name == as_told(made):
        return ""
    what = f"The status names model {versions.model_id_of(model.status)}, which this object did not create"
    return f"{what}: another writer changed the status. Correct status.modelId and status.modelIdStr."


def _first(users: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(itertools.islice(users, _NAMED))


def _targeted(ctx: ReconcileContext, me: Key, needs: Sequence[Need], where: int | str) -> bool:
    """Say whether other objects publish into the model that this one made."""
    targeting = itertools.chain(
        ctx.users_of(me), ctx.needing(needs, lambda theirs: versions.model_of(theirs, where) is not None)
    )
    return any(key.plural == QianfanModel.plural for key in targeting)


def _serves(user: Resource | None) -> bool:
    return isinstance(user, QianfanService) and endpoints.serves(user)


def _shows(account: Account, version: ModelVersion) -> bool:
    """Say whether these keys see a version, by its string if it has one: its integer may be another's elsewhere."""
    number = version.version_id_str or version.version_id or 0
    return account.client.model_version_detail(number).version_id_str == version.version_id_str


def _in_use(model: Resource, services: Sequence[Key]) -> Released:
    """Say by whom, unless that is in another namespace, of which nobody here is told anything."""
    here = sorted(key.name for key in services if key.namespace == model.metadata.namespace)
    by = f"QianfanService {', '.join(here)}" if here else "a QianfanService in another namespace"
    after = "these services are deleted or serve" if len(here) > 1 else "that service is deleted or serves"
    message = f"The model version is used by {by}. It will be deleted after {after} another version."
    return Released(False, Cause(Reason.IN_USE, message), waits_for=tuple(services))
