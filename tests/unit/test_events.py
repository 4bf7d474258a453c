"""Events: one per transition, in the words of the conditions, and never in the way."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from fake_kube import FakeKube
from qianfan_operator.api.common import Resource
from qianfan_operator.conditions import Verdict, conditions, find
from qianfan_operator.events import NOTE_LIMIT, Events
from qianfan_operator.kinds import BY_PLURAL
from qianfan_operator.kube import Forbidden
from qianfan_operator.reasons import Reason
from unit.objects import BORN, JOB, raw

MICROSECONDS = "2025-03-01T12:00:00.000000Z"
TRAINING = Verdict(False, Reason.TRAINING, "Run 1 is training.", reconciling=True)
FAILED = Verdict(False, Reason.TRAINING_FAILED, "Run 1 failed.", stalled=True, ended=False)
FINISHED = Verdict(True, Reason.SUCCEEDED, "Run 1 has finished.", ended=True)
BLIND = Verdict(True, Reason.UNKNOWN_STATE, keep=True)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, lambda: BORN)


@pytest.fixture
def events(kube: FakeKube) -> Events:
    return Events(kube, lambda: MICROSECONDS)  # type: ignore[arg-type]


def a_job(name: str = "faq") -> Resource:
    return BY_PLURAL[JOB.plural].resource.parse(raw(JOB, 7) | {"metadata": raw(JOB, 7)["metadata"] | {"name": name}})


def pass_over(events: Events, before: Verdict | None, after: Verdict) -> None:
    """What a pass tells whose Ready went from one verdict to another."""
    existing = conditions(before, [], 1, BORN, None) if before else []
    events.transition(a_job(), find(existing, "Ready"), after)


def test_a_story_is_one_event_per_transition(kube: FakeKube, events: Events) -> None:
    """Whoever describes the object reads its history, each step once."""
    story = [None, TRAINING, TRAINING, FINISHED, BLIND, FINISHED, FAILED]
    for before, after in zip(story[:4] + story[3:], story[1:], strict=False):
        assert after
        pass_over(events, before, after)
    told = [(event["type"], event["reason"]) for event in kube.events]
    assert told == [("Normal", "Training"), ("Normal", "Succeeded"), ("Warning", "TrainingFailed")]


def test_another_message_is_no_transition(kube: FakeKube, events: Events) -> None:
    """The same reason with other words is the same situation."""
    pass_over(events, TRAINING, Verdict(False, Reason.TRAINING, "Run 2 is training.", reconciling=True))
    assert kube.events == []


def test_an_event_says_what_the_condition_says(kube: FakeKube, events: Events) -> None:
    """Reason and message are the condition's; without a message it is the reason's own sentence."""
    pass_over(events, None, FAILED)
    pass_over(events, None, Verdict(True, Reason.STOPPED))
    assert [event["note"] for event in kube.events] == [FAILED.message, Reason.STOPPED.sentence]


def test_an_event_is_about_its_object(kube: FakeKube, events: Events) -> None:
    """`kubectl describe` finds it by kind, name and uid; its time has microseconds, as the API wants it."""
    pass_over(events, None, TRAINING)
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
    for _ in range(2):
        events.post(a_job(name), "Normal", "Training", "x" * 5000)
    names = {event["metadata"]["name"] for event in kube.events}
    assert len(names) == 2
    for one in names:
        assert len(one) <= 253
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", one)
    assert len(kube.events[0]["note"]) == NOTE_LIMIT


def test_a_refused_event_fails_no_pass(kube: FakeKube, events: Events, caplog: pytest.LogCaptureFixture) -> None:
    """In a namespace that is going the API server refuses events; the object is released all the same."""

    def refuse(operation: str, do: Callable[[], Any]) -> Any:
        raise Forbidden("the namespace is being terminated")

    kube.around = refuse
    caplog.set_level("INFO")
    pass_over(events, None, TRAINING)
    assert "An event was not posted" in caplog.text
