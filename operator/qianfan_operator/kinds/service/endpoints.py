"""Services of the cloud: reading, finding and adopting them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qianfan_operator.api.common import FINALIZER, RECONCILE_ANNOTATION
from qianfan_operator.api.conditions import AVAILABLE, find
from qianfan_operator.api.keys import same
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.service import QianfanService, ServiceStatus, SwitchTarget
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.operations import SERVICE_LIST
from qianfan_operator.cloud.views import Service, ServiceItem
from qianfan_operator.kinds import adoption
from qianfan_operator.kinds.interface import Cause, Phase, ReconcileContext, Step, UpdateStatus, stalled
from qianfan_operator.kinds.marks import Mark, source_hash
from qianfan_operator.kinds.texts import unknown

# V1's words and V2's; the numbers of 2023 are not documented and stay unknown.
# See docs/design/wire.md#states, docs/design/wire.md#servicedetail.
STATES = {
    "New": Phase.UNPAID,
    "Deploying": Phase.WORKING,
    "Done": Phase.READY,
    "Serving": Phase.READY,
    "Failed": Phase.FAILED,
    "Stopped": Phase.STOPPED,
}

IDS = ("service_id", "service_uuid", "service_name", "model_id", "model_version_id", "adopted")
"""Fields of the status that tell which service the object has, and which version that serves."""

PREFIX = 9
"""Characters that the cloud puts in front of a uri: eight and `_`.

See docs/design/wire.md#servicedetail.
"""

LOOKING = "Looking for the service of this object."
PAGE = "https://console.bce.baidu.com/qianfan/ais/console/onlineService"  # the vendor's documentation names it
_ANEW = "delete this object and apply it again to have another one, which is paid for anew."
# docs/design/wire.md#apply
_POOLS = {1: "Public", 2: "Private"}


def recorded(status: ServiceStatus) -> bool:
    """Say whether the status names a service."""
    return status.service_id is not None or status.service_uuid is not None


def serves(service: QianfanService) -> bool:
    """Say whether a service has, or may have, something in the cloud; who only waits for a model uses nothing."""
    wiped = FINALIZER in service.metadata.finalizers and service.status.account is None
    return wiped or service.status.pending is not None or recorded(service.status)


def read(account: Account, status: ServiceStatus) -> Service:
    """Read a recorded service, by its integer if it is known; an id or a URL that is missing is looked up in the list.

    To switch and to release a service takes its string, and service/detail does not tell that; its older field set
    lacks the URL, too.

    See docs/design/wire.md#servicedetail.
    """
    if status.service_id is not None:
        service = account.client.service_detail(status.service_id)
    elif status.service_uuid is not None:
        service = account.client.describe_service(status.service_uuid)
    else:
        raise AssertionError("no service is recorded")
    complete = status.service_id is not None and status.service_uuid is not None and (service.url or status.url)
    items = () if complete else account.client.services()
    for item in items:
        if _is(item, status):
            url = service.url or item.url
            return replace(service, service_id=item.service_id, service_uuid=item.service_uuid, url=url)
    return service


def look(account: Account, status: ServiceStatus) -> Service | None:
    """Read a recorded service; None if it is gone.

    The code for an unknown service is not known: a refusal means that only if two complete lists agree.

    See docs/design/wire.md#servicedetail.
    """
    try:
        service = read(account, status)
        return service if status.account in {None, account.name} or not is_another(service, status) else None
    except CloudError as error:
        if error.reason not in {Reason.REFUSED, Reason.GONE}:
            raise
        if any(_may_be(item, status) for _ in range(2) for item in account.client.services()):
            raise
        return None


def seen(account: Account, resource: QianfanService) -> tuple[Service | None, ServiceStatus]:
    """Read the recorded service, by its string where the integer shows none or another object's.

    With the status as it is right for what was read: then it is without the integer.
    """
    status = resource.status
    service = look(account, status)
    if status.service_id is None or status.service_uuid is None or (service and not is_foreign(service, resource)):
        return service, status
    named = status.model_copy(update={"service_id": None})
    try:
        other = look(account, named)
    except CloudError as error:
        if not error.unsupported:
            raise
        return service, status
    return (service, status) if other is None or is_foreign(other, resource) else (other, named)


def is_foreign(service: Service, resource: QianfanService) -> bool:
    """Say whether a service that the status names is surely not the object's: others may have written the id.

    It bears another object's mark; without one, neither its name nor its address is what was asked for.
    """
    spec, metadata, mark = resource.spec, resource.metadata, Mark.read(service.description)
    if resource.status.adopted:
        return False
    if mark is not None:
        return not mark.names(resource.kind, metadata.namespace, metadata.name)
    if not service.name or spec.service_name is None or service.name == as_told(spec.service_name):
        return False
    return spec.uri is None or service.uri[PREFIX:] != as_told(spec.uri)


def is_other(account: Account, uuid: str, service: Service, resource: QianfanService) -> bool:
    """Say whether a string names another service than the one that was read; raises `unsupported` without V2."""
    named = account.client.describe_service(uuid)
    return is_foreign(named, resource) or bool(named.name and service.name and named.name != service.name)


def foreign(status: ServiceStatus) -> Cause:
    """Say that the status names a service that is not the object's."""
    ids = " and ".join(str(one) for one in (status.service_id, status.service_uuid) if one is not None)
    what = f"The status names service {ids}, which is not the one of this object"
    ways = "Correct status.serviceId and status.serviceUuid."
    return Cause(Reason.ALREADY_MANAGED, f"{what}: another writer changed the status. {ways}")


