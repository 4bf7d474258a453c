"""What the tools that wait for an object demand of its status, and what we demand of it besides.

`kstatus` repeats the decisions of kstatus, by which Flux and Helm 4 wait; `check` holds a status against the rules of
Flux's conformance checker (fluxcd/pkg, runtime/conditions/check; named FAIL and WARN) and of
docs/design/conditions.md#situations. Both take an
object as the API server returns it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from qianfan_operator.api.reasons import Reason

Health = Literal["Current", "InProgress", "Failed", "Terminating"]
Object = Mapping[str, Any]
Conditions = Mapping[str, Mapping[str, Any]]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_VOLATILE = {
    "a time": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\b\d\d:\d\d:\d\d\b|\bago\b"),
    "a counter": re.compile(
        r"\b(try|retry|retries|failures?|looks?) (number )?\d|\b\d+ (times|tries|retries|failures)\b", re.IGNORECASE
    ),
    "a request id": re.compile(r"log_id|request_?id", re.IGNORECASE),
}


def kstatus(obj: Object) -> Health:
    """Say what kstatus makes of an object of a kind that it does not know, by its decisions in their order."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    listed = status.get("conditions") or ()
    for condition in listed:
        if condition["status"] == "True" and condition["type"] in {"Reconciling", "Stalled"}:
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = next((condition["status"] for condition in listed if condition["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"


def check(obj: Object, final: bool) -> list[str]:
    """Name every rule that the status breaks.

    A status that is not `final` may be that of an object which nobody has looked at yet, or whose spec changed since.
    """
    status = obj.get("status") or {}
    listed = status.get("conditions") or ()
    observed = status.get("observedGeneration")
    if not listed:
        return [*_fresh(observed), *(["Ready is missing (FAIL0002)"] if final else [])]
    found = {condition["type"]: condition for condition in listed}
    broken = [] if len(found) == len(listed) else ["two conditions have the same type"]
    for condition in listed:
        broken += [f"{condition['type']}: {words}" for words in _one(condition, status)]
    broken += _together(found)
    broken += _generations(found, observed, obj["metadata"]["generation"], final)
    return broken


def _fresh(observed: int | None) -> Iterator[str]:
    """Without the default of -1 kstatus would take a fresh object, or one with a bare generation, for done."""
    if observed != -1:
        yield f"observedGeneration is {observed} and there are no conditions (FAIL0002)"


def _one(condition: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    if condition["status"] not in {"True", "False", "Unknown"}:
        yield f"the status is {condition['status']!r}"
    if condition.get("reason") not in set(Reason):
        yield f"{condition.get('reason')!r} is no reason of the closed list"
    if not _RFC3339.fullmatch(condition.get("lastTransitionTime", "")):
        yield f"lastTransitionTime is {condition.get('lastTransitionTime')!r}"
    if condition.get("observedGeneration") != status.get("observedGeneration"):
        yield "observedGeneration is not that of the status (FAIL0008, FAIL0009, WARN0005)"
    message = condition.get("message", "")
    if len(message.splitlines()) > 1 or message != message.strip():
        yield f"the message is not one clean line: {message!r}"
    yield from (f"the message holds {what}: {message!r}" for what, word in _VOLATILE.items() if word.search(message))
    request_id = (status.get("lastError") or {}).get("requestId")
    if request_id and request_id in message:
        yield f"the message holds the request id of the last error: {message!r}"


def _together(found: Conditions) -> Iterator[str]:
    def status(kind: str) -> str | None:
        return found[kind]["status"] if kind in found else None

    ready = status("Ready")
    if "Ready" not in found:
        yield "Ready is missing (FAIL0002)"
    if "Synced" not in found:
        yield "Synced is missing"
    for kind in ("Reconciling", "Stalled"):
        if status(kind) not in {None, "True"}:
            yield f"{kind} is present and not True (WARN0003, WARN0004)"
        if kind in found and ready == "True":
            yield f"Ready and {kind} (FAIL0001, FAIL0003, FAIL0004, WARN0001)"
    if "Reconciling" in found and "Stalled" in found:
        yield "Reconciling and Stalled (FAIL0005)"
    if ready == "Unknown":
        yield "Ready is Unknown, which a pass never leaves behind (FAIL0003, FAIL0004, FAIL0011)"
    if ready == "False" and not {"Reconciling", "Stalled"} & set(found) and found["Ready"]["reason"] != Reason.PAUSED:
        yield "Ready is False and nothing says whether to wait or to act"
    if "Stalled" in found and ready == "False":
        said = [(found[kind]["reason"], found[kind].get("message")) for kind in ("Ready", "Stalled")]
        if said[0] != said[1]:
            yield f"Ready and Stalled give different reasons (WARN0002): {said}"
    if ready == "True" and status("Available") not in {None, "True"}:
        yield "Ready without Available"
    if ready == "True" and status("Succeeded") == "Unknown":
        yield "Ready, and Succeeded is open"


def _generations(found: Conditions, observed: int | None, generation: int, final: bool) -> Iterator[str]:
    if observed is None or observed < 0:
        yield "conditions without an observedGeneration (FAIL0007, FAIL0008, FAIL0009)"
        return
    if observed > generation:
        yield f"observedGeneration {observed} is above the generation {generation} (FAIL0006)"
    if final and observed < generation and found.get("Ready", {}).get("status") == "True":
        yield f"Ready for generation {observed} of {generation} (FAIL0007, FAIL0008, FAIL0009)"
