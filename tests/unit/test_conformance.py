"""The checker of statuses decides as kstatus does, and each of its rules can fail."""

from typing import Any

import pytest

from conformance import check, kstatus
from qianfan_operator.api.reasons import Reason

SINCE = "2025-03-01T12:00:00Z"


def condition(kind: str, status: str = "True", reason: str = Reason.AVAILABLE, **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": 2,
        "lastTransitionTime": SINCE, **more,
    }  # fmt: skip


def an_object(*conditions: dict[str, Any], observed: int | None = 2, **metadata: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": list(conditions)} if conditions else {}
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"generation": 2, **metadata}, "status": status}


READY, SYNCED = condition("Ready"), condition("Synced")
UNREADY = condition("Ready", "False", Reason.TRAINING)
TRAINING = [UNREADY, SYNCED, condition("Reconciling", reason=Reason.TRAINING)]
FAILED = [
    condition("Ready", "False", Reason.REFUSED, message="No."),
    condition("Synced", "False", Reason.REFUSED),
    condition("Stalled", reason=Reason.REFUSED, message="No."),
]


@pytest.mark.parametrize(
    ("obj", "health"),
    [
        pytest.param(an_object(observed=-1), "InProgress", id="fresh, with our default"),
        pytest.param(an_object(observed=None), "Current", id="fresh, without it: the trap"),
        pytest.param(an_object(READY, SYNCED), "Current", id="ready"),
        pytest.param(an_object(READY, SYNCED, observed=1), "InProgress", id="ready for the last generation"),
        pytest.param(an_object(UNREADY, SYNCED), "InProgress", id="not ready"),
        pytest.param(an_object(*TRAINING), "InProgress", id="at work"),
        pytest.param(an_object(*FAILED), "Failed", id="stalled"),
        pytest.param(an_object(*FAILED, deletionTimestamp=SINCE), "Terminating", id="being deleted"),
    ],
)
def test_health_is_what_kstatus_says(obj: dict[str, Any], health: str) -> None:
    """The order of kstatus' decisions is deletion, generation, abnormal conditions, Ready."""
    assert kstatus(obj) == health


@pytest.mark.parametrize(
    "obj",
    [an_object(READY, SYNCED), an_object(*TRAINING), an_object(*FAILED)],
    ids=["ready", "at work", "stalled"],
)
def test_good_statuses_pass(obj: dict[str, Any]) -> None:
    """What  shows breaks no rule, final or not.

    See docs/design/conditions.md#situations.
    """
    assert check(obj, final=True) == check(obj, final=False) == []


def test_only_a_final_status_must_be_up_to_date() -> None:
    """Before the first pass, and between an edit and its pass, there is nothing to blame the operator for."""
    for obj in (an_object(observed=-1), an_object(READY | {"observedGeneration": 1}, observed=1)):
        assert not [words for words in check(obj, final=False) if "FAIL" in words]
        assert [words for words in check(obj, final=True) if "FAIL" in words]


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (an_object(observed=2), "there are no conditions"),
        (an_object(READY, SYNCED, observed=None), "without an observedGeneration"),
        (an_object(READY, SYNCED, observed=3), "above the generation"),
        (an_object(READY, SYNCED, READY), "same type"),
        (an_object(SYNCED), "Ready is missing"),
        (an_object(READY), "Synced is missing"),
        (an_object(condition("Ready", "Maybe"), SYNCED), "'Maybe'"),
        (an_object(condition("Ready", reason="Fine"), SYNCED), "'Fine' is no reason"),
        (an_object(condition("Ready", lastTransitionTime="noon"), SYNCED), "'noon'"),
        (an_object(condition("Ready", observedGeneration=1), SYNCED), "WARN0005"),
        (an_object(condition("Ready", message="a\nb"), SYNCED), "one clean line"),
        (an_object(condition("Ready", message="Since 12:30:00."), SYNCED), "holds a time"),
        (an_object(condition("Ready", message="Retry 3."), SYNCED), "holds a counter"),
        (an_object(condition("Ready", message="No (log_id 7)."), SYNCED), "holds a request id"),
        (an_object(READY, SYNCED, condition("Stalled", "False")), "WARN0003"),
        (an_object(READY, SYNCED, condition("Reconciling")), "FAIL0001"),
        (an_object(UNREADY, SYNCED, condition("Reconciling"), condition("Stalled")), "FAIL0005"),
        (an_object(condition("Ready", "Unknown"), SYNCED), "FAIL0011"),
        (an_object(UNREADY, SYNCED), "whether to wait or to act"),
        (an_object(UNREADY, SYNCED, condition("Stalled")), "WARN0002"),
        (an_object(READY, SYNCED, condition("Available", "False")), "Ready without Available"),
        (an_object(READY, SYNCED, condition("Succeeded", "Unknown")), "Succeeded is open"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_rule_can_be_broken(obj: dict[str, Any], words: str) -> None:
    """Each rule names what breaks it, so that a silent checker means good statuses."""
    assert any(words in said for said in check(obj, final=False))


def test_the_request_id_of_the_last_error_may_not_be_repeated() -> None:
    """The cloud's request ids differ from call to call; in a message they would make every retry a write."""
    obj = an_object(condition("Ready", message="Refused, see 4711-a."), SYNCED)
    obj["status"]["lastError"] = {"requestId": "4711-a"}
    assert any("request id of the last error" in said for said in check(obj, final=True))
