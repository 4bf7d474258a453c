"""What the cloud and the API server can do to us, and what comes of it.

See docs/design/errors-and-timing.md#error-classes.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from attacks.tenants import THERE, there
from cloud.tls import certificate
from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Conflict, KubeError
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import TRAINING, job, model
from reconcile.world import DAY, GRACE, OTHER, World

TRAIN = Key("qianfanjobs", "default", "train")

TROUBLES = {
    "down": Fault(Effect.LOSE_REQUEST, count=0),
    "a page of a proxy": Fault(Effect.HTML, count=0),
    "HTTP 500": Fault(Effect.STATUS, count=0, status=500),
    "HTTP 429": Fault(Effect.STATUS, count=0, status=429),
    "requests per second": Fault(Effect.ERROR, count=0, code=18),
    "high load": Fault(Effect.ERROR, count=0, code=336100),
    "internal error": Fault(Effect.ERROR, count=0, code=500000),
    "cut bodies": Fault(Effect.CUT_BODY, count=0),
}


@pytest.mark.parametrize("blocker", TROUBLES)
def test_a_cloud_in_trouble_is_waited_for(world: World, blocker: str) -> None:
    """A new job waits with ProgressingWithRetry and goes on when the cloud is back; nothing is paid twice."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(TROUBLES[blocker])
    key = world.kube.apply(job())
    world.rest(3600)
    assert world.condition(key, "Ready")["status"] == "False"
    assert not world.condition(key, "Stalled")
    world.sim.faults.clear()
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


QUOTING = {
    "our word": Fault(Effect.ERROR, "createJob", code="ConnectTimeout ", status=400, after=True),
    "our word for a proxy": Fault(Effect.ERROR, "createJob", code=" HTTP  429", status=400, after=True),
    "IAM's words": Fault(
        Effect.ERROR, "createJob", code=500000, message="upstream said SignatureDoesNotMatch", after=True
    ),
}


@pytest.mark.parametrize("reply", QUOTING)
def test_a_create_that_happened_is_not_repeated_whatever_the_reply_quotes(world: World, reply: str) -> None:
    """Words that prove a refusal where the operator or IAM says them prove nothing in another layer's reply."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(QUOTING[reply])
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == len(world.calls("createJob")) == 2


def test_certificates_that_cannot_be_checked_are_told_in_ready(worlds: Callable[..., World], tmp_path: Path) -> None:
    """Of what is not usable yet; it goes on within a minute when the bundle is mended, however long that took."""
    good, bundle = certificate(tmp_path, "authority")[0], tmp_path / "bundle"
    shutil.copy(good, bundle)
    world = worlds(ca_bundle=str(bundle))
    world.until(world.kube.apply(job("first")), "Succeeded")
    published = world.kube.apply(model(source={"jobRef": {"name": "first"}}))
    world.until(published, "Available")
    bundle.unlink()
    key = world.kube.apply(job())
    world.rest(3600)
    ready = world.condition(key)
    assert (ready["status"], ready["reason"]) == ("False", "CloudUnavailable")
    assert str(bundle)[:40] in ready["message"]
    assert not world.condition(key, "Stalled")
    assert world.is_so(published)
    assert world.condition(published)["reason"] == "Available"
    shutil.copy(good, bundle)
    world.run(lambda: world.reason(key) == "Training", within=70)
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("blocker", TROUBLES)
def test_a_run_is_not_judged_while_the_cloud_is_in_trouble(world: World, blocker: str) -> None:
    """A poll that fails keeps Ready's reason, makes Synced Unknown, and never ends a run."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.faults.add(TROUBLES[blocker])
    world.rest(300)
    assert world.reason(key) == "Training"
    assert world.condition(key, "Synced")["status"] == "Unknown"
    assert world.condition(key, "Reconciling")["reason"] == "ProgressingWithRetry"
    world.sim.faults.clear()
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_500002_in_a_poll_is_weather(world: World) -> None:
    """'auth failed' was seen in the middle of a healthy run: polls do not believe it."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.faults.add(Fault(Effect.ERROR, "jobDetail", count=5, code=500002))
    world.rest(100)
    assert world.reason(key) == "Training"
    assert not world.condition(key, "Stalled")
    world.until(key, "Succeeded")


def test_what_is_usable_stays_usable(world: World) -> None:
    """A ready model stays Ready when the cloud cannot be asked; only Synced says so."""
    world.kube.apply(job())
    key = world.kube.apply(model())
    world.until(key, "Available")
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.rest(3600)
    assert world.is_so(key)
    assert (world.condition(key, "Synced")["status"], world.condition(key, "Synced")["reason"]) == (
        "Unknown", "CloudUnavailable",
    )  # fmt: skip
    world.sim.faults.clear()
    world.rest(3600)
    assert world.condition(key, "Synced")["status"] == "True"


def test_an_outage_costs_few_writes_and_few_calls(world: World) -> None:
    """Tries become rarer, and the status is written once, not at every try."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    written, seen = world.writes(key), len(world.sim.calls)
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.rest(DAY)
    assert world.writes(key) == written + 1
    assert len(world.sim.calls) - seen < DAY / 250


