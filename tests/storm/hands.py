"""The hands of those who apply and delete: what kubectl does in a process of its own, over HTTP in milliseconds."""

import json
from typing import Any

import requests

from e2e.history import PATHS, Object
from qianfan_devcluster.cluster import Cluster


class Hands:
    """Writes objects of our kinds in one namespace, as the administrator; raises requests.HTTPError if refused."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        user = json.loads(cluster.kubeconfig.read_text())["users"][0]["user"]
        self._server, self._namespace = cluster.server, namespace
        self._session = requests.Session()
        self._session.trust_env, self._session.verify = False, str(cluster.certificate_authority)
        self._session.headers["Authorization"] = f"Bearer {user['token']}"

    def apply(self, *manifests: Object) -> None:
        """Apply, server-side."""
        for manifest in manifests:
            plural, name = f"{manifest['kind'].lower()}s", manifest["metadata"]["name"]
            query = "?fieldManager=people&force=true"
            self._ask("PATCH", plural, name + query, manifest, "application/apply-patch+yaml")

    def wipe(self, plural: str, name: str) -> None:
        """Remove the status, as a restore from a backup does."""
        self._ask("PATCH", plural, f"{name}/status", {"status": None}, "application/merge-patch+json")

    def delete(self, plural: str, name: str) -> None:
        """Ask for the end of an object, and wait for nothing."""
        self._ask("DELETE", plural, name)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _ask(self, method: str, plural: str, rest: str, body: Any = None, kind: str = "application/json") -> None:
        group, _, _ = PATHS[plural].rpartition("/")
        url = f"{self._server}{group}/namespaces/{self._namespace}/{plural}/{rest}"
        answer = self._session.request(method, url, json=body, headers={"Content-Type": kind}, timeout=30)
        answer.raise_for_status()
