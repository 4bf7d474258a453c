"""Taking an endpoint offline when its object is deleted, by V2 DeactivateService (design 6)."""

from qianfan_operator.api.service import QianfanService
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.credentials import Account
from qianfan_operator.decide import Phase, Why
from qianfan_operator.external import Released, World
from qianfan_operator.kinds import endpoints
from qianfan_operator.reasons import Reason


def release(world: World, account: Account, resource: QianfanService) -> Released:
    """Take the service offline and see it stopped; what nobody has paid for is let go."""
    status = resource.status
    if not endpoints.recorded(status):
        return _unrecorded(world, account, resource)
    service = endpoints.look(account, status)
    if service is None:
        return Released(True)
    phase = endpoints.phase_of(service.status)
    if phase in {Phase.STOPPED, Phase.UNPAID}:
        return Released(True)
    uuid = service.service_uuid or status.service_uuid
    if uuid is None:
        return _blocked("The cloud gave the service no string id, which its call to take it offline needs.")
    try:
        taken = world.ask_once(("service", uuid), service.status, lambda: account.client.deactivate_service(uuid))
    except CloudError as error:
        if not error.unsupported:
            raise
        return _blocked("The cloud refuses to take the service offline.")
    if phase is Phase.FAILED and not taken:  # one that is deploying is refused, too, and can be taken when it serves
        return _blocked("The cloud does not take offline what was paid for and failed to deploy.")
    return Released(False, Why(Reason.DELETING, f"Taking service {status.service_id} offline."))


def _unrecorded(world: World, account: Account, service: QianfanService) -> Released:
    """Record first what a wiped status forgot, so that only what is still this object's is taken offline."""
    if world.grace_left("release"):
        return Released(False, Why(Reason.CONFIRMING, endpoints.LOOKING))
    found = endpoints.forgotten(world, account, service)
    if isinstance(found, str):
        return _blocked(found)
    why = Why(Reason.DELETING, "Recording the service to take offline.")
    return Released(False, why, updates=found) if found else Released(True)


def _blocked(message: str) -> Released:
    return Released(False, Why(Reason.DELETION_BLOCKED, message), stalled=True)
