"""Attempts of a QianfanJob: which one is current, and what happens to the others.

See docs/design/api.md#attempts.
"""

import pytest

from fake_kube import FakeKube
from qianfan_operator.api.job import JobStatus, RunRecord
from qianfan_operator.kinds.job.runs import archived
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import TRAINING, job
from reconcile.world import DAY, GRACE, World

OTHER = {**TRAINING["trainConfig"], "epoch": 5}


def finished(world: World, name: str = "train", **fields):
    key = world.kube.apply(job(name, **fields))
    world.until(key, "Succeeded")
    return key


def test_the_next_attempt_trains_again(world: World) -> None:
    """Attempt 2 is a run in a task of its own; the first stays recorded with what it was trained with."""
    key = finished(world)
    first = world.status(key)
    world.kube.patch_spec(key, attempt=2, trainConfig=OTHER)
    world.run(lambda: world.reason(key) == "Succeeded")
    status = world.status(key)
    assert (status["attempt"], status["highestAttempt"]) == (2, 2)
    assert status["taskId"] != first["taskId"]
    assert status["taskName"] != first["taskName"]
    (earlier,) = status["runs"]
    assert (earlier["attempt"], earlier["jobId"], earlier["trainStatus"]) == (1, first["jobId"], "FINISH")
    assert earlier["inputs"]["trainConfig"]["epoch"] == 4
    assert earlier["inputsHash"] == first["inputsHash"]


def test_going_back_selects_without_a_call(world: World) -> None:
    """A recorded number with the same inputs makes its run current again: no call, no pay; so does going forth."""
    key = finished(world)
    first = world.status(key)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    second, seen = world.status(key), len(world.sim.calls)
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "Succeeded")
    assert world.status(key)["jobId"] == first["jobId"]
    assert world.status(key)["highestAttempt"] == 2
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert world.status(key)["jobId"] == second["jobId"]
    assert len(world.sim.calls) == seen


HELD_BACK = {"stopped": {"desiredState": "Stopped"}, "paused": {"paused": True}}


@pytest.mark.parametrize("wish", HELD_BACK)
def test_going_back_is_no_create(world: World, wish: str) -> None:
    """A recorded attempt is current again also where nothing may be created, and its end stays what it was."""
    key = finished(world)
    first = world.status(key)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    seen = len(world.sim.calls)
    world.kube.patch_spec(key, attempt=1, **HELD_BACK[wish])
    world.rest(60)
    assert (world.status(key)["attempt"], world.status(key)["jobId"]) == (1, first["jobId"])
    assert world.reason(key) == "Succeeded"
    assert world.is_so(key, "Succeeded")
    assert len(world.sim.calls) == seen


def test_going_back_brings_all_that_was_known_of_the_run(world: World) -> None:
    """What the status said of an attempt before the next one began, it says again; only the order of time is new."""
    key = finished(world)
    first = world.status(key)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "Succeeded")
    about_all = {"conditions", "highestAttempt", "observedGeneration", "runs"}
    now = {name: value for name, value in world.status(key).items() if name not in about_all}
    assert now == {name: value for name, value in first.items() if name not in about_all}
    assert {"consoleUrl", "progress", "vdlLink", "runTimeSeconds", "trainTimeSeconds"} <= set(now)


def test_going_back_to_other_inputs_is_refused(world: World) -> None:
    """A recorded number with other inputs is AttemptMismatch and never paid for."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=1, trainConfig=OTHER)
    world.until(key, "AttemptMismatch")
    assert world.condition(key)["message"].endswith("raise spec.attempt to train again, which is paid for.")
    world.rest(DAY)
    assert world.status(key)["attempt"] == 2
    assert len(world.calls("createJob")) == 2


def test_a_revert_in_two_steps_costs_nothing(world: World) -> None:
    """The number first: AttemptMismatch until its inputs are there, too; then its run is current again."""
    key = finished(world)
    first = world.status(key)["jobId"]
    world.kube.patch_spec(key, attempt=2, trainConfig=OTHER)
    world.until(key, "Succeeded")
    seen = len(world.sim.calls)
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "AttemptMismatch")
    assert "Restore its inputs, which status.runs shows" in world.condition(key)["message"]
    world.kube.patch_spec(key, trainConfig=TRAINING["trainConfig"])
    world.until(key, "Succeeded")
    assert world.status(key)["jobId"] == first
    assert len(world.sim.calls) == seen


def test_lowered_numbers_buy_no_run(world: World) -> None:
    """Whoever writes statuses lowers the numbers, and somebody changes the inputs: nothing is trained for that."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    status = world.until(key, "Succeeded")
    world.kube.write_status(key, {**status, "attempt": 1, "highestAttempt": 1, "runs": []})
    world.kube.patch_spec(key, trainConfig=OTHER)
    world.until(key, "AttemptMismatch")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 2


