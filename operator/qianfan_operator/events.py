"""Kubernetes Events: one per transition, with the reason of the condition. A lost event never fails a pass."""

import logging
import re
import socket
import uuid
from collections.abc import Callable
from typing import Any

from qianfan_operator.api.common import API_VERSION, GROUP, Condition, Resource
from qianfan_operator.conditions import Verdict
from qianfan_operator.kube import Kube, KubeError

log = logging.getLogger(__name__)
NOTE_LIMIT = 1024  # characters, the API's own limit


class Events:
    """Posts what changed; `now` gives RFC 3339 with microseconds, as an Event wants it."""

    def __init__(self, kube: Kube, now: Callable[[], str]) -> None:
        self._kube, self._now = kube, now
        self._instance = socket.gethostname() or "operator"

    def transition(self, resource: Resource, before: Condition | None, verdict: Verdict) -> None:
        """Post that Ready has another reason or status than before; nothing if it has not."""
        if verdict.keep or (before and (before.status, before.reason) == (str(verdict.ready), verdict.reason)):
            return
        kind = "Warning" if verdict.stalled else "Normal"
        self.post(resource, kind, verdict.reason, verdict.message or verdict.reason.sentence)

    def post(self, resource: Resource, kind: str, reason: str, note: str) -> None:
        """Post one event (`kind` is Normal or Warning) about an object."""
        metadata = resource.metadata
        moment = self._now()
        # By name is how kubectl orders events of one second: so the name begins with the time.
        name = f"{metadata.name[:200].rstrip('-.')}.{re.sub(r'[^0-9]', '', moment)}-{uuid.uuid4().hex[:6]}"
        event: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata.namespace},
            "eventTime": moment,
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": reason,
            "type": kind,
            "note": note[:NOTE_LIMIT],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": resource.kind,
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
        }
        try:
            self._kube.post_event(event)
        except KubeError as error:
            log.info("An event was not posted", extra={"event": reason, "error": str(error)})
