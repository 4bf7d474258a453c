"""The Python rules of tests/conformance.py against the tools' own code, built from Go modules in main.go."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance import check, kstatus
from reconcile.golden import kept
from status_tools.program import ask

Raw = dict[str, Any]
Change = Callable[[Raw], object]

# The rules of fluxcd/pkg, runtime/conditions/check, by the words in which it complains.
RULES = {
    "FAIL0001": "Negative polarity condition cannot be True when Ready condition is True",
    "FAIL0002": "Ready condition must always be present",
    "FAIL0003": "Ready condition must be False when Reconciling condition is True",
    "FAIL0004": "Ready condition must be False when Stalled condition is True",
    "FAIL0005": "Only one of Reconciling condition or Stalled condition must be present at a time",
    "FAIL0006": "The ObservedGeneration must be less than or equal to the object Generation",
    "FAIL0007": "Ready condition must be False when the ObservedGeneration is less than the object Generation",
    "FAIL0008": "Ready condition must be False when any of the status condition's ObservedGeneration is less than the "
    "object Generation",
    "FAIL0009": "The status conditions' ObservedGenerations must be equal to the root ObservedGeneration when Ready "
    "condition is True",
    "FAIL0011": "A mid-reconciliation patched status must have Reconciling=True when Ready=Unknown",
    "WARN0001": "Negative polarity condition present when Ready condition is True",
    "WARN0003": "Reconciling condition can be removed when its value is False",
    "WARN0004": "Stalled condition can be removed when its value is False",
    "WARN0005": "Missing ObservedGeneration from status condition",
}


def one(raw: Raw, kind: str) -> Raw:
    """Return a condition of an object, and add it if it is missing."""
    conditions = raw["status"].setdefault("conditions", [])
    found = [condition for condition in conditions if condition["type"] == kind]
    if not found:
        conditions.append({**conditions[0], "type": kind})
    return next(condition for condition in conditions if condition["type"] == kind)


def without(raw: Raw, kind: str) -> None:
    raw["status"]["conditions"] = [it for it in raw["status"]["conditions"] if it["type"] != kind]


def says(kind: str, status: str) -> Change:
    return lambda raw: one(raw, kind).update(status=status)


def both(raw: Raw) -> None:
    for kind in ("Reconciling", "Stalled"):
        one(raw, kind)["status"] = "True"


def everywhere(generation: int) -> Change:
    def change(raw: Raw) -> None:
        raw["status"]["observedGeneration"] = generation
        for condition in raw["status"]["conditions"]:
            condition["observedGeneration"] = generation

    return change


BROKEN: dict[str, Change] = {
    "Ready is missing": lambda raw: without(raw, "Ready"),
    "Ready is Unknown": says("Ready", "Unknown"),
    "Ready is True": says("Ready", "True"),
    "Reconciling is True": says("Reconciling", "True"),
    "Reconciling is False": says("Reconciling", "False"),
    "Stalled is True": says("Stalled", "True"),
    "Stalled is False": says("Stalled", "False"),
    "Reconciling and Stalled": both,
    "there is no status": lambda raw: raw.update(status={}),
    "there are no conditions": lambda raw: raw["status"].update(conditions=[]),
    "observedGeneration is missing": lambda raw: raw["status"].pop("observedGeneration"),
    "observedGeneration is missing in a condition": lambda raw: one(raw, "Synced").pop("observedGeneration"),
    "a condition is of an earlier generation": lambda raw: one(raw, "Synced").update(observedGeneration=0),
    "the spec has changed since": lambda raw: raw["metadata"].update(generation=raw["metadata"]["generation"] + 1),
    "the generation is one that is not there yet": everywhere(99),
}
"""What could be wrong with a status, done to each object of the golden set."""


def ours(raw: Raw, final: bool) -> set[str]:
    """The rules of Flux that our checker says an object breaks."""
    return set(re.findall(r"(?:FAIL|WARN)\d{4}", " ".join(check(raw, final))))


def theirs(complaints: list[str]) -> set[str]:
    """The rules of Flux that Flux says it breaks."""
    names = {words: name for name, words in RULES.items()}
    return {names[words] for words in complaints}


def test_the_tools_have_nothing_against_what_the_engine_writes(tools: Path) -> None:
    """kstatus decides of the whole golden set as our transcription does, and Flux's checker finds no fault in it."""
    golden = [(f"{kind} {situation.name}", raw) for situation, kind, raw in kept()]
    for (name, raw), told in zip(golden, ask(tools, [raw for _, raw in golden]), strict=True):
        assert told["kstatus"] == kstatus(raw), name
        if name.endswith((" fresh", " changed")):
            continue  # the operator has not judged these
        assert (told["midway"], told["final"]) == ([], []), name


def test_our_rules_are_the_tools_rules(tools: Path) -> None:
    """Of every object that is broken in every way kstatus says what we say, and what Flux finds, we find."""
    broken: list[tuple[str, Raw]] = []
    for situation, kind, raw in kept():
        for what, change in BROKEN.items():
            changed = copy.deepcopy(raw)
            if changed["status"].get("conditions"):
                change(changed)
                broken.append((f"{kind} {situation.name}: {what}", changed))
    found: set[str] = set()
    for (name, raw), told in zip(broken, ask(tools, [raw for _, raw in broken]), strict=True):
        assert told["kstatus"] == kstatus(raw), name
        for final in (False, True):
            rules = theirs(told["final" if final else "midway"])
            assert rules <= ours(raw, final), (name, final)
            found |= rules
    assert found == set(RULES)
