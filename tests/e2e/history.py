"""Everything that the API server tells about our objects, kept from the first moment on, and the wait for more."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from qianfan_devcluster.cluster import Cluster

T = TypeVar("T")
Object = dict[str, Any]

PATHS = {
    "qianfanjobs": "/apis/qianfan.dev/v1alpha1/qianfanjobs",
    "qianfanmodels": "/apis/qianfan.dev/v1alpha1/qianfanmodels",
    "qianfanservices": "/apis/qianfan.dev/v1alpha1/qianfanservices",
    "events": "/apis/events.k8s.io/v1/events",
}
_ROUND = 2  # seconds of one watch, and so the longest that `close` takes
_LOOK_AGAIN = 0.1  # seconds until what no watch tells is asked again


class History:
    """Watches the three kinds and the events of all namespaces, with one thread for each."""

    def __init__(self, cluster: Cluster) -> None:
        config = json.loads(cluster.kubeconfig.read_text())
        self._server, self._trust = cluster.server, str(cluster.certificate_authority)
        self._token = config["users"][0]["user"]["token"]
        self._latest: dict[tuple[str, str, str], Object] = {}
        self._told: list[tuple[str, Object]] = []
        self._news = threading.Condition()
        self.on_told: list[Callable[[str, Object], None]] = []
        """Called with the kind and the object for all that is told, at once."""
        self._closing = threading.Event()
        self._failure = ""
        self._threads = [threading.Thread(target=self._watch, args=[plural], daemon=True) for plural in PATHS]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop watching; returns when the connections are closed."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def get(self, plural: str, namespace: str, name: str) -> Object | None:
        """Return an object as it was last told; None if it is not there."""
        return self._latest.get((plural, namespace, name))

    def all(self, namespace: str) -> list[tuple[str, Object]]:
        """Return what is in a namespace now, events left out, as `plural/name` and object."""
        with self._news:
            found = sorted((plural, name) for plural, where, name in self._latest if where == namespace)
            return [(f"{one}/{name}", self._latest[one, namespace, name]) for one, name in found if one != "events"]

    def told(self, plural: str = "") -> list[Object]:
        """Return every version of every object of a kind (of all kinds, if none is named), oldest first."""
        with self._news:
            return [body for kind, body in self._told if plural in {"", kind}]

    def wait_for(self, holds: Callable[[], T | None], what: Callable[[], str], within: float = 30) -> T:
        """Wait until `holds` returns something true, and return it; `what` words the failure after `within` seconds."""
        deadline = time.monotonic() + within
        with self._news:
            while not (value := holds()):
                assert not self._failure, self._failure
                assert time.monotonic() < deadline, what()
                self._news.wait(_LOOK_AGAIN)
        return value

    def _watch(self, plural: str) -> None:
        try:
            with requests.Session() as session:
                session.trust_env, session.verify = False, self._trust
                session.headers["Authorization"] = f"Bearer {self._token}"
                version = self._list(session, plural)
                while not self._closing.is_set():
                    version = self._follow(session, plural, version)
        except Exception as error:  # told to the test that waits
            self._failure = f"the watch of {plural} ended: {error!r}"

    def _list(self, session: requests.Session, plural: str) -> str:
        response = session.get(self._server + PATHS[plural], timeout=30)
        if response.status_code == 404:  # not installed yet
            return "0"
        listing = response.json()
        # The control plane's own components tell of themselves from the start on.
        assert plural == "events" or listing["items"] == [], "the history begins without objects of ours"
        return str(listing["metadata"]["resourceVersion"])

    def _follow(self, session: requests.Session, plural: str, version: str) -> str:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_ROUND)}
        with session.get(self._server + PATHS[plural], params=query, stream=True, timeout=30) as response:
            if response.status_code in {404, 429}:  # its definition is away, or has just come back
                self._closing.wait(_LOOK_AGAIN)
                return "0"
            response.raise_for_status()
            for line in response.iter_lines(chunk_size=1):
                event = json.loads(line)
                if event["object"].get("reason") == "Expired":  # its definition was away, and its versions begin anew
                    return "0"
                assert event["type"] != "ERROR", event
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(plural, event["type"], event["object"])
        return version

    def _take(self, plural: str, kind: str, body: Object) -> None:
        key = (plural, body["metadata"]["namespace"], body["metadata"]["name"])
        for look in self.on_told:
            look(plural, body)
        with self._news:
            self._told.append((plural, body))
            if kind == "DELETED":
                self._latest.pop(key, None)
            else:
                self._latest[key] = body
            self._news.notify_all()
