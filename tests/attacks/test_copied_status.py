"""A status that was copied, by a restore or by a Role that may write everything, moves nothing that is another's."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from attacks.tenants import copied, restored, there, works
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, TRAIN, next_version, published, serving, version_of
from reconcile.world import DAY, FIRST, OTHER, World

LONG = AfterSeconds(30 * DAY)
ENDS = {"StopFineTuningTask", "stopJob", "DeactivateService", "ModifyService", "versionBatchDelete", "modelBatchDelete"}


@pytest.fixture
def world(world: World) -> World:
    """Both namespaces have keys of the same account, as the default credentials are."""
    world.set_secret(FIRST, namespace="elsewhere")
    return world


def ended(world: World) -> list[str]:
    """What was asked of the cloud that ends something, or switches it."""
    return [call.operation for call in world.sim.calls if call.operation in ENDS]


def trained(world: World) -> int:
    """Have a job train in an account whose lists are known to show runs; return the run."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    return world.until(world.kube.apply(job()), "Training")["jobId"]


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("name", ["copy", "train"])
def test_a_copied_job_that_is_deleted_stops_no_run(world: World, name: str, restarted: bool) -> None:
    """Whatever its name: the run bears another object's mark."""
    run = trained(world)
    copy = copied(world, TRAIN, there(job(name)))
    if restarted:
        world.restart()
    world.kube.delete(copy)
    world.until_gone(copy)
    world.rest(1200)
    assert works(world, run)
    assert ended(world) == []
    assert world.reason(TRAIN) == "Training"


@pytest.mark.parametrize(
    "change",
    [
        {"desiredState": "Stopped"}, {"activeDeadlineSeconds": 60}, {"attempt": 2, "concurrencyPolicy": "Replace"},
    ],
    ids=["stopped", "deadline", "replaced"],
)  # fmt: skip
def test_a_copied_job_stops_no_run(world: World, change: dict[str, Any]) -> None:
    """Neither as its spec asks, nor for its deadline, nor to make room for another attempt."""
    run = trained(world)
    world.rest(600)
    copied(world, TRAIN, there(job("copy", **change)))
    world.rest(3600)
    assert works(world, run)
    assert world.reason(TRAIN) == "Training"


def test_a_copied_model_that_is_deleted_deletes_no_version(world: World) -> None:
    """What it records as published bears another object's mark."""
    number = published(world)["modelVersionId"]
    copy = copied(world, PUBLISH, there(model("copy", deletionPolicy="Delete")))
    world.kube.delete(copy)
    world.until_gone(copy)
    assert [version.id for version in world.sim.account().versions if version.run] == [number]


def test_a_copied_service_that_is_deleted_takes_nothing_offline(world: World) -> None:
    """The endpoint bears another object's mark, and goes on serving."""
    published(world)
    serve = serving(world)
    copy = copied(world, serve, there(service("copy")))
    world.kube.delete(copy)
    world.until_gone(copy)
    world.rest(1200)
    assert ended(world) == []
    assert world.reason(serve) == "Available"


def test_a_copied_service_switches_nothing(world: World) -> None:
    """A source of its own does not reach the endpoint of another object."""
    first = published(world)
    serve = serving(world)
    second = next_version(world)
    assert second["modelVersionId"] != first["modelVersionId"]
    called = len(world.sim.calls)
    copied(world, serve, there(service("copy", source=version_of(second))))
    world.rest(3600)
    assert "ModifyService" not in [call.operation for call in world.sim.calls[called:]]
    assert world.status(serve)["modelVersionId"] == first["modelVersionId"]


