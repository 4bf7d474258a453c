"""A QianfanJob from create to its end.

See docs/design/api.md#stopping-and-deadline.
"""

from dataclasses import replace

import pytest

from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.training import create_job_body
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import TRAINING, job
from reconcile.world import DAY, GRACE, World


def run_of(world: World):
    (run,) = world.sim.account().runs
    return run


def test_a_job_trains_once_and_succeeds(world: World) -> None:
    """One task, one run, Ready and Succeeded at the end, what the cloud told in the status, at most eight writes."""
    key = world.kube.apply(job(taskName="task_name", description="task_desc"))
    world.until(key, "Training")
    status = world.until(key, "Succeeded")
    run = run_of(world)
    assert world.is_so(key, "Succeeded")
    assert (status["taskName"], status["taskId"], status["taskUuid"]) == ("task_name", run.task.id, run.task.uid)
    assert (status["jobId"], status["jobUuid"], status["trainStatus"]) == (run.id, run.uid, "FINISH")
    assert (status["attempt"], status["highestAttempt"], status["runTimeSeconds"]) == (1, 1, 600)
    assert status["finishTime"] == "2024-03-01T08:10:00Z"
    assert "pending" not in status
    assert len(world.calls("createTask")) == len(world.calls("createJob")) == 1
    assert run.task.description.endswith(" task_desc")
    assert world.writes(key) <= 8


def test_a_finished_job_is_never_looked_at_again(world: World) -> None:
    """When a run has ended, no call and no write follows, in this process or the next."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    seen, written = len(world.sim.calls), world.writes(key)
    world.rest(5 * 86400)
    world.restart()
    world.rest(86400)
    assert (len(world.sim.calls), world.writes(key)) == (seen, written)


def test_polls_that_find_nothing_new_write_nothing(world: World) -> None:
    """Progress comes in steps: a run that stands at one plateau is not written about, however often it is looked at."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.rest(60)
    written, looks = world.writes(key), len(world.calls("jobDetail"))
    world.rest(60)
    assert len(world.calls("jobDetail")) > looks
    assert world.writes(key) <= written + 1


def test_a_failed_run_is_told_and_not_repeated(world: World) -> None:
    """A run that fails in the cloud makes the job Stalled, Succeeded False, and nobody pays again by itself."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.fail(run_of(world).id)
    world.until(key, "TrainingFailed")
    assert world.condition(key, "Succeeded")["status"] == "False"
    assert world.condition(key, "Stalled")["status"] == "True"
    world.rest(86400)
    world.restart()
    world.rest(86400)
    assert len(world.calls("createJob")) == 1


def test_a_job_is_stopped_by_its_spec(world: World) -> None:
    """Stopped calls stopJob, waits until the run is seen stopped, and is Ready then: GitOps tools must not wait."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Stopping")
    world.until(key, "Stopped")
    assert world.is_so(key)
    assert world.condition(key, "Succeeded")["status"] == "False"
    assert run_of(world).life.state == "STOP"


def test_a_stopped_attempt_does_not_go_on(world: World) -> None:
    """Running wanted again for a stopped attempt is Stalled with the way out; raising `attempt` trains again."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, desiredState="Stopped")
    world.run(lambda: world.is_so(key))
    world.kube.patch_spec(key, desiredState="Running")
    world.run(lambda: world.condition(key, "Stalled").get("status") == "True")
    assert world.reason(key) == "Stopped"
    assert "raise spec.attempt" in world.condition(key)["message"]
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_a_job_that_is_never_wanted_to_run_is_stopped_without_a_call(world: World) -> None:
    """desiredState Stopped from the beginning creates nothing and is Ready."""
    key = world.kube.apply(job(desiredState="Stopped"))
    world.until(key, "Stopped")
    assert world.is_so(key)
    assert world.sim.calls == []


def test_a_run_that_others_stop_is_told_apart(world: World) -> None:
    """A run that is stopped in the console while it is wanted ends as StoppedExternally, with the way out."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.stop_run(run_of(world).id)
    world.until(key, "StoppedExternally")
    assert world.condition(key, "Stalled")["status"] == "True"
    assert world.condition(key, "Succeeded")["status"] == "False"


