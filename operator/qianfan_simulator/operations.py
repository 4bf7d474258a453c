"""The table of calls: where each is on the wire, its name in records and faults, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.v1 import finetune, modelrepo, service
from qianfan_simulator.v2 import finetuning
from qianfan_simulator.v2 import model as v2_model
from qianfan_simulator.v2 import service as v2_service


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API; `api` is 1 or 2 and decides the form of its replies. `do` is None if there is no such."""

    name: str
    api: int
    do: Callable[[Account, Body], Any] | None


_V1 = {
    "finetune/createTask": ("createTask", finetune.create_task),
    "finetune/createJob": ("createJob", finetune.create_job),
    "finetune/jobDetail": ("jobDetail", finetune.job_detail),
    "finetune/stopJob": ("stopJob", finetune.stop_job),
    "modelrepo/modelDetail": ("modelDetail", modelrepo.model_detail),
    "modelrepo/modelVersionDetail": ("modelVersionDetail", modelrepo.model_version_detail),
    "modelrepo/publishTrainModel": ("publishTrainModel", modelrepo.publish_train_model),
    "modelrepo/model/user/list": ("userList", modelrepo.user_list),
    "modelrepo/model/preset/list": ("presetList", modelrepo.preset_list),
    "modelrepo/model/batchDelete": ("modelBatchDelete", modelrepo.model_batch_delete),
    "modelrepo/model/version/batchDelete": ("versionBatchDelete", modelrepo.version_batch_delete),
    "service/apply": ("apply", service.apply),
    "service/detail": ("serviceDetail", service.detail),
    "service/list": ("serviceList", service.list_services),
}
_V2: dict[str, dict[str, Callable[[Account, Body], Any]]] = {
    "/v2/finetuning": {
        "CreateFineTuningJob": finetuning.create_job,
        "CreateFineTuningTask": finetuning.create_task,
        "DescribeFineTuningJobs": finetuning.describe_jobs,
        "DescribeFineTuningTasks": finetuning.describe_tasks,
        "DescribeFineTuningTask": finetuning.describe_task,
        "StopFineTuningTask": finetuning.stop_task,
        "DeleteFineTuningTask": finetuning.delete_task,
        "DeleteFineTuningJob": finetuning.delete_job,
        "DescribeFineTuningSupportModels": finetuning.support_models,
    },
    "/v2/model": {
        "DescribeModelSet": v2_model.describe_model_set,
        "DescribeModel": v2_model.describe_model,
    },
    "/v2/service": {
        "DescribeService": v2_service.describe_service,
        "DescribeServices": v2_service.describe_services,
        "ModifyService": v2_service.modify_service,
        "DeactivateService": v2_service.deactivate_service,
    },
}
_BY_PATH = {f"/wenxinworkshop/{path}": Operation(name, 1, do) for path, (name, do) in _V1.items()}
_BY_ACTION = {
    (path, action): Operation(action, 2, do) for path, actions in _V2.items() for action, do in actions.items()
}

# Every name there is, in the order of the wire contract.
NAMES = tuple(operation.name for operation in (*_BY_PATH.values(), *_BY_ACTION.values()))


def find(path: str, action: str) -> Operation:
    """Return the operation at this path (leading slashes count as one) and `Action`."""
    path = "/" + path.lstrip("/")
    if path.startswith("/v2/"):
        return _BY_ACTION.get((path, action)) or Operation("unknown", 2, None)
    return _BY_PATH.get(path) or Operation("unknown", 1, None)