@pytest.mark.parametrize("kind", ["job", "service"])
def test_a_status_of_version_0_1_0_is_the_older_objects(world: World, kind: str) -> None:
    """It names no uid. As long as the object that it was written for lives, the copy is told that, and ends nothing."""
    if kind == "job":
        trained(world)
        source, manifest = TRAIN, job("copy", desiredState="Stopped")
    else:
        published(world)
        source, manifest = serving(world), service("copy")
    for key in world.kube.objects:
        world.kube.write_status(key, {name: one for name, one in world.status(key).items() if name != "objectUid"})
    world.rest(5)
    copy = copied(world, source, there(manifest), objectUid=None)
    world.kube.write_status(copy, {name: one for name, one in world.status(copy).items() if one is not None})
    world.restart()
    world.until(copy, "AlreadyManaged")
    assert "train" not in world.condition(copy)["message"]
    assert "default" not in world.condition(copy)["message"]
    world.kube.delete(copy)
    world.until_gone(copy)
    world.rest(600)
    assert ended(world) == []
    assert world.reason(source) in {"Training", "Available"}


# What a restore is for.


@pytest.mark.parametrize("end", ["Training", "Succeeded", "TrainingFailed"])
def test_a_restored_job_finds_its_own_run_again(world: World, end: str) -> None:
    """Another uid and the same name: the run is found by its mark, and nothing is paid for again, however it ended."""
    run = trained(world)
    if end == "Succeeded":
        world.sim.configure(training=AfterSeconds(1))
    elif end == "TrainingFailed":
        world.sim.fail(run)
    before = dict(world.until(TRAIN, end))
    restored(world, TRAIN, job())
    world.restart()
    world.run(lambda: world.status(TRAIN).get("objectUid") != before["objectUid"])
    world.until(TRAIN, end)
    assert world.status(TRAIN)["jobUuid"] == before["jobUuid"]
    assert len(world.calls("createJob")) == 2
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    assert not works(world, run)


@pytest.mark.parametrize("end", ["Available", "ServiceStopped"])
def test_a_restored_chain_pays_for_nothing(world: World, end: str) -> None:
    """A model and a service find by their marks what they had."""
    version = published(world)["modelVersionId"]
    serve = serving(world)
    before = dict(world.status(serve))
    if end == "ServiceStopped":
        world.sim.expire(before["serviceId"])
        world.until(serve, end)
    for key, manifest in ((TRAIN, job()), (PUBLISH, model()), (serve, service())):
        restored(world, key, manifest)
    world.restart()
    world.run(lambda: world.status(serve).get("serviceId") == before["serviceId"] and world.is_so(PUBLISH))
    world.rest(DAY)
    assert world.status(serve)["serviceId"] == before["serviceId"]
    assert world.status(PUBLISH)["modelVersionId"] == version
    assert world.status(PUBLISH)["published"] == [version]
    assert len(world.calls("createJob", "publishTrainModel", "apply")) == 3


def test_a_status_that_is_restored_without_the_finalizer_is_looked_after_as_well(world: World) -> None:
    """Tools differ in what they bring back: the finalizer is put on before the run is looked for."""
    trained(world)
    before = dict(world.status(TRAIN))
    restored(world, TRAIN, job(), held=False)
    world.restart()
    world.run(lambda: world.status(TRAIN).get("objectUid") != before["objectUid"])
    world.until(TRAIN, "Training")
    assert world.status(TRAIN)["jobUuid"] == before["jobUuid"]
    assert len(world.calls("createJob")) == 2


def test_without_v2_a_person_is_told_which_run_the_status_names(world: World) -> None:
    """Marks cannot be read: nothing is made, and the ids are a hint for `adopt`, which asks the cloud and others."""
    trained(world)
    before = dict(world.status(TRAIN))
    restored(world, TRAIN, job())
    world.sim.configure(v2="denied")
    world.restart()
    world.until(TRAIN, "CreateOutcomeUnknown")
    message = world.condition(TRAIN)["message"]
    assert f"run {before['jobId']} of task {before['taskId']}" in message
    world.kube.patch_spec(TRAIN, adopt={"taskId": before["taskId"], "jobId": before["jobId"]})
    world.until(TRAIN, "Training")
    assert len(world.calls("createJob")) == 2


