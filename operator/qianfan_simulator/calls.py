"""The record of calls and the access log, without bodies or secrets: SDKs leak keys into bodies.

See docs/design/wire.md#sdk-quirks.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LOG = logging.getLogger("qianfan_simulator.access")
_KEPT = 100_000
_LONGEST = 64
LONGEST_KEY = 128  # characters of an access key that the record keeps
_TOLD = {
    key.lower(): key
    for key in (
        "name", "taskId", "jobId", "iterationId", "modelName", "modelId", "modelVersionId", "serviceId", "uri",
        "modelSetId", "modelSetName", "marker", "nameFilter", "pageNo", "incrementTaskId",
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `time` is unix seconds; `outcome` is what the cloud did, whatever the client saw of it.

    `ok`, an error code, `held` (a late one, which is recorded again when it is delivered) or `not executed`;
    `fault` names the effect that spoiled it.
    """

    operation: str
    time: float
    access_key: str
    parameters: Mapping[str, int | str]
    outcome: str
    fault: str = ""


def summary(fields: Mapping[str, Any] | None) -> dict[str, int | str]:
    """Return the ids and names among a body's fields, those of a nested `versionMeta` included."""
    told: dict[str, int | str] = {}
    for key, value in (fields or {}).items():
        if key == "versionMeta" and isinstance(value, dict):
            told |= summary(value)
        elif (name := _TOLD.get(key.lower())) is not None:
            if isinstance(value, str):
                told[name] = value[:_LONGEST]
            elif isinstance(value, int) and value.bit_length() <= _LONGEST:
                told[name] = value
    return told


class Calls:
    """The last hundred thousand calls, and how many there were of each operation and outcome."""

    def __init__(self) -> None:
        self._kept: deque[Call] = deque(maxlen=_KEPT)
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, call: Call, account: str) -> None:
        """Record and log one call."""
        self._kept.append(call)
        self.counts[call.operation, call.outcome] += 1
        if _LOG.isEnabledFor(logging.INFO):
            told = json.dumps(call.parameters)
            trouble = f" ({call.fault})" if call.fault else ""
            _LOG.info("%.3f %s %s %s %s%s", call.time, account or "-", call.operation, told, call.outcome, trouble)

    def all(self) -> list[Call]:
        """Return the record, oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.counts.clear()