@pytest.mark.parametrize(
    ("code", "reason"), [(510401, "Refused"), (510101, "Refused"), (510403, "QuotaExceeded"), (6, "AccessDenied")]
)
def test_a_refused_training_is_told_with_its_code(world: World, code: int, reason: str) -> None:
    """A refusal is Stalled at once with the cloud's words and code, its intent ends, and it is tried again rarely."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=code))
    key = world.kube.apply(job())
    status = world.until(key, reason, within=60)
    assert f"({code})" in world.condition(key)["message"]
    assert status["lastError"]["code"] == str(code)
    assert status["lastError"]["operation"] == "createJob"
    assert status["lastError"]["requestId"]
    assert "pending" not in status
    world.rest(3600)
    assert len([call for call in world.sim.calls if call.operation == "createJob"]) <= 14
    world.sim.faults.clear()
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == 1


def test_the_limit_of_tasks_is_told_and_heals(world: World) -> None:
    """Finished tasks count: the message says so and where to clean up; the job goes on when there is room."""
    world.until(world.kube.apply(job("first")), "Succeeded")
    world.sim.configure(max_tasks=1)
    key = world.kube.apply(job("second"))
    status = world.until(key, "TaskLimitReached", within=60)
    assert world.condition(key, "Stalled")["status"] == "True"
    told = world.condition(key)["message"]
    assert all(word in told for word in ("(510203)", "finished and empty tasks count", "docs/operations.md")), told
    assert "pending" not in status
    written = world.writes(key)
    world.rest(DAY)
    assert world.writes(key) == written
    world.sim.configure(max_tasks=2)
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == 2


def test_a_training_that_was_refused_can_be_mended(world: World) -> None:
    """Nothing was paid for, so another hyper-parameter needs no other attempt."""
    key = world.kube.apply(job(trainConfig={**TRAINING["trainConfig"], "epoch": 51}))
    world.until(key, "Refused")
    world.kube.patch_spec(key, trainConfig={**TRAINING["trainConfig"], "epoch": 5})
    world.until(key, "Succeeded")
    assert world.status(key)["attempt"] == 1
    assert len(world.sim.account().runs) == 1


def test_too_many_runs_are_waited_for(world: World) -> None:
    """510402 (too many runs in training) frees itself: the job waits and is not Stalled."""
    world.sim.configure(max_running=1)
    world.kube.apply(job("first"))
    world.until(Key("qianfanjobs", "default", "first"), "Training")
    key = world.kube.apply(job())
    world.rest(120)
    assert not world.condition(key, "Stalled")
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_a_bad_data_set_is_told(world: World) -> None:
    """A data set that training refuses is Refused with its code."""
    with world.sim.lock:
        world.sim.account().bad_datasets[1234] = 510101
    key = world.kube.apply(job())
    world.until(key, "Refused")
    assert "510101" in world.condition(key)["message"]


@pytest.mark.parametrize("error", [Conflict("changed"), KubeError("down")], ids=["conflicts", "outage"])
def test_ids_land_through_trouble_with_the_api_server(world: World, error: KubeError) -> None:
    """After createJob the ids are written, however often the API server refuses; nothing else is sent meanwhile."""
    key = world.kube.apply(job())
    refused = []

    def blocker(name, do):
        if name == "patch_status" and world.calls("createJob") and len(refused) < 20:
            refused.append(name)
            raise error
        return do()

    world.kube.around = blocker
    world.until(key, "Succeeded")
    assert len(refused) == 20
    assert len(world.calls("createJob")) == 1


def test_what_the_user_changes_meanwhile_stays(world: World) -> None:
    """A spec that changes between the reading and the writing of a pass is a conflict; the pass starts again."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    changed = []

    def user(name, do):
        if name == "patch_status" and not changed:
            changed.append(name)
            world.kube.patch_spec(key, desiredState="Stopped")
        return do()

    world.kube.around = user
    world.until(key, "Stopped")
    assert changed
    assert next(iter(world.sim.account().runs)).life.state == "STOP"


