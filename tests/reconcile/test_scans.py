"""That there is nothing is two complete scans after the grace: what the first one misses, the second one shows.

Whatever is made or let go after one scan only is paid for twice, or goes on without an owner.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_simulator import Effect, Fault
from qianfan_simulator.things import Thing
from reconcile.manifests import job, model, service
from reconcile.test_crash import JOB, MODEL, SERVICE, publish_by_hand, serve_first, slow
from reconcile.test_pairs import LOST, begin, paid
from reconcile.world import World


def miss(world: World, thing: Thing, scans: int = 1) -> None:
    """Leave it out of the next scan, or of so many."""
    world.sim.hide(thing.uid, scans)


def published(world: World) -> list[Any]:
    """The versions that were made of runs."""
    return [version for version in world.sim.account().versions if version.run]


def test_a_run_that_the_first_scan_misses_is_not_paid_for_again(worlds: Callable[..., World]) -> None:
    """A createJob whose reply was lost is not repeated for one scan that does not show its run."""
    world = begin(worlds)
    world.sim.faults.add(LOST)
    world.kube.apply(job())
    world.until(JOB, "Confirming")
    miss(world, paid(world)[0])
    world.until(JOB, "Succeeded")
    assert len(paid(world)) == 1


def test_a_run_that_the_first_scan_of_a_survey_misses_is_stopped(worlds: Callable[..., World]) -> None:
    """An object whose status was wiped is not let go for one scan that does not show its run."""
    world = begin(worlds)
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    world.kube.wipe_status(JOB)
    miss(world, paid(world)[0])
    world.kube.delete(JOB)
    world.until_gone(JOB)
    assert paid(world) == []


def test_a_run_that_the_first_scan_of_a_survey_misses_is_waited_for(worlds: Callable[..., World]) -> None:
    """Of two attempts that a wipe forgot one works: the next one is not begun for one scan that does not show it."""
    world = begin(worlds)
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    world.kube.wipe_status(JOB)
    miss(world, paid(world)[0])
    world.kube.patch_spec(JOB, attempt=2)
    world.until(JOB, "WaitingForRun")
    assert len(paid(world)) == 1


@pytest.mark.parametrize("into", ["a new model", "a model"])
@pytest.mark.parametrize("lost", ["reply", "status"])
def test_a_version_that_the_first_scan_misses_is_deleted(into: str, lost: str, worlds: Callable[..., World]) -> None:
    """What an object published, and knows nothing of, is deleted with it."""
    world = begin(worlds)
    target: dict[str, Any] = {"modelName": "made"}
    if into == "a model":
        target = {"modelId": publish_by_hand(world, "made")["modelVersion"]["modelId"]}
    before = len(published(world))
    world.until(world.kube.apply(job()), "Succeeded")
    if lost == "reply":
        world.sim.faults.add(Fault(Effect.LOSE_REPLY, "publishTrainModel"))
    world.kube.apply(model(target=target, deletionPolicy="Delete"))
    world.until(MODEL, "Confirming" if lost == "reply" else "Available")
    if lost == "status":
        world.kube.wipe_status(MODEL)
    version = published(world)[-1]
    miss(world, version.model if into == "a new model" else version)
    world.kube.delete(MODEL)
    world.until_gone(MODEL)
    assert len(published(world)) == before


@pytest.mark.parametrize("lost", ["reply", "status"])
def test_a_service_that_the_first_scan_misses_is_taken_offline(lost: str, worlds: Callable[..., World]) -> None:
    """What an object applied for, and knows nothing of, does not serve on without it."""
    world = begin(worlds)
    if lost == "reply":
        source = publish_by_hand(world, "made")
        world.rest(10)
        world.sim.faults.add(Fault(Effect.LOSE_REPLY, "apply"))
        world.kube.apply(service(source=source))
        world.until(SERVICE, "Confirming")
    else:
        serve_first(world)
        world.kube.wipe_status(SERVICE)
    (one,) = world.sim.account().services
    miss(world, one)
    world.kube.delete(SERVICE)
    world.until_gone(SERVICE)
    assert one.life.state == "Stopped"


def test_a_service_that_the_first_scan_misses_is_not_paid_for_again(worlds: Callable[..., World]) -> None:
    """A service whose object's status was wiped is not applied for again for one scan that does not show it."""
    world = begin(worlds)
    serve_first(world)
    world.kube.wipe_status(SERVICE)
    (one,) = world.sim.account().services
    miss(world, one, scans=2 + 1)  # of those before the grace, and the first one after it
    world.until(SERVICE, "Confirming")
    world.until(SERVICE, "Available")
    assert list(world.sim.account().services) == [one]