def is_read(account: Account, status: ServiceStatus) -> bool:
    """Say whether these keys see the recorded service: by its string, else by its integer and what else is known."""
    if status.service_uuid is not None:
        items = account.client.services()
        found = any(item.service_uuid == status.service_uuid for item in items)
        if not found and any(item.service_uuid is None and _may_be(item, status) for item in items):
            message = f"A service is listed without a usable string id; it may be {status.service_uuid}."
            raise CloudError(SERVICE_LIST.operation, "IncompleteList", message)
        return found
    service = account.client.service_detail(status.service_id or 0)
    return not is_another(service, status)


def is_another(service: Service, status: ServiceStatus) -> bool:
    """Say whether a service that was read is surely not the recorded one, though it bears the same integer."""
    pairs = ((service.name, as_told(status.service_name or "")), (service.service_uuid, status.service_uuid))
    return any(now and before and now != before for now, before in pairs)


def _is(item: ServiceItem, status: ServiceStatus) -> bool:
    return same((item.service_id, item.service_uuid), (status.service_id, status.service_uuid))


def _may_be(item: ServiceItem, status: ServiceStatus) -> bool:
    """Say whether a listed service may be the recorded one: surely not if both tell an id of a kind, and differ."""
    pairs = ((item.service_id, status.service_id), (item.service_uuid, status.service_uuid))
    return _is(item, status) or not any(told and known for told, known in pairs)


def drifted(seen: Service, service: QianfanService) -> Cause | None:
    """Say that others put another version behind the address than the one that is recorded or asked for, if so."""
    status = service.status
    recorded, now = status.model_version_id, seen.model_version_id
    asked = status.switch.to.model_version_id if status.switch else None
    if service.spec.source is None or recorded is None or now in {None, recorded, asked}:
        return None
    message = f"The service was switched to version {now} outside of this object, which had it serve {recorded}."
    ways = f"Set spec.source to version {now}, or change the annotation {RECONCILE_ANNOTATION} to switch back."
    return Cause(Reason.DRIFTED, f"{message} {ways}")


def facts(service: Service, status: ServiceStatus) -> dict[str, Any]:
    """What a look adds to the status; what a reply leaves out stays."""
    return {
        "service_status": service.status,
        "service_name": service.name or status.service_name,
        "uri": service.uri or status.uri,
        "url": service.url or status.url,
        "service_id": status.service_id or service.service_id,
        "service_uuid": status.service_uuid or service.service_uuid,
        "model_id": service.model_id or status.model_id,
        "model_version_id": (service.model_version_id or status.model_version_id),
        "replicas": service.replicas if service.replicas is not None else status.replicas,
        "pool_type": _POOLS.get(service.pool_type or 0, status.pool_type),
        "online_time": service.online_time or status.online_time,
        "console_url": PAGE,
    }


def named(account: Account, name: str, *, scans: int = 1) -> list[ServiceItem]:
    """Find the account's own services of a name; that names are unique is not certain.

    "None" is believed only after two complete `scans` where something may be on its way.

    See docs/design/wire.md#idempotency-and-names, docs/design/create-protocol.md#two-complete-scans.
    """
    found = [item for _ in range(scans) for item in account.client.services() if item.name == as_told(name)]
    return list(dict.fromkeys(found))


def bears(item: ServiceItem, uri: object) -> bool:
    """Say whether the address of a service ends with the uri that was asked for."""
    return uri is not None and item.uri[PREFIX:] == as_told(str(uri))


def is_over(item: ServiceItem) -> bool:
    """Say whether a service has been stopped or has failed."""
    return bool(item.versions) and all(phase_of(v.status) in {Phase.STOPPED, Phase.FAILED} for v in item.versions)


def mark_of(account: Account, item: ServiceItem) -> Mark | None:
    """Read the mark of a service; None if it has none, or if it cannot be read without V2."""
    if item.service_uuid is None:
        return None
    try:
        return Mark.read(account.client.describe_service(item.service_uuid).description)
    except CloudError as error:
        if not error.unsupported:
            raise
        return None


