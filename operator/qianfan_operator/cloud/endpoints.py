"""Every call that is made, as the wire names it: [wire 2] for V1, [wire 3] for V2. All are POST with a JSON body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call: its word for errors and metrics, and where it goes."""

    operation: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def _v1(path: str, operation: str = "") -> Endpoint:
    return Endpoint(operation or path.rpartition("/")[2], f"/wenxinworkshop/{path}")


def _v2(family: str, action: str) -> Endpoint:
    return Endpoint(action, f"/v2/{family}", MappingProxyType({"Action": action}))


CREATE_TASK: Final = _v1("finetune/createTask")
CREATE_JOB: Final = _v1("finetune/createJob")
JOB_DETAIL: Final = _v1("finetune/jobDetail")
STOP_JOB: Final = _v1("finetune/stopJob")

PUBLISH_TRAIN_MODEL: Final = _v1("modelrepo/publishTrainModel")
MODEL_DETAIL: Final = _v1("modelrepo/modelDetail")
MODEL_VERSION_DETAIL: Final = _v1("modelrepo/modelVersionDetail")
USER_LIST: Final = _v1("modelrepo/model/user/list", "userList")
DELETE_MODELS: Final = _v1("modelrepo/model/batchDelete", "modelBatchDelete")
DELETE_MODEL_VERSIONS: Final = _v1("modelrepo/model/version/batchDelete", "versionBatchDelete")

APPLY: Final = _v1("service/apply")
SERVICE_DETAIL: Final = _v1("service/detail", "serviceDetail")
SERVICE_LIST: Final = _v1("service/list", "serviceList")

DESCRIBE_FINE_TUNING_JOBS: Final = _v2("finetuning", "DescribeFineTuningJobs")
DESCRIBE_FINE_TUNING_TASKS: Final = _v2("finetuning", "DescribeFineTuningTasks")
DESCRIBE_FINE_TUNING_TASK: Final = _v2("finetuning", "DescribeFineTuningTask")
STOP_FINE_TUNING_TASK: Final = _v2("finetuning", "StopFineTuningTask")

DESCRIBE_SERVICE: Final = _v2("service", "DescribeService")
MODIFY_SERVICE: Final = _v2("service", "ModifyService")
DEACTIVATE_SERVICE: Final = _v2("service", "DeactivateService")
