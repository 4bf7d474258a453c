"""Objects that cannot be read in full, or not at all: what is known of them stays, and nobody else is kept waiting."""

import logging
from typing import Any

import pytest

from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.keys import Key
from reconcile.conftest import world, worlds
from reconcile.manifests import job
from reconcile.world import World

__all__ = ["world", "worlds"]
DEEP = "metadata.managedFields"


def mark(world: World, key: Key, what: str) -> None:
    """Have the watch tell of an object in which something was cut out, or of one that is whole again (\"\")."""
    raw = world.kube.objects[key]
    raw.pop("unreadable", None)
    if what:
        raw["unreadable"] = what
    world.kube._changed(key)


def warnings(world: World) -> list[str]:
    return [event["note"] for event in world.kube.events if event["reason"] == "Unreadable"]


def spoil_status(world: World, key: Key) -> dict[str, Any]:
    """Write a status that no version can read; return what it was."""
    raw = world.kube.objects[key]
    before, raw["status"] = raw["status"], {**raw["status"], "conditions": "none"}
    world.kube._changed(key)
    return dict(before)


def test_what_is_only_poisoned_is_served_and_reported_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, by an event and in the metric; another pass, another event of the watch, tell nothing again."""
    key = world.kube.apply(job())
    world.kube.objects[key]["unreadable"] = DEEP
    with caplog.at_level(logging.WARNING):
        world.until(key, "Training")
    assert world.event_handler.unreadable_objects()["qianfanjobs"] == 1
    assert [note.split(" is nested")[0] for note in warnings(world)] == [f"Field {DEEP}"]
    assert [line.message for line in caplog.records].count("An object cannot be read in full") == 1
    mark(world, key, "")
    world.rest(60)
    assert world.event_handler.unreadable_objects()["qianfanjobs"] == 0
    world.until(key, "Succeeded")


def test_a_restart_among_unreadable_objects_knows_what_they_hold(world: World) -> None:
    """They count as seen, and what they recorded is theirs."""
    key = world.kube.apply(job())
    run = world.until(key, "Training")["jobId"]
    mark(world, key, "spec.trainConfig")
    world.restart()
    world.deliver()
    assert world.listing.has_synced()
    world.until(world.kube.apply(job("other")), "Training")
    assert world.status(key)["jobId"] == run
    assert world.store.get(key).holds
    assert len(warnings(world)) == 1


def test_an_object_that_becomes_unreadable_keeps_what_it_has(world: World) -> None:
    """Its run trains on; its passes fail at longer and longer intervals; others are served; then it is cured."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    holds = world.store.get(key).holds
    before = spoil_status(world, key)
    calls = len(world.sim.calls)
    other = world.kube.apply(job("other", trainset=[{"id": 7}]))
    world.until(other, "Training", within=600)
    world.rest(3600)
    assert world.store.get(key).holds == holds
    assert not world.calls("stopJob")
    tries = [line for line in world.sim.calls[calls:] if line.parameters.get("jobId") == before["jobId"]]
    assert tries == [], "the cloud is not asked about what cannot be read"
    assert world.event_handler.unreadable_objects()["qianfanjobs"] == 1
    assert len(warnings(world)) == 1
    with pytest.raises(Unreadable):
        world.engine._taken(key)
    world.kube.objects[key]["status"] = before
    world.kube._changed(key)
    world.until(key, "Succeeded")
    assert world.event_handler.unreadable_objects()["qianfanjobs"] == 0


def test_an_unreadable_object_that_goes_is_forgotten(world: World) -> None:
    """The metric goes down, too."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    spoil_status(world, key)
    world.rest(1)
    world.kube._remove(key)
    world.rest(1)
    assert world.store.get(key) is None
    assert world.event_handler.unreadable_objects()["qianfanjobs"] == 0


def test_one_that_was_never_readable_counts_as_seen(world: World) -> None:
    """The others wait for that: nobody can say that nobody holds a run, before all were seen."""
    key = world.kube.apply(job())
    spoil_status(world, key)
    world.rest(1)
    assert world.listing.has_synced()
    world.restart()
    world.deliver()
    assert world.listing.has_synced()
    assert not world.calls("createJob")
