"""Bringing another model version behind an address that goes on serving, by V2 ModifyService (design 2.4)."""

from collections.abc import Mapping
from typing import Any

from qianfan_operator.api.service import QianfanService, Switch, SwitchTarget
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.conditions import Verdict
from qianfan_operator.credentials import Account
from qianfan_operator.external import Hold, Record, Step, World, cloud_now, seconds_between
from qianfan_operator.names import source_hash
from qianfan_operator.reasons import Reason

_BOUND = 1800.0  # seconds; deploying takes up to 15 minutes after payment [wire 5.4]
_BEGINS = 60.0  # seconds within which an accepted switch must show as under way or done


def complete(account: Account, ids: Mapping[str, Any], *, strings: bool = False) -> SwitchTarget | None:
    """Complete the ids of a model version: apply takes integers, V2 `strings`; None if there is no such version."""
    known = SwitchTarget.model_validate(dict(ids))
    integers = known.model_id is not None and known.model_version_id is not None
    if integers and (not strings or (known.model_id_str and known.model_version_id_str)):
        return known
    version = known.model_version_id if known.model_version_id is not None else known.model_version_id_str
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


def switch(world: World, account: Account, service: QianfanService, to: SwitchTarget) -> Step:
    """Go on with a switch: recorded first, called for once, waited for to a bound."""
    status = service.status
    serves = status.model_version_id == to.model_version_id
    ids = {"model_id": to.model_id, "model_version_id": to.model_version_id}
    there = Record({"switch": None, "inputs_hash": source_hash(service.spec.source), **ids})
    if serves and status.switch is None:
        return there
    model, version = to.model_id_str, to.model_version_id_str
    if not (status.service_uuid and model and version):
        return _serves_on(Reason.UPDATE_UNSUPPORTED, "The cloud gave no string ids, which its call to switch takes.")
    try:
        return _go_on(world, account, service, to, version) or there
    except CloudError as error:
        if not error.unsupported:
            raise
    if serves:
        return there
    return _serves_on(Reason.UPDATE_UNSUPPORTED, "The cloud offers no call to switch; the old version serves on.")


def _go_on(world: World, account: Account, service: QianfanService, to: SwitchTarget, version: str) -> Step | None:
    """Take the next step of a switch by V2; None if the version is there."""
    uuid, under_way = service.status.service_uuid or "", service.status.switch
    seen = account.client.describe_service(uuid)
    pending = seen.update_status not in {"", "None"}
    if seen.model_version_id_str == version and not pending:
        return None
    if under_way is None or under_way.to.model_version_id_str != version:  # another one comes to its end first
        return _updating(version) if pending else Record({"switch": Switch(to=to)})
    if under_way.since is None or (service.reconcile_requested and not pending):
        if not pending:
            account.client.modify_service(uuid, to.model_id_str or "", version)
        return Record({"switch": Switch(to=to, since=cloud_now(account) or world.now)})
    now = cloud_now(account)
    if now and seconds_between(under_way.since, now) > (_BOUND if pending else _BEGINS):
        return _serves_on(Reason.UPDATE_FAILED, "The service did not switch; the old version serves on.")
    return _updating(version)


def _updating(version: str) -> Hold:
    message = f"Switching to version {version}; the old one serves on."
    return Hold(Verdict(False, Reason.UPDATING, message, reconciling=True, available=True))


def _serves_on(reason: Reason, message: str) -> Hold:
    return Hold(Verdict(False, reason, message, stalled=True, available=True))
