"""Deletion of a QianfanService: DeactivateService takes the endpoint offline."""

import logging

from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.service import QianfanService, ServiceStatus
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds.interface import Cause, Phase, ReconcileContext, Released
from qianfan_operator.kinds.service import endpoints

log = logging.getLogger(__name__)


def release(ctx: ReconcileContext, account: Account, resource: QianfanService) -> Released:
    """Take the service offline and see it stopped; what nobody has paid for is let go."""
    status = resource.status
    if not endpoints.recorded(status):
        return _unrecorded(ctx, account, resource)
    service, status = endpoints.seen(account, resource)
    if service is None or endpoints.is_foreign(service, resource):
        return Released(True) if service is None else _blocked(endpoints.foreign(status).message)
    phase = endpoints.phase_of(service.status)
    if phase in {Phase.STOPPED, Phase.UNPAID}:
        return Released(True, left=_left(status, phase))
    uuid = service.service_uuid or status.service_uuid
    if uuid is None:
        return _blocked(f"The {_named(status)} has no string id, and the call to take it offline needs one.")
    try:
        if endpoints.is_other(account, uuid, service, resource):
            return _blocked(endpoints.foreign(status).message)
        taken = ctx.ask_once(("service", uuid), service.status, lambda: account.client.deactivate_service(uuid))
    except CloudError as error:
        if not error.unsupported:
            raise
        return _blocked(f"The cloud offers no call to take {_named(status)} offline: V2 is not available.")
    if phase is Phase.FAILED and not taken:  # one that is deploying is refused, too, and can be taken when it serves
        return _blocked(f"The {_named(status)} failed to deploy, and the cloud refuses to take it offline.")
    return Released(False, Cause(Reason.DELETING, f"Taking {_named(status)} offline."))


def abandon(account: Account, status: ServiceStatus) -> None:
    """Take offline what was applied for while its object went; log it if that is not possible."""
    service = endpoints.look(account, status)
    if service is None:
        return
    phase, uuid = endpoints.phase_of(service.status), service.service_uuid or status.service_uuid
    if phase is not Phase.UNPAID and uuid and account.client.deactivate_service(uuid):
        return
    left = (
        _left(status, phase)
        or f"The {_named(status)} stays in the cloud. Take it offline in the console: {endpoints.PAGE}"
    )
    log.warning("Left in the cloud", extra={"cause": left})


def _left(status: ServiceStatus, phase: Phase) -> str:
    """Say what the cloud has no call to end: an order that nobody has paid, and the compute units of a private pool."""
    if phase is Phase.UNPAID:
        ways = f"Cancel the order in the console, or it can still be paid: {endpoints.PAGE}"
        return f"The {_named(status)} was not paid for, and the cloud has no call to withdraw its order. {ways}"
    if phase is Phase.STOPPED and status.pool_type == "Private":
        ways = f"Release them in the console, or they may still be billed: {endpoints.PAGE}"
        return f"The {_named(status)} is offline. Its compute units stay in the private pool. {ways}"
    return ""


def _named(status: ServiceStatus) -> str:
    numbers = [str(number) for number in (status.service_id, status.service_uuid) if number is not None]
    return " ".join(filter(None, ("service", status.service_name, f"({', '.join(numbers)})")))


def _unrecorded(ctx: ReconcileContext, account: Account, service: QianfanService) -> Released:
    """Record first what a wiped status forgot, so that only what is still this object's is taken offline."""
    if ctx.grace_left("release"):
        return Released(False, Cause(Reason.CONFIRMING, endpoints.LOOKING))
    found = endpoints.forgotten(ctx, account, service)
    if isinstance(found, str):
        return _blocked(found)
    why = Cause(Reason.DELETING, "Recording the service to take offline.")
    return Released(False, why, updates=found) if found else Released(True)


def _blocked(message: str) -> Released:
    return Released(False, Cause(Reason.DELETION_BLOCKED, message), stalled=True)