def test_an_announced_create_of_a_former_life_holds_creates_back(world: World) -> None:
    """The intent of a restored status is looked for by the mark, after its grace, before anything is sent."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.kube.apply(job())
    world.run(lambda: world.status(TRAIN).get("pending"))
    (run,) = [run for run in world.sim.account().runs if run.life.state == "RUNNING"]
    restored(world, TRAIN, job())
    world.restart()
    world.until(TRAIN, "Training")
    assert world.status(TRAIN)["jobUuid"] == run.uid
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("deleted", [True, False])
def test_the_account_of_a_former_life_holds_creates_back(world: World, deleted: bool) -> None:
    """Keys of another account do not see what a restored status recorded: nothing is made, and nothing let go."""
    trained(world)
    restored(world, TRAIN, job())
    world.set_secret(OTHER)
    if deleted:
        world.kube.delete(TRAIN)
    world.restart()
    world.rest(3600)
    assert world.there(TRAIN)
    assert not world.sim.account(OTHER).runs
    assert world.reason(TRAIN) == ("DeletionBlocked" if deleted else "AccountChanged")
    world.set_secret(FIRST)
    if deleted:
        world.until_gone(TRAIN)
    else:
        world.until(TRAIN, "Training")
    assert len(world.calls("createJob")) == 2


def test_a_model_does_not_publish_by_a_copied_status(world: World) -> None:
    """A job whose status is another's is not ready for those that refer to it."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.sim.configure(training=LONG)
    copied(world, TRAIN, there(job("copy")))
    key = world.kube.apply(there(model("theirs", source={"jobRef": {"name": "copy"}}, target={"modelName": "theirs"})))
    world.rest(3600)
    assert world.reason(key) == "DependencyNotReady"
    assert world.calls("publishTrainModel") == []


