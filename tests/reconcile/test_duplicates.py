"""Two runs where one was wanted: both are known until they have ended, whoever is chosen.

See docs/design/create-protocol.md#recording.
"""

from typing import Any

from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.keys import Key
from qianfan_operator.api.training import create_job_body
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import TRAINING, job
from reconcile.test_attempts import late
from reconcile.world import DAY, GRACE, World


def second_run(world: World, task_id: int) -> Any:
    """Make another run in a task, as a request does that nobody knows of."""
    body = create_job_body(JobSpec.model_validate(TRAINING), task_id)
    return world.client().prepare_create_job(body).send()


def duplicate(world: World) -> tuple[Key, Any, Any]:
    """Return a job of which two runs are known, the recorded run, and the reply that told of the other one."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job())
    world.until(key, "Training")
    (first,) = world.sim.account().runs
    made = second_run(world, first.task.id)
    late(world, key, made)
    world.until(key, "DuplicateCloudResource")
    return key, first, made


def states(world: World) -> list[str]:
    return [run.life.state for run in world.sim.account().runs]


def test_deleting_stops_both_runs_of_a_duplicate(world: World) -> None:
    """Nobody need choose one to have both stopped."""
    key, _, _ = duplicate(world)
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP", "STOP"]


def test_the_run_that_is_not_chosen_stays_recorded(world: World) -> None:
    """Whichever run is kept, the other is recorded besides, and deleting the job stops both."""
    for choice in ("recorded", "made"):
        key, first, made = duplicate(world)
        run = first.id if choice == "recorded" else made.job_id
        world.kube.patch_spec(key, adopt={"taskId": first.task.id, "jobId": run})
        world.until(key, "Training")
        status = world.status(key)
        assert status["jobId"] == run
        assert "adopted" not in status
        assert {status["jobId"], *(one["jobId"] for one in status["runs"])} == {first.id, made.job_id}
        world.kube.delete(key)
        world.until_gone(key)
        assert set(states(world)) == {"STOP"}
        world.sim.delete(first.task.id)


def test_the_run_that_is_not_chosen_is_observed_after_the_other_s_end(world: World) -> None:
    """A job that has Succeeded is looked at for as long as a run besides works, in this process and in the next."""
    key, first, made = duplicate(world)
    world.kube.patch_spec(key, adopt={"taskId": first.task.id, "jobId": first.id})
    world.until(key, "Training")
    first.life.enter("FINISH", world.clock.cloud())
    world.until(key, "Succeeded")
    world.restart()
    world.sim.find(made.job_id).life.enter("FINISH", world.clock.cloud())
    world.run(lambda: world.status(key)["runs"][0]["trainStatus"] == "FINISH", within=3600)
    assert world.reason(key) == "Succeeded"


def test_a_choice_that_cannot_be_read_leads_to_no_third_run(world: World) -> None:
    """What is chosen is read before what is recorded makes room: a choice that is taken back changes nothing."""
    key, first, made = duplicate(world)
    fault = world.sim.faults.add(Fault(Effect.ERROR, "jobDetail", count=0, code=500002))
    world.kube.patch_spec(key, adopt={"taskId": first.task.id, "jobId": made.job_id})
    world.rest(60)
    assert world.status(key)["jobId"] == first.id
    world.kube.patch_spec(key, adopt=None)
    world.sim.faults.clear()
    world.until(key, "DuplicateCloudResource")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 2, fault


def test_an_adoption_that_cannot_be_read_does_not_end_an_unknown_outcome(world: World) -> None:
    """With a createJob of unknown outcome, `adopt` of a run that is not there and its end send nothing."""
    world.sim.configure(v2="denied")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.patch_spec(key, adopt={"taskId": world.status(key)["taskId"], "jobId": 1})
    world.until(key, "Gone")
    world.kube.patch_spec(key, adopt=None)
    world.until(key, "CreateOutcomeUnknown")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 1


def test_a_task_with_two_unrecorded_runs_is_told_and_released(world: World) -> None:
    """Two runs that a look finds for one intent: a person chooses, or deletes, and both are stopped."""
    for act in ("delete", "adopt"):
        world.sim.configure(training=AfterSeconds(30 * DAY))
        key = world.kube.apply(job(act))
        world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
        world.until(key, "Confirming")
        task = world.status(key)["taskId"]
        kept = second_run(world, task)
        world.rest(GRACE)
        world.until(key, "DuplicateCloudResource")
        if act == "adopt":
            world.kube.patch_spec(key, adopt={"taskId": task, "jobId": kept.job_id})
            world.until(key, "Training")
            assert world.status(key)["jobId"] == kept.job_id
            others = {run.uid for run in world.sim.account().runs if run.task.id == task and run.id != kept.job_id}
            assert others <= {one["jobUuid"] for one in world.status(key)["runs"]}
        world.kube.delete(key)
        world.until_gone(key)
        assert set(states(world)) == {"STOP"}
