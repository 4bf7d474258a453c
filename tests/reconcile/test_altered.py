"""A status that somebody else changes by hand: it is looked at again, once, and nothing is paid for by it."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, published, serving
from reconcile.world import DAY, FIRST, GRACE, World

Others = tuple[dict[str, Any], dict[str, Any]]
JOB = Key("qianfanjobs", "default", "train")


@pytest.fixture
def train(world: World) -> Key:
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.rest(DAY)
    return key


def change(world: World, key: Key, **fields: Any) -> dict[str, Any]:
    """Merge fields into a status by hand; None removes one. Returns the status as it was."""
    before = dict(world.status(key))
    changed = {name: value for name, value in {**before, **fields}.items() if value is not None}
    world.kube.write_status(key, changed)
    return before


def same_but_times(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare two statuses; a condition that was removed begins anew."""

    def timeless(status: dict[str, Any]) -> dict[str, Any]:
        told = [
            {name: it for name, it in each.items() if name != "lastTransitionTime"} for each in status["conditions"]
        ]
        return {**status, "conditions": told}

    return timeless(one) == timeless(other)


@pytest.mark.parametrize("manifest", [job, model, service])
def test_conditions_that_were_removed_are_written_again(world: World, manifest: Callable[[], Any]) -> None:
    """Also of an object that is finished, and so is not polled: within seconds, by one write."""
    for each in (job, model, service):
        key = world.kube.apply(each())
        if each is service:
            world.until(key, "PaymentRequired")
            world.sim.pay()
        world.run(lambda key=key: world.is_so(key))
        if each is manifest:
            break
    world.rest(3600)
    before = change(world, key, conditions=[])
    written = world.writes(key)
    world.rest(5)
    assert same_but_times(world.status(key), before)
    assert world.writes(key) == written + 1
    seen = len(world.sim.calls)
    world.rest(30)
    assert (world.writes(key), len(world.sim.calls)) == (written + 1, seen)


