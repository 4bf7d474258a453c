"""A namespace for the tests of admission, and the API server without kubectl between: what it answers, and how fast."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from qianfan_devcluster.cluster import Cluster

Object = dict[str, Any]


class Server:
    """Sends objects to the API server as kubectl does: fields that nobody knows are refused."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        user = json.loads(cluster.kubeconfig.read_text())["users"][0]["user"]
        self._root = f"{cluster.server}/apis/qianfan.dev/v1alpha1/namespaces/{namespace}"
        self._session = requests.Session()
        self._session.trust_env, self._session.verify = False, str(cluster.certificate_authority)
        self._session.headers["Authorization"] = f"Bearer {user['token']}"

    def send(self, method: str, document: Object, part: str = "") -> requests.Response:
        """Create (POST), or replace (PUT) an object or a `part` of it."""
        path = f"{self._root}/{document['kind'].lower()}s"
        if method == "PUT":
            path += f"/{document['metadata']['name']}{part}"
        return self._session.request(method, path, params={"fieldValidation": "Strict"}, json=document, timeout=30)

    def send_text(self, method: str, kind: str, text: str) -> requests.Response:
        """Send an object as it is written, which may be what no JSON library writes."""
        headers = {"Content-Type": "application/json"}
        path = f"{self._root}/{kind.lower()}s"
        return self._session.request(method, path, data=text.encode(), headers=headers, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


@pytest.fixture(scope="session")
def place(cluster: Cluster) -> str:
    """The name of a namespace on the real API server that has the three definitions."""
    name = "admission"
    cluster.kubectl("create", "namespace", name)
    return name


@pytest.fixture(scope="session")
def server(cluster: Cluster, place: str) -> Iterator[Server]:
    """The API server, for the objects of that namespace."""
    server = Server(cluster, place)
    yield server
    server.close()
