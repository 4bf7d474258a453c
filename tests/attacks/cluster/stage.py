"""A stage for what other tests could not live beside: a control plane, a cloud and operators of its own.

The tests' usual eyes (kubectl, a watch) cannot read what stands here, so that everything is asked for by name.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from e2e.place import KINDS
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import Key, Options, Simulator

T = TypeVar("T")
Object = dict[str, Any]
MERGE = "application/merge-patch+json"
NAMESPACE = "good"
GROUP = "/apis/qianfan.dev/v1alpha1"


class Eyes:
    """Waits for what is asked again and again, `patience` times as long as others; in the place of a history."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._never = threading.Event()

    def wait_for(self, holds: Callable[[], T | None], what: Callable[[], str], within: float = 30) -> T:
        """See History."""
        deadline = time.monotonic() + within * self._patience
        while not (value := holds()):
            assert time.monotonic() < deadline, what()
            self._never.wait(0.1)
        return value


class Stage:
    """A cluster with the CRDs, a simulated cloud, one namespace with keys, and operators by name."""

    def __init__(self, options: Options, patience: int = 1) -> None:
        self._stack = ExitStack()
        self._options, self.eyes = options, Eyes(patience)

    def __enter__(self) -> Self:
        self.cluster = self._stack.enter_context(Cluster())
        install(self.cluster)
        self.cloud = self._stack.enter_context(Simulator(self._options))
        self._keeper = self._stack.enter_context(closing(Keeper()))
        self._session = self._stack.enter_context(requests.Session())
        self._session.trust_env, self._session.verify = False, str(self.cluster.certificate_authority)
        user = json.loads(self.cluster.kubeconfig.read_text())["users"][0]["user"]
        self._session.headers["Authorization"] = f"Bearer {user['token']}"
        self.namespace(NAMESPACE)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def operator(self, name: str, **settings: str) -> OperatorProcess:
        """Make an operator, not started yet."""
        return OperatorProcess(self._keeper, self.eyes, self.cluster, self.cloud.url, name=name, **settings)  # type: ignore[arg-type]

    def pid(self, name: str) -> int:
        """Tell the process id of an operator."""
        found = [
            int(status.parent.name)
            for status in Path("/proc").glob("[0-9]*/status")
            if f"PPid:\t{self._keeper.pid}\n" in status.read_text()
        ]
        (only,) = found
        return only

    def namespace(self, name: str) -> None:
        """Make a namespace with keys of its own account."""
        self.cluster.kubectl("create", "namespace", name)
        key = Key(f"access-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(16)}", account=name)
        self.cloud.keys[key.access_key] = key
        data = {"QIANFAN_ACCESS_KEY": key.access_key, "QIANFAN_SECRET_KEY": key.secret_key}
        self.create("v1", "secrets", name, "qianfan-credentials", stringData=data)

    def create(self, api: str, plural: str, namespace: str, name: str, *, text: str = "", **parts: Any) -> None:
        """Create an object. `text` stands in the place of the word MANAGED, DEEP or the like in its JSON."""
        body = {"metadata": {"name": name}, **parts}
        written = json.dumps(body, separators=(",", ":")).replace('"(text)"', text)
        self.call("POST", f"{path(plural, namespace)}", written)

    def call(self, method: str, where: str, body: str | None = None, kind: str = "application/json") -> bytes:
        """Send what nobody else would send; returns what comes back, which may be of any depth."""
        headers = {"Content-Type": kind}
        response = self._session.request(method, self.cluster.server + where, data=body, headers=headers, timeout=60)
        assert response.ok, f"{method} {where}: {response.status_code} {response.text[:300]}"
        return response.content

    def offered(self, plural: str, text: str) -> bool:
        """Offer an object to the API server; says whether it took it as it was written."""
        where = self.cluster.server + path(plural, NAMESPACE) + "?fieldValidation=Strict"
        headers = {"Content-Type": "application/json"}
        return self._session.post(where, data=text, headers=headers, timeout=60).status_code == 201

    def offer_patch(self, plural: str, name: str, body: Object) -> None:
        """Merge into an object, if the API server can do it in its time."""
        where, headers = self.cluster.server + path(plural, NAMESPACE, name), {"Content-Type": MERGE}
        self._session.patch(where, data=json.dumps(body), headers=headers, timeout=120)

    def status(self, plural: str, name: str, namespace: str = NAMESPACE) -> Object:
        """The status of an object, as the columns of a table that hold no managed fields: kubectl reads one object."""
        done = self.cluster.kubectl("-n", namespace, "get", plural, name, "-o", "jsonpath={.status}", check=False)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}

    def until(self, plural: str, name: str, reason: str, namespace: str = NAMESPACE, within: float = 30) -> Object:
        """Wait until Ready has a reason; returns the status."""

        def found() -> Object | None:
            status = self.status(plural, name, namespace)
            ready = [one for one in status.get("conditions", ()) if one["type"] == "Ready"]
            return status if ready and ready[0]["reason"] == reason else None

        words = f"{plural} {name} does not become {reason}"
        return self.eyes.wait_for(found, lambda: f"{words}: {self.status(plural, name, namespace)}", within)

    def events(self, namespace: str, name: str) -> list[str]:
        """The reasons of the events about an object."""
        selector = f"--field-selector=involvedObject.name={name}"
        told = self.cluster.kubectl("-n", namespace, "get", "events", selector, "-o", "jsonpath={.items[*].reason}")
        return told.stdout.split()


def path(plural: str, namespace: str, name: str = "") -> str:
    """Where an object is."""
    root = GROUP if plural in KINDS else "/api/v1"
    return f"{root}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def deep(levels: int) -> str:
    """Text of an object that is nested so many levels deep, in the form of managed fields."""
    return '{"f:a":' * levels + "{}" + "}" * levels


def managed(text: str, api: str = "qianfan.dev/v1alpha1") -> str:
    """A metadata.managedFields with one manager whose fields are `text`."""
    entry: Mapping[str, str] = {
        "manager": "x",
        "operation": "Update",
        "apiVersion": api,
        "fieldsType": "FieldsV1",
        "time": "2020-01-01T00:00:00Z",
        "fieldsV1": "(fields)",
    }
    return json.dumps([entry]).replace('"(fields)"', text)