def test_a_lost_event_fails_no_pass(world: World) -> None:
    """Events are refused in a namespace that goes: nothing else depends on them."""

    def no_events(name, do):
        if name == "post_event":
            raise KubeError("forbidden")
        return do()

    world.kube.around = no_events
    world.until(world.kube.apply(job()), "Succeeded")


def test_an_object_that_goes_under_the_hands_leaves_no_run(world: World) -> None:
    """Deleted with its finalizer taken off while createJob is under way: what was made is stopped."""
    key = world.kube.apply(job())

    def gone(operation, do):
        result = do()
        if operation == "createJob":
            world.kube.remove_finalizer(key)
            world.kube.delete(key)
        return result

    world.around_cloud = gone
    world.run(lambda: world.sim.account().runs and not world.there(key))
    world.rest(120)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]


@pytest.mark.parametrize("crd", [None, {"deletionTimestamp": "2024-03-01T08:00:00Z"}], ids=["gone", "going"])
def test_a_run_whose_object_went_with_its_definition_is_left(world: World, crd: dict | None) -> None:
    """Its finalizer was taken off for the CRD's sake while createJob was under way: what was made works on."""
    key = world.kube.apply(job())

    def gone(operation, do):
        result = do()
        if operation == "createJob":
            world.kube.crds["qianfanjobs.qianfan.dev"] = crd
            world.kube.remove_finalizer(key)
            world.kube.delete(key)
        return result

    world.around_cloud = gone
    world.run(lambda: world.sim.account().runs and not world.there(key))
    world.rest(120)
    assert [run.life.state for run in world.sim.account().runs] == ["RUNNING"]
    assert world.protocol.unwritten() == ()


