"""A cloud that stays away is told of once for each object, and so is its return; nobody hears of each try."""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import job
from reconcile.situations.kit import KINDS, USABLE, WORKING, usable, working
from reconcile.world import World

HOUR = 3600.0
FLAWS = {
    "away": Fault(Effect.STATUS, count=0, status=503),
    "lost": Fault(Effect.LOSE_REQUEST, count=0),
    "throttled": Fault(Effect.ERROR, count=0, code=18),
    "nonsense": Fault(Effect.HTML, count=0, status=200),
}
REASONS = {"away": "CloudUnavailable", "lost": "CloudUnavailable", "throttled": "Throttled"}
LOOKED_AT = [(working, kind) for kind in KINDS] + [(usable, "model"), (usable, "service")]


def told(world: World, key: Key) -> list[tuple[str, str, int]]:
    """Type, reason and count of each event about an object."""
    uid = world.kube.objects[key]["metadata"]["uid"]
    mine = [event for event in world.kube.events if event["regarding"]["uid"] == uid]
    return [(event["type"], event["reason"], event.get("series", {}).get("count", 1)) for event in mine]


def calm(world: World, stage: Callable[[World, str], Key], kind: str) -> Key:
    """Bring an object to where nothing happens to it for hours, and forget what was told on the way."""
    key = stage(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    world.rest(HOUR)
    world.kube.events.clear()
    return key


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize(("stage", "kind"), LOOKED_AT)
def test_an_outage_is_told_once_and_its_end_once(
    world: World, stage: Callable[[World, str], Key], kind: str, flaw: str
) -> None:
    """Also of what stays Ready. Synced says what is wrong while it lasts; Ready keeps its status and its reason."""
    key = calm(world, stage, kind)
    before, reason = world.condition(key), REASONS.get(flaw, "CloudUnavailable")
    world.sim.faults.add(FLAWS[flaw])
    world.rest(2 * HOUR)
    assert told(world, key) == [("Warning", reason, 1)]
    synced = world.condition(key, "Synced")
    assert (synced["status"], synced["reason"]) == ("Unknown", reason)
    assert any(synced["message"] in event["note"] for event in world.kube.events)
    ready = world.condition(key)
    assert (ready["status"], ready["reason"]) == (before["status"], before["reason"])
    assert ready["reason"] == (WORKING if stage is working else USABLE)[kind]
    world.sim.faults.clear()
    world.rest(HOUR)
    assert told(world, key) == [("Warning", reason, 1), ("Normal", "Recovered", 1)]
    assert world.condition(key, "Synced")["message"] == ready["message"]


@pytest.mark.parametrize("restarted", [False, True])
def test_the_log_says_that_an_outage_is_over(world: World, caplog: pytest.LogCaptureFixture, restarted: bool) -> None:
    """In one line for each object, with its length; a look that failed once and was repeated has none."""
    key = calm(world, usable, "model")
    caplog.set_level("INFO")
    world.sim.faults.add(Fault(Effect.STATUS, count=1, status=503))
    world.rest(HOUR)
    assert over(caplog) == []
    world.sim.faults.add(FLAWS["away"])
    world.rest(HOUR)
    if restarted:
        world.restart()
    world.rest(HOUR)
    assert over(caplog) == []
    world.sim.faults.clear()
    world.rest(2 * HOUR)
    ((which, seconds),) = over(caplog)
    assert which == str(key)
    assert HOUR < seconds < 3 * HOUR


def over(caplog: pytest.LogCaptureFixture) -> list[tuple[str, float]]:
    """The objects and lengths in the lines that say that an outage is over."""
    lines = [vars(line) for line in caplog.records if line.getMessage() == "The cloud answers again"]
    return [(line["object"], line["seconds"]) for line in lines]


@pytest.mark.parametrize(("stage", "kind"), LOOKED_AT)
def test_what_heals_within_a_minute_is_not_told(world: World, stage: Callable[[World, str], Key], kind: str) -> None:
    """The object shows it for as long as it lasts, and no event does."""
    key = calm(world, stage, kind)
    world.sim.faults.add(FLAWS["away"])
    world.run(lambda: world.condition(key, "Synced")["status"] == "Unknown")
    world.rest(20)
    world.sim.faults.clear()
    world.rest(HOUR)
    assert world.condition(key, "Synced")["status"] == "True"
    assert told(world, key) == []


def test_outages_that_come_again_are_counted_up(world: World) -> None:
    """Two events stand for any number of outages."""
    key = calm(world, working, "job")
    for _ in range(3):
        world.sim.faults.add(FLAWS["away"])
        world.rest(600)
        world.sim.faults.clear()
        world.rest(HOUR)
    assert told(world, key) == [("Warning", "CloudUnavailable", 3), ("Normal", "Recovered", 3)]


def test_a_restart_during_an_outage_is_not_heard(world: World) -> None:
    """What the process before has told is not told by the next one; the end is."""
    keys = [calm(world, working, "job"), world.kube.apply(job("other")), world.kube.apply(job("third"))]
    world.rest(HOUR)
    world.kube.events.clear()
    world.sim.faults.add(FLAWS["away"])
    world.rest(600)
    assert [told(world, key) for key in keys] == [[("Warning", "CloudUnavailable", 1)]] * 3
    for _ in range(3):
        world.restart()
        world.rest(HOUR)
    assert [told(world, key) for key in keys] == [[("Warning", "CloudUnavailable", 1)]] * 3
    world.sim.faults.clear()
    world.rest(HOUR)
    recovered = [("Warning", "CloudUnavailable", 1), ("Normal", "Recovered", 1)]
    assert [told(world, key) for key in keys] == [recovered] * 3


def test_what_a_restart_interrupts_is_told_by_the_next_process(world: World) -> None:
    """An outage that was too short to be told when the process ended goes on counting."""
    key = calm(world, working, "job")
    world.sim.faults.add(FLAWS["away"])
    world.run(lambda: world.condition(key, "Synced")["status"] == "Unknown")
    world.rest(20)
    assert told(world, key) == []
    world.restart()
    world.rest(600)
    assert told(world, key) == [("Warning", "CloudUnavailable", 1)]


def test_keys_that_are_good_again_are_told_of_what_stayed_ready(world: World) -> None:
    """The warning that they are refused has an end that can be read, too."""
    key = calm(world, usable, "model")
    world.sim.faults.add(Fault(Effect.ERROR, count=0, code="InvalidAccessKeyId", status=403))
    world.rest(HOUR)
    assert told(world, key) == [("Warning", "CredentialsInvalid", 1)]
    world.sim.faults.clear()
    world.rest(HOUR)
    assert told(world, key) == [("Warning", "CredentialsInvalid", 1), ("Normal", "Recovered", 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_shown_message_has_the_way_out(world: World, kind: str) -> None:
    """`kubectl get -o wide` shows the message of Synced: of a blocked deletion it says what to do."""
    key = working(world, kind)
    world.kube.patch_spec(key, deletionPolicy="Delete")
    world.rest(60)
    world.sim.faults.add(Fault(Effect.ERROR, count=0, code=6))
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    message = world.condition(key)["message"]
    assert "deletionPolicy" in message
    assert world.condition(key, "Synced")["message"] == message


def test_a_time_that_is_none_is_no_end(world: World) -> None:
    """Whatever others write into the conditions of an object, its outage is told."""
    key = calm(world, working, "job")
    world.sim.faults.add(FLAWS["away"])
    world.run(lambda: world.condition(key, "Synced")["status"] == "Unknown")
    status: dict[str, Any] = world.status(key)
    odd = [{**one, "lastTransitionTime": "yesterday"} for one in status["conditions"]]
    world.kube.write_status(key, {**status, "conditions": odd})
    world.restart()
    world.rest(HOUR)
    assert told(world, key) == [("Warning", "CloudUnavailable", 1)]
