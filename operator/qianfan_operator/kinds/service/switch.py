"""Switching a service to another model version, by ModifyService."""

from collections.abc import Mapping
from typing import Any

from qianfan_operator.api.common import RECONCILE_ANNOTATION
from qianfan_operator.api.conditions import READY, ConditionSummary, Synced, find
from qianfan_operator.api.keys import same
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.service import QianfanService, ServiceStatus, Switch, SwitchTarget
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.deadlines import cloud_now, seconds_between
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.views import Service
from qianfan_operator.kinds.interface import Cause, Plan, ReconcileContext, Step, UpdateStatus, Wait, Want, stalled
from qianfan_operator.kinds.marks import source_hash
from qianfan_operator.kinds.service import endpoints

# docs/design/wire.md#durations
_BOUND = 1800.0  # seconds; deploying takes up to 15 minutes after payment
_BEGINS = 60.0  # seconds within which an accepted switch must show as under way or done
_AGAIN = f"Change spec.source, or the annotation {RECONCILE_ANNOTATION} to try it again."
_SERVING = "The previous version is still serving."
_SWITCHING = f"Switching to another model version. {_SERVING}"


def plan(ids: Mapping[str, Any]) -> Plan:
    """Ask for a switch to a version."""
    return Plan(Want.SWITCH, Cause(Reason.UPDATING, _SWITCHING), ids)


def going_on(service: QianfanService) -> Plan:
    """Ask for what was begun, or for the recorded version again where a person asks to undo what others did."""
    status = service.status
    if status.switch:
        return plan(status.switch.to.to_dict())
    ready = find(status.conditions, READY)
    if service.reconcile_requested and ready is not None and ready.reason == Reason.DRIFTED:
        return plan({"modelId": status.model_id, "modelVersionId": status.model_version_id})
    return Plan(Want.NOTHING)


def leads_to(status: ServiceStatus, ids: Mapping[str, Any]) -> bool:
    """Say whether a version is the one that is recorded, or that a switch under way leads to."""
    wanted = SwitchTarget.model_validate(dict(ids))
    to = status.switch.to if status.switch else SwitchTarget(model_version_id=status.model_version_id)
    return same((to.model_version_id, to.model_version_id_str), (wanted.model_version_id, wanted.model_version_id_str))


def complete(account: Account, ids: Mapping[str, Any], *, strings: bool = False) -> SwitchTarget | None:
    """Complete the ids of a model version: apply takes integers, V2 `strings`; None if there is no such version."""
    known = SwitchTarget.model_validate(dict(ids))
    integers = known.model_id is not None and known.model_version_id is not None
    if integers and (not strings or (known.model_id_str and known.model_version_id_str)):
        return known
    version = known.model_version_id or known.model_version_id_str
    if version is None:
        return None
    try:
        detail = account.client.model_version_detail(version)
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
        return None
    return SwitchTarget(
        model_id=detail.model_id,
        model_id_str=detail.model_id_str,
        model_version_id=detail.version_id,
        model_version_id_str=detail.version_id_str,
    )


def switch(ctx: ReconcileContext, account: Account, service: QianfanService, to: SwitchTarget) -> Step:
    """Go on with a switch: recorded first, called for once, waited for to a bound."""
    status = service.status
    serves = status.model_version_id == to.model_version_id
    ids = {"model_id": to.model_id, "model_version_id": to.model_version_id}
    there = UpdateStatus({"switch": None, "inputs_hash": source_hash(service.spec.source), **ids})
    if not (status.service_uuid and to.model_id_str and to.model_version_id_str):
        return there if serves else _unsupported("The cloud returned no string ids, but its call to switch needs them")
    try:
        return _go_on(ctx, account, service, to) or there
    except CloudError as error:
        if not error.unsupported:
            raise
    return there if serves else _unsupported("The cloud offers no call to switch")


def _go_on(ctx: ReconcileContext, account: Account, service: QianfanService, to: SwitchTarget) -> Step | None:
    """Take the next step of a switch by V2; None if the version is there."""
    status, version = service.status, to.model_version_id_str or ""
    seen = account.client.describe_service(status.service_uuid or "")
    if endpoints.is_foreign(seen, service):
        why = endpoints.foreign(status)
        return stalled(why.reason, why.message)
    pending = seen.update_status not in {"", "None"}
    if seen.model_version_id_str == version and not pending:
        return None
    under_way, late = status.switch, _is_late(account, status.switch, pending=pending)
    if under_way is None or under_way.to.model_version_id_str != version:  # another one comes to its end first
        if pending:
            return _failed("An earlier switch timed out") if late else _updating(version)
        return UpdateStatus({"switch": Switch(to=to), "inputs_hash": source_hash(service.spec.source)})
    if under_way.since is None or (service.reconcile_requested and not pending):
        if not pending:
            account.client.modify_service(status.service_uuid or "", to.model_id_str or "", version)
        return UpdateStatus({"switch": Switch(to=to, since=cloud_now(account) or ctx.now)})
    if not late:
        return _updating(version)
    if pending:
        return _failed(f"The switch to version {version} timed out")
    return _came_to_nothing(account, seen, service, version)


def _is_late(account: Account, under_way: Switch | None, *, pending: bool) -> bool:
    now = cloud_now(account)
    if under_way is None or under_way.since is None or now is None:
        return False
    return seconds_between(under_way.since, now) > (_BOUND if pending else _BEGINS)


def _came_to_nothing(account: Account, seen: Service, service: QianfanService, version: str) -> Wait:
    """Tell a switch that the cloud gave up from one that others overtook."""
    serves = complete(account, {"modelVersionIdStr": seen.model_version_id_str})
    if serves is None or serves.model_version_id in {None, service.status.model_version_id}:
        return _failed(f"The cloud gave up the switch to version {version}")
    others = f"The service was switched to version {serves.model_version_id} outside of this object"
    return _stays(Reason.DRIFTED, f"{others}, which asked for version {version}. {_AGAIN}")


def _updating(version: str) -> Wait:
    message = f"Switching to version {version}. {_SERVING}"
    return Wait(ConditionSummary(False, Reason.UPDATING, message, reconciling=True, available=True))


def _failed(what: str) -> Wait:
    return _stays(Reason.UPDATE_FAILED, f"{what}. {_SERVING} {_AGAIN}")


def _unsupported(what: str) -> Wait:
    ways = "Set spec.source back (updatePolicy Follow: to Manual), or serve the new version by another QianfanService."
    return _stays(Reason.UPDATE_UNSUPPORTED, f"{what}. {_SERVING} {ways}")


def _stays(reason: Reason, message: str) -> Wait:
    return Wait(ConditionSummary(False, reason, message, stalled=True, synced=Synced("False"), available=True))
