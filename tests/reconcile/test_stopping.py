"""Who stops a run, and what is said of it afterwards.

See docs/design/api.md#stopping-and-deadline.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job
from reconcile.world import DAY, World


def lasting(world: World, **fields):
    """A job whose run goes on for a month."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job(**fields))
    world.until(key, "Training")
    return key


def states(world: World) -> list[str]:
    return [run.life.state for run in world.sim.account().runs]


@pytest.mark.parametrize("lost", [Effect.LOSE_REPLY, Effect.LOSE_REQUEST])
def test_a_stop_while_creating_waits_for_the_outcome(world: World, lost: Effect) -> None:
    """Stopped while a createJob is unconfirmed: a run that was made is stopped, one that was not is never made."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(30 * DAY))
    world.sim.faults.add(Fault(lost, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: world.is_so(key))
    assert world.reason(key) == "Stopped"
    assert states(world)[1:] == (["STOP"] if lost is Effect.LOSE_REPLY else [])
    world.rest(DAY)
    assert len(world.calls("createJob")) == len(states(world))


def test_a_job_that_was_stopped_before_it_began_can_run(world: World) -> None:
    """Running after a Stopped that stopped nothing creates the run: nothing was used up."""
    key = world.kube.apply(job(desiredState="Stopped"))
    world.until(key, "Stopped")
    world.kube.patch_spec(key, desiredState="Running")
    world.until(key, "Succeeded")


def test_a_stop_after_the_end_changes_nothing(world: World) -> None:
    """Stopped for a run that has finished: it has Succeeded, and stays so."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    seen = len(world.sim.calls)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Succeeded")
    assert world.is_so(key, "Succeeded")
    assert len(world.sim.calls) == seen


