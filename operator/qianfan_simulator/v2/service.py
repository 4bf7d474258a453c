"""`/v2/service`: DescribeService, DescribeServices, ModifyService, DeactivateService.

See docs/design/wire.md#service-actions.
"""

from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.dates import v2_date
from qianfan_simulator.errors import inappropriate
from qianfan_simulator.things import Service
from qianfan_simulator.v1.service import url
from qianfan_simulator.v2.paging import page

_WORDS = {"Done": "Serving", "Updating": "Serving", "Stopping": "Serving"}


def describe_service(account: Account, body: Body) -> dict[str, Any]:
    """Tell how a service is."""
    return _told(account, _service(account, body))


def describe_services(account: Account, body: Body) -> dict[str, Any]:
    """List the account's services (the key `serviceList` is INFERRED)."""
    name, states = body.text("name", default=""), body.texts("runStatus", 10, 50)

    def wanted(service: Service) -> bool:
        account.settle(service)
        return name in service.name and (not states or _status(service) in states)

    services, info = page(account, account.services, Service, body, wanted)
    return {"serviceList": [_told(account, service) for service in services], "pageInfo": info}


def modify_service(account: Account, body: Body) -> bool:
    """Put another version behind a serving service; the old one serves until it is ready."""
    service = _service(account, body)
    version = account.versions.find(body.text("modelId", 1))
    if version is None or version.model.uid != body.text("modelSetId", 1):
        raise body.refuse("modelId")
    account.settle(service)
    account.settle(version)
    if version.life.state != "Ready":
        raise body.refuse("modelId")
    if service.life.state != "Done":
        raise inappropriate("serviceId", "status invalid")
    service.wanted = version
    service.life.enter("Updating", account.now)
    return True


def deactivate_service(account: Account, body: Body) -> dict[str, Any]:
    """Take a service offline; DescribeService tells when it is."""
    service = _service(account, body)
    account.settle(service)
    serving = service.life.state in _WORDS
    if serving and service.life.state != "Stopping":
        service.life.enter("Stopping", account.now)
    return {"operation": serving, "message": "" if serving else f"service status is {_status(service)}"}


def _service(account: Account, body: Body) -> Service:
    if (service := account.services.find(body.text("serviceId", 1))) is None:
        raise body.refuse("serviceId")
    return service


def _status(service: Service) -> str:
    return _WORDS.get(service.life.state, service.life.state)


def _told(account: Account, service: Service) -> dict[str, Any]:
    account.look(service)
    state = service.life.state
    return {
        "serviceId": service.uid,
        "baseModel": service.version.model.train_type,
        "modelSetId": service.version.model.uid,
        "modelId": service.version.uid,
        "name": service.name,
        "description": service.description,
        "url": url(service),
        "endpoint": service.uri,
        "serviceType": "chat",
        "runStatus": _status(service),
        # The only word on record is "None"; this one is INFERRED.
        "updateStatus": "Updating" if state == "Updating" else "None",
        "chargeType": "ComputingUnit",
        "payType": "Prepay",
        "chargeStatus": "NotOpen" if state == "New" else "Opened",
        "resourceConfig": {"type": "GPU-I-2", "qps": 1, "replicasCount": service.replicas, "region": "bj"},
        "createTime": v2_date(service.created),
    }
