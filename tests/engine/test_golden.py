"""What is told in each situation is what was reviewed: the golden set is what the engine writes now."""

import pytest

from conformance import check, kstatus
from engine.golden import FOLDER, kept, path, render
from engine.situations import SITUATIONS, Situation
from qianfan_operator.reasons import Reason

PAIRS = [(situation, kind) for situation in SITUATIONS for kind in situation.kinds]

# What neither a story of one object nor a row of design 8 of its own is for.
ELSEWHERE = {
    Reason.CREDENTIALS_FORBIDDEN, Reason.ACCESS_DENIED, Reason.UNKNOWN_STATE,
    Reason.TASK_EXISTS, Reason.DUPLICATE_CLOUD_RESOURCE, Reason.INVALID_SPEC, Reason.ATTEMPT_MISMATCH,
    Reason.ALREADY_BOUND, Reason.ALREADY_MANAGED, Reason.UPDATE_UNSUPPORTED,
}  # fmt: skip


@pytest.mark.parametrize(("situation", "kind"), PAIRS, ids=[f"{kind}-{one.name}" for one, kind in PAIRS])
def test_the_golden_set_is_what_the_engine_writes(situation: Situation, kind: str) -> None:
    """The same story gives the same bytes, to the letter of every message; `make golden` writes what has changed."""
    assert render(situation, kind) == path(situation, kind).read_text(encoding="utf-8")


def test_no_golden_file_is_without_a_story() -> None:
    """Nothing in the golden set was written by hand or has been left behind."""
    assert set(FOLDER.rglob("*.yaml")) == {path(*pair) for pair in PAIRS}


def test_the_golden_set_keeps_the_rules() -> None:
    """What the operator has judged passes the rules for final statuses; what it has not is never taken for done."""
    for situation, kind, raw in kept():
        if situation.name in {"fresh", "changed"}:
            assert kstatus(raw) == "InProgress", (situation.name, kind)
        else:
            assert check(raw, final=True) == [], (situation.name, kind)


def test_the_golden_set_shows_every_reason() -> None:
    """Each reason of the closed list is seen in a condition, or named above as one that needs no picture."""
    shown = {one["reason"] for _, _, raw in kept() for one in raw["status"].get("conditions", [])}
    assert shown | {str(one) for one in ELSEWHERE} == {str(one) for one in Reason}
    assert not shown & {str(one) for one in ELSEWHERE}
