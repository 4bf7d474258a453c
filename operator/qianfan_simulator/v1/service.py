"""`/wenxinworkshop/service/`: apply, detail, list. V1 cannot stop, change or delete a service.

See docs/design/wire.md#apply.
"""

import re
from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.dates import NEVER_V1, v1_date
from qianfan_simulator.errors import ConsoleError
from qianfan_simulator.lifecycle import SERVICE, Life
from qianfan_simulator.things import Service, Version

PUBLIC, PRIVATE = 1, 2

_URI = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_BASE_URL = "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
_WORDS = {"Updating": "Done", "Stopping": "Done"}
_PRESET = (
    ("svcp-ernie4000001", "ERNIE-Bot-4", "completions_pro"),
    ("svcp-ernieturbo01", "ERNIE-Bot-turbo", "eb-instant"),
)


def apply(account: Account, body: Body) -> dict[str, Any]:
    """Ask for an endpoint for a model version. In the private pool it stays `New` until somebody pays.

    Ids are integers or `am-` and `amv-` strings: the documents name integers only, the vendor's SDK 0.2.8 sends
    strings.
    """
    model_id = body.reference("modelId")
    version_id = body.reference("modelVersionId" if body.has("modelVersionId") else "iterationId")
    name, uri = body.text("name", 2, 20), body.text("uri", 2, 20)
    replicas, pool = body.integer("replicas"), body.integer("poolType", PUBLIC, PRIVATE)
    description = body.text("description", default="")
    if _URI.fullmatch(uri) is None:
        raise body.refuse("uri")
    if account.options.unique_service_names and account.services.named(name):
        raise body.refuse("name")
    version = _ready_version(account, model_id, version_id)
    if pool == PUBLIC and version.model.train_type != "ernieBotLite-v200-ptuning":
        raise body.refuse("poolType")
    number, uid = account.new_ids("svco")
    service = Service(
        id=number,
        uid=uid,
        created=account.now,
        name=name,
        description=description,
        uri=f"{account.cloud.ids.letters(8)}_{uri}",
        version=version,
        replicas=replicas,
        pool=pool,
        life=Life(SERVICE, "New" if pool == PRIVATE else "Deploying", account.now),
    )
    account.keep(account.services, service)
    return {"result": True, "serviceId": service.id, "serviceUuid": service.uid}


def detail(account: Account, body: Body) -> dict[str, Any]:
    """Tell how a service is. The code for an unknown one is UNKNOWN; this answers 500001."""
    service = account.services.find(body.integer("serviceId"))
    if service is None:
        raise body.refuse("serviceId")
    account.look(service)
    return _detail_2023(service) if account.options.service_generation == "2023" else _detail_2024(service)


def list_services(account: Account, body: Body) -> dict[str, Any]:
    """List the platform's services and the account's own, all of them."""
    types = body.texts("apiTypefilter", 10, 50) or ["chat"]
    account.begin_scan(Service)
    if "chat" not in types:
        return {"common": [], "custom": []}
    common = [
        {"serviceId": 0, "serviceUuid": uid, "name": name, "url": _BASE_URL + path, "apiType": "chat",
         "chargeStatus": "FREE", "versionList": []}
        for uid, name, path in _PRESET
    ]  # fmt: skip
    return {"common": common, "custom": [_item(account, one) for one in account.shown(reversed(account.services))]}


def url(service: Service) -> str:
    """Return the public address; its last segment is the endpoint."""
    return _BASE_URL + service.uri


def _ready_version(account: Account, model_id: int | str, version_id: int | str) -> Version:
    version = account.versions.find(version_id)
    if version is None or model_id not in (version.model.id, version.model.uid):
        raise ConsoleError(10001)
    account.settle(version)
    if version.life.state != "Ready":
        raise ConsoleError(21002)
    return version


def _status(service: Service) -> str:
    return _WORDS.get(service.life.state, service.life.state)


def _detail_2024(service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "aiModelId": service.version.model.id,
        "aiModelVersionId": service.version.id,
        "name": service.name,
        "uri": service.uri,
        "url": url(service),
        "serviceStatus": _status(service),
        "onlineTime": v1_date(service.online) if service.online else NEVER_V1,
        "createTime": v1_date(service.created),
    }


def _detail_2023(service: Service) -> dict[str, Any]:
    """Return the older field set, with the status as a word (the numbers are not on record)."""
    version = service.version
    return {
        "id": service.id,
        "modelId": version.model.id,
        "iterationId": version.id,
        "modelName": version.model.name,
        "modelVersion": version.version,
        "version": version.version,
        "name": service.name,
        "uri": service.uri,
        "fullUri": f"http://10.0.0.1:8080/{service.uri}",
        "applyStatus": 2,
        "serviceStatus": _status(service),
        "onlineTime": int(service.online or 0),
        "createTime": int(service.created),
        "modifyTime": int(service.life.since),
        "modelType": 0,
        "templateType": 2000,
        "sourceType": 0,
        "callUnitPrice": 0,
        "description": service.description,
        "devApiId": 0,
        "apiId": 0,
        "vmConfig": {"resourceId": "", "instanceCount": service.replicas, "CPUNum": 0, "memory": 0, "GPUType": "",
                     "GPUNum": 0, "volumeId": ""},
        "timeout": 0,
        "qps": 0,
        "noAuthAccess": False,
        "hasDeploying": service.life.state == "Deploying",
        "openDcl": False,
        "payType": 0,
        "creator": "",
    }  # fmt: skip


def _item(account: Account, service: Service) -> dict[str, Any]:
    account.look(service)
    version = {
        "aiModelId": service.version.model.id,
        "aiModelVersionId": service.version.id,
        "trainType": service.version.model.train_type,
        "serviceStatus": _status(service),
    }
    return {
        "serviceId": service.id,
        "serviceUuid": service.uid,
        "name": service.name,
        "url": url(service),
        "apiType": "chat",
        "chargeStatus": "OPENED" if service.life.state != "New" else "NOTOPEN",
        "versionList": [version],
    }