def test_a_number_that_was_skipped_is_refused(world: World) -> None:
    """A number below the highest that was never an attempt is AttemptMismatch: nobody pays by going back."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=5)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=3)
    world.until(key, "AttemptMismatch")
    assert len(world.calls("createJob")) == 2


def test_the_current_attempt_with_other_inputs_is_refused(world: World) -> None:
    """Inputs that changed without the attempt (admission refuses that) are AttemptMismatch, the spelling is not."""
    key = finished(world)
    world.kube.patch_spec(key, trainConfig={**TRAINING["trainConfig"], "learningRate": "2e-5"})
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, trainConfig=OTHER)
    world.until(key, "AttemptMismatch")
    assert len(world.calls("createJob")) == 1


def test_leaving_the_attempt_out_goes_back_to_the_first(world: World) -> None:
    """A manifest without `attempt` means 1: taking the line out makes the first run current again and costs nothing."""
    key = finished(world)
    first = world.status(key)
    world.kube.patch_spec(key, attempt=2, trainConfig=OTHER)
    world.until(key, "Succeeded")
    seen = len(world.sim.calls)
    world.kube.patch_spec(key, attempt=None, trainConfig=TRAINING["trainConfig"])
    world.until(key, "Succeeded")
    assert (world.status(key)["attempt"], world.status(key)["jobId"]) == (1, first["jobId"])
    assert len(world.sim.calls) == seen


@pytest.mark.parametrize("task_name", [None, "task_name"])
def test_what_was_refused_can_be_mended(world: World, task_name: str | None) -> None:
    """A proven refusal was paid by nobody: the same attempt trains with what was mended, in a task that fits it."""
    wrong = {**TRAINING["trainConfig"], "epoch": 400}
    key = world.kube.apply(job(taskName=task_name, trainConfig=wrong))
    world.until(key, "Refused")
    assert "510401" in world.condition(key)["message"]
    assert "spec.trainConfig" in world.condition(key)["message"]
    assert "inputsHash" not in world.status(key)
    world.kube.patch_spec(key, trainConfig=OTHER)
    status = world.until(key, "Succeeded")
    assert (status["attempt"], status["highestAttempt"]) == (1, 1)
    assert "runs" not in status
    assert len(world.calls("createJob")) == 1


def test_an_attempt_that_was_refused_is_none_to_go_back_to(world: World) -> None:
    """Going back never pays: a number that never came to a run is AttemptMismatch, not another training."""
    key = world.kube.apply(job(trainConfig={**TRAINING["trainConfig"], "epoch": 400}))
    world.until(key, "Refused")
    world.kube.patch_spec(key, attempt=2, trainConfig=OTHER)
    world.until(key, "Succeeded")
    assert "runs" not in world.status(key)
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "AttemptMismatch")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_attempts_in_quick_succession_wait_for_the_one_that_works(world: World) -> None:
    """Back and forth while a run works: it is observed all the time, and the numbers passed over cost nothing."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    (_, second) = world.sim.account().runs
    for attempt, says in ((3, "WaitingForRun"), (1, "WaitingForRun"), (2, "Training"), (5, "WaitingForRun")):
        world.kube.patch_spec(key, attempt=attempt)
        world.until(key, says, within=1)
    looks = len(world.calls("jobDetail"))
    world.rest(120)
    assert len(world.calls("jobDetail")) > looks
    world.until(key, "Succeeded")
    _, second, third = world.sim.account().runs
    assert second.life.state == "FINISH"
    assert third.created >= second.life.since
    assert (world.status(key)["attempt"], world.status(key)["highestAttempt"]) == (5, 5)
    assert [run["attempt"] for run in world.status(key)["runs"]] == [2, 1]
    for attempt in (3, 4):
        world.kube.patch_spec(key, attempt=attempt)
        world.until(key, "AttemptMismatch")