def test_ids_that_land_on_a_copied_status_are_not_lost(worlds: Callable[..., World]) -> None:
    """Somebody overwrites the status with another's while a create is under way: its run is recorded all the same."""
    world = worlds()
    other = world.kube.apply(job("witness"))
    world.until(other, "Succeeded")
    world.sim.configure(training=LONG)
    key = world.kube.apply(job())

    def around(name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if name == "createJob" and world.status(key).get("pending"):
            world.kube.write_status(key, world.status(other))
        return result

    world.around_cloud = around
    world.run(lambda: len(world.calls("createJob")) == 2)
    world.around_cloud = lambda _, do: do()
    (run,) = [run for run in world.sim.account().runs if run.life.state == "RUNNING"]
    world.until(key, "Training")
    assert run.id in {world.status(key).get("jobId"), None}
    assert world.status(key)["jobUuid"] == run.uid
    assert len(world.calls("createJob")) == 2


# Who takes over what its owner is just looking for.


def squatting(status: dict[str, Any]) -> dict[str, Any]:
    """A job of another namespace that takes over a run by its ids, to end it."""
    adopt = {"taskId": status["taskId"], "jobId": status["jobId"]}
    return there(job("squatter", adopt=adopt, deletionPolicy="Delete"))


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["restored", "wiped", "applied anew"])
def test_nobody_takes_over_what_its_owner_looks_for(world: World, how: str, restarted: bool, paused: bool) -> None:
    """The mark tells whose it is, though nothing records it for the moment."""
    run = trained(world)
    status = dict(world.status(TRAIN))
    if how == "restored":
        restored(world, TRAIN, job(paused=paused))
    elif how == "wiped":
        world.kube.patch_spec(TRAIN, paused=paused)
        world.kube.wipe_status(TRAIN)
    else:
        world.kube.lose(TRAIN)
        world.kube.apply(job(paused=paused))
    if restarted:
        world.restart()
    squatter = world.kube.apply(squatting(status))
    world.rest(2000)
    assert paused or world.reason(TRAIN) == "Training"
    assert world.reason(squatter) == "AlreadyManaged"
    assert "default" not in world.condition(squatter)["message"]
    world.kube.delete(squatter)
    world.until_gone(squatter)
    assert works(world, run)
    assert ended(world) == []
    world.kube.patch_spec(TRAIN, paused=None)
    world.until(TRAIN, "Training")
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("restarted", [False, True])
def test_a_restored_intent_reserves_what_it_made(world: World, restarted: bool) -> None:
    """What the status of a former life announced is nobody else's before it is looked for."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.kube.apply(job())
    world.run(lambda: world.reason(TRAIN) == "Confirming" and world.status(TRAIN).get("pending"))
    (run,) = [run for run in world.sim.account().runs if run.life.state == "RUNNING"]
    restored(world, TRAIN, job())
    if restarted:
        world.restart()
    squatter = world.kube.apply(squatting({"taskId": run.task.id, "jobId": run.id}))
    world.rest(2000)
    assert (world.reason(TRAIN), world.reason(squatter)) == ("Training", "AlreadyManaged")
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("end", ["kept", "deleted", "stopped"])
def test_who_took_over_what_was_lost_gives_it_back_to_a_restored_owner(world: World, end: str) -> None:
    """Nobody had the run for a moment; its owner comes back, and finds it by its mark and its former uid."""
    run = trained(world)
    status = copy.deepcopy(world.status(TRAIN))
    world.kube.lose(TRAIN)
    world.rest(10)
    squatter = world.kube.apply(squatting(status))
    world.until(squatter, "Training")
    world.kube.apply(job())
    world.kube.write_status(TRAIN, status)
    if end == "deleted":
        world.kube.delete(squatter)
    elif end == "stopped":
        world.kube.patch_spec(squatter, desiredState="Stopped")
    world.rest(2000)
    assert world.reason(TRAIN) == "Training"
    assert works(world, run)
    assert world.there(squatter) == (end != "deleted")
    if end != "deleted":
        assert world.reason(squatter) == "AlreadyManaged"


def test_who_is_applied_anew_takes_nothing_back(world: World) -> None:
    """What was handed over with Orphan stays with its new holder, though another object has the old name."""
    status = dict(trained_and_let_go(world))
    heir = world.kube.apply(squatting(status))
    world.until(heir, "Training")
    world.kube.apply(job())
    world.rest(2000)
    assert (world.reason(heir), world.reason(TRAIN)) == ("Training", "AlreadyManaged")
    world.kube.patch_spec(heir, desiredState="Stopped")
    world.until(heir, "Stopped")


def trained_and_let_go(world: World) -> dict[str, Any]:
    """Have a job train, and delete it alone."""
    trained(world)
    status = copy.deepcopy(world.status(TRAIN))
    world.kube.patch_spec(TRAIN, deletionPolicy="Orphan")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    return status


@pytest.mark.parametrize("kind", ["model", "service"])
@pytest.mark.parametrize("how", ["restored", "wiped"])
def test_nobody_takes_over_a_version_or_service_that_its_owner_looks_for(world: World, kind: str, how: str) -> None:
    """As for jobs."""
    version = published(world)["modelVersionId"]
    if kind == "model":
        owner, manifest = PUBLISH, model()
        adopt: dict[str, Any] = {"modelVersionId": version}
        theirs = model("squatter", adopt=adopt, source=None, target=None, deletionPolicy="Delete")
    else:
        owner, manifest = serving(world), service()
        adopt = {"serviceId": world.status(owner)["serviceId"]}
        theirs = service("squatter", adopt=adopt, source=None, serviceName=None, uri=None, deletionPolicy="Delete")
    if how == "restored":
        restored(world, owner, manifest)
    else:
        world.kube.wipe_status(owner)
    squatter = world.kube.apply(there(theirs))
    world.rest(2000)
    assert (world.reason(owner), world.reason(squatter)) == ("Available", "AlreadyManaged")
    world.kube.delete(squatter)
    world.until_gone(squatter)
    world.rest(600)
    assert ended(world) == []
    assert world.reason(owner) == "Available"
