"""Runs that exist: taken over by integers or by strings, in whatever state, and what is refused.

See docs/design/api.md#attempts.
"""

import pytest

from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.training import create_job_body
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import TRAINING, job
from reconcile.world import DAY, World

NOTHING = dict.fromkeys(TRAINING)
"""A manifest without anything to train."""


def by_hand(world: World, name: str = "by_hand", **fields):
    """A run that somebody made in the console."""
    client = world.client()
    task = client.create_task(name, "made by hand")
    body = create_job_body(JobSpec.model_validate({**TRAINING, **fields}), task.id)
    return world.sim.find(client.prepare_create_job(body).send().job_id)


def ids(run, form: str = "integers") -> dict:
    """What `adopt` says of a run."""
    return (
        {"taskId": run.task.id, "jobId": run.id} if form == "integers" else {"taskId": run.task.uid, "jobId": run.uid}
    )


@pytest.mark.parametrize("form", ["integers", "strings"])
@pytest.mark.parametrize(
    ("state", "reason"), [("FINISH", "Succeeded"), ("FAIL", "TrainingFailed"), ("STOP", "StoppedExternally")]
)
def test_a_run_that_has_ended_is_shown_as_it_ended(world: World, form: str, state: str, reason: str) -> None:
    """An adopted run tells its end, its times and its words in the same way, however it is named; nothing is made."""
    run = by_hand(world)
    run.life.enter(state, world.clock.cloud())
    world.clock.advance(60)
    seen = len(world.calls("createTask", "createJob"))
    key = world.kube.apply(job(**NOTHING, adopt=ids(run, form)))
    status = world.until(key, reason)
    assert (status["trainStatus"], status["taskName"], status["adopted"]) == (state, "by_hand", True)
    assert (status["attempt"], status["highestAttempt"]) == (1, 1)
    assert status["inputs"] == {"peftType": "LoRA"}
    assert status["startTime"]
    assert len(world.calls("createTask", "createJob")) == seen


@pytest.mark.parametrize("form", ["integers", "strings"])
def test_a_run_that_works_is_followed(world: World, form: str) -> None:
    """An adopted run is observed to its end; the next attempt needs what is to be trained."""
    key = world.kube.apply(job(**NOTHING, adopt=ids(by_hand(world), form)))
    world.until(key, "Training")
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "InvalidSpec")
    assert "to train attempt 2" in world.condition(key)["message"]
    world.kube.patch_spec(key, **TRAINING)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2
    assert "adopted" not in world.status(key)
    assert world.status(key)["runs"][0]["adopted"] is True


def test_a_run_is_adopted_until_it_is_not_named_any_more(world: World) -> None:
    """Taking `adopt` out changes nothing of what is held."""
    run = by_hand(world)
    key = world.kube.apply(job(**NOTHING, adopt=ids(run)))
    world.until(key, "Training")
    world.kube.patch_spec(key, adopt=None)
    status = world.until(key, "Succeeded")
    assert (status["jobId"], status["adopted"]) == (run.id, True)


@pytest.mark.parametrize("wrong", ["integer", "string", "swapped", "no such task"])
def test_what_is_not_there_is_not_adopted(world: World, wrong: str) -> None:
    """A wrong id is told with both ids and what each must be; mended, the run is adopted."""
    run = by_hand(world)
    adopt = {
        "integer": {"taskId": run.task.id, "jobId": 2**40},
        "string": {"taskId": run.task.uid, "jobId": "task-abcdefghijkl"},
        "swapped": {"taskId": run.id, "jobId": run.task.id},
        "no such task": {"taskId": "job-abcdefghijkl", "jobId": "task-abcdefghijkl"},
    }[wrong]
    key = world.kube.apply(job(**NOTHING, adopt=adopt))
    world.until(key, "Gone")
    message = world.condition(key)["message"]
    assert str(adopt["jobId"]) in message
    assert str(adopt["taskId"]) in message
    assert "taskId is the task's (job-...)" in message
    world.kube.patch_spec(key, adopt=ids(run))
    world.until(key, "Succeeded")


def test_a_run_of_another_task_is_not_adopted(world: World) -> None:
    """The string of a run with the string of a task that it does not lie in is InvalidSpec, and says where it lies."""
    first, second = by_hand(world), by_hand(world, "another")
    key = world.kube.apply(job(**NOTHING, adopt={"taskId": second.task.uid, "jobId": first.uid}))
    world.until(key, "InvalidSpec")
    assert first.task.uid in world.condition(key)["message"]


def test_a_run_is_named_by_two_integers_or_by_its_string(world: World) -> None:
    """The string of a task with the integer of a run cannot be read by any call: InvalidSpec."""
    run = by_hand(world)
    key = world.kube.apply(job(**NOTHING, adopt={"taskId": run.task.uid, "jobId": run.id}))
    world.until(key, "InvalidSpec")
    assert "two integers" in world.condition(key)["message"]


