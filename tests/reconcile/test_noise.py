"""What comes and goes, or is tried again and again, must not be heard again and again."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import job, model
from reconcile.situations.kit import KINDS, USABLE, WORKING, usable, working
from reconcile.world import World

HOUR = 3600  # seconds
FLAWS = {
    "500": Fault(Effect.STATUS, status=500),
    "timeout": Fault(Effect.LOSE_REQUEST),
    "AccessDenied": Fault(Effect.ERROR, code=6),
}
LOOK = {"job": "jobDetail", "model": "modelDetail", "service": "serviceDetail"}
"""The first call of a look."""


def comes_and_goes(world: World, flaw: Fault, away: Callable[[], bool]) -> None:
    """Have the cloud fail each call at which it is away."""

    def around(_: str, do: Callable[[], Any]) -> Any:
        if away():
            world.sim.faults.add(flaw)
        return do()

    world.around_cloud = around


def heard(world: World, key: Key, seconds: float) -> tuple[int, list[tuple[str, int]]]:
    """How often an object is written in a time, and what is told of it then: reasons, each with how often."""
    written = len(world.kube.writes)
    world.kube.events.clear()
    world.rest(seconds)
    uid = world.kube.objects[key]["metadata"]["uid"]
    told = [event for event in world.kube.events if event["regarding"]["uid"] == uid]
    writes = sum(at == key for _, at, _ in world.kube.writes[written:])
    return writes, [(event["reason"], event.get("series", {}).get("count", 1)) for event in told]


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", [working, usable])
def test_a_cloud_that_fails_at_every_second_call_is_not_heard(
    world: World, stage: Callable[[World, str], Key], kind: str, flaw: str
) -> None:
    """A look that fails is repeated before it is told. Only where a look takes two calls is it told, and once."""
    key = stage(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    calls = itertools.count()
    comes_and_goes(world, FLAWS[flaw], lambda: next(calls) % 2 == 1)
    writes, told = heard(world, key, HOUR)
    assert next(calls) > 10 or (kind, stage) == ("job", usable)  # the end of a run is not looked at again
    assert world.reason(key) == (WORKING if stage is working else USABLE)[kind]
    assert writes <= 1
    assert len(told) <= writes


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize(("kind", "stage"), [("job", working), ("model", usable), ("service", usable)])
@pytest.mark.parametrize("restarted", [False, True])
def test_single_errors_are_not_heard_beside_an_edit_that_the_cloud_cannot_take(
    world: World, stage: Callable[[World, str], Key], kind: str, flaw: str, restarted: bool
) -> None:
    """Synced is False then, and not for an error: one that is gone at the next call is still told to nobody."""
    key = stage(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    world.kube.patch_spec(key, description="another one")
    world.run(lambda: world.condition(key, "Synced").get("reason") == "UpdateUnsupported")
    world.rest(HOUR)
    told = world.condition(key)["reason"]
    if restarted:
        world.restart()
    looks = itertools.count(1)

    def around(operation: str, do: Callable[[], Any]) -> Any:
        if operation == LOOK[kind] and next(looks) % 3 == 0:
            world.sim.faults.add(FLAWS[flaw])
        return do()

    world.around_cloud = around
    writes, events = heard(world, key, 3 * HOUR)
    assert next(looks) > 20
    assert (writes, events, world.condition(key)["reason"]) == (0, [], told)


@pytest.mark.parametrize("flaw", ["500", "AccessDenied"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cloud_that_is_away_every_other_while_is_heard_when_that_changes(world: World, kind: str, flaw: str) -> None:
    """Each time that it goes or comes back is at most one write; what is told of it is told once, and counted up."""
    key = working(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    changes, spell = 12, HOUR / 12
    begun = world.clock.boot
    comes_and_goes(world, FLAWS[flaw], lambda: int((world.clock.boot - begun) // spell) % 2 == 1)
    writes, told = heard(world, key, HOUR)
    assert 1 < writes <= changes
    expected = ["AccessDenied", WORKING[kind]] if flaw == "AccessDenied" else ["CloudUnavailable", "Recovered"]
    assert [reason for reason, _ in told] == expected
    assert sum(count for _, count in told) <= writes


def test_a_refused_training_is_tried_again_without_noise(world: World) -> None:
    """Hours of trying whether a person has mended the cause leave one event and one transition; then it trains."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=510401))
    key = world.kube.apply(job())
    world.until(key, "Refused")
    since = world.condition(key, "Stalled")["lastTransitionTime"]
    before = len(world.kube.events)
    world.rest(3600)
    assert sum(call.operation == "createJob" for call in world.sim.calls) > 5
    assert world.condition(key, "Stalled")["lastTransitionTime"] == since
    assert len(world.kube.events) == before
    world.sim.faults.clear()
    world.until(key, "Succeeded")


def test_a_model_whose_name_is_taken_publishes_nothing_and_makes_no_noise(world: World) -> None:
    """A name that another object has is seen before anything is sent, and stays told without another event."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.until(world.kube.apply(model()), "Available")
    world.until(world.kube.apply(job("second")), "Succeeded")
    key = world.kube.apply(model("other", source={"jobRef": {"name": "second"}}))
    world.until(key, "NameTaken")
    before = len(world.kube.events)
    world.rest(3600)
    assert world.condition(key, "Stalled")["reason"] == "NameTaken"
    assert len(world.kube.events) == before
    assert sum(call.operation == "publishTrainModel" for call in world.sim.calls) == 1


def tries(world: World) -> Callable[[], int]:
    """Return what counts the writes of statuses that were tried, be anything changed by them or not."""
    tried: list[str] = []

    def around(name: str, do: Callable[[], Any]) -> Any:
        tried.append(name)
        return do()

    world.kube.around = around
    return lambda: tried.count("patch_status")


def test_definitions_of_an_older_version_are_not_written_to_for_ever(world: World) -> None:
    """An API server whose definitions do not know `objectUid` drops it; that is tried once, and told by no write."""
    world.kube.unknown = frozenset({"objectUid"})
    tried = tries(world)
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.ask(key)
    world.rest(60)
    before = tried()
    world.rest(3600)
    assert tried() == before
    world.restart()
    world.rest(3600)
    assert tried() <= before + 1


def test_the_end_of_an_error_that_is_dropped_is_not_written_at_each_poll(world: World) -> None:
    """Definitions that do not know `resolvedAt`; when they do, the next write brings it."""
    world.kube.unknown = frozenset({"resolvedAt"})
    tried = tries(world)
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.configure(training=Never())
    world.sim.faults.add(Fault(Effect.STATUS, "jobDetail", count=3, status=500))
    world.rest(HOUR)
    assert world.status(key)["lastError"]["code"] == "HTTP 500"
    before = tried()
    world.rest(HOUR)
    assert tried() == before
    world.kube.unknown = frozenset()
    world.ask(key)
    world.rest(60)
    assert world.status(key)["lastError"]["resolvedAt"]


@pytest.mark.parametrize("fields", [("sentDescription",), ("objectUid", "resolvedAt", "sentDescription")])
def test_no_field_that_is_dropped_is_written_for_ever(world: World, fields: tuple[str, ...]) -> None:
    """Nor in the records of earlier attempts, which are in a list."""
    world.kube.unknown = frozenset(fields)
    tried = tries(world)
    key = world.kube.apply(job(description="mine"))
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.sim.configure(training=Never())
    world.rest(HOUR)
    before = tried()
    world.rest(HOUR)
    assert tried() == before