@pytest.mark.parametrize("blocker", [KubeError("GET: 503"), Unreadable("status"), RuntimeError("anything")], ids=repr)
def test_an_object_that_goes_leaves_no_run_though_others_cannot_be_read(world: World, blocker: Exception) -> None:
    """It is asked first who else has the run; what cannot be asked now is asked again."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(DAY))
    world.set_secret(OTHER, namespace=THERE)
    other = world.kube.apply(there(job("other", paused=True)))
    world.rest(10)
    key = world.kube.apply(job())
    uid, failed = world.kube.objects[other]["metadata"]["uid"], []

    def gone(operation, do):
        result = do()
        if operation == "createJob":
            forged = {"account": "x", "taskId": 1, "jobId": result.job_id, "attempt": 1, "highestAttempt": 1}
            world.kube.write_status(other, {"observedGeneration": 1, "objectUid": uid, **forged})
            world.deliver()
            world.kube.lose(key)
        return result

    def failing(operation, do):
        if operation == "get" and not world.there(key) and world.protocol.unwritten() and len(failed) < 3:
            failed.append(operation)
            raise blocker
        return do()

    world.around_cloud, world.kube.around = gone, failing
    world.run(lambda: len(world.sim.account().runs) == 2 and not world.there(key))
    world.rest(1200)
    assert failed
    assert [run.life.state for run in world.sim.account().runs] == ["FINISH", "STOP"]
    assert world.protocol.unwritten() == ()


def test_a_successor_of_the_same_name_keeps_what_it_holds(world: World) -> None:
    """Ids that come for an object that has gone are never written on its successor."""
    key = world.kube.apply(job())

    def replaced(operation, do):
        result = do()
        if operation == "createJob" and len(world.sim.account().runs) == 1:
            world.kube.remove_finalizer(key)
            world.kube.delete(key)
            world.kube.apply(job(attempt=2))
        return result

    world.around_cloud = replaced
    world.until(key, "Succeeded")
    first, second = world.sim.account().runs
    assert (first.life.state, second.life.state) == ("STOP", "FINISH")
    assert world.status(key)["jobUuid"] == second.uid


@pytest.mark.parametrize("dropped", ["pending", "nonce"])
def test_nothing_is_sent_whose_intent_the_api_server_drops(world: World, dropped: str) -> None:
    """A CRD of another version, or a webhook, drops a field and answers 200: then nobody could know of a lost reply."""
    world.kube.unknown = frozenset({dropped})
    key = world.kube.apply(job())
    world.rest(3600)
    assert world.calls("createJob") == []
    world.kube.unknown = frozenset()
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_who_does_not_lead_sends_nothing(world: World) -> None:
    """Leadership that is lost between the intent and the sending: nothing is sent, and so the intent is ended.

    The next process cannot know that, and looks into the task.
    """
    world.until(world.kube.apply(job("witness")), "Succeeded")
    key = world.kube.apply(job())

    def lost(_: str, do):
        result = do()
        world.leading = "pending" not in world.status(key)
        return result

    world.kube.around = lost
    world.rest(60)
    assert "pending" not in world.status(key)
    assert len(world.calls("createJob")) == 1
    world.kube.around = lambda _, do: do()
    world.leading = True
    world.restart()
    world.until(key, "Training", within=GRACE + 60)
    assert len(world.calls("createJob")) == 2


def test_ids_that_another_process_writes_are_taken_up(world: World) -> None:
    """The old leader records what it made: the new one need not wait for the grace, and looks at the run."""
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Confirming")
    (run,) = world.sim.account().runs
    version = world.kube.objects[key]["metadata"]["resourceVersion"]
    world.kube.patch_status(key, version, {"pending": None, "jobId": run.id, "jobUuid": run.uid})
    world.until(key, "Training", within=15)


def test_who_does_not_lead_changes_nothing(world: World) -> None:
    """A run is not stopped, a task not made and an object not let go by a process whose time is over."""
    train = world.kube.apply(job())
    gone = world.kube.apply(job("gone", deletionPolicy="Orphan"))
    for key in (train, gone):
        world.until(key, "Training")
    world.leading = False
    world.kube.patch_spec(train, desiredState="Stopped")
    world.kube.delete(gone)
    world.kube.apply(job("new"))
    calls = len(world.sim.account().tasks)
    world.rest(60)
    assert (len(world.calls("stopJob")), len(world.sim.account().tasks), world.there(gone)) == (0, calls, True)
    world.leading = True
    world.until(train, "Stopped")
    world.run(lambda: not world.there(gone))


def test_a_request_that_is_slow_to_be_signed_is_not_sent(world: World) -> None:
    """A process that freezes between the signature and the sending sends nothing: the signature is the fence."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    key = world.kube.apply(job())
    frozen = []

    def freeze(name, do):
        result = do()
        if name == "patch_status" and "pending" in world.status(key) and not frozen:
            frozen.append(name)
            world.clock.advance(3600)
        return result

    world.kube.around = freeze
    world.until(key, "Succeeded")
    assert frozen
    outcomes = [call.outcome for call in world.sim.calls if call.operation == "createJob"]
    assert outcomes == ["ok", "ok"]


def test_a_request_that_arrives_late_is_refused_by_the_cloud(world: World) -> None:
    """A createJob that a gateway held back longer than its signature lives is refused; its repeat is the only run."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.DELIVER_LATE, "createJob", seconds=60, hang_up=True))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.rest(61)
    while [call.outcome for call in world.sim.calls if call.operation == "createJob"][-1] == "held":
        pass  # the delivery is a task of the simulator's own thread
    assert [call.outcome for call in world.sim.calls if call.operation == "createJob"][-1] == "RequestExpired"
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == 2


def test_the_grace_counts_from_the_signature(world: World) -> None:
    """A pass whose look-ups took long does not shorten the grace of the create at its end."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    sent, looked = [], []

    def slow(operation, do):
        if operation == "createTask":
            try:
                return do()
            finally:
                world.clock.advance(100)
        if operation == "createJob":
            sent.append(world.clock.boot)
            world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
        if operation == "DescribeFineTuningTasks" and sent:
            looked.append(world.clock.boot)
            world.around_cloud = lambda _, do: do()
        return do()

    world.around_cloud = slow
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.rest(30)
    world.ask(key)  # so that there is a pass before the time that the first one has set
    world.until(key, "Succeeded")
    assert looked[0] - sent[0] >= GRACE
    assert len(world.calls("createJob")) == 2