@pytest.mark.parametrize("missing", [("Ready", "Synced", "Succeeded"), ("Synced",), ("Succeeded",)])
def test_missing_conditions_are_written_after_a_restart(world: World, train: Key, missing: tuple[str, ...]) -> None:
    """Nobody saw the change: what a finished object lacks is found by what its status holds."""
    told = [one for one in world.status(train)["conditions"] if one["type"] not in missing]
    before = change(world, train, conditions=told)
    world.restart()
    world.rest(120)
    assert same_but_times(world.status(train), before)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"jobId": 999_999}, id="a run that is not there"),
        pytest.param({"taskId": 999_999}, id="a task that is not there"),
        pytest.param({"jobId": None, "jobUuid": None}, id="no run"),
        pytest.param({"jobId": None, "jobUuid": None, "trainStatus": None, "startTime": None}, id="no trace of a run"),
        pytest.param({"jobUuid": "task-forged000000"}, id="another string"),
        pytest.param({"trainStatus": "FAIL", "finishTime": "2001-01-01T00:00:00Z"}, id="another end"),
        pytest.param({"trainStatus": "RUNNING", "jobId": 999_999}, id="a run that works"),
    ],
)
def test_what_was_forged_of_a_finished_run_is_restored(
    world: World, train: Key, forged: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The ids from memory, the rest from the cloud; a warning tells of the ids, and nothing is paid for again."""
    before = change(world, train, **forged)
    world.rest(60)
    now = world.status(train)
    assert {name: now.get(name) for name in forged} == {name: before[name] for name in forged}
    assert world.is_so(train)
    assert len(world.sim.account().runs) == 1
    told = [event["note"] for event in world.kube.events if event["reason"] == "StatusRestored"]
    assert len(told) == any(name.startswith(("job", "task")) for name in forged)
    assert all(str(before[name]) in told[0] for name in forged if name.startswith(("job", "task")))
    message = "Another writer changed the status; it is restored"
    lines = [vars(line) for line in caplog.records if line.getMessage() == message]
    assert [(line["object"], line["restored"] in told[0]) for line in lines] == [(str(train), True)] * len(told)
    written = world.writes(train)
    world.rest(DAY)
    assert world.writes(train) == written


def test_an_id_that_was_added_to_a_finished_run_is_removed(world: World) -> None:
    """A run that was found by its name has no integer: one that somebody writes there is another run's."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    train = world.kube.apply(job())
    world.until(train, "Succeeded")
    world.rest(DAY)
    assert "jobId" not in change(world, train, jobId=999_999)
    world.rest(60)
    assert "jobId" not in world.status(train)
    assert world.is_so(train)
    (told,) = [event["note"] for event in world.kube.events if event["reason"] == "StatusRestored"]
    assert "status.jobId (removed)" in told


@pytest.mark.parametrize("forged", [{"jobId": 777}, {"jobUuid": "task-forged"}, {"jobId": 777, "taskName": "other"}])
def test_ids_of_an_earlier_attempt_are_restored(world: World, train: Key, forged: dict[str, Any]) -> None:
    """A model may publish it, and a job may train on from it; nothing is looked at there, either."""
    world.kube.patch_spec(train, attempt=2)
    world.until(train, "Succeeded")
    world.rest(DAY)
    (earlier,) = world.status(train)["runs"]
    before = change(world, train, runs=[{**earlier, **forged}])
    world.rest(60)
    assert same_but_times(world.status(train), before)
    (told,) = [event["note"] for event in world.kube.events if event["reason"] == "StatusRestored"]
    assert "status.runs" in told
    assert len(world.sim.account().runs) == 2


def test_an_end_that_was_deleted_in_the_cloud_stays(world: World, train: Key) -> None:
    """A finished run may be deleted in the console: a status that is looked at again does not turn that into Gone."""
    world.sim.delete(world.status(train)["jobId"])
    change(world, train, conditions=[])
    world.rest(60)
    assert world.is_so(train)


def test_removed_ids_pay_for_nothing_after_a_restart(world: World, train: Key) -> None:
    """Nothing remembers the ids: the rest of the status holds the create back, and `adopt` is the way out."""
    before = change(world, train, jobId=None, jobUuid=None)
    world.restart()
    world.kube.patch_spec(train, activeDeadlineSeconds=7200)
    world.until(train, "CreateOutcomeUnknown", within=60)
    assert "status.jobId" in world.condition(train)["message"]
    world.rest(DAY)
    assert len(world.sim.account().runs) == 1
    world.kube.patch_spec(train, adopt={"taskId": before["taskId"], "jobId": before["jobId"]})
    world.until(train, "Succeeded", within=60)
    assert len(world.sim.account().runs) == 1


def fast_watch(world: World) -> None:
    """Have the watch bring each of the operator's writes before its answer comes."""

    def around(name: str, do: Callable[[], Any]) -> Any:
        answer = do()
        if name.startswith("patch"):
            world.kube.deliver(world.event_handler.handle)
        return answer

    world.kube.around = around


def test_an_own_write_that_the_watch_brings_first_is_no_change(world: World) -> None:
    """Which version a write has made is known when it is answered: until then the event is nobody's."""

    def made(name: str) -> tuple[int, list[str]]:
        """Train, and count the writes and list the calls that it takes."""
        seen, key = len(world.sim.calls), world.kube.apply(job(name))
        world.until(key, "Succeeded")
        world.rest(3600)
        return world.writes(key), [call.operation for call in world.sim.calls[seen:]]

    made("first")
    usual = made("second")
    fast_watch(world)
    assert made("third") == usual


def test_a_wiped_status_is_found_after_one_grace(world: World, train: Key) -> None:
    """However fast the watch is: what the operator writes while it waits does not begin the wait again."""
    fast_watch(world)
    world.kube.wipe_status(train)
    world.until(train, "Succeeded", within=GRACE + 30)
    assert len(world.sim.account().runs) == 1


def test_a_change_during_a_write_is_not_taken_for_it(world: World, train: Key) -> None:
    """A status that is wiped while the operator writes waits for a whole grace from then on."""
    world.kube.wipe_status(train)
    world.run(lambda: world.reason(train) == "Confirming", within=10)
    world.rest(GRACE - 10)

    def around(name: str, do: Callable[[], Any]) -> Any:
        answer = do()
        if name == "patch_status":
            world.kube.around = lambda _, do: do()
            world.kube.wipe_status(train)
            world.kube.deliver(world.event_handler.handle)
        return answer

    world.kube.around = around
    world.kube.patch_spec(train, activeDeadlineSeconds=7200)
    world.rest(30)
    assert world.reason(train) in {"", "Confirming"}
    world.until(train, "Succeeded", within=GRACE + 30)
    assert len(world.sim.account().runs) == 1


@pytest.fixture
def others(world: World) -> Others:
    """A model and a service that serve in another namespace, under the same keys."""
    world.set_secret(FIRST, namespace="elsewhere")
    made = []
    for manifest in (job(), model(target={"modelName": "others"}), service(serviceName="others", uri="others")):
        manifest["metadata"]["namespace"] = "elsewhere"
        made.append(world.kube.apply(manifest))
    world.until(made[2], "PaymentRequired")
    world.sim.pay()
    world.until(made[2], "Available")
    world.rest(600)
    return world.status(made[1]), world.status(made[2])


def restored(world: World) -> list[str]:
    return [event["note"] for event in world.kube.events if event["reason"] == "StatusRestored"]


MODEL_IDS = ("modelId", "modelIdStr", "modelVersionId", "modelVersionIdStr")
SERVICE_IDS = ("serviceId", "serviceUuid")


@pytest.mark.parametrize(
    "fields", [("modelVersionId",), MODEL_IDS, ("published",)], ids=["integer", "all", "published"]
)
def test_a_forged_version_is_restored_and_switches_nothing(
    world: World, others: Others, fields: tuple[str, ...]
) -> None:
    """Nobody who refers to the model sees the forged ids, not even before its own reconcile."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    world.rest(3600)
    before = change(world, PUBLISH, **{name: others[0][name] for name in fields})
    world.rest(600)
    assert {name: world.status(PUBLISH)[name] for name in fields} == {name: before[name] for name in fields}
    assert world.is_so(PUBLISH)
    assert world.is_so(key)
    assert world.calls("ModifyService") == []
    (told,) = restored(world)
    assert all(f"status.{name} (" in told for name in fields)
    world.kube.delete(key)
    world.until_gone(key)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH)
    versions = {version.id for model in world.sim.account().models for version in model.versions}
    assert others[0]["modelVersionId"] in versions
    assert before["modelVersionId"] not in versions


@pytest.mark.parametrize("number", [1, 999_999])
def test_a_version_that_is_not_there_is_restored(world: World, number: int) -> None:
    before = published(world)
    world.rest(3600)
    change(world, PUBLISH, modelVersionId=number)
    world.rest(60)
    assert world.is_so(PUBLISH)
    assert world.status(PUBLISH)["modelVersionId"] == before["modelVersionId"]
    assert len(restored(world)) == 1


@pytest.mark.parametrize("uuid", ["theirs", "none", "own"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_forged_service_is_restored_and_not_released(world: World, others: Others, uuid: str, waits: bool) -> None:
    """Also if the object is deleted at once: the service that is taken offline is its own."""
    published(world)
    key = serving(world)
    world.rest(3600)
    before = dict(world.status(key))
    uuids = {"theirs": others[1]["serviceUuid"], "none": None, "own": before["serviceUuid"]}
    change(world, key, serviceId=others[1]["serviceId"], serviceUuid=uuids[uuid])
    if waits:
        world.rest(60)
        assert {name: world.status(key)[name] for name in SERVICE_IDS} == {name: before[name] for name in SERVICE_IDS}
        assert world.is_so(key)
        assert len(restored(world)) == 1
    world.kube.delete(key)
    world.until_gone(key)
    words = {one.id: one.life.state for one in world.sim.account().services}
    assert words[before["serviceId"]] == "Stopped"
    assert words[others[1]["serviceId"]] == "Done"


@pytest.mark.parametrize("during", ["get", "patch_status"])
def test_an_id_that_is_forged_during_a_reconcile_is_restored(world: World, train: Key, during: str) -> None:
    """While the object is read, or while it is written: the change is dealt with afterwards, by the ids from before."""
    before = world.status(train)["jobId"]

    def around(name: str, do: Callable[[], Any]) -> Any:
        answer = do()
        if name == during:
            world.kube.around = lambda _, do: do()
            change(world, train, jobId=999_999)
            world.kube.deliver(world.event_handler.handle)
        return answer

    world.kube.around = around
    if during == "get":
        world.queue.add(train)
    else:
        world.kube.patch_spec(train, activeDeadlineSeconds=7200)
    world.rest(60)
    assert world.status(train)["jobId"] == before
    assert world.is_so(train)


OTHER = {
    "type": "Audited", "status": "True", "reason": "Looked", "message": "Somebody looked.",
    "lastTransitionTime": "2024-03-01T08:00:00Z", "observedGeneration": 1,
}  # fmt: skip


def fight(world: World, key: Key, conditions: Callable[[list[Any]], list[Any]], seconds: int = 600) -> tuple[int, int]:
    """Have another controller see to it, each second, that the conditions are as it wants them; count what we do."""
    written, seen = world.writes(key), len(world.sim.calls)
    for _ in range(seconds):
        told = world.status(key)["conditions"]
        if (wanted := conditions(told)) != told:
            change(world, key, conditions=wanted)
        world.rest(1)
    return world.writes(key) - written, len(world.sim.calls) - seen


def with_other(told: list[Any]) -> list[Any]:
    return told if OTHER in told else [*told, OTHER]


def test_conditions_of_other_types_stay_and_cause_nothing(world: World) -> None:
    """Also through the writes of the operator; a controller that renews its own each second is not heard at all."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.sim.configure(training=Never())
    world.rest(3600)
    _, usual = fight(world, key, lambda told: told)
    assert fight(world, key, with_other) == (0, usual)
    times = itertools.count()

    def renewed(told: list[Any]) -> list[Any]:
        ours = [one for one in told if one["type"] != OTHER["type"]]
        return [{**OTHER, "message": "x" * 5000, "observedGeneration": next(times)}, *ours]

    assert fight(world, key, renewed) == (0, usual)
    change(world, key, conditions=with_other(renewed(world.status(key)["conditions"])[1:]))
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Stopped")
    assert OTHER in world.status(key)["conditions"]
    world.violations = [one for one in world.violations if OTHER["type"] not in one]  # it is not held to our rules


@pytest.mark.parametrize("finished", [False, True])
def test_who_fights_over_a_condition_of_ours_is_answered_ever_less(world: World, finished: bool) -> None:
    """Each round doubles the wait, up to that of a poll; when it is over, the conditions are right."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded" if finished else "Training")
    if not finished:
        world.sim.configure(training=Never())
    world.rest(3600)
    before = dict(world.status(key))
    writes, _ = fight(world, key, lambda told: [one for one in told if one["type"] != "Synced"])
    assert 6 <= writes <= 20
    world.rest(3600)
    assert same_but_times(world.status(key), before)
    change(world, key, conditions=[])
    world.rest(2)
    assert same_but_times(world.status(key), before)


@pytest.fixture
def orphans(world: World, others: Others) -> Others:
    """What serves for another namespace, and no object holds it any more."""
    for plural, name in (("qianfanservices", "serve"), ("qianfanmodels", "publish")):
        key = Key(plural, "elsewhere", name)
        world.kube.patch_spec(key, deletionPolicy="Orphan")
        world.kube.delete(key)
        world.until_gone(key)
    return others


@pytest.mark.parametrize("fields", [("modelVersionId",), MODEL_IDS], ids=["integer", "all"])
def test_a_forged_version_is_not_believed_after_a_restart(
    world: World, orphans: Others, fields: tuple[str, ...]
) -> None:
    """Nothing remembers the ids: the string is looked up, and a version of another run is neither used nor ended."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    world.rest(3600)
    before = change(world, PUBLISH, **{name: orphans[0][name] for name in fields})
    world.restart()
    world.kube.patch_spec(key, paused=False)
    world.rest(3600)
    assert world.calls("ModifyService") == []
    if fields == MODEL_IDS:
        assert world.reason(PUBLISH) == "AlreadyManaged"
        assert "status.modelVersionId" in world.condition(PUBLISH)["message"]
        world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
        world.kube.delete(key)
        world.kube.delete(PUBLISH)
        world.until(PUBLISH, "DeletionBlocked")
        world.rest(3600)
        assert world.calls("versionBatchDelete", "modelBatchDelete") == []
        change(world, PUBLISH, **{name: before[name] for name in fields})
        world.until_gone(PUBLISH)
        kept = {version.id for model in world.sim.account().models for version in model.versions}
        assert orphans[0]["modelVersionId"] in kept
        assert before["modelVersionId"] not in kept
    else:
        assert world.is_so(PUBLISH)
        assert world.status(PUBLISH)["modelVersionId"] == before["modelVersionId"]


def test_a_version_that_is_not_there_is_found_by_its_string_after_a_restart(world: World) -> None:
    before = published(world)
    world.rest(3600)
    change(world, PUBLISH, modelVersionId=1)
    world.restart()
    world.rest(3600)
    assert world.is_so(PUBLISH)
    assert world.status(PUBLISH)["modelVersionId"] == before["modelVersionId"]


@pytest.mark.parametrize("uuid", ["theirs", "none", "own"])
def test_a_forged_service_is_not_believed_after_a_restart(world: World, orphans: Others, uuid: str) -> None:
    """Nothing remembers the ids: the string is looked up, and another object's service is neither shown nor ended."""
    published(world)
    key = serving(world)
    world.rest(3600)
    before = dict(world.status(key))
    uuids = {"theirs": orphans[1]["serviceUuid"], "none": None, "own": before["serviceUuid"]}
    change(world, key, serviceId=orphans[1]["serviceId"], serviceUuid=uuids[uuid])
    world.restart()
    world.rest(3600)
    if uuid == "own":
        assert world.is_so(key)
        assert world.status(key)["serviceId"] == before["serviceId"]
    else:
        assert world.reason(key) == "AlreadyManaged"
        world.kube.delete(key)
        world.until(key, "DeletionBlocked")
        world.rest(3600)
        assert world.calls("DeactivateService") == []
        change(world, key, serviceId=before["serviceId"], serviceUuid=before["serviceUuid"])
    world.kube.delete(key)
    world.until_gone(key)
    words = {one.id: one.life.state for one in world.sim.account().services}
    assert words[before["serviceId"]] == "Stopped"
    assert words[orphans[1]["serviceId"]] == "Done"


def test_a_forged_string_takes_nothing_offline_after_a_restart(world: World, orphans: Others) -> None:
    """The integer shows the object's own service; the call to take it offline takes the string."""
    published(world)
    key = serving(world)
    world.rest(3600)
    change(world, key, serviceUuid=orphans[1]["serviceUuid"])
    world.restart()
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    world.rest(3600)
    assert world.calls("DeactivateService") == []
