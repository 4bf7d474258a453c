"""What was asked of the cloud is followed before polls, and is asked for once as long as the cloud carries it out."""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import REPEAT_AFTER
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, service
from reconcile.stories import PUBLISH, next_version, published, serving, version_of
from reconcile.world import DAY, World

OTHERS = 12
STOPS = ("stopJob", "StopFineTuningTask")


def training(world: World, **fields: Any) -> Key:
    """A job whose run goes on for a month."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job(**fields))
    world.until(key, "Training")
    return key


def served(world: World) -> Key:
    published(world)
    return serving(world)


def backlog(world: World) -> None:
    """Jobs that train on, all of which are due to be polled."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    keys = [world.kube.apply(job(f"other-{number}")) for number in range(OTHERS)]
    world.run(lambda: all(world.reason(key) == "Training" for key in keys))
    world.rest(300)
    world.clock.advance(world.schedule.poll_max)


def next_key(world: World) -> Key | None:
    """Finish what is urgent, and wait until its follow-up is due; return which key the queue hands out."""
    world.deliver()
    while world.queue.depth()[Priority.DELETION] or world.queue.depth()[Priority.URGENT]:
        world.step(world.clock.boot)
        world.deliver()
    world.clock.advance(world.schedule.poll_min)
    assert world.queue.depth()[Priority.POLL] >= OTHERS - 1
    return world.queue.take_until(world.clock.boot)


def delete_job(world: World) -> Key:
    key = training(world)
    backlog(world)
    world.kube.delete(key)
    world.run(lambda: world.calls("stopJob"))
    return key


def stop_job(world: World) -> Key:
    key = training(world)
    backlog(world)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: world.calls("stopJob"))
    return key


def replace_job(world: World) -> Key:
    key = training(world, concurrencyPolicy="Replace")
    backlog(world)
    world.kube.patch_spec(key, attempt=2)
    world.run(lambda: world.calls("stopJob"))
    return key


def delete_service(world: World) -> Key:
    key = served(world)
    backlog(world)
    world.kube.delete(key)
    world.run(lambda: world.calls("DeactivateService"))
    return key


def delete_model(world: World) -> Key:
    published(world, deletionPolicy="Delete")
    backlog(world)
    told(world, "versionBatchDelete")  # the cloud takes its time
    world.kube.delete(PUBLISH)
    world.run(lambda: world.reason(PUBLISH) == "Deleting")
    return PUBLISH


def switch_service(world: World) -> Key:
    first = version_of(published(world))
    key = serving(world, source=first)
    second = version_of(next_version(world))
    backlog(world)
    world.kube.patch_spec(key, source=second)
    world.run(lambda: world.calls("ModifyService"))
    return key


def confirm_job(world: World) -> Key:
    backlog(world)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    return key


def told(world: World, operation: str, times: float = float("inf")) -> list[str]:
    """Have the cloud accept an operation and do nothing, so many times; returns the requests that came."""
    came: list[str] = []

    def accept(at: str, do: Callable[[], Any]) -> Any:
        if at != operation:
            return do()
        came.append(at)
        return True if len(came) <= times else do()

    world.around_cloud = accept
    return came


@pytest.mark.parametrize(
    "begin", [delete_job, stop_job, replace_job, delete_service, delete_model, switch_service, confirm_job]
)
def test_what_follows_a_change_goes_before_all_polls(world: World, begin: Callable[[World], Key]) -> None:
    """A dozen objects have waited longer for their polls, and the one whose change is under way is handed out first."""
    key = begin(world)
    assert next_key(world) == key


def test_a_restart_keeps_that_order(world: World) -> None:
    """The next process goes on with a stop before it polls what only trains."""
    backlog(world)
    key = training(world)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Stopping")
    world.restart()
    world.clock.advance(world.schedule.poll_max)
    assert next_key(world) == key


SLOW = 90
"""Seconds that the cloud takes: there are many looks in it."""


