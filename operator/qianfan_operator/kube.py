"""The Kubernetes API, as far as we need it; the only import of `kubernetes`.

Every write of an object carries the `resourceVersion` that its pass read: a merge-PATCH without it ignores even a wrong
uid, so that ids meant for a deleted object would land on its successor of the same name (design 4).
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client as kubernetes
from kubernetes import config
from kubernetes.client.exceptions import ApiException

from qianfan_operator.api.common import ACCESS_KEY, GROUP, SECRET_KEY, VERSION
from qianfan_operator.keys import Key
from qianfan_operator.sealed import Sealed

TIMEOUT = (3.0, 10.0)  # seconds to connect, to read
_KEYS = (ACCESS_KEY, SECRET_KEY)
_UIDS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 100  # objects of a list
_MANAGER = "fieldManager=qianfan-operator"
_GROUP = f"/apis/{GROUP}/{VERSION}"
_ROOT = f"{_GROUP}/namespaces"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # of the pod that we are
_LEASES = "/apis/coordination.k8s.io/v1/namespaces"


class KubeError(Exception):
    """The API server refused or could not be reached; the pass is repeated with backoff."""


class Conflict(KubeError):
    """The object changed since it was read (HTTP 409); the pass starts again."""


class NotFound(KubeError):
    """The object is not there (HTTP 404)."""


class Forbidden(KubeError):
    """RBAC does not allow it (HTTP 403)."""


class Invalid(KubeError):
    """The schema or a rule refuses the body (HTTP 422)."""


_ERRORS = {403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid}


class Kube:
    """Reads and guarded writes. Thread-safe; every call raises `KubeError` or one of its kinds."""

    def __init__(self, connections: int, hurry: float | None = None) -> None:
        """Connect as the pod does, else as kubectl does (`KUBECONFIG`); raises ConfigException if neither works.

        `hurry`: seconds in which a call must connect, and as many in which it must be answered, at the first try.
        """
        configuration = kubernetes.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = connections
        if hurry is not None:
            configuration.retries = False
        self._client = kubernetes.ApiClient(configuration)
        self._timeout = TIMEOUT if hurry is None else (hurry, hurry)
        self._leases = f"{_LEASES}/{own_namespace()}/leases"

    def get(self, key: Key) -> dict[str, Any]:
        """Read an object as it is now."""
        return self._call("GET", _path(key))

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        """Tell every object of a kind, with its uid; of a kind that is not installed there is none."""
        more: str | None = ""
        while more is not None:
            try:
                page = self._call("GET", f"{_GROUP}/{plural}?limit={_PAGE}&continue={quote(more)}", accept=_UIDS)
            except NotFound:
                return
            for item in page["items"] or ():  # none is null
                metadata = item["metadata"]
                yield Key(plural, metadata["namespace"], metadata["name"]), metadata["uid"]
            more = page["metadata"].get("continue") or None

    def patch_status(self, key: Key, resource_version: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the status what differs; a null removes a field."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return self._call("PATCH", f"{_path(key)}/status?{_MANAGER}", body)

    def patch_finalizers(self, key: Key, resource_version: str, finalizers: list[str]) -> dict[str, Any]:
        """Replace the list of finalizers."""
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}
        return self._call("PATCH", f"{_path(key)}?{_MANAGER}", body)

    def secret(self, namespace: str, name: str) -> Sealed:
        """Read the keys in a Secret."""
        return decode_secret(self._call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}"))

    def cluster_uid(self) -> str:
        """Read the uid of the kube-system namespace, which stands for the cluster."""
        return str(self._call("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"])

    def post_event(self, event: Mapping[str, Any]) -> None:
        """Post an `events.k8s.io/v1` Event."""
        namespace = event["metadata"]["namespace"]
        self._call("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)

    def patch_event(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge into an Event; of one that is there, only its series can change."""
        self._call("PATCH", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}", change)

    def lease(self, name: str) -> dict[str, Any]:
        """Read a Lease of our own namespace."""
        return self._call("GET", f"{self._leases}/{name}")

    def create_lease(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease in our own namespace."""
        return self._call("POST", self._leases, lease)

    def replace_lease(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a Lease of our own namespace as it was read; its resourceVersion is the guard."""
        return self._call("PUT", f"{self._leases}/{lease['metadata']['name']}", lease)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"Accept": accept}
        if body is not None:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers["Content-Type"] = kind
        request = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = self._client.call_api(*request, _request_timeout=self._timeout)
            data = response.read()  # type: ignore[no-untyped-call]
        except ApiException as error:
            raise _ERRORS.get(error.status, KubeError)(f"{method} {path}: {error.status} {error.reason}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeError(f"{method} {path}: {type(error).__name__}") from error
        if not 200 <= response.status < 300:
            raise _ERRORS.get(response.status, KubeError)(f"{method} {path}: {response.status} {_message(data)}")
        try:
            result: dict[str, Any] = json.loads(data)
        except ValueError:  # without the cause: it holds the reply, which may be a Secret's
            raise KubeError(f"{method} {path}: the reply is no JSON") from None
        return result


def own_namespace() -> str:
    """Tell the namespace of the pod that we are; elsewhere the one that `deploy/` makes."""
    try:
        return _NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return "qianfan-system"


def decode_secret(raw: Mapping[str, Any]) -> Sealed:
    """Take the keys that we need, and nothing else, out of a Secret; what is no UTF-8 text becomes what is no key."""
    data = raw.get("data") or {}
    return Sealed(
        {name: base64.b64decode(data[name]).decode(errors="replace").strip() for name in _KEYS if data.get(name)}
    )


def _path(key: Key) -> str:
    return f"{_ROOT}/{key.namespace}/{key.plural}/{key.name}"


def _message(data: bytes | None) -> str:
    try:
        return str(json.loads(data or b"{}").get("message", ""))
    except ValueError:
        return ""