def test_a_run_is_stopped_at_its_deadline(world: World) -> None:
    """activeDeadlineSeconds stops a run by the cloud's own count, and says so afterwards, also to the next process."""
    key = world.kube.apply(job(activeDeadlineSeconds=300))
    world.until(key, "DeadlineExceeded")
    assert run_of(world).life.state == "STOP"
    assert 300 <= world.status(key)["runTimeSeconds"] <= 400
    world.restart()
    world.rest(3600)
    world.ask(key)
    world.rest(10)
    assert world.reason(key) == "DeadlineExceeded"


def test_a_run_that_finishes_in_time_keeps_its_deadline(world: World) -> None:
    """A deadline above the run's time changes nothing."""
    key = world.kube.apply(job(activeDeadlineSeconds=6000))
    world.until(key, "Succeeded")
    assert not world.calls("stopJob")


def test_a_paused_job_creates_nothing(world: World) -> None:
    """Paused before anything was made: nothing is changed, neither Reconciling nor Stalled, then it goes on."""
    key = world.kube.apply(job(paused=True))
    world.until(key, "Paused")
    world.rest(3600)
    assert not world.condition(key, "Reconciling")
    assert not world.condition(key, "Stalled")
    assert not world.calls("createTask", "createJob")
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Succeeded")


def test_a_paused_run_is_observed_and_not_stopped(world: World) -> None:
    """Pausing while a run trains keeps watching it, and a stop that is asked for meanwhile waits."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, paused=True, desiredState="Stopped")
    world.until(key, "Paused")
    world.run(lambda: world.status(key)["trainStatus"] == "FINISH")
    assert not world.calls("stopJob")


def test_an_unknown_word_of_the_cloud_is_shown(world: World) -> None:
    """A state that this version does not know is told as it is, ends nothing and pays nothing."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    run_of(world).life.state = "HIBERNATING"
    status = world.until(key, "UnknownState")
    assert status["trainStatus"] == "HIBERNATING"
    assert "'HIBERNATING'" in world.condition(key)["message"]
    run_of(world).life.state = "FINISH"
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_a_run_that_is_deleted_in_the_console_is_gone(world: World) -> None:
    """What the cloud does not know any more is told as Gone, and never made again by itself."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.delete(run_of(world).task.id)
    world.until(key, "Gone")
    assert world.condition(key, "Stalled")["status"] == "True"
    world.rest(3600)
    assert len(world.calls("createJob")) == 1


@pytest.mark.parametrize("missing", ["trainConfig", "trainset", "peftType"])
def test_a_job_without_what_training_needs_is_invalid(world: World, missing: str) -> None:
    """What admission lets through (where `adopt` stood in) is refused here, by the field's name, without any call."""
    key = world.kube.apply(job(**{missing: None}))
    world.until(key, "InvalidSpec")
    assert f"spec.{missing}" in world.condition(key)["message"]
    assert world.condition(key, "Stalled")["status"] == "True"
    assert world.sim.calls == []


def test_a_spec_that_cannot_be_read_is_told_and_the_run_observed(world: World) -> None:
    """A spec that does not parse is InvalidSpec with the field's name; what is recorded is observed on."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, trainsetRate="many")
    world.until(key, "InvalidSpec")
    assert "spec.trainsetRate" in world.condition(key)["message"]
    world.run(lambda: world.status(key)["trainStatus"] == "FINISH")


def test_the_mark_of_the_annotation_is_echoed(world: World) -> None:
    """A pass that was asked for by the annotation is confirmed in the status, also of a finished job."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.ask(key, "2024-03-01T12:00:00Z")
    world.rest(1)
    assert world.status(key)["lastHandledReconcileAt"] == "2024-03-01T12:00:00Z"