@pytest.mark.parametrize("answer", ["510302", "false"])
def test_a_stop_that_comes_too_late_is_no_error(world: World, answer: str) -> None:
    """A run that ends while it is being stopped has Succeeded; that stopJob refuses (or says no) is not shown."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    (run,) = world.sim.account().runs

    def ends_first(operation, do):
        if operation in {"stopJob", "StopFineTuningTask"}:
            run.life.enter("FINISH", world.clock.cloud())
        return do()

    if answer == "false":  # known by its strings only: V2 says false where V1 has a code
        world.kube.wipe_status(key)
        world.until(key, "Training")
        assert "jobId" not in world.status(key)
    world.around_cloud = ends_first
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Succeeded")
    assert "lastError" not in world.status(key)


def test_a_deadline_that_is_raised_too_late_raises_nothing(world: World) -> None:
    """A run that was stopped at its deadline stays so, whatever becomes of the deadline and of the keys."""
    key = lasting(world, activeDeadlineSeconds=300)
    world.until(key, "DeadlineExceeded")
    for deadline in (86400, None):
        world.kube.patch_spec(key, activeDeadlineSeconds=deadline)
        world.until(key, "DeadlineExceeded")
        assert "raise spec.attempt" in world.condition(key)["message"]
    world.set_secret(None)
    world.ask(key)
    world.rest(600)
    assert world.reason(key) == "DeadlineExceeded"
    assert len(world.calls("createJob")) == 1


def test_a_deadline_that_comes_after_another_s_stop_is_not_blamed(world: World) -> None:
    """A run that was stopped in the console is StoppedExternally, though it ran longer than a deadline set later."""
    key = lasting(world)
    world.rest(3600)
    (run,) = world.sim.account().runs
    world.sim.stop_run(run.id)
    world.until(key, "StoppedExternally")
    world.kube.patch_spec(key, activeDeadlineSeconds=60)
    world.until(key, "StoppedExternally")


def test_a_stop_that_was_taken_back_is_not_the_reason_of_a_later_one(world: World) -> None:
    """Stopped while the cloud was down, Running again, and stopped at the deadline: it is the deadline that is told."""
    key = lasting(world, activeDeadlineSeconds=7200)
    world.sim.faults.add(Fault(Effect.ERROR, "stopJob", count=0, code=500000))
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: "stopReason" in world.status(key))
    world.kube.patch_spec(key, desiredState="Running")
    world.until(key, "Training")
    world.sim.faults.clear()
    world.until(key, "DeadlineExceeded")
    assert world.status(key)["stopReason"] == "DeadlineExceeded"


def test_a_stop_that_is_wished_again_is_sent_again(world: World) -> None:
    """The cloud has accepted the first one and lost it, and the wish was taken back: the second is another."""
    key, asked = lasting(world), list[str]()

    def loses(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "stopJob":
            asked.append(operation)
            return True if len(asked) == 1 else do()
        return do()

    world.around_cloud = loses
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: asked)
    world.kube.patch_spec(key, desiredState="Running")
    world.until(key, "Training")
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: len(asked) == 2, within=10)
    world.until(key, "Stopped", within=60)


def test_a_deadline_frees_the_next_attempt(world: World) -> None:
    """A new attempt that waits does not wait beyond the deadline of the run that works."""
    key = lasting(world)
    world.kube.patch_spec(key, attempt=2, activeDeadlineSeconds=3600)
    world.until(key, "WaitingForRun")
    world.until(key, "Training", within=5000)
    assert states(world) == ["STOP", "RUNNING"]
    assert world.status(key)["runs"][0]["stopReason"] == "DeadlineExceeded"
    world.until(key, "DeadlineExceeded")
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "DeadlineExceeded")
    assert world.status(key)["attempt"] == 1


def test_a_deadline_holds_also_while_the_next_attempt_is_blocked(world: World) -> None:
    """A run that the spec does not select any more is stopped at its deadline, though nothing else can begin."""
    key = lasting(world, activeDeadlineSeconds=3600)
    incremental = {"baseTrainType": None, "trainType": None, "peftType": None}
    world.kube.patch_spec(key, attempt=2, **incremental, incrementalFrom={"jobRef": {"name": "train"}})
    world.until(key, "DependencyFailed")
    world.rest(7200)
    assert states(world) == ["STOP"]
    assert world.reason(key) == "DependencyFailed"


def test_a_deadline_holds_also_when_the_selected_attempt_has_finished(world: World) -> None:
    """A run that was found late beside a finished one is stopped at its deadline; what has Succeeded stays so."""
    world.sim.configure(training=AfterSeconds(30 * DAY), v2="denied")
    key = world.kube.apply(job(activeDeadlineSeconds=7200))
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    _, second = world.sim.account().runs
    second.life.enter("FINISH", world.clock.cloud())
    world.until(key, "Succeeded")
    world.sim.configure(v2="on")
    world.until(key, "Stopping")
    assert world.is_so(key, "Succeeded")
    world.until(key, "Succeeded")
    assert states(world) == ["STOP", "FINISH"]


@pytest.mark.parametrize("wish", [{"desiredState": "Stopped"}, {"activeDeadlineSeconds": 3600}], ids=["stop", "late"])
def test_a_run_in_a_state_that_we_do_not_know_is_stopped(world: World, wish: dict) -> None:
    """A word that nobody has documented may mean that the run costs: it is stopped, as one that surely works."""
    key = lasting(world)
    world.rest(7200)
    (run,) = world.sim.account().runs
    run.life.enter("QUEUEING", world.clock.cloud())
    world.until(key, "UnknownState")
    world.kube.patch_spec(key, **wish)
    world.until(key, "Stopping")
    world.rest(600)
    assert "QUEUEING" in world.condition(key)["message"]
    assert any(call.operation == "stopJob" for call in world.sim.calls)
    run.life.enter("RUNNING", world.clock.cloud())
    world.run(lambda: states(world) == ["STOP"])


def test_a_run_that_was_replaced_was_not_stopped_by_others(world: World) -> None:
    """Going back to an attempt that made room says that it was stopped, and not that somebody else did it."""
    key = lasting(world, concurrencyPolicy="Replace")
    world.kube.patch_spec(key, attempt=2)
    world.run(lambda: states(world) == ["STOP", "RUNNING"])
    world.kube.patch_spec(key, attempt=1)
    world.run(lambda: world.status(key)["attempt"] == 1 and world.reason(key) == "Stopped")
    assert world.condition(key, "Stalled")["status"] == "True"
    assert states(world) == ["STOP", "STOP"]


def test_who_stopped_a_run_outlives_the_process(world: World) -> None:
    """An operator that dies right after stopJob leaves a successor that knows whose stop it was."""
    key = lasting(world, activeDeadlineSeconds=300)
    died = []

    def die(operation, do):
        answer = do()
        if operation == "stopJob" and not died:
            died.append(operation)
            world.clock.advance(3600)  # the run has stopped by then
            raise RuntimeError("the process ends here")
        return answer

    world.around_cloud = die
    world.run(lambda: died)
    world.restart()
    world.until(key, "DeadlineExceeded")
    assert len(world.calls("stopJob")) == 1


def test_a_run_is_not_replaced_by_one_that_cannot_begin(world: World) -> None:
    """Replace with a reference that is missing: the run goes on until the new attempt can begin."""
    base = world.kube.apply(job("base", peftType="ALL"))
    world.until(base, "Succeeded")
    world.kube.delete(base)
    world.until_gone(base)
    key = lasting(world, concurrencyPolicy="Replace")
    incremental = {"baseTrainType": None, "trainType": None, "peftType": None}
    world.kube.patch_spec(key, attempt=2, **incremental, incrementalFrom={"jobRef": {"name": "base"}})
    world.until(key, "WaitingForRun")
    world.rest(3600)
    assert states(world) == ["FINISH", "RUNNING"]
    world.kube.apply(job("base", peftType="ALL"))
    world.run(lambda: states(world)[1] == "STOP", within=3600)
