"""Others that annotate an object without end keep nothing from happening."""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job
from reconcile.world import GRACE, World

HOUR = 3600.0
TRAIN = Key("qianfanjobs", "default", "train")


@pytest.fixture
def annotated(world: World) -> World:
    """A world in which somebody annotates train whenever the cloud is asked, before what follows is written."""
    asked: list[str] = []

    def cloud(operation: str, do: Callable[[], Any]) -> Any:
        asked.append(operation)
        return do()

    def kube(name: str, do: Callable[[], Any]) -> Any:
        if name.startswith("patch_") and asked and world.there(TRAIN):
            world.kube.annotate(TRAIN, beat=f"{world.clock.boot} {len(asked)}")
            world.kube.deliver(world.event_handler.handle)
            asked.clear()
        return do()

    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(1200))
    world.around_cloud, world.kube.around = cloud, kube
    return world


def test_a_job_that_is_annotated_at_each_write_is_trained(annotated: World) -> None:
    """It is paid once, and as soon as without: no write that met an annotation counts as a failure."""
    begun = annotated.clock.boot
    annotated.until(annotated.kube.apply(job()), "Training", within=60)
    annotated.until(TRAIN, "Succeeded", within=1300)
    assert annotated.clock.boot - begun <= 1300
    assert len(annotated.calls("createJob")) == 2
    assert annotated.store.get(TRAIN).failures == 0  # type: ignore[union-attr]


def test_a_stop_of_an_annotated_job_happens(annotated: World) -> None:
    """It is asked for at once."""
    annotated.until(annotated.kube.apply(job()), "Training", within=60)
    annotated.kube.patch_spec(TRAIN, desiredState="Stopped")
    annotated.until(TRAIN, "Stopped", within=60)


def test_a_deletion_of_an_annotated_job_happens(annotated: World) -> None:
    """Its run is stopped, and it goes."""
    annotated.until(annotated.kube.apply(job()), "Training", within=60)
    annotated.kube.delete(TRAIN)
    annotated.until_gone(TRAIN, within=60)
    assert annotated.calls("stopJob")


def test_an_unknown_outcome_of_an_annotated_job_is_confirmed(annotated: World) -> None:
    """The grace goes on, and what was made is found."""
    annotated.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    annotated.kube.apply(job())
    annotated.until(TRAIN, "Confirming", within=60)
    annotated.until(TRAIN, "Training", within=GRACE + 60)
    assert len(annotated.calls("createJob")) == 2


def each_minute(world: World, until: Callable[[], object], minutes: int) -> None:
    """Annotate train every minute until something is so; fails if it is not so by then."""
    for beat in range(minutes):
        world.rest(60)
        if until():
            return
        world.kube.annotate(TRAIN, beat=str(beat))
    raise AssertionError(f"it did not come to be in {minutes} minutes:\n{world.told()}")


def test_a_wiped_status_is_completed_although_the_object_is_annotated_each_minute(world: World) -> None:
    """The grace of the search for earlier runs is not begun again by an annotation."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(HOUR))
    world.until(world.kube.apply(job()), "Training")
    world.kube.wipe_status(TRAIN)
    each_minute(world, lambda: world.reason(TRAIN) == "Training", 5)
    assert len(world.calls("createJob")) == 2


def test_whoever_changes_the_status_begins_the_grace_anew(world: World) -> None:
    """What was written and wiped in between may have been an intent: the search waits for as long again."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(HOUR))
    world.until(world.kube.apply(job()), "Training")
    world.kube.wipe_status(TRAIN)
    world.rest(GRACE - 20)
    before = dict(world.status(TRAIN))
    world.kube.write_status(TRAIN, {**before, "highestAttempt": 1})
    world.kube.write_status(TRAIN, before)
    world.rest(60)
    assert world.reason(TRAIN) == "Confirming"
    world.until(TRAIN, "Training", within=GRACE)