def test_a_finalizer_that_was_taken_off_comes_back(world: World) -> None:
    """While a run works, the finalizer is put back: else deleting the object would leave a run that costs."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.remove_finalizer(key)
    world.rest(60)
    assert world.kube.objects[key]["metadata"]["finalizers"] == ["qianfan.dev/cloud-resource"]


def test_a_lost_reply_of_create_job_is_looked_for(world: World) -> None:
    """A run whose reply was lost is found by V2 after the grace, in a new process, too; nothing is sent twice."""
    list_probe = world.kube.apply(job("witness"))
    world.until(list_probe, "Succeeded")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Confirming")
    assert world.condition(key, "Synced")["status"] == "Unknown"
    world.rest(GRACE / 2)
    world.restart()
    world.rest(GRACE / 2 + 1)
    assert world.reason(key) == "Confirming"
    world.until(key, "Succeeded")
    assert world.status(key)["jobUuid"] == list(world.sim.account().runs)[-1].uid
    assert len(world.calls("createJob")) == 2


def test_a_lost_request_is_repeated_in_the_same_task(world: World) -> None:
    """A createJob that never arrived is proven not there and sent again; the task is the one that was claimed."""
    list_probe = world.kube.apply(job("witness"))
    world.until(list_probe, "Succeeded")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
    world.until(key, "Succeeded")
    assert len(world.calls("createTask")) == 2
    assert len(world.calls("createJob")) == 2


def test_without_evidence_nothing_is_repeated(world: World) -> None:
    """Keys that have never seen a run of V1 in a V2 list cannot prove "none": Stalled, with the ways out."""
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    message = world.condition(key)["message"]
    assert world.status(key)["taskName"] in message
    assert "spec.adopt" in message
    assert "raise spec.attempt" in message
    world.rest(86400)
    assert len(world.calls("createJob")) == 0


def test_the_same_unknown_answer_twice_is_not_sent_a_third_time(world: World) -> None:
    """An unknown code that comes again after a proven "none" stops the repeats until a person asks for another."""
    list_probe = world.kube.apply(job("witness"))
    world.until(list_probe, "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=2, code=336000))
    key = world.kube.apply(job())
    world.until(key, "Refused")
    assert "336000" in world.condition(key)["message"]
    world.rest(86400)
    sent = [call for call in world.sim.calls if call.operation == "createJob"]
    assert len(sent) == 3
    world.ask(key)
    world.until(key, "Succeeded")


def test_a_task_of_another_is_not_touched(world: World) -> None:
    """A `taskName` that somebody else uses is NameTaken, with the beginning of its description."""
    other = world.client()
    other.create_task("task_name", "made by hand")
    key = world.kube.apply(job(taskName="task_name"))
    world.until(key, "NameTaken")
    assert "'made by hand'" in world.condition(key)["message"]
    world.rest(86400)
    assert not world.calls("createJob")


def test_a_lost_reply_of_create_task_finds_the_task(world: World) -> None:
    """The task whose reply was lost is met by its name; nothing was sent into it, so it is left at once."""
    list_probe = world.kube.apply(job("witness"))
    world.until(list_probe, "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createTask"))
    key = world.kube.apply(job())
    world.until(key, "Training", within=GRACE - 1)
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_without_v2_a_taken_name_stalls(world: World, v2: str) -> None:
    """If V2 is not to be had, a name that exists cannot be told whose it is: TaskExists, until `attempt` is raised."""
    world.sim.configure(v2=v2)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createTask"))
    key = world.kube.apply(job())
    world.until(key, "TaskExists")
    assert "spec.adopt" in world.condition(key)["message"]
    world.rest(86400)
    assert not world.calls("createJob")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_without_v2_a_lost_reply_stalls(world: World, v2: str) -> None:
    """If V2 is not to be had, a lost reply of createJob cannot be looked for: CreateOutcomeUnknown, never a repeat."""
    world.sim.configure(v2=v2)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "CreateOutcomeUnknown")
    world.rest(86400)
    assert len(world.calls("createJob")) == 1


def test_an_unseen_run_in_the_task_is_warned_of_once(world: World) -> None:
    """A run that is not the first of its task is followed all the same, and a person is told of the other one."""
    client = world.client()
    planted = []

    def plant(operation, do):
        if operation == "createJob" and not planted:
            (task,) = world.sim.account().tasks
            body = create_job_body(JobSpec.model_validate(TRAINING), task.id)
            planted.append(client.prepare_create_job(body).send())
        return do()

    world.around_cloud = plant
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    warnings = [event for event in world.kube.events if event["type"] == "Warning"]
    assert [event["reason"] for event in warnings] == ["DuplicateCloudResource"]
    assert "number 2" in warnings[0]["note"]


def test_a_wrong_clock_of_the_node_stops_no_run(world: World) -> None:
    """The deadline of a run that is known by its strings only, without a count of the cloud's, goes by its time."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job(activeDeadlineSeconds=36000))
    world.until(key, "Training")
    world.kube.wipe_status(key)
    world.until(key, "Training")
    assert "jobId" not in world.status(key)
    now = world.engine._clocks.now
    ahead = {"now": lambda: now().replace("2024-", "2025-")}
    world.engine._clocks = replace(world.engine._clocks, **ahead)
    world.rest(3600)
    assert world.reason(key) == "Training"
    world.until(key, "DeadlineExceeded")
