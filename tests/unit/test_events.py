"""Events: one per transition, in the words of the conditions, and never in the way."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fake_kube import FakeKube
from qianfan_operator.api.common import Condition, Resource
from qianfan_operator.api.conditions import ConditionSummary, Synced, conditions
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.kube.client import Forbidden
from qianfan_operator.kube.events import NOTE_LIMIT, REMEMBERED, Events
from unit.objects import BORN, JOB, raw

MICROSECONDS = "2025-03-01T12:00:00.000000Z"
TRAINING = ConditionSummary(False, Reason.TRAINING, "Run 1 is training.", reconciling=True)
FAILED = ConditionSummary(False, Reason.TRAINING_FAILED, "Run 1 failed.", stalled=True, ended=False)
FINISHED = ConditionSummary(True, Reason.SUCCEEDED, "Run 1 has finished.", ended=True)
BLIND = ConditionSummary(True, Reason.UNKNOWN_STATE, keep=True)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, lambda: BORN)


@pytest.fixture
def events(kube: FakeKube) -> Events:
    return Events(kube, lambda: MICROSECONDS)  # type: ignore[arg-type]


def a_job(name: str = "faq") -> Resource:
    return BY_PLURAL[JOB.plural].resource.parse(raw(JOB, 7) | {"metadata": raw(JOB, 7)["metadata"] | {"name": name}})


def pass_over(events: Events, *story: ConditionSummary) -> None:
    """What is told of an object that is judged so, one pass after the other."""
    said: list[Condition] = []
    for summary in story:
        before, said = said, conditions(summary, said, 1, BORN, None)
        status = a_job().status.model_copy(update={"conditions": tuple(said)})
        events.transition(a_job().model_copy(update={"status": status}), before)


def told(kube: FakeKube) -> list[tuple[str, str]]:
    """The types and reasons of the events that there are."""
    return [(event["type"], event["reason"]) for event in kube.events]


def test_a_story_is_one_event_per_transition(kube: FakeKube, events: Events) -> None:
    """Whoever describes the object reads its history, each step once; that the cloud cannot be asked is no step."""
    pass_over(events, TRAINING, TRAINING, FINISHED, BLIND, FINISHED, FAILED)
    assert told(kube) == [("Normal", "Training"), ("Normal", "Succeeded"), ("Warning", "TrainingFailed")]


def test_another_message_is_no_transition(kube: FakeKube, events: Events) -> None:
    """The same reason with other words is the same situation."""
    pass_over(events, TRAINING, replace(TRAINING, message="Run 2 is training."))
    assert told(kube) == [("Normal", "Training")]


def test_what_is_left_to_a_person_is_a_warning(kube: FakeKube, events: Events) -> None:
    """A wait that a person must end warns at once, and one that has become hopeless when it has: each once."""
    missing = ConditionSummary(False, Reason.CREDENTIALS_NOT_FOUND, "It is missing.", reconciling=True)
    pass_over(events, missing, replace(missing, reconciling=False, stalled=True))
    pass_over(events, ConditionSummary(False, Reason.PAYMENT_REQUIRED, "Pay for it.", reconciling=True))
    assert told(kube) == [
        ("Normal", "CredentialsNotFound"), ("Warning", "CredentialsNotFound"), ("Warning", "PaymentRequired"),
    ]  # fmt: skip


def test_what_is_usable_warns_of_what_a_person_must_mend(kube: FakeKube, events: Events) -> None:
    """Ready stays, and so Synced is what tells that the keys are refused, and good again."""
    words = FINISHED.message
    refused = replace(BLIND, synced=Synced("False", Reason.CREDENTIALS_INVALID, "Correct them."))
    pass_over(events, FINISHED, refused, refused, FINISHED)
    assert told(kube) == [("Normal", "Succeeded"), ("Warning", "CredentialsInvalid"), ("Normal", "Recovered")]
    assert [event["note"] for event in kube.events[1:]] == [
        "Correct them.",
        f"The error that was reported earlier is over. {words}",
    ]


def test_what_comes_again_is_counted_up(kube: FakeKube, events: Events) -> None:
    """Back and forth is one event each, with how often; one that the API server has dropped is posted anew."""
    pass_over(events, TRAINING, FAILED, TRAINING, FAILED, TRAINING)
    assert [event.get("series", {}).get("count") for event in kube.events] == [3, 2]
    assert kube.events[0]["series"]["lastObservedTime"] == MICROSECONDS
    kube.events.clear()
    pass_over(events, TRAINING)
    assert ["series" in event for event in kube.events] == [False]


def test_what_is_remembered_of_events_is_bounded(kube: FakeKube, events: Events) -> None:
    """However many objects there are: what was told first is forgotten first, and then told anew."""
    for number in range(REMEMBERED + 1):
        events.post(a_job(), "Normal", "Training", f"Run {number} is training.")
    for number in (REMEMBERED, 0):
        events.post(a_job(), "Normal", "Training", f"Run {number} is training.")
    assert len(kube.events) == REMEMBERED + 2


def test_an_event_says_what_the_condition_says(kube: FakeKube, events: Events) -> None:
    """Reason and message are the condition's; without a message it is the reason's own sentence."""
    pass_over(events, FAILED, ConditionSummary(True, Reason.STOPPED))
    assert [event["note"] for event in kube.events] == [FAILED.message, Reason.STOPPED.sentence]


def test_an_event_is_about_its_object(kube: FakeKube, events: Events) -> None:
    """`kubectl describe` finds it by kind, name and uid; its time has microseconds, as the API wants it."""
    pass_over(events, TRAINING)
    (event,) = kube.events
    assert event["regarding"] == {
        "apiVersion": "qianfan.dev/v1alpha1", "kind": "QianfanJob", "namespace": "team", "name": "faq",
        "uid": "uid-1", "resourceVersion": "7",
    }  # fmt: skip
    assert (event["eventTime"], event["reportingController"]) == (MICROSECONDS, "qianfan.dev/operator")
    assert event["reportingInstance"]


@pytest.mark.parametrize("name", ["a" * 253, "a" * 199 + "-b", "a" * 199 + ".b", "faq"])
def test_an_event_has_a_name_that_the_api_takes(kube: FakeKube, events: Events, name: str) -> None:
    """However long the object's name is and wherever it is cut, and each event has its own."""
    for letter in "x好":
        events.post(a_job(name), "Normal", "Training", letter * 5000)
    names = {event["metadata"]["name"] for event in kube.events}
    assert len(names) == 2
    for one in names:
        assert len(one) <= 253
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", one)
    assert all(NOTE_LIMIT - 6 < len(event["note"].encode()) <= NOTE_LIMIT for event in kube.events)


def test_a_refused_event_fails_no_pass(kube: FakeKube, events: Events, caplog: pytest.LogCaptureFixture) -> None:
    """In a namespace that is going the API server refuses events; the object is released all the same."""

    def refuse(operation: str, do: Callable[[], Any]) -> Any:
        raise Forbidden("the namespace is being terminated")

    kube.around = refuse
    caplog.set_level("INFO")
    pass_over(events, TRAINING)
    assert "An event was not posted" in caplog.text
