"""The API server as its administrator reaches it: bare HTTP on one connection, so that measuring costs little."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_OBJECTS = "/apis/qianfan.dev/v1alpha1/namespaces/{}/{}"
_JOBS = "/apis/qianfan.dev/v1alpha1/namespaces/{}/qianfanjobs"
_TIMEOUT_SECONDS = 30


class Api:
    """One connection; for one thread. A context manager."""

    def __init__(self, kubeconfig: Path) -> None:
        """Read a kubeconfig as the throw-away control plane writes it: JSON, one cluster, one user with a token."""
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        server = urlsplit(cluster["server"])
        trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self._headers = {"Authorization": f"Bearer {user['token']}"}
        self._connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, context=trust, timeout=_TIMEOUT_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def create(self, namespace: str, plural: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object of any of our kinds; returns it as it was stored."""
        return self._ask("POST", _OBJECTS.format(namespace, plural), wanted)

    def patch(self, namespace: str, plural: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into an object; returns it as it was stored."""
        return self._ask("PATCH", f"{_OBJECTS.format(namespace, plural)}/{name}", change)

    def create_job(self, namespace: str, job: Mapping[str, Any]) -> dict[str, Any]:
        """Create a QianfanJob; returns it as it was stored."""
        return self._ask("POST", _JOBS.format(namespace), job)

    def job(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a QianfanJob."""
        return self._ask("GET", f"{_JOBS.format(namespace)}/{name}")

    def put_status(self, namespace: str, job: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the status of a QianfanJob."""
        return self._ask("PUT", f"{_JOBS.format(namespace)}/{job['metadata']['name']}/status", job)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        payload = None if body is None else json.dumps(body)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, payload, {**self._headers, "Content-Type": kind})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if not 200 <= response.status < 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer.get('message')}")
        return answer


def job(name: str) -> dict[str, Any]:
    """Write the vendor document's example as an object whose task in the cloud has the object's name."""
    return {
        "apiVersion": "qianfan.dev/v1alpha1",
        "kind": "QianfanJob",
        "metadata": {"name": name},
        "spec": {
            "taskName": name,
            "description": "task_desc",
            "baseTrainType": "ERNIE-Bot-turbo",
            "trainType": "ERNIE-Bot-turbo-0725",
            "trainMode": "SFT",
            "peftType": "LoRA",
            "trainConfig": {"epoch": 4, "learningRate": "0.00002", "batchSize": 4, "maxSeqLen": 4096},
            "trainset": [{"id": 1234}],
            "trainsetRate": 20,
        },
    }


def model(name: str, of: str) -> dict[str, Any]:
    """Write a model that publishes the run of a job."""
    return {
        "apiVersion": "qianfan.dev/v1alpha1",
        "kind": "QianfanModel",
        "metadata": {"name": name},
        "spec": {"source": {"jobRef": {"name": of}}, "target": {"modelName": name.replace("-", "_")}},
    }
