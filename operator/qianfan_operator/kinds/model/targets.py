"""The target of a version: the model of the cloud that `spec.target` names."""

from collections.abc import Iterator

from qianfan_operator.api.conditions import READY
from qianfan_operator.api.keys import Key
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.kinds.interface import Cause, Plan, ReconcileContext, Want
from qianfan_operator.kinds.model import versions
from qianfan_operator.kinds.references import not_met, waits_for_ever

_WHY = Cause(Reason.PUBLISHING, "Publishing the run.")


def resolve(ctx: ReconcileContext, model: QianfanModel) -> Plan:
    """Say into which model to publish: what is recorded, else what the target names; CREATE as soon as it is known."""
    spec, recorded = model.spec, versions.model_id_of(model.status)
    if spec.source is None or spec.target is None:
        return Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, "spec.source and spec.target must be set to publish."))
    if recorded is not None:
        return Plan(Want.CREATE, _WHY, {"modelId": recorded})
    if spec.target.model_ref:
        return _of_another(ctx, model, spec.target.model_ref.name)
    if spec.target.model_id is not None:
        return Plan(Want.CREATE, _WHY, {"modelId": spec.target.model_id})
    return Plan(Want.CREATE, _WHY, {"modelName": spec.target.model_name})


def _of_another(ctx: ReconcileContext, model: QianfanModel, name: str) -> Plan:
    """Take the model of another object as soon as it has one, be its own version ready or not."""
    other = _fetch(ctx, model, name)
    if other and not other.metadata.deletion_timestamp and (there := versions.model_id_of(other.status)) is not None:
        return Plan(Want.CREATE, _WHY, {"modelId": there})
    nothing_yet = Cause(Reason.DEPENDENCY_NOT_READY, f"QianfanModel {name} has no model in the cloud yet.")
    plan = (not_met(other, READY) if other else None) or Plan(Want.WAIT, nothing_yet)
    return waits_for_ever(ctx, model, name, plan, "spec.target.modelRef") or plan


def candidates(ctx: ReconcileContext, account: Account, model: QianfanModel) -> Iterator[int | str]:
    """Name the models in which a version may be of which the status was wiped; all of them if the target tells none."""
    target = model.spec.target
    if target is None:
        return
    known = target.model_id
    if target.model_name is not None:
        known = versions.model_named(account, target.model_name)
    elif target.model_ref and (other := _fetch(ctx, model, target.model_ref.name)):
        known = versions.model_id_of(other.status)
    if known is not None:
        yield known
    elif target.model_ref:
        for item in account.client.user_models():
            if (number := item.model_id or item.model_id_str) is not None:
                yield number


def _fetch(ctx: ReconcileContext, model: QianfanModel, name: str) -> QianfanModel | None:
    other = ctx.fetch(Key(QianfanModel.plural, model.metadata.namespace, name))
    return other if isinstance(other, QianfanModel) else None