@pytest.mark.parametrize(
    ("begin", "done"),
    [
        (delete_job, lambda world, key: not world.there(key)),
        (stop_job, lambda world, key: world.reason(key) == "Stopped"),
        (replace_job, lambda world, key: world.status(key)["attempt"] == 2),
    ],
)
def test_a_run_is_asked_to_stop_once(
    world: World, begin: Callable[[World], Key], done: Callable[[World, Key], bool]
) -> None:
    """One stopJob, however many looks it takes until the run is stopped."""
    world.sim.configure(stopping=AfterSeconds(SLOW))
    key = begin(world)
    looks = len(world.calls("jobDetail"))
    world.run(lambda: done(world, key))
    assert len(world.calls("jobDetail")) > looks + 3
    assert len(world.calls(*STOPS)) == 1


def test_a_service_is_taken_offline_once(world: World) -> None:
    """One DeactivateService, however long the cloud takes for it."""
    key = served(world)
    world.sim.configure(stopping=AfterSeconds(SLOW))
    world.kube.delete(key)
    world.until_gone(key)
    assert len(world.calls("DeactivateService")) == 1


def test_versions_are_deleted_once(world: World) -> None:
    """A cloud that goes on showing what it has accepted to delete is asked for nothing but its list."""
    published(world, deletionPolicy="Delete")
    came = told(world, "versionBatchDelete")
    world.kube.delete(PUBLISH)
    world.rest(REPEAT_AFTER - 1)
    assert world.there(PUBLISH)
    assert len(came) == 1


def test_a_deploying_service_is_taken_offline_when_it_serves(world: World) -> None:
    """The cloud refuses that while it deploys: it is asked again until it accepts, and not after that."""
    published(world)
    key = world.kube.apply(service())
    world.until(key, "PaymentRequired")
    world.sim.configure(deploying=AfterSeconds(DAY), stopping=AfterSeconds(SLOW))
    world.sim.pay()
    world.until(key, "Deploying")
    world.kube.delete(key)
    world.run(lambda: len(world.calls("DeactivateService")) > 1)
    (one,) = world.sim.account().services
    one.life.enter("Done", world.clock.cloud())
    refused = len(world.calls("DeactivateService"))
    world.until_gone(key)
    assert len(world.calls("DeactivateService")) == refused + 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_stop_that_the_cloud_lost_is_repeated(world: World, restarted: bool) -> None:
    """Accepted and not carried out: asked again after two minutes, and by another process at once."""
    key = training(world)
    came = told(world, "stopJob", times=1)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: came)
    if restarted:
        world.restart()
        world.run(lambda: len(came) == 2, within=REPEAT_AFTER / 2)
    else:
        world.rest(REPEAT_AFTER - 1)
        assert len(came) == 1
    world.until(key, "Stopped")
    assert len(came) == 2


def test_a_stop_in_another_state_is_another_stop(world: World) -> None:
    """What the cloud accepted of a run in its queue says nothing of the run when it trains."""
    key = training(world)
    (run,) = world.sim.account().runs
    run.life.state = "Waiting"
    world.run(lambda: world.status(key).get("trainStatus") == "Waiting")
    came = told(world, "stopJob", times=1)
    world.kube.delete(key)
    world.run(lambda: came)
    run.life.enter("RUNNING", world.clock.cloud())
    world.run(lambda: len(came) == 2, within=REPEAT_AFTER / 2)
    world.until_gone(key)


def test_many_deletions_ask_for_one_stop_each(world: World) -> None:
    """Each object that is deleted costs one stop, however busy the queue is with the others."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    keys = [world.kube.apply(job(f"train-{number}")) for number in range(OTHERS)]
    world.run(lambda: all(world.reason(key) == "Training" for key in keys))
    for key in keys:
        world.kube.delete(key)
    world.run(lambda: not any(world.there(key) for key in keys))
    assert len(world.calls("stopJob")) == OTHERS
