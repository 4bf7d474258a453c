"""A small signing client for the tests: says what it signs, and can be told to sign wrongly."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests

from qianfan_simulator import Simulator

V1_PATHS = {
    "createTask": "finetune/createTask",
    "createJob": "finetune/createJob",
    "jobDetail": "finetune/jobDetail",
    "stopJob": "finetune/stopJob",
    "modelDetail": "modelrepo/modelDetail",
    "modelVersionDetail": "modelrepo/modelVersionDetail",
    "publishTrainModel": "modelrepo/publishTrainModel",
    "userList": "modelrepo/model/user/list",
    "presetList": "modelrepo/model/preset/list",
    "modelBatchDelete": "modelrepo/model/batchDelete",
    "versionBatchDelete": "modelrepo/model/version/batchDelete",
    "apply": "service/apply",
    "serviceDetail": "service/detail",
    "serviceList": "service/list",
}


def v2_route(action: str) -> str:
    """The V2 route that has this action."""
    family = "finetuning" if "FineTuning" in action else "service" if "Service" in action else "model"
    return f"/v2/{family}?Action={action}"


def path_of(operation: str) -> str:
    """Where an operation is."""
    return f"/wenxinworkshop/{V1_PATHS[operation]}" if operation in V1_PATHS else v2_route(operation)


def signature(
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    access_key: str,
    secret_key: str,
    timestamp: str,
    expiration: int = 1800,
    signed: list[str],
) -> str:
    """The Authorization value over `signed`, in that order; an empty list signs the default set.

    See docs/design/wire.md#signature.
    """
    prefix = f"bce-auth-v1/{access_key}/{timestamp}/{expiration}"
    signing_key = hmac.new(secret_key.encode(), prefix.encode(), hashlib.sha256).hexdigest()
    lower = {name.lower(): value.strip() for name, value in headers.items() if value.strip()}
    names = signed or [
        name
        for name in lower
        if name in {"host", "content-md5", "content-length", "content-type"} or name.startswith("x-bce-")
    ]
    parts = urlsplit(target)
    query = "&".join(
        sorted(
            f"{quote(key, safe='-._~')}={quote(value, safe='-._~')}"
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
        )
    )
    lines = "\n".join(sorted(f"{name}:{quote(lower[name], safe='-._~')}" for name in names if name in lower))
    text = f"{method}\n{parts.path}\n{query}\n{lines}"
    value = hmac.new(signing_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{prefix}/{';'.join(signed)}/{value}"


def stamp(moment: float) -> str:
    """A timestamp as Authorization has it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Console:
    """Calls one simulator with one key pair. Every reply is the raw one; `ok` and `code` unwrap it."""

    sim: Simulator
    access_key: str = "demo-access-key"
    secret_key: str = "demo-secret-key"
    session: requests.Session = field(default_factory=requests.Session)
    at: float | None = None
    """When requests are signed, in unix seconds; None: by the simulator's clock."""

    def send(
        self,
        operation: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        method: str = "POST",
        target: str = "",
        timeout: float = 20,
    ) -> Any:
        """Send one signed request; `raw` replaces the JSON of `body`, `target` the operation's path."""
        target = target or path_of(operation)
        headers = {"Host": urlsplit(self.sim.url).netloc, "Content-Type": "application/json"}
        headers["Authorization"] = signature(
            method=method,
            target=target,
            headers=headers,
            access_key=self.access_key,
            secret_key=self.secret_key,
            timestamp=stamp(self.sim.clock.now() if self.at is None else self.at),
            signed=["host", "content-type"],
        )
        data = json.dumps(body or {}).encode() if raw is None else raw
        return self.session.request(method, self.sim.url + target, data=data, headers=headers, timeout=timeout)

    def ok(self, operation: str, **body: Any) -> Any:
        """The result of a call that must succeed."""
        reply = self.send(operation, body).json()
        assert "result" in reply, reply
        assert "error_code" not in reply, reply
        return reply["result"]

    def code(self, operation: str, **body: Any) -> Any:
        """The error code of a call that must fail."""
        reply = self.send(operation, body)
        told = reply.json()
        assert "result" not in told, told
        if "error_code" in told:
            assert reply.status_code == 200
            return told["error_code"]
        assert reply.status_code >= 400
        return told["code"]

    def control(self, verb: str, body: Any = None, **query: Any) -> Any:
        """POST a control request that must succeed (GET without arguments)."""
        url = f"{self.sim.url}/_sim/{verb}"
        method = "POST" if query or body is not None else "GET"
        reply = self.session.request(method, url, params=query, json=body, timeout=20)
        assert reply.status_code == 200, reply.text
        return reply.json()