def test_replacing_in_quick_succession_stops_what_works_and_pays_for_the_last(world: World) -> None:
    """Replace, twice before the run has stopped: one run is stopped, the number in between was never an attempt."""
    key = world.kube.apply(job(concurrencyPolicy="Replace"))
    world.until(key, "Training")
    for attempt in (2, 3):
        world.kube.patch_spec(key, attempt=attempt)
        world.until(key, "Stopping", within=5)
    world.until(key, "Succeeded")
    assert [run.life.state for run in world.sim.account().runs] == ["STOP", "FINISH"]
    assert world.status(key)["attempt"] == 3


def test_a_new_attempt_waits_for_the_working_run(world: World) -> None:
    """Forbid: the new attempt begins when the working run has ended, which is observed meanwhile."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "WaitingForRun")
    assert len(world.calls("createJob")) == 1
    world.until(key, "Succeeded")
    first, second = world.sim.account().runs
    assert first.life.state == second.life.state == "FINISH"
    assert second.created >= first.life.since


def test_a_new_attempt_replaces_the_working_run(world: World) -> None:
    """Replace: the working run is stopped and seen stopped before the new one begins."""
    key = world.kube.apply(job(concurrencyPolicy="Replace"))
    world.until(key, "Training")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    first, second = world.sim.account().runs
    assert (first.life.state, second.life.state) == ("STOP", "FINISH")
    assert second.created >= first.life.since


def test_going_back_while_the_next_run_works_waits(world: World) -> None:
    """A selected earlier attempt becomes current when no other works, so that no run is ever unobserved."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "WaitingForRun")
    world.until(key, "Succeeded")
    assert world.status(key)["attempt"] == 1
    assert world.status(key)["runs"][0]["trainStatus"] == "FINISH"


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_raising_the_attempt_leaves_an_unknown_outcome_behind(v2: str, world: World) -> None:
    """CreateOutcomeUnknown ends by raising `attempt`; the unknown one moves to `runs` and is found when V2 answers."""
    world.sim.configure(v2=v2)
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    (unknown,) = world.status(key)["runs"]
    assert unknown["attempt"] == 1
    assert unknown["pending"]["operation"] == "createJob"
    world.sim.configure(v2="on")
    world.run(lambda: "pending" not in world.status(key)["runs"][0])
    lost = next(iter(world.sim.account().runs))
    assert world.status(key)["runs"][0]["jobUuid"] == lost.uid
    assert len(world.calls("createJob")) == 2


STOPS = {
    "deadline": ({"activeDeadlineSeconds": 3600}, "StopFineTuningTask"),  # of the other run: it has no integers
    "stop": ({"desiredState": "Stopped"}, "stopJob"),
}


@pytest.mark.parametrize("wish", STOPS)
def test_every_run_is_stopped_in_its_turn(world: World, wish: str) -> None:
    """A deadline stops each run when it is late, the older one first; a stop begins with the selected attempt's."""
    fields, begins_with = STOPS[wish]
    world.sim.configure(v2="denied", training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.sim.configure(v2="on")
    world.run(lambda: "jobUuid" in world.status(key)["runs"][0])
    world.kube.patch_spec(key, **fields)
    world.run(lambda: world.calls("stopJob", "StopFineTuningTask"))
    assert world.calls(begins_with)
    world.rest(3 * 3600)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP", "STOP"]


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_adopt_resolves_an_unknown_outcome(v2: str, world: World) -> None:
    """CreateOutcomeUnknown ends by naming the run that was made; nothing is sent again."""
    world.sim.configure(v2=v2)
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    (run,) = world.sim.account().runs
    world.kube.patch_spec(key, adopt={"taskId": run.task.id, "jobId": run.id})
    world.until(key, "Succeeded")
    assert world.status(key)["jobId"] == run.id
    assert "pending" not in world.status(key)
    assert len(world.calls("createJob")) == 1


def test_the_way_out_of_a_later_attempt_names_its_number(world: World) -> None:
    """`adopt` stands for attempt 1 if it does not say another: the message tells so, and what it tells works."""
    key = finished(world)
    world.sim.configure(v2="denied")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "CreateOutcomeUnknown")
    assert "set spec.adopt to its run, with attempt: 2 in it" in world.condition(key)["message"]
    _, run = world.sim.account().runs
    world.kube.patch_spec(key, adopt={"taskId": run.task.id, "jobId": run.id})
    world.rest(600)
    assert "spec.adopt stands for attempt 1, and spec.attempt selects 2." in world.condition(key)["message"]
    world.kube.patch_spec(key, adopt={"taskId": run.task.id, "jobId": run.id, "attempt": 2})
    assert world.until(key, "Succeeded")["jobId"] == run.id
    assert len(world.calls("createJob")) == 2


