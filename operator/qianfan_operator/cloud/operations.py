"""The table of operations: path, generation and action of every call.

What a call may do is told here and nowhere else: a call that changes something is signed for seconds only, and only a
list may be answered with more than a mebibyte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

REPLY_LIMIT: Final = 1024 * 1024
"""Bytes of a reply that is not a list; the largest real ones have some kilobytes."""

LIST_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a list, or of one page of it: some 10,000 services, whose list has no pages."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call: its word for errors and metrics, where it goes, and what it may do.

    `changes`: it makes, stops, switches or deletes something. `reply_limit`: bytes that are read of its reply.
    """

    operation: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    changes: bool = True
    reply_limit: int = REPLY_LIMIT


def _v1(path: str, operation: str = "", *, changes: bool, reply_limit: int = REPLY_LIMIT) -> Endpoint:
    word = operation or path.rpartition("/")[2]
    return Endpoint(word, f"/wenxinworkshop/{path}", changes=changes, reply_limit=reply_limit)


def _v2(family: str, action: str, *, changes: bool, reply_limit: int = REPLY_LIMIT) -> Endpoint:
    query = MappingProxyType({"Action": action})
    return Endpoint(action, f"/v2/{family}", query, changes=changes, reply_limit=reply_limit)


CREATE_TASK: Final = _v1("finetune/createTask", changes=True)
CREATE_JOB: Final = _v1("finetune/createJob", changes=True)
JOB_DETAIL: Final = _v1("finetune/jobDetail", changes=False)
STOP_JOB: Final = _v1("finetune/stopJob", changes=True)

PUBLISH_TRAIN_MODEL: Final = _v1("modelrepo/publishTrainModel", changes=True)
# A list too: it tells all versions of the model, and has no pages.
MODEL_DETAIL: Final = _v1("modelrepo/modelDetail", changes=False, reply_limit=LIST_LIMIT)
MODEL_VERSION_DETAIL: Final = _v1("modelrepo/modelVersionDetail", changes=False)
USER_LIST: Final = _v1("modelrepo/model/user/list", "userList", changes=False, reply_limit=LIST_LIMIT)
DELETE_MODELS: Final = _v1("modelrepo/model/batchDelete", "modelBatchDelete", changes=True)
DELETE_MODEL_VERSIONS: Final = _v1("modelrepo/model/version/batchDelete", "versionBatchDelete", changes=True)

APPLY: Final = _v1("service/apply", changes=True)
SERVICE_DETAIL: Final = _v1("service/detail", "serviceDetail", changes=False)
SERVICE_LIST: Final = _v1("service/list", "serviceList", changes=False, reply_limit=LIST_LIMIT)

DESCRIBE_FINE_TUNING_JOBS: Final = _v2("finetuning", "DescribeFineTuningJobs", changes=False, reply_limit=LIST_LIMIT)
DESCRIBE_FINE_TUNING_TASKS: Final = _v2("finetuning", "DescribeFineTuningTasks", changes=False, reply_limit=LIST_LIMIT)
DESCRIBE_FINE_TUNING_TASK: Final = _v2("finetuning", "DescribeFineTuningTask", changes=False)
STOP_FINE_TUNING_TASK: Final = _v2("finetuning", "StopFineTuningTask", changes=True)

DESCRIBE_SERVICE: Final = _v2("service", "DescribeService", changes=False)
MODIFY_SERVICE: Final = _v2("service", "ModifyService", changes=True)
DEACTIVATE_SERVICE: Final = _v2("service", "DeactivateService", changes=True)