def found(item: ServiceItem) -> dict[str, Any]:
    """What is recorded of a service that was found in the list."""
    updates: dict[str, Any] = {
        "service_id": item.service_id,
        "service_uuid": item.service_uuid,
        "service_name": item.name,
    }
    for served in item.versions[:1]:
        updates |= {
            "model_id": served.model_id,
            "model_version_id": served.model_version_id,
            "service_status": served.status,
        }
    return updates


def forgotten(ctx: ReconcileContext, account: Account, service: QianfanService) -> dict[str, Any] | str:
    """Find by name and mark what a wiped status forgot, by two complete scans: what to record, empty if there is none.

    A sentence: without V2 nobody can tell whose the service of this name is.
    """
    mark = Mark.of(ctx.cluster, service.marked_metadata, service.kind, 1, "")
    for item in named(account, service.spec.service_name or "", scans=2):
        theirs = mark_of(account, item) if service.former or not is_over(item) else None
        if is_over(item) and not (theirs and theirs.uid == mark.uid):
            continue
        if mark.same_object(theirs):
            return {**found(item), "account": account.name}
        if theirs is None and bears(item, service.spec.uri):
            return f"Cannot determine whether service {item.name} ({item.service_id}) belongs to this object."
    return {}


def regained(item: ServiceItem, service: QianfanService, wanted: SwitchTarget) -> dict[str, Any]:
    """What is recorded of a service of ours that was found again: as much as when it was applied for.

    The version that it serves stays, unless the spec itself names another one (`updatePolicy: Manual`).
    """
    updates, spec = found(item), service.spec
    named = spec.source is not None and spec.source.model_version is not None
    kept = not named or updates.get("model_version_id") == wanted.model_version_id
    unchanged = {"inputs_hash": source_hash(service.spec.source)} if kept else {}
    return {**updates, **unchanged, "replicas": spec.replicas, "pool_type": spec.pool_type}


def adopt(ctx: ReconcileContext, account: Account, resource: QianfanService, service_id: int | str) -> Step:
    """Record a service that exists, once the cloud has shown it."""
    if off := adoption.switched_off(ctx, "spec.adopt"):
        return off
    wanted = ServiceStatus(
        service_id=service_id if isinstance(service_id, int) else None,
        service_uuid=service_id if isinstance(service_id, str) else None,
    )
    service = look(account, wanted)
    if service is None:
        return stalled(Reason.GONE, f"Service {service_id} is not in the cloud; correct spec.adopt.")

    def marks() -> list[Mark | None]:
        items = [item for item in account.client.services() if _is(item, wanted)]
        return [mark_of(account, item) for item in items]

    what = f"Service {service_id}"
    if refused := adoption.refused(ctx, resource, "spec.adopt", what, QianfanService, marks):
        return refused
    return UpdateStatus({**facts(service, wanted), "adopted": True, "account": account.name, "pending": None})


def phase_of(word: str | None) -> Phase:
    """Say what the cloud's word for the state of a service means."""
    return STATES.get(word or "", Phase.UNKNOWN)


def why(phase: Phase, service: QianfanService, word: str | None) -> Cause:
    """Say what a phase means for the service."""
    status, spec = service.status, service.spec
    what = f"Service {status.service_name or spec.service_name} ({status.service_id or status.service_uuid})"
    before = find(status.conditions, AVAILABLE)
    told = before is not None and (before.status == "True" or before.reason == Reason.SERVICE_STOPPED)
    served = told or status.online_time is not None
    texts: Mapping[Phase, Cause] = {
        Phase.WORKING: Cause(Reason.DEPLOYING, f"{what} is being deployed."),
        Phase.UNPAID: Cause(
            Reason.PAYMENT_REQUIRED, f"{what} waits for its payment; pay for it in the console: {PAGE}"
        ),
        Phase.OVERDUE: Cause(
            Reason.PAYMENT_REQUIRED,
            f"{what} was not paid for within spec.paymentDeadlineSeconds; pay for it: {PAGE}",
        ),
        Phase.READY: Cause(Reason.AVAILABLE, f"{what} is serving."),
        Phase.FAILED: Cause(
            Reason.DEPLOYING_FAILED, f"{what} failed to deploy; {_ANEW} See why in the console: {PAGE}"
        ),
        Phase.STOPPED: Cause(
            Reason.SERVICE_STOPPED if served else Reason.STOPPED_EXTERNALLY,
            f"{what} is stopped in the cloud; start or renew it in the console: {PAGE}",
        ),
        Phase.GONE: Cause(Reason.GONE, f"{what} is no longer in the cloud; {_ANEW}"),
        Phase.UNKNOWN: unknown(what, word, PAGE),
    }
    return texts.get(phase, Cause(Reason.DEPLOYING))
