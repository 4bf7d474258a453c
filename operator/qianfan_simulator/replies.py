"""The forms of a reply: V1's and V2's envelopes, errors in three layers, and a proxy's page.

See docs/design/wire.md#replies-and-errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qianfan_simulator.account import Ids
from qianfan_simulator.errors import ActionError, ConsoleError, IamError


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client, and in one word what it was."""

    outcome: str
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def success(api: int, result: Any, ids: Ids) -> Reply:
    """Return a result. There is no `error_code` key, not even a zero.

    See docs/design/wire.md#replies-and-errors.
    """
    envelope = {"log_id": ids.log_id()} if api == 1 else {"requestId": ids.request_id()}
    return Reply("ok", _json({**envelope, "result": result}))


def refusal(error: ConsoleError | ActionError, ids: Ids) -> Reply:
    """Return an error in the form of its layer."""
    if isinstance(error, ConsoleError):
        body = {"error_code": error.code, "error_msg": error.message, "log_id": ids.log_id()}
        return Reply(str(error.code), _json(body))
    headers = {}
    if isinstance(error, IamError):
        headers = {"X-Bce-Error-Code": error.code, "X-Bce-Error-Message": error.message}
    body = {"requestId": ids.request_id(), "code": error.code, "message": error.message}
    return Reply(error.code, _json(body), error.status, headers=headers)


def page(status: int) -> Reply:
    """Return what a proxy in between says."""
    body = b"<html><head><title>Bad Gateway</title></head><body><h1>nginx</h1></body></html>"
    return Reply(f"HTTP {status}", body, status, "text/html")


def empty(status: int) -> Reply:
    """Return a bare HTTP status."""
    return Reply(f"HTTP {status}", b"", status)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
