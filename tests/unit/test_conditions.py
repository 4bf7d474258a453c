"""From a verdict to the list of conditions that is written."""

from dataclasses import replace
from typing import Any

import pytest

from conformance import check
from qianfan_operator.api.common import Condition
from qianfan_operator.api.conditions import (
    AVAILABLE,
    OURS,
    SUCCEEDED,
    ConditionSummary,
    Synced,
    conditions,
    find,
    is_true,
)
from qianfan_operator.api.reasons import Reason

FIRST, LATER = "2025-03-01T12:00:00Z", "2025-03-01T13:00:00Z"
TRAINING = ConditionSummary(False, Reason.TRAINING, "Run 1 is training.", reconciling=True)
FINISHED = ConditionSummary(True, Reason.SUCCEEDED, "Run 1 has finished.", ended=True)
FAILED = ConditionSummary(False, Reason.TRAINING_FAILED, "Run 1 failed.", stalled=True, ended=False)
SERVING = ConditionSummary(True, Reason.AVAILABLE, "It answers.", available=True)
UNKNOWN = Synced("Unknown", Reason.CLOUD_UNAVAILABLE, "The cloud did not answer.")
BLIND = ConditionSummary(True, Reason.AVAILABLE, "Never shown.", keep=True, synced=UNKNOWN)


def by_type(made: list[Condition]) -> dict[str, Condition]:
    return {one.type: one for one in made}


@pytest.mark.parametrize("summary", [TRAINING, FINISHED, FAILED], ids=lambda summary: summary.reason)
@pytest.mark.parametrize("before", [None, TRAINING, FINISHED, FAILED], ids=lambda summary: summary and summary.reason)
def test_every_condition_is_rewritten_together(summary: ConditionSummary, before: ConditionSummary | None) -> None:
    """Whatever stood there, the list is complete, of one generation, and reads well for every tool."""
    existing = conditions(before, [], 6, FIRST, SUCCEEDED) if before else []
    made = conditions(summary, existing, 7, LATER, SUCCEEDED)
    status = {"observedGeneration": 7, "conditions": [one.to_dict() for one in made]}
    assert check({"metadata": {"generation": 7}, "status": status}, final=True) == []
    abnormal = {"Reconciling"} if summary.reconciling else {"Stalled"} if summary.stalled else set()
    assert {one.type for one in made} == {"Ready", "Synced", "Succeeded"} | abnormal


def test_the_time_moves_only_with_the_status() -> None:
    """A new reason, message or generation is no transition."""
    before = conditions(TRAINING, [], 1, FIRST, SUCCEEDED)
    other = ConditionSummary(False, Reason.STOPPING, "Stopping.", reconciling=True)
    after = by_type(conditions(other, before, 2, LATER, SUCCEEDED))
    assert {one.last_transition_time for one in after.values()} == {FIRST}
    assert (after["Ready"].reason, after["Ready"].message) == (Reason.STOPPING, "Stopping.")
    ended = by_type(conditions(FINISHED, list(after.values()), 2, LATER, SUCCEEDED))
    times = {kind: one.last_transition_time for kind, one in ended.items()}
    assert times == {"Ready": LATER, "Succeeded": LATER, "Synced": FIRST}


def test_writing_the_same_verdict_again_changes_nothing() -> None:
    """Nothing new is no write: a second pass with the same findings gives an equal list."""
    for summary in (TRAINING, FINISHED, FAILED, SERVING):
        once = conditions(summary, [], 1, FIRST, AVAILABLE)
        assert conditions(summary, once, 1, LATER, AVAILABLE) == once


def test_what_cannot_be_seen_is_kept() -> None:
    """A failed look leaves Ready and the kind's own condition as they were, for the new generation, and says so."""
    before = conditions(SERVING, [], 1, FIRST, AVAILABLE)
    after = by_type(conditions(BLIND, before, 2, LATER, AVAILABLE))
    for kind in ("Ready", "Available"):
        assert after[kind] == by_type(before)[kind].model_copy(update={"observed_generation": 2})
    synced = after["Synced"]
    assert (synced.status, synced.reason, synced.message) == (UNKNOWN.status, UNKNOWN.reason, UNKNOWN.message)
    assert synced.last_transition_time == LATER


def test_conditions_of_other_writers_are_kept_if_they_are_few_and_readable() -> None:
    """They stand behind ours; a status may not be filled with them."""

    def other(kind: str, message: str = "") -> Condition:
        return Condition(type=kind, status="True", message=message)

    few = [other(f"Other{index}") for index in range(8)]
    bad = [other("Long", "x" * 5000), other("Lines", "one\ntwo"), other("\u202e")]
    made = conditions(TRAINING, [*bad, *few, other("TooMany")], 1, FIRST, SUCCEEDED)
    assert [one for one in made if one.type not in OURS] == few
    assert conditions(TRAINING, made, 1, FIRST, SUCCEEDED) == made
    assert by_type(conditions(TRAINING, [other("Stalled")], 1, FIRST, SUCCEEDED)).keys() == by_type(made[:4]).keys()


def test_an_obstacle_on_the_way_is_told_beside_the_progress() -> None:
    """Ready keeps the reason of the work, Reconciling tells what is tried again."""
    summary = ConditionSummary(False, Reason.TRAINING, "Run 1 is training.", reconciling=True, retrying="No answer.")
    made = by_type(conditions(summary, [], 1, FIRST, None))
    assert (made["Ready"].reason, made["Ready"].message) == (Reason.TRAINING, "Run 1 is training.")
    assert (made["Reconciling"].reason, made["Reconciling"].message) == (Reason.PROGRESSING_WITH_RETRY, "No answer.")


def test_synced_speaks_with_the_words_of_ready_unless_it_has_its_own() -> None:
    """One cause is told once, in the same words."""
    synced = by_type(conditions(TRAINING, [], 1, FIRST, None))["Synced"]
    assert (synced.status, synced.reason, synced.message) == ("True", Reason.TRAINING, "Run 1 is training.")


@pytest.mark.parametrize(("ended", "status"), [(None, "Unknown"), (True, "True"), (False, "False")])
def test_a_job_tells_whether_it_succeeded(ended: bool | None, status: str) -> None:
    """Succeeded is open until the run has ended, and only a job has it."""
    summary = ConditionSummary(False, Reason.STOPPED, stalled=True, ended=ended)
    made = conditions(summary, [], 1, FIRST, SUCCEEDED)
    assert by_type(made)["Succeeded"].status == status
    assert find(conditions(summary, [], 1, FIRST, None), SUCCEEDED) is None


@pytest.mark.parametrize(
    "contradiction",
    [
        {"ready": True, "reconciling": True},
        {"ready": True, "stalled": True},
        {"ready": False, "reconciling": True, "stalled": True},
    ],
    ids=str,
)
def test_a_verdict_that_no_tool_could_read_cannot_be_made(contradiction: dict[str, Any]) -> None:
    """Ready, Reconciling and Stalled exclude one another before anything is written."""
    with pytest.raises(ValueError, match="never"):
        replace(ConditionSummary(False, Reason.TRAINING), **contradiction)


def test_only_true_is_true() -> None:
    """A condition that is missing, False or Unknown is not met."""
    made = conditions(TRAINING, [], 1, FIRST, SUCCEEDED)
    assert [is_true(made, kind) for kind in ("Ready", "Synced", "Succeeded", "Absent")] == [False, True, False, False]
