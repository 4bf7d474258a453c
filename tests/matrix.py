"""The table of docs/status.md: what the tools make of an object in each situation of the golden set."""

from collections.abc import Mapping
from typing import Any

from argocd import health
from conformance import kstatus
from reconcile.golden import kept
from reconcile.situations import SITUATIONS

Raw = Mapping[str, Any]

HEAD = [
    "situation", "shown for", "`READY` `REASON`", "`kubectl wait --for=condition=`", "Flux (kstatus)", "`helm --wait`",
    "Argo CD",
]  # fmt: skip
HELM = {"Current": "goes on", "Failed": "fails at once", "InProgress": "waits", "Terminating": "waits"}


def waited_for(raw: Raw) -> str:
    """Name which of Ready and Stalled `kubectl wait` would take for met: True, and of the present generation."""
    met = [
        condition["type"]
        for condition in raw["status"].get("conditions", [])
        if condition["type"] in {"Ready", "Stalled"} and condition["status"] == "True"
        and condition["observedGeneration"] >= raw["metadata"]["generation"]
    ]  # fmt: skip
    return f"`{met[0]}` is met" if met else "waits"


def columns(raw: Raw) -> str:
    """What `kubectl get` shows of Ready."""
    ready = [one for one in raw["status"].get("conditions", []) if one["type"] == "Ready"]
    return f"{ready[0]['status']} `{ready[0]['reason']}`" if ready else ""


def verdicts(raw: Raw) -> tuple[str, ...]:
    """What each tool makes of an object."""
    decision = kstatus(raw)
    return waited_for(raw), decision, HELM[decision], health(raw)[0]


def table() -> str:
    """Make the table; the kinds that a situation is shown for lead to the objects themselves."""
    shown: dict[str, list[tuple[str, Raw]]] = {}
    for situation, kind, raw in kept():
        shown.setdefault(situation.name, []).append((kind, raw))
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    for situation in SITUATIONS:
        objects = shown[situation.name]
        links = ", ".join(f"[{kind}](../tests/golden/{kind}/{situation.name}.yaml)" for kind, _ in objects)
        ready = ", ".join(dict.fromkeys(columns(raw) for _, raw in objects))
        ((*said,),) = {verdicts(raw) for _, raw in objects}  # the three kinds are told alike
        lines.append(f"| {' | '.join([situation.sentence.rstrip('.'), links, ready, *said])} |")
    return "\n".join(lines) + "\n"
