"""The client of the Kubernetes API, as far as the operator needs it.

Every write of an object carries the `resourceVersion` that was read: a merge-PATCH without it ignores even a wrong
uid, so that ids meant for a deleted object would land on its successor of the same name.

See docs/design/architecture.md#one-reconcile.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import client as kubernetes
from kubernetes.client.exceptions import ApiException

from qianfan_operator.api import KINDS
from qianfan_operator.api.common import ACCESS_KEY, GROUP, SECRET_KEY, VERSION
from qianfan_operator.api.dns1123 import is_label, is_subdomain
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.access import Access
from qianfan_operator.kube.decoder import decode, decode_object, decode_page, readable
from qianfan_operator.kube.pages import LARGEST_OBJECT, PageSize
from qianfan_operator.network import address, described
from qianfan_operator.retry_after import retry_after
from qianfan_operator.telemetry.redacted import RedactedDict

TIMEOUT = (3.0, 10.0)  # seconds to connect, to read
_KEYS = (ACCESS_KEY, SECRET_KEY)
_JSON = "application/json"
_UIDS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_CHUNK = 64 * 1024  # bytes
_MANAGER = {"fieldManager": "qianfan-operator"}
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # of the pod that we are
_ROOTS: Final[Mapping[str, str]] = {
    "namespaces": "/api/v1",
    "secrets": "/api/v1",
    "events": "/apis/events.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "tokenreviews": "/apis/authentication.k8s.io/v1",
    "subjectaccessreviews": "/apis/authorization.k8s.io/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    **{kind.plural: f"/apis/{GROUP}/{VERSION}" for kind in KINDS},
}
"""Every resource that has a path here, and what its path begins with."""
_SHOWN: Final = 80  # characters of what is no name
_CLUSTER_SCOPED: Final = frozenset({"namespaces", "tokenreviews", "subjectaccessreviews", "customresourcedefinitions"})

_Read = TypeVar("_Read")


class KubeError(Exception):
    """The API server refused or could not be reached; the reconcile is repeated with backoff.

    `retry_after`: the seconds that it asks to wait, if it does. It is the queue that waits, never a call.
    """

    retry_after: float | None = None


class Unreachable(KubeError):
    """There was no answer; the message names the address and the cause."""


class InvalidName(KubeError):
    """A segment of a path would be no DNS-1123 name, so nothing was sent; the message says which and of what."""


class Conflict(KubeError):
    """The object changed since it was read (HTTP 409); the reconcile starts again."""


class ConflictRetriesExhausted(Conflict):
    """Others wrote annotations or labels of the object between each read and write: nothing failed."""


class NotFound(KubeError):
    """The object is not there (HTTP 404)."""


class Forbidden(KubeError):
    """RBAC does not allow it (HTTP 403)."""


class Invalid(KubeError):
    """The API server does not take the body, and never will (HTTP 400, 413, 422, or 500 for one that is too large)."""


class _TooLarge(KubeError):
    """The reply is longer than it may be."""


_ERRORS = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict, 413: Invalid, 422: Invalid}
_TOO_LARGE = ("request is too large", "message larger than max")  # etcd's words, which come with HTTP 500


class Kube:
    """Reads and guarded writes. Thread-safe; every call raises `KubeError` or one of its kinds."""

    def __init__(self, connections: int, hurry: float | None = None, access: Access | None = None) -> None:
        """Connect as the pod does, else as kubectl does (`KUBECONFIG`); raises ConfigException if neither works.

        `hurry`: seconds in which a call must connect, and as many in which it must be answered, at the first try.
        """
        self._access = access or Access()
        configuration = self._access.configuration()
        configuration.connection_pool_maxsize = connections
        configuration.retries = False  # else a call sleeps for as long as the API server likes, and again
        self._client = kubernetes.ApiClient(configuration)
        self._timeout = TIMEOUT if hurry is None else (hurry, hurry)
        self._own_namespace = own_namespace()
        self._pages: dict[str, PageSize] = {}

    def get(self, key: Key) -> dict[str, Any]:
        """Read an object as it is now; raises Unreadable if what it holds cannot be read."""
        return readable(self._call("GET", key.plural, key.namespace, key.name))

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        """Tell every object of a kind, with its uid; of a kind that is not installed there is none."""
        return ((key, uid) for key, uid, _ in self.versions(plural))

    def versions(self, plural: str) -> Iterator[tuple[Key, str, int]]:
        """Tell every object of a kind, with its uid and version; of a kind that is not installed there is none."""
        size, more = self._pages.setdefault(plural, PageSize()), ""
        while True:
            query = {"limit": str(size.limit), "continue": more}
            try:
                text = self._send("GET", api_path(plural, query=query), None, _UIDS, most=size.budget)
            except NotFound:
                return
            except _TooLarge:
                if size.limit == 1:
                    raise
                size.was_too_large()
                continue
            except KubeError:
                size.was_too_large()
                raise
            page = _decoded(decode_page, text, f"the list of {plural}")
            for item in page.document["items"]:
                metadata = item["metadata"]
                version = str(metadata.get("resourceVersion"))
                yield _listed(plural, metadata), metadata["uid"], int(version) if version.isdigit() else 0
            size.was(page.size, len(page.document["items"]))
            more = page.document["metadata"].get("continue")
            if not more:
                return

    def patch_status(self, key: Key, resource_version: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the status what differs; a null removes a field."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return self._call("PATCH", key.plural, key.namespace, key.name, subresource="status", query=_MANAGER, body=body)

    def patch_finalizers(self, key: Key, resource_version: str, finalizers: list[str]) -> dict[str, Any]:
        """Replace the list of finalizers."""
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}
        return self._call("PATCH", key.plural, key.namespace, key.name, query=_MANAGER, body=body)

    def secret(self, namespace: str, name: str) -> RedactedDict:
        """Read the keys in a Secret."""
        return decode_secret(self._call("GET", "secrets", namespace, name))

    def cluster_uid(self) -> str:
        """Read the uid of the kube-system namespace, which stands for the cluster."""
        return str(self._call("GET", "namespaces", name="kube-system")["metadata"]["uid"])

    def namespace_labels(self, name: str) -> dict[str, str]:
        """Read the labels of a namespace."""
        return dict(self._call("GET", "namespaces", name=name, read=decode)["metadata"].get("labels") or {})

    def crd_metadata(self, name: str) -> dict[str, Any]:
        """Read the metadata of a CustomResourceDefinition as it is now."""
        found = self._call("GET", "customresourcedefinitions", name=name, accept=_METADATA)
        metadata: dict[str, Any] = found["metadata"]
        return metadata

    def review_token(self, token: str) -> dict[str, Any] | None:
        """Ask whose bearer token this is: a user as the API server describes one; None if it knows none."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = self._call("POST", "tokenreviews", body=review, read=decode).get("status") or {}
        user: dict[str, Any] | None = status.get("user") if status.get("authenticated") is True else None
        return user

    def review_access(self, user: Mapping[str, Any], path: str, verb: str) -> bool:
        """Ask whether a user may do this with a path that is no resource."""
        spec = {
            "user": user.get("username", ""),
            **{name: user[name] for name in ("uid", "groups", "extra") if name in user},
        }
        asked = {**spec, "nonResourceAttributes": {"path": path, "verb": verb}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
        answer = self._call("POST", "subjectaccessreviews", body=review, read=decode)
        return (answer.get("status") or {}).get("allowed") is True

    def post_event(self, event: Mapping[str, Any]) -> None:
        """Post an `events.k8s.io/v1` Event."""
        self._call("POST", "events", event["metadata"]["namespace"], body=event)

    def patch_event(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge into an Event; of one that is there, only its series can change."""
        self._call("PATCH", "events", namespace, name, body=change)

    def lease(self, name: str) -> dict[str, Any]:
        """Read a Lease of our own namespace, as it can be written back."""
        return self._lease("GET", name)

    def create_lease(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease in our own namespace."""
        return self._lease("POST", None, lease)

    def replace_lease(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a Lease of our own namespace as it was read; its resourceVersion is the guard."""
        return self._lease("PUT", lease["metadata"]["name"], lease)

    def _lease(self, method: str, name: str | None, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        lease = self._call(method, "leases", self._own_namespace, name, body=body, read=decode)
        lease["metadata"].pop("managedFields", None)  # the API server keeps what it has, and they may be of any size
        return lease

    def _call(
        self, method: str, resource: str, namespace: str | None = None, name: str | None = None, *,
        subresource: str | None = None, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None,
        read: Callable[[bytes], dict[str, Any]] = decode_object, accept: str = _JSON,
    ) -> dict[str, Any]:  # fmt: skip
        """Send one request; a reply about another object than the one that was asked for counts as none."""
        path = api_path(resource, namespace, name, subresource=subresource, query=query)
        reply = _decoded(read, self._send(method, path, body, accept), f"{method} {path}: the reply")
        asked = name if name is not None else ((body or {}).get("metadata") or {}).get("name")
        if asked is not None:
            metadata = reply.get("metadata")
            told = metadata if isinstance(metadata, dict) else {}
            if (told.get("namespace"), told.get("name")) != (namespace, asked):
                raise KubeError(f"{method} {path}: the reply is about another object")
        return reply

    def _reached(self) -> str:
        """Name the API server, and the proxy on the way to it if there is one."""
        login = self._access.login()
        return address(login.server) + (f" through the proxy {address(login.proxy)}" if login.proxy else "")

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, accept: str = _JSON, most: int = LARGEST_OBJECT
    ) -> bytes:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else _JSON
        request = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = self._client.call_api(*request, _request_timeout=self._timeout)
            data = _read(response.response, most)
        except ApiException as error:
            if error.status == 401:
                self._access.refused()
            raise _ERRORS.get(error.status, KubeError)(f"{method} {path}: {error.status} {error.reason}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{method} {path}: {self._reached()}: {described(error)}") from error
        if response.status == 401:
            self._access.refused()
        if not 200 <= response.status < 300:
            words = _message(data) if data else ""
            refusal = _kind_of(response.status, words)(f"{method} {path}: {response.status} {words}")
            refusal.retry_after = retry_after(response.response.headers.get("Retry-After"))
            raise refusal
        if data is None:
            raise _TooLarge(f"{method} {path}: the reply is longer than {most} bytes")
        return data


def api_path(
    resource: str,
    namespace: str | None = None,
    name: str | None = None,
    *,
    subresource: str | None = None,
    query: Mapping[str, str] | None = None,
) -> str:
    """Write the path of an object, or without `name` that of a list; there is no other way to a path.

    Raises InvalidName for a segment that is not what it has to be. Quoting would not do: `..` needs no quoting, and
    what the way to the API server resolves decides whose object is meant.
    """
    if resource not in _ROOTS:
        raise InvalidName(f"{_shown(resource)} is not a resource that the operator asks for")
    segments = [_ROOTS[resource]]
    if namespace is not None:
        if resource in _CLUSTER_SCOPED or not is_label(namespace):
            raise InvalidName(f"{_shown(namespace)} cannot be the namespace of one of the {resource}")
        segments += ["namespaces", namespace]
    segments.append(resource)
    if name is not None:
        fits = is_label if resource == "namespaces" else is_subdomain
        if not fits(name) or (namespace is None and resource not in _CLUSTER_SCOPED):
            raise InvalidName(f"{_shown(name)} cannot be the name of one of the {resource} in {_shown(namespace)}")
        segments.append(name)
    if subresource is not None:
        if name is None or subresource != "status":
            raise InvalidName(f"{_shown(subresource)} is not a part of one of the {resource}")
        segments.append(subresource)
    return "/".join(segments) + (f"?{urlencode(query, quote_via=quote, safe='')}" if query else "")


def own_namespace() -> str:
    """Tell the namespace of the pod that we are; elsewhere the one that `deploy/` makes."""
    try:
        return _NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return "qianfan-system"


def decode_secret(raw: Mapping[str, Any]) -> RedactedDict:
    """Take the keys that we need, and nothing else, out of a Secret; what is no UTF-8 text becomes what is no key."""
    data = raw.get("data") or {}
    return RedactedDict(
        {name: base64.b64decode(data[name]).decode(errors="replace").strip() for name in _KEYS if data.get(name)}
    )


def _kind_of(status: int, words: str) -> type[KubeError]:
    """Say what kind of refusal a status of the API server is; `words` is its message."""
    if status == 500 and any(sign in words for sign in _TOO_LARGE):
        return Invalid
    return _ERRORS.get(status, KubeError)


def _listed(plural: str, metadata: Mapping[str, Any]) -> Key:
    """Name an object of a list; raises KubeError if it cannot be one."""
    namespace, name = metadata.get("namespace"), metadata.get("name")
    if not is_label(namespace) or not is_subdomain(name):
        raise KubeError(f"the list of {plural} holds what has no name: {_shown(name)} in {_shown(namespace)}")
    return Key(plural, str(namespace), str(name))


def _shown(text: object) -> str:
    """Show a text that is no name: in ASCII, escaped, and not all of a long one."""
    words = ascii(text)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def _read(response: urllib3.HTTPResponse, most: int) -> bytes | None:
    """Read all of a reply; None, with the connection ended, if it is longer than that."""
    parts: list[bytes] = []
    for part in response.stream(_CHUNK):
        parts.append(part)
        most -= len(part)
        if most < 0:
            response.close()
            return None
    return b"".join(parts)


def _decoded(read: Callable[[bytes], _Read], text: bytes, what: str) -> _Read:
    try:
        return read(text)
    except ValueError:  # without the cause: it holds the reply, which may be a Secret's
        raise KubeError(f"{what} is no object in JSON") from None


def _message(data: bytes | None) -> str:
    try:
        return str(decode(data or b"").get("message", ""))
    except ValueError:
        return ""
