"""The log line of a call to the cloud."""

import dataclasses
import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.telemetry import caller

log = logging.getLogger(__name__)
_NAMES: Final = re.compile(r"id|uuid|name|uri|\w+(Id|IDs|Ids|IdStr|Uuid|Name)")
_SNAKE: Final = re.compile("_([a-z])")
_ID: Final = re.compile(r"id|uuid|\w+(Id|IdStr|Uuid)")
_BY_PREFIX: Final = {
    "job-": "taskUuid", "task-": "jobUuid", "am-": "modelIdStr", "amv-": "modelVersionIdStr", "svco-": "serviceUuid",
}  # fmt: skip
"""What a status calls a string id. V2 means other things by its names than V1: its `taskId` is a run."""


def tell(
    endpoint: Endpoint, body: bytes, result: object, code: str, request_id: str, seconds: float,
    error: CloudError | None,
) -> None:  # fmt: skip
    """Log a call with its outcome, for whom it was made and why; `result` is what was read of a success."""
    level = logging.INFO if endpoint.changes else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    fields: dict[str, Any] = {**caller.about(), "operation": endpoint.operation, "ids": list(_ids(json.loads(body)))}
    if endpoint.changes and dataclasses.is_dataclass(result) and not isinstance(result, type):
        made = {
            _SNAKE.sub(lambda match: match[1].upper(), name): one for name, one in dataclasses.asdict(result).items()
        }
        fields["made"] = list(_ids(made))
    fields |= {"code": code, "request_id": request_id, "seconds": round(seconds, 3)}
    if error is not None:
        fields["error_class"] = error.error_class.value
    log.log(level, "cloud call", extra=fields)


def _ids(named: Mapping[str, Any]) -> Iterator[str]:
    """Tell the ids and names in a request or a reply, each as `name=value`."""
    for name, value in named.items():
        if isinstance(value, Mapping):
            yield from _ids(value)
        elif _NAMES.fullmatch(name) and value not in (None, "", []):
            yield f"{_said(name, value)}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def _said(name: str, value: object) -> str:
    """Return the name by which a status has an id, whatever the interface calls it; other names stay as they are."""
    if not isinstance(value, str) or not _ID.fullmatch(name):
        return name
    prefix, dash, _ = value.partition("-")
    return _BY_PREFIX.get(prefix + dash, name)
