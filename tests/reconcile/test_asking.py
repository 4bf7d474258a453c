"""The annotation that asks for a pass: one at once, echoed in the status, whatever the state of the object."""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.errors import CloudError
from reconcile.manifests import job, model, service
from reconcile.test_deleting import PUBLISH, published, serving, training
from reconcile.test_drift import drifted, the_version
from reconcile.world import DAY, FIRST, OTHER, World


def finished(world: World) -> Key:
    world.until(key := world.kube.apply(job()), "Succeeded")
    return key


def failed(world: World) -> Key:
    key = training(world)
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.until(key, "TrainingFailed")
    return key


def stopped(world: World) -> Key:
    world.until(key := world.kube.apply(job(desiredState="Stopped")), "Stopped")
    return key


def paused(world: World) -> Key:
    world.until(key := world.kube.apply(job(paused=True)), "Paused")
    return key


def invalid(world: World) -> Key:
    world.until(key := world.kube.apply(job(trainsetRate="many")), "InvalidSpec")
    return key


def waiting(world: World) -> Key:
    world.until(key := world.kube.apply(model()), "DependencyNotReady")
    return key


def refused(world: World) -> Key:
    world.until(
        key := world.kube.apply(service(source={"modelVersion": {"modelId": 1, "modelVersionId": 1}})), "Refused"
    )
    return key


def keyless(world: World) -> Key:
    world.set_secret(None)
    key = world.kube.apply(job())
    world.rest(DAY)
    assert world.is_so(key, "Stalled")
    return key


def leaving(world: World) -> Key:
    key = training(world)
    world.set_secret(OTHER)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    return key


STATES: tuple[Callable[[World], Key], ...] = (
    training, finished, published, serving, failed, stopped, paused, invalid, waiting, refused, keyless, leaving,
)  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_asking_is_answered(state: Callable[[World], Key], world: World) -> None:
    """One write that echoes the value and says the same as before; the same value again asks for nothing.

    A refused create is tried again, so there is the announcement besides.
    """
    key, writes = state(world), 2 if state is refused else 1
    told = {one["type"]: (one["status"], one["reason"]) for one in world.status(key)["conditions"]}
    for word in ("one", "two"):
        before = world.writes(key)
        world.ask(key, word)
        world.rest(0)
        assert world.status(key)["lastHandledReconcileAt"] == word
        assert world.writes(key) == before + writes
        assert {one["type"]: (one["status"], one["reason"]) for one in world.status(key)["conditions"]} == told
        world.ask(key, word)
        world.rest(0)
        assert world.writes(key) == before + writes


@pytest.mark.parametrize("state", [finished, published], ids=lambda state: state.__name__)
def test_what_is_done_is_remembered_across_a_restart(state: Callable[[World], Key], world: World) -> None:
    """A value that was echoed asks the next process for nothing; one that was set in between asks it."""
    key = state(world)
    world.ask(key, "one")
    world.rest(0)
    writes = world.writes(key)
    world.restart()
    world.rest(60)
    assert world.writes(key) == writes
    world.ask(key, "two")
    world.restart()
    world.rest(0)
    assert world.status(key)["lastHandledReconcileAt"] == "two"


def test_two_quick_values_are_answered_by_the_last(world: World) -> None:
    """What is asked while a pass is under way is not lost, nor is it answered before it was read."""
    key = finished(world)
    world.ask(key, "one")
    patch = world.kube.patch_status

    def meanwhile(*args: object) -> object:
        world.kube.patch_status = patch
        world.ask(key, "two")
        return patch(*args)

    world.kube.patch_status = meanwhile
    world.rest(60)
    assert world.status(key)["lastHandledReconcileAt"] == "two"


def test_asking_looks_at_the_cloud(world: World) -> None:
    """A pass that is asked for looks now: what was changed in the console shows at once."""
    key = serving(world)
    world.rest(DAY)
    world.sim.delete(next(iter(world.sim.account().services)).id)
    world.rest(1)
    assert world.is_so(key)
    world.ask(key)
    world.rest(0)
    assert world.reason(key) == "Gone"


# What is asked for once, and cannot be done at once.


def failed_to_publish(world: World) -> tuple[Key, str]:
    published(world)
    the_version(world).life.enter("Fail", world.clock.cloud())
    world.until(PUBLISH, "PublishingFailed")
    return PUBLISH, "publishTrainModel"


def gone(world: World) -> tuple[Key, str]:
    published(world)
    world.sim.delete(the_version(world).id)
    world.until(PUBLISH, "Gone")
    return PUBLISH, "publishTrainModel"


def drifting(world: World) -> tuple[Key, str]:
    return drifted(world)[0], "ModifyService"


def hiccup(world: World, _: Key) -> Callable[[], None]:
    def fails(operation: str, do: Callable[[], Any]) -> Any:
        raise CloudError(operation, "500000", "hiccup")

    world.around_cloud = fails

    def over() -> None:
        world.around_cloud = lambda _, do: do()

    return over


def no_keys(world: World, _: Key) -> Callable[[], None]:
    world.set_secret("nobody")
    return lambda: world.set_secret(FIRST)


def held_back(world: World, key: Key) -> Callable[[], None]:
    world.kube.patch_spec(key, paused=True)
    world.rest(0)
    return lambda: world.kube.patch_spec(key, paused=False)


@pytest.mark.parametrize("blocker", [hiccup, no_keys, held_back], ids=lambda blocker: blocker.__name__)
@pytest.mark.parametrize("state", [failed_to_publish, gone, drifting], ids=lambda state: state.__name__)
def test_what_is_asked_is_done_when_it_can_be(
    state: Callable[[World], tuple[Key, str]], blocker: Callable[[World, Key], Callable[[], None]], world: World
) -> None:
    """A request that a pass cannot get to is not answered before one does; then it is done, once."""
    key, operation = state(world)
    before = len(world.calls(operation))
    over = blocker(world, key)
    world.ask(key, "again")
    world.rest(5)
    assert "lastHandledReconcileAt" not in world.status(key)
    over()
    world.until(key, "Available")
    world.rest(DAY)
    assert world.status(key)["lastHandledReconcileAt"] == "again"
    assert len(world.calls(operation)) == before + 1
