"""Kubernetes Events: one per transition of an object."""

import logging
import re
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qianfan_operator.api.common import API_VERSION, GROUP, CommonSpec, CommonStatus, Condition, Metadata, Resource
from qianfan_operator.api.conditions import READY, STALLED, SYNCED, find, is_true
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kube.client import Kube, KubeError, NotFound
from qianfan_operator.text import clean, cut

log = logging.getLogger(__name__)
NOTE_LIMIT = 1024  # bytes, the API's own limit
REMEMBERED = 1000  # events that are counted up instead of posted again; more are only told less tersely
UNREADABLE = "Unreadable"
"""The reason of an event about an object that cannot be read in full; no condition has it."""
RECOVERED = "Recovered"
"""Reason of the event that an error which was reported earlier is over. No condition has this reason."""
STATUS_RESTORED = "StatusRestored"
"""Reason of the event that another writer changed ids in the status. No condition has this reason."""
_WANTED = frozenset(
    {
        Reason.PAYMENT_REQUIRED,
        Reason.ACCOUNT_CHANGED,
        Reason.UNKNOWN_STATE,
        Reason.ORPHANED,
        Reason.LEFT_IN_CLOUD,
    }
)
"""What is not Stalled, for it may end without us, and yet waits for a person."""


@dataclass
class _Told:
    name: str
    times: int = 1


class Events:
    """Posts what changed; `now` gives RFC 3339 with microseconds, as an Event wants it. Thread-safe.

    What is told again of the same object is counted up in the event that told it first, as long as the API server
    keeps that (an hour, by default).
    """

    def __init__(self, kube: Kube, now: Callable[[], str]) -> None:
        self._kube, self._now = kube, now
        self._instance = socket.gethostname() or "operator"
        self._told: dict[tuple[str, ...], _Told] = {}
        self._lock = threading.Lock()

    def transition(self, resource: Resource, before: Sequence[Condition]) -> None:
        """Post what the conditions of an object say and did not say `before`; nothing if that is nothing.

        It goes by Ready and Stalled; of an object that stays usable, by Synced turning False, and True again.
        """
        now = resource.status.conditions
        ready, synced = find(now, READY), find(now, SYNCED)
        if ready is None or synced is None:
            return
        if _gist(now, READY) != _gist(before, READY) or _gist(now, STALLED) != _gist(before, STALLED):
            self._tell(resource, ready, warning=is_true(now, STALLED) or ready.reason in _WANTED)
        elif ready.status == "True" and synced.status == "False" and _gist(now, SYNCED) != _gist(before, SYNCED):
            self._tell(resource, synced, warning=True)
        elif ready.status == synced.status == "True" and (_gist(before, SYNCED) or ("", ""))[0] == "False":
            self.recovered(resource, synced)

    def recovered(self, resource: Resource, synced: Condition) -> None:
        """Post that an error which was told is over."""
        self.post(resource, "Normal", RECOVERED, f"The error that was reported earlier is over. {synced.message}")

    def _tell(self, resource: Resource, condition: Condition, *, warning: bool) -> None:
        self.post(resource, "Warning" if warning else "Normal", condition.reason, condition.message)

    def post(self, resource: Resource, kind: str, reason: str, note: str) -> None:
        """Post one event (`kind` is Normal or Warning) about an object."""
        note = cut(clean(note, NOTE_LIMIT), NOTE_LIMIT)
        words = (resource.metadata.uid, kind, reason, note)
        try:
            if not self._counted_up(resource.metadata.namespace, words):
                event = self._event(resource, kind, reason, note)
                self._kube.post_event(event)
                self._remember(words, _Told(event["metadata"]["name"]))
        except KubeError as error:
            log.info("An event was not posted", extra={"event": reason, "error": str(error)})

    def unreadable(self, resource: type[Resource], key: Key, uid: str, what: str) -> None:
        """Warn that an object cannot be read in full; `what` names the fields, or says what is wrong."""
        metadata = Metadata(name=key.name, namespace=key.namespace, uid=uid)
        about = resource.model_construct(metadata=metadata, spec=CommonSpec(), status=CommonStatus())
        said = f"The operator cannot read this object: {what}"
        if ": " not in what:  # names of fields
            several = ", " in what
            said = f"{'Fields' if several else 'Field'} {what} {'are' if several else 'is'} nested too deeply"
            said = f"{said} and {'were' if several else 'was'} ignored"
        note = f'{said}. See docs/operations.md, "Unreadable objects".'
        self.post(about, "Warning", UNREADABLE, note)

    def _counted_up(self, namespace: str, words: tuple[str, ...]) -> bool:
        told = self._told.get(words)
        if told is None:
            return False
        series = {"count": told.times + 1, "lastObservedTime": self._now()}
        try:
            self._kube.patch_event(namespace, told.name, {"series": series})
        except NotFound:
            return False
        told.times += 1
        return True

    def _remember(self, words: tuple[str, ...], told: _Told) -> None:
        with self._lock:
            self._told[words] = told
            if len(self._told) > REMEMBERED:
                del self._told[next(iter(self._told))]

    def _event(self, resource: Resource, kind: str, reason: str, note: str) -> dict[str, Any]:
        metadata, moment = resource.metadata, self._now()
        # By name is how kubectl orders events of one second: so the name begins with the time.
        name = f"{metadata.name[:200].rstrip('-.')}.{re.sub(r'[^0-9]', '', moment)}-{uuid.uuid4().hex[:6]}"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata.namespace},
            "eventTime": moment,
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": reason,
            "type": kind,
            "note": note,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": resource.kind,
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
        }


def _gist(conditions: Sequence[Condition], kind: str) -> tuple[str, str] | None:
    found = find(conditions, kind)
    return (found.status, found.reason) if found else None