def test_an_adoption_for_another_attempt_asks_for_no_training(world: World) -> None:
    """An object that only adopts, and selects another attempt, is told that, and not that it should train."""
    key = world.kube.apply(job(adopt={"taskId": 7, "jobId": 8, "attempt": 3}, **dict.fromkeys(TRAINING)))
    world.until(key, "InvalidSpec")
    assert "spec.adopt stands for attempt 3, and spec.attempt selects 1." in world.condition(key)["message"]


def test_a_finished_run_is_found_again_by_a_re_applied_manifest(world: World) -> None:
    """Deleted and applied again, a job finds the run that its predecessor paid for."""
    key = finished(world)
    world.kube.delete(key)
    world.until_gone(key)
    finished(world)
    assert len(world.calls("createJob")) == 1
    assert world.status(key)["jobUuid"] == next(iter(world.sim.account().runs)).uid


def test_a_failed_run_of_a_predecessor_is_left_behind(world: World) -> None:
    """Deleted and applied again after a failure, a job trains under the next number: the failure was another uid's."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.until(key, "TrainingFailed")
    world.kube.delete(key)
    world.until_gone(key)
    finished(world)
    assert len(world.calls("createJob")) == 2


def test_a_failed_run_of_our_own_is_the_attempt(world: World) -> None:
    """After a wiped status, a failed run of the same uid is recorded as the attempt's end and nothing is paid."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.until(key, "TrainingFailed")
    world.kube.wipe_status(key)
    world.until(key, "TrainingFailed")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 1


def wiped(world: World, key) -> None:
    """Wipe the status and run to the end that follows; exactly the runs that were there must be there."""
    before = len(world.sim.account().runs)
    world.kube.wipe_status(key)
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == before


def test_a_status_wiped_while_training_is_found_again(world: World) -> None:
    """The run that works is found by the object's mark, and goes on as the attempt that it is."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    wiped(world, key)
    assert world.status(key)["attempt"] == 1


def test_a_status_wiped_after_the_end_is_found_again(world: World) -> None:
    """The finished run is found by the name of its task."""
    wiped(world, finished(world))


def test_a_status_wiped_in_the_second_attempt_is_found_again(world: World) -> None:
    """The working run of attempt 2 is recorded under its own number before anything is created."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    wiped(world, key)
    assert (world.status(key)["attempt"], world.status(key)["highestAttempt"]) == (2, 2)


