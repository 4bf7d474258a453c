"""A status that goes back to "a task, but no run": what was paid for is found, and not paid for again.

See docs/design/create-protocol.md#a-task-without-a-run.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job
from reconcile.test_altered import change
from reconcile.test_duplicates import second_run
from reconcile.world import DAY, GRACE, PACES, World

NO_RUN: dict[str, Any] = dict.fromkeys(("jobId", "jobUuid", "trainStatus", "startTime"))


@pytest.fixture
def proven(world: World) -> World:
    """A world whose lists are known to show runs."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    return world


@pytest.fixture
def blind() -> Iterator[World]:
    """A world without V2, so that nobody can look into a task."""
    made = World(PACES, v2=False)
    yield made
    made.close()


def paid(world: World) -> list[Any]:
    """Return the runs that were made of the job."""
    return [run for run in world.sim.account().runs if not run.task.name.startswith("witness")]


def busy(world: World, times: int) -> Key:
    """Apply a job, of which createJob is refused so many times, and wait for the first refusal."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=times, code=510402))
    key = world.kube.apply(job())
    world.run(lambda: world.condition(key, "Synced").get("reason") == "QuotaExceeded")
    return key


def work(world: World) -> Key:
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.rest(30)
    return key


def finish(world: World) -> Key:
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.rest(DAY)
    return key


@pytest.mark.parametrize("missing", [(), ("taskId",), ("taskUuid",), ("highestAttempt",), ("inputsHash",)])
def test_a_run_that_works_is_found(proven: World, missing: tuple[str, ...]) -> None:
    """In the same process, whatever else of the status is gone."""
    key = work(proven)
    before = change(proven, key, **NO_RUN, **dict.fromkeys(missing))
    proven.run(lambda: proven.status(key).get("jobUuid") == before["jobUuid"], within=2 * GRACE + 60)
    proven.until(key, "Succeeded")
    assert len(paid(proven)) == 1


def test_a_finished_run_is_found_after_a_restart(proven: World) -> None:
    """Nothing remembers its ids, and an edit that asks for nothing new has the job looked at."""
    key = finish(proven)
    before = change(proven, key, **NO_RUN)
    proven.restart()
    proven.kube.patch_spec(key, activeDeadlineSeconds=7200)
    proven.until(key, "Succeeded", within=GRACE + 60)
    assert proven.status(key)["jobUuid"] == before["jobUuid"]
    assert len(paid(proven)) == 1


def test_ids_that_go_in_two_edits_pay_for_nothing(proven: World) -> None:
    """The first edit is declined, and the ids that were remembered until then are not what the second removes."""
    key = finish(proven)
    change(proven, key, attempt=2, highestAttempt=2)
    proven.rest(60)
    change(proven, key, attempt=1, highestAttempt=2, **NO_RUN)
    proven.rest(600)
    assert len(paid(proven)) == 1


def test_an_intent_that_is_removed_is_looked_for_all_the_same(proven: World) -> None:
    """The reply was lost, and then what says so."""
    proven.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = proven.kube.apply(job())
    proven.until(key, "Confirming")
    change(proven, key, pending=None)
    proven.until(key, "Succeeded")
    assert len(paid(proven)) == 1


@pytest.mark.parametrize("missing", [(), ("taskId", "taskUuid", "taskName")])
def test_another_training_is_not_paid_for_either(proven: World, missing: tuple[str, ...]) -> None:
    """The found run is the attempt, and the spec asks for other inputs than it was trained with."""
    key = work(proven)
    change(proven, key, **NO_RUN, inputsHash=None, **dict.fromkeys(missing))
    proven.kube.patch_spec(key, lambda spec: spec["trainConfig"].update(epoch=9))
    proven.until(key, "AttemptMismatch")
    assert len(paid(proven)) == 1


def test_a_status_from_before_the_payment_comes_back(proven: World) -> None:
    """The backup was made while the job waited for another training to end."""
    key = busy(proven, 4)
    kept = copy.deepcopy(proven.status(key))
    assert "taskId" in kept
    proven.until(key, "Training")
    proven.restart()
    proven.kube.write_status(key, kept)
    proven.restart()
    proven.until(key, "Succeeded")
    assert len(paid(proven)) == 1


def test_a_job_that_waits_goes_on_after_a_restart(proven: World) -> None:
    """One look into the task, after a grace, and it may be paid for."""
    key = busy(proven, 1)
    task = proven.status(key)["taskId"]
    proven.restart()
    proven.until(key, "Succeeded")
    assert proven.status(key)["taskId"] == task
    assert len(paid(proven)) == 1


def test_a_job_that_waits_needs_no_look(proven: World) -> None:
    """The process has seen the refusals itself; nor does an edit of the spec make it look."""
    key = busy(proven, 3)
    seen = len(proven.calls("DescribeFineTuningTasks"))
    proven.kube.patch_spec(key, activeDeadlineSeconds=7200)
    proven.until(key, "Training")
    assert len(proven.calls("DescribeFineTuningTasks")) == seen


def test_without_v2_a_job_that_waits_goes_on(blind: World) -> None:
    """As long as the process lives, nobody is asked."""
    key = busy(blind, 3)
    blind.kube.patch_spec(key, activeDeadlineSeconds=7200)
    blind.until(key, "Succeeded")
    assert len(paid(blind)) == 1


@pytest.mark.parametrize("rewound", [False, True])
def test_without_v2_nobody_can_tell_after_a_restart(blind: World, rewound: bool) -> None:
    """Whether the status is an old one looks the same: a person is asked, whose decision it follows."""
    key = busy(blind, 1)
    kept = copy.deepcopy(blind.status(key))
    if rewound:
        blind.until(key, "Training")
        blind.kube.write_status(key, kept)
    blind.restart()
    blind.until(key, "CreateOutcomeUnknown")
    blind.rest(DAY)
    assert len(paid(blind)) == rewound
    if rewound:
        (run,) = paid(blind)
        blind.kube.patch_spec(key, adopt={"taskId": run.task.id, "jobId": run.id})
    else:
        blind.kube.patch_spec(key, attempt=2)
    blind.until(key, "Succeeded")
    assert len(paid(blind)) == 1


def test_what_works_besides_is_recorded(proven: World) -> None:
    """Two runs in the task, for whatever reason: one is the attempt's, and deleting the job stops both."""
    key = work(proven)
    second_run(proven, proven.status(key)["taskId"])
    change(proven, key, **NO_RUN)
    proven.run(lambda: proven.status(key).get("jobUuid"), within=GRACE + 60)
    assert len(proven.status(key)["runs"]) == 1
    proven.kube.delete(key)
    proven.until_gone(key)
    assert {run.life.state for run in paid(proven)} == {"STOP"}