@pytest.mark.parametrize("stall", ["TaskExists", "NameTaken"])
def test_adopting_ends_a_stall_before_anything_was_recorded(world: World, stall: str) -> None:
    """A name that is somebody's, or that nobody can tell whose it is, is left by adopting the run in it."""
    run = by_hand(world, "task_name")
    if stall == "TaskExists":
        world.sim.configure(v2="denied")
    key = world.kube.apply(job(taskName="task_name"))
    world.until(key, stall)
    world.kube.patch_spec(key, adopt=ids(run))
    assert world.until(key, "Succeeded")["jobId"] == run.id
    assert len(world.calls("createJob")) == 1


@pytest.mark.parametrize("form", ["integers", "strings"])
def test_what_is_held_is_not_exchanged(world: World, form: str) -> None:
    """`adopt` of another run than the recorded one is AlreadyBound, names both, and ends when it is taken back."""
    other = by_hand(world)
    key = world.kube.apply(job())
    held = world.until(key, "Succeeded")["jobId"]
    world.kube.patch_spec(key, adopt=ids(other, form))
    world.until(key, "AlreadyBound")
    assert str(held) in world.condition(key)["message"]
    assert str(ids(other, form)["jobId"]) in world.condition(key)["message"]
    world.kube.patch_spec(key, adopt=None)
    assert world.until(key, "Succeeded")["jobId"] == held


def found_by_strings(world: World, **fields):
    """A job of ours that found its run through V2, and that run."""
    key = world.kube.apply(job(**fields))
    world.until(key, "Succeeded")
    world.kube.wipe_status(key)
    assert "jobId" not in world.until(key, "Succeeded")
    return key, list(world.sim.account().runs)[-1]


def test_a_run_that_was_found_by_its_strings_is_shown_as_every_other(world: World) -> None:
    """Found through V2 after its end, a run is shown with V1's word for it, its times and its page."""
    key, _ = found_by_strings(world)
    status = world.status(key)
    assert status["trainStatus"] == "FINISH"
    assert {"startTime", "finishTime", "vdlLink", "consoleUrl"} <= status.keys()
    seen = len(world.sim.calls)
    world.rest(DAY)
    assert len(world.sim.calls) == seen


def test_the_integers_of_a_found_run_can_be_given(world: World) -> None:
    """`adopt` with the integers of the very run completes what is recorded; those of another are AlreadyBound."""
    key, run = found_by_strings(world)
    other = by_hand(world)
    world.kube.patch_spec(key, adopt=ids(other))
    world.until(key, "AlreadyBound")
    world.kube.patch_spec(key, adopt=ids(run))
    world.until(key, "Succeeded")
    status = world.status(key)
    assert (status["taskId"], status["jobId"], status["jobUuid"]) == (run.task.id, run.id, run.uid)
    assert "adopted" not in status  # it is still the one that this object made
    assert len(world.calls("createJob")) == 2


def test_integers_are_not_believed_of_a_task_with_two_runs(world: World) -> None:
    """In a task that holds two runs nobody can tell whose the integers are: AlreadyBound, and nothing is recorded."""
    key, run = found_by_strings(world)
    body = create_job_body(JobSpec.model_validate(TRAINING), run.task.id)
    made = world.client().prepare_create_job(body).send()
    world.kube.patch_spec(key, adopt={"taskId": run.task.id, "jobId": made.job_id})
    world.until(key, "AlreadyBound")
    assert "jobId" not in world.status(key)


def test_adopting_for_one_attempt_pays_for_no_lower_one(world: World) -> None:
    """`adopt` for an attempt does not open a number below the highest that was never an attempt."""
    run = by_hand(world)
    key = world.kube.apply(job(adopt={**ids(run), "attempt": 1}))
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=5)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=3)
    world.until(key, "AttemptMismatch")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 2


def test_a_number_that_was_skipped_can_be_adopted(world: World) -> None:
    """A number below the highest may stand for a run that exists: that pays for nothing."""
    run = by_hand(world)
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=3)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=2, adopt={**ids(run), "attempt": 2})
    world.run(lambda: world.status(key)["attempt"] == 2 and world.reason(key) == "Succeeded")
    assert world.status(key)["highestAttempt"] == 3


@pytest.mark.parametrize("known", ["strings", "integers"])
def test_an_adopted_run_that_vanishes_is_gone(world: World, known: str) -> None:
    """A run that is deleted in the console is Gone, also where V2 has no code for that; deleting the object works."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    run = by_hand(world)
    key = world.kube.apply(job(**NOTHING, adopt=ids(run, known), deletionPolicy="Delete"))
    world.until(key, "Training")
    world.sim.delete(run.id)
    world.until(key, "Gone")
    world.kube.delete(key)
    world.until_gone(key)


def test_a_refusal_of_v2_alone_is_no_proof(world: World) -> None:
    """A run that V2 refuses to describe and that its lists show is not Gone."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job(**NOTHING, adopt=ids(by_hand(world), "strings")))
    world.until(key, "Training")
    world.sim.faults.add(Fault(Effect.ERROR, "DescribeFineTuningTask", count=3, code="InappropriateJSON", status=400))
    world.rest(DAY)
    assert world.reason(key) == "Training"