def test_a_wiped_status_does_not_hide_the_run_of_another_attempt(world: World) -> None:
    """With attempt 2 working and 1 selected again, a wipe must not forget the working run."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.kube.patch_spec(key, attempt=1)
    world.kube.wipe_status(key)
    world.until(key, "WaitingForRun")
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2
    assert [run["attempt"] for run in world.status(key)["runs"]] == [2]


def test_a_wiped_status_with_an_intent_is_found_again(world: World) -> None:
    """A reply that was lost before the wipe is found after it."""
    finished(world, "witness")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Confirming")
    world.kube.wipe_status(key)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_a_re_applied_manifest_of_attempt_2_finds_its_run(world: World) -> None:
    """A manifest whose `attempt` is above 1 had a life before: its runs are looked for first."""
    key = finished(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.kube.delete(key)
    world.until_gone(key)
    finished(world, attempt=2)
    assert len(world.calls("createJob")) == 2
    assert world.status(key)["highestAttempt"] == 2


def test_the_list_of_runs_keeps_the_newest_ten(worlds) -> None:
    """Earlier attempts are kept up to ten, newest first."""
    from qianfan_simulator import AtOnce, Options

    world = worlds(Options(training=AtOnce()))
    key = finished(world)
    for attempt in range(2, 14):
        world.kube.patch_spec(key, attempt=attempt)
        world.until(key, "Succeeded")
    assert [run["attempt"] for run in world.status(key)["runs"]] == list(range(12, 2, -1))
    for attempt, says in ((2, "AttemptMismatch"), (3, "Succeeded"), (13, "Succeeded"), (1, "AttemptMismatch")):
        world.kube.patch_spec(key, attempt=attempt)
        world.until(key, says)
    world.rest(DAY)
    assert len(world.calls("createJob")) == 13


@pytest.mark.parametrize("word", ["RUNNING", "Waiting", "QUEUEING"])
def test_a_run_that_may_cost_is_never_dropped_from_the_list(word: str) -> None:
    """Beyond ten only what has ended goes: neither a run at work nor one in a state that we do not know."""
    ended = [RunRecord(attempt=number, job_id=number, train_status="FINISH") for number in range(2, 13)]
    first = RunRecord(attempt=1, job_id=1, train_status=word)
    status = JobStatus(attempt=13, job_id=13, train_status="FINISH", runs=(*ended, first))
    assert [run.attempt for run in archived(status)] == [*range(13, 3, -1), 1]


def test_a_cloud_that_lags_is_waited_for(worlds) -> None:
    """Lists that do not show a new run yet do not lead to another one: the grace covers the lag."""
    from dataclasses import replace

    from reconcile.world import PACES

    world = worlds(replace(PACES, list_lag=30.0))
    finished(world, "witness")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_both_runs_of_a_duplicate_are_told_until_one_is_chosen(world: World) -> None:
    """Ids that arrive late for an attempt that has others: Stalled for as long as nobody chooses one."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    (first,) = world.sim.account().runs
    other = world.client()
    from qianfan_operator.api.job import JobSpec
    from qianfan_operator.api.training import create_job_body

    body = create_job_body(JobSpec.model_validate(TRAINING), first.task.id)
    made = other.prepare_create_job(body).send()
    assert isinstance(world.kube, FakeKube)
    late(world, key, made)
    world.until(key, "DuplicateCloudResource")
    world.restart()
    world.rest(GRACE + 600)
    assert world.reason(key) == "DuplicateCloudResource"
    message = world.condition(key)["message"]
    assert str(first.id) in message
    assert str(made.job_id) in message
    world.kube.patch_spec(key, adopt={"taskId": first.task.id, "jobId": made.job_id})
    world.until(key, "Succeeded")
    assert world.status(key)["jobId"] == made.job_id


def late(world: World, key, reply) -> None:
    """Have the operator hold a reply that belongs to the present attempt and comes late."""
    from qianfan_operator.api.common import Pending
    from qianfan_operator.reconcile.guarded_create import CreateResult

    status = world.status(key)
    inputs = {"taskId": status["taskId"], "taskUuid": status["taskUuid"], "taskName": status["taskName"]}
    pending = Pending(operation="createJob", nonce="late", attempt=status["attempt"], inputs=inputs)
    uid = world.kube.objects[key]["metadata"]["uid"]
    world.protocol._landings[key] = CreateResult(uid, pending, reply, lambda: None)
    world.queue.add(key)


def test_a_stopped_run_is_its_attempt_also_when_a_survey_left_it_out(world: World) -> None:
    """Wiped, edited to what the cloud refuses, and edited back: the run that others stopped is not paid for again."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    (run,) = world.sim.account().runs
    world.sim.stop_run(run.id)
    world.until(key, "StoppedExternally")
    world.kube.wipe_status(key)
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", code=500001))
    world.kube.patch_spec(key, trainConfig=OTHER)
    world.until(key, "Refused")
    world.kube.patch_spec(key, trainConfig=TRAINING["trainConfig"])
    world.until(key, "StoppedExternally")
    world.rest(DAY)
    assert list(world.sim.account().runs) == [run]
    assert world.status(key)["jobUuid"] == run.uid