def test_nothing_is_made_for_a_spec_that_has_changed_meanwhile(world: World) -> None:
    """A pass works from memory; before it makes anything it sees that the user has gone back."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=2)
    world.deliver()
    world.kube.patch_spec(key, attempt=1)
    world.step(world.clock.boot)
    world.until(key, "Succeeded")
    assert len(world.calls("createTask")) == 1


def test_a_run_whose_object_went_is_stopped_at_last(world: World) -> None:
    """The ids of a run whose object is gone are kept until the run could be stopped: nobody else knows them."""
    key = world.kube.apply(job())

    def gone(operation, do):
        result = do()
        if operation == "createJob":
            world.kube.remove_finalizer(key)
            world.kube.delete(key)
        return result

    world.around_cloud = gone
    world.sim.faults.add(Fault(Effect.ERROR, "stopJob", count=3, code=336100))
    world.rest(300)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]
    assert world.protocol.unwritten() == ()


def unwritten(world: World) -> Key:
    """Have a run made whose ids cannot be written, for the API server is down from then on."""
    down = []

    def kube(name, do):
        if down and name == "patch_status":
            raise KubeError("down")
        return do()

    def cloud(operation, do):
        result = do()
        down.extend([operation] if operation == "createJob" else [])
        return result

    world.sim.configure(training=AfterSeconds(3 * DAY))
    world.kube.around, world.around_cloud = kube, cloud
    key = world.kube.apply(job())
    world.run(world.protocol.unwritten)
    return key


def test_a_run_is_stopped_whose_object_went_before_its_ids_were_written(world: World) -> None:
    """An object that is deleted for good while its ids wait to be written leaves no run behind."""
    key = unwritten(world)
    world.kube.remove_finalizer(key)
    world.kube.delete(key)
    world.kube.around = lambda _, do: do()
    world.rest(300)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]
    assert world.protocol.unwritten() == ()


def test_a_run_is_stopped_whose_object_only_others_keep(world: World) -> None:
    """With our finalizer taken off and another's left, the object is not ours any more, and its run is stopped."""
    key = unwritten(world)
    world.kube.objects[key]["metadata"]["finalizers"] = ["example.com/another"]
    world.kube.delete(key)
    world.kube.around = lambda _, do: do()
    world.rest(300)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]
    assert world.protocol.unwritten() == ()


@pytest.mark.parametrize("times", [1, 3])
def test_a_task_that_is_gone_is_replaced(world: World, times: int) -> None:
    """510202 from createJob: the task was deleted meanwhile, so the run is made in another one, and only one is."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=times, code=510202))
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    assert len(world.sim.account().runs) == 2
    (run,) = (run for run in world.sim.account().runs if run.id == world.status(key)["jobId"])
    assert world.status(key)["taskId"] == run.task.id


def test_a_run_that_the_cloud_has_lost_is_told(world: World) -> None:
    """A training that goes on from a run which is gone is for a person to mend."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=510301))
    key = world.kube.apply(job())
    world.until(key, "Gone")
    assert world.condition(key, "Stalled")["status"] == "True"


def test_a_refusal_outlives_the_write_that_fails(world: World) -> None:
    """A proven refusal is known until the status shows it: a conflict does not make its outcome unknown."""
    refused: list[str] = []

    def conflict(name, do):
        if name == "patch_status" and world.sim.calls and world.sim.calls[-1].operation == "createJob" and not refused:
            refused.append(name)
            raise Conflict("changed")
        return do()

    world.kube.around = conflict
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=1, code=510402))
    key = world.kube.apply(job())
    world.run(lambda: world.calls("createJob"), within=60)
    assert refused
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_the_end_of_the_process_writes_ids_and_begins_nothing(world: World) -> None:
    """What is flushed at the end are ids; what the spec asks meanwhile is the next process's."""
    key = unwritten(world)
    world.kube.around = lambda _, do: do()
    world.kube.patch_spec(key, desiredState="Stopped")
    before = len(world.sim.calls)
    world.engine.flush()
    assert world.protocol.unwritten() == ()
    assert world.status(key)["jobId"] == next(iter(world.sim.account().runs)).id
    assert len(world.sim.calls) == before
