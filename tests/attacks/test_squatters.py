"""Who takes over what others are just making, or writes down ids that are not its own, gets and blocks nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from attacks.tenants import there, works
from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, TRAIN, published, serving
from reconcile.world import DAY, FIRST, OTHER, SECOND, World

LONG = AfterSeconds(30 * DAY)
THEIRS = "elsewhere"
SERVE = Key("qianfanservices", "default", "serve")


def lose(world: World, operation: str) -> None:
    """Lose the reply of the next create."""
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, operation))


def confirming(world: World, key: Key) -> None:
    """Run until the outcome of a create is unknown."""
    world.run(lambda: world.reason(key) == "Confirming" and world.status(key).get("pending"))


def ids(run: Any, form: str) -> dict[str, Any]:
    return (
        {"taskId": run.task.id, "jobId": run.id} if form == "integers" else {"taskId": run.task.uid, "jobId": run.uid}
    )


def made(world: World, what: str) -> tuple[Key, dict[str, Any]]:
    """Have the reply of a create lost; return whose it is, and the manifest that takes over what was made."""
    if what.startswith("run"):
        world.until(world.kube.apply(job("witness")), "Succeeded")
        world.sim.configure(training=LONG)
        lose(world, "createJob")
        world.kube.apply(job())
        confirming(world, TRAIN)
        (run,) = [run for run in world.sim.account().runs if run.life.state == "RUNNING"]
        return TRAIN, job("squatter", adopt=ids(run, what.rsplit(maxsplit=1)[-1]), deletionPolicy="Delete")
    if what.startswith(("version", "model")):
        world.until(world.kube.apply(job()), "Succeeded")
        lose(world, "publishTrainModel")
        world.kube.apply(model())
        confirming(world, PUBLISH)
        (version,) = [version for version in world.sim.account().versions if version.run]
        adopt = {
            "version by integers": {"modelVersionId": version.id},
            "version by strings": {"modelVersionId": version.uid},
            "model": {"modelId": version.model.id},
        }[what]  # fmt: skip
        return PUBLISH, model("squatter", adopt=adopt, deletionPolicy="Delete", source=None, target=None)
    published(world)
    lose(world, "apply")
    world.kube.apply(service())
    confirming(world, SERVE)
    (one,) = world.sim.account().services
    adopt = {"serviceId": one.id if what.endswith("integers") else one.uid}
    return SERVE, service("squatter", adopt=adopt, source=None, serviceName=None, uri=None, deletionPolicy="Delete")


WHAT = (
    "run by integers", "run by strings", "version by integers", "version by strings", "model", "service by integers",
    "service by strings",
)  # fmt: skip


@pytest.mark.parametrize("keys", [FIRST, SECOND])
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("restarted", [False, True])
def test_what_an_open_intent_may_have_made_is_reserved(world: World, what: str, keys: str, restarted: bool) -> None:
    """While the owner is Confirming nobody else gets it, with whichever key of the account, also after a restart."""
    world.set_secret(keys, namespace=THEIRS)
    owner, manifest = made(world, what)
    squatter = world.kube.apply(there(manifest))
    if restarted:
        world.restart()
    world.until(squatter, "AlreadyManaged", within=100)
    message = world.condition(squatter)["message"]
    assert "default" not in message
    assert owner.name not in message
    world.run(lambda: not world.status(owner).get("pending"))
    world.rest(300)
    assert world.reason(squatter) == "AlreadyManaged"
    assert world.reason(owner) in {"Training", "Available", "PaymentRequired", "Publishing"}
    world.kube.delete(squatter)
    world.until_gone(squatter)
    world.rest(300)
    assert world.reason(owner) in {"Training", "Available", "PaymentRequired"}


def test_what_no_intent_made_is_let_go_of(world: World) -> None:
    """A name that another create announced holds up who takes over an older service of it until that is decided."""
    version = published(world)
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "apply"))
    world.kube.apply(service())
    confirming(world, SERVE)
    client = world.client()
    body = {"modelId": version["modelId"], "modelVersionId": version["modelVersionId"], "name": "my_service"}
    number = client.prepare_apply({**body, "uri": "by_hand", "replicas": 1, "poolType": 2}).send().service_id
    world.set_secret(FIRST, namespace=THEIRS)
    mine = service("mine", adopt={"serviceId": number}, source=None, serviceName=None, uri=None)
    key = world.kube.apply(there(mine))
    world.until(key, "AlreadyManaged", within=100)
    assert "not confirmed" in world.condition(key)["message"]
    world.run(lambda: world.status(key).get("serviceId") == number)


def test_the_same_task_name_in_another_account_reserves_nothing(world: World) -> None:
    """A stranger that is Confirming in a task of that name does not keep me from what is mine."""
    world.sim.configure(training=LONG)
    status = world.until(world.kube.apply(job(taskName="same", deletionPolicy="Orphan")), "Training")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.set_secret(OTHER, namespace=THEIRS)
    lose(world, "createJob")
    stranger = world.kube.apply(there(job(taskName="same")))
    world.run(lambda: world.status(stranger).get("pending"))
    world.until(world.kube.apply(job(adopt=ids_of(status))), "Training", within=60)


def ids_of(status: dict[str, Any]) -> dict[str, Any]:
    return {"taskId": status["taskId"], "jobId": status["jobId"]}


# Ids that come late.


@pytest.mark.parametrize("keys", [FIRST, SECOND])
def test_a_run_found_by_its_strings_is_not_anothers_by_its_integers(world: World, keys: str) -> None:
    """The name of the task tells that both mean one run, whatever key each of them has."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    before = dict(world.until(world.kube.apply(job()), "Training"))
    world.kube.wipe_status(TRAIN)
    world.restart()
    world.run(lambda: world.status(TRAIN).get("jobUuid"))
    assert "jobId" not in world.status(TRAIN)
    world.set_secret(keys, namespace=THEIRS)
    squatter = world.kube.apply(there(job("squatter", adopt=ids_of(before), deletionPolicy="Delete")))
    world.until(squatter, "AlreadyManaged")
    world.kube.delete(squatter)
    world.until_gone(squatter)
    assert works(world, before["jobId"])


def test_strings_that_are_named_later_are_asked_for_like_all(world: World) -> None:
    """Whoever completes the ids of its run by those of another object's run gets none of them."""
    world.sim.configure(training=LONG)
    world.set_secret(SECOND, namespace=THEIRS)
    first = world.until(world.kube.apply(job()), "Training")
    squatter = world.kube.apply(there(job("squatter")))
    world.until(squatter, "Training")
    world.kube.patch_spec(squatter, adopt={"taskId": first["taskUuid"], "jobId": first["jobUuid"]})
    world.rest(600)
    assert world.status(squatter)["jobId"] != first["jobId"]
    world.kube.patch_spec(squatter, desiredState="Stopped")
    world.rest(600)
    assert works(world, first["jobId"])


# The same integer in two accounts.


def collide(world: World, number: int) -> None:
    """Have the next id be one that another account has."""
    world.sim.cloud.ids._next = number


@pytest.mark.parametrize("older", ["owner", "other"])
def test_the_same_integers_in_two_accounts_are_two_runs(world: World, older: str) -> None:
    """Who trains run 9230 of its own account neither blocks nor stops run 9230 of mine, whoever came first."""
    world.sim.configure(training=LONG)
    world.set_secret(OTHER, namespace=THEIRS)
    first, second = (job(), there(job())) if older == "owner" else (there(job()), job())
    one = world.kube.apply(first)
    status = world.until(one, "Training")
    world.rest(10)
    collide(world, status["taskId"])
    two = world.kube.apply(second)
    assert world.until(two, "Training")["jobId"] == status["jobId"]
    world.restart()
    world.rest(600)
    assert (world.reason(one), world.reason(two)) == ("Training", "Training")
    world.kube.delete(two)
    world.until_gone(two)
    assert world.reason(one) == "Training"
    assert [run.life.state for run in world.sim.account(FIRST).runs] == ["RUNNING" if one == TRAIN else "STOP"]
    world.kube.delete(one)
    world.until_gone(one)
    assert {run.life.state for name in (FIRST, OTHER) for run in world.sim.account(name).runs} == {"STOP"}


def test_who_adopts_the_same_integers_elsewhere_first_blocks_nobody(world: World) -> None:
    """A squatter that holds run 9230 of its own account is no holder of mine, which I take over as well."""
    world.sim.configure(training=LONG)
    mine = dict(world.until(world.kube.apply(job(deletionPolicy="Orphan")), "Training"))
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.set_secret(OTHER, namespace=THEIRS)
    collide(world, mine["taskId"])
    world.until(world.kube.apply(there(job("theirs"))), "Training")
    world.until(world.kube.apply(job(adopt=ids_of(mine))), "Training", within=60)
    world.kube.patch_spec(TRAIN, desiredState="Stopped")
    world.until(TRAIN, "Stopped")
    assert [run.life.state for run in world.sim.account(OTHER).runs] == ["RUNNING"]


@pytest.mark.parametrize("keys", [None, OTHER])
@pytest.mark.parametrize("restarted", [False, True])
def test_who_writes_an_id_into_its_status_holds_nothing(world: World, keys: str | None, restarted: bool) -> None:
    """A forged status, with its own uid, of an older object: the owner goes on, and stops its own run."""
    if keys:
        world.set_secret(keys, namespace=THEIRS)
    squatter = world.kube.apply(there(job("squatter", paused=True)))
    world.rest(10)
    world.sim.configure(training=LONG)
    status = world.until(world.kube.apply(job()), "Training")
    uid = world.kube.objects[squatter]["metadata"]["uid"]
    world.kube.write_status(squatter, {**status, "objectUid": uid, "observedGeneration": 1})
    if restarted:
        world.restart()
    world.rest(600)
    assert world.reason(TRAIN) == "Training"
    world.kube.patch_spec(TRAIN, desiredState="Stopped")
    world.until(TRAIN, "Stopped", within=3600)
    stops = world.calls("stopJob", "StopFineTuningTask")
    world.kube.patch_spec(squatter, paused=None, desiredState="Stopped")
    world.kube.delete(squatter)
    world.rest(600)
    assert world.reason(squatter) == "DeletionBlocked", "its own keys do not see the run, or it has none"
    world.kube.patch_spec(squatter, deletionPolicy="Orphan")
    world.until_gone(squatter)
    assert world.calls("stopJob", "StopFineTuningTask") == stops


def test_a_forged_status_does_not_keep_me_from_taking_over(world: World) -> None:
    """Nor from a run that nobody has."""
    world.sim.configure(training=LONG)
    mine = dict(world.until(world.kube.apply(job(deletionPolicy="Orphan")), "Training"))
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    squatter = world.kube.apply(there(job("squatter", paused=True)))
    uid = world.kube.objects[squatter]["metadata"]["uid"]
    world.kube.write_status(squatter, {**mine, "objectUid": uid, "observedGeneration": 1})
    world.rest(10)
    world.until(world.kube.apply(job(adopt=ids_of(mine))), "Training", within=60)


def test_a_secret_that_is_lost_for_a_moment_frees_nothing(world: World) -> None:
    """That its own keys have read what it records is remembered."""
    world.sim.configure(training=LONG)
    status = world.until(world.kube.apply(job()), "Training")
    world.rest(60)
    world.set_secret(SECOND, namespace=THEIRS)
    world.set_secret(None)
    squatter = world.kube.apply(there(job("squatter", adopt=ids_of(status), deletionPolicy="Delete")))
    world.until(squatter, "AlreadyManaged")
    assert world.status(squatter).get("jobId") is None


def test_a_run_that_was_adopted_when_its_object_had_gone_is_not_stopped(world: World) -> None:
    """What was made for an object that is gone is stopped, unless somebody else has taken it over by then."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    world.kube.apply(job())

    def around(name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if name == "createJob":
            world.kube.lose(TRAIN)
            world.sim.faults.add(Fault(Effect.ERROR, "stopJob", code=500000, count=0))
        return result

    world.around_cloud = around
    world.run(lambda: [call for call in world.sim.calls if call.operation == "stopJob"])
    world.around_cloud = lambda _, do: do()
    (run,) = [run for run in world.sim.account().runs if run.life.state == "RUNNING"]
    heir = world.kube.apply(job("heir", adopt=ids(run, "integers")))
    world.until(heir, "Training")
    world.sim.faults.clear()
    world.rest(600)
    assert run.life.state == "RUNNING"
    assert world.protocol.unwritten() == ()


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("what", ["job", "model", "service"])
def test_a_forged_holder_of_the_same_account_is_told_by_the_mark(world: World, what: str, restarted: bool) -> None:
    """An older object with the same keys, whose status somebody wrote to say that it made the thing, ends nothing."""
    world.set_secret(FIRST, namespace=THEIRS)
    owner, manifest = {
        "job": (TRAIN, job("squatter", paused=True)),
        "model": (PUBLISH, model("squatter", paused=True, deletionPolicy="Delete")),
        "service": (SERVE, service("squatter", paused=True)),
    }[what]
    squatter = world.kube.apply(there(manifest))
    world.rest(10)
    if what == "job":
        world.sim.configure(training=LONG)
        world.until(world.kube.apply(job()), "Training")
    else:
        published(world)
        if what == "service":
            serving(world)
    reason, status = world.reason(owner), world.status(owner)
    uid = world.kube.objects[squatter]["metadata"]["uid"]
    world.kube.write_status(squatter, {**status, "objectUid": uid, "observedGeneration": 1})
    if restarted:
        world.restart()
    world.rest(60)
    called = len(world.sim.calls)
    world.kube.delete(squatter)
    world.until_gone(squatter)
    world.rest(1200)
    ends = {"stopJob", "StopFineTuningTask", "versionBatchDelete", "DeactivateService"}
    assert not ends & {call.operation for call in world.sim.calls[called:]}
    assert world.reason(owner) == reason
    world.kube.patch_spec(owner, deletionPolicy="Delete")
    world.kube.delete(owner)
    world.until_gone(owner)
    assert ends & {call.operation for call in world.sim.calls[called:]}


# Others whose keys or objects cannot be read just now.


def handed_over(world: World) -> dict[str, Any]:
    """A run that no object holds, and a job that has taken it over: it bears nobody's mark any more."""
    world.sim.configure(training=LONG)
    mine = dict(world.until(world.kube.apply(job(deletionPolicy="Orphan")), "Training"))
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    return mine


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("end", ["stopped", "deleted"])
def test_a_stranger_whose_keys_are_slowed_down_blocks_nothing(world: World, end: str, restarted: bool) -> None:
    """Another account has a run of the same integers; whether it is mine is told by what its object records."""
    mine = handed_over(world)
    world.set_secret(OTHER, namespace=THEIRS)
    collide(world, mine["taskId"])
    stranger = world.kube.apply(there(job("theirs")))
    assert world.until(stranger, "Training")["jobId"] == mine["jobId"]
    owner = world.kube.apply(job("owner", adopt=ids_of(mine), deletionPolicy="Delete"))
    world.until(owner, "Training", within=60)
    world.sim.faults.add(Fault(Effect.ERROR, code=18, count=0, access_key=OTHER))
    if restarted:
        world.restart()
    if end == "stopped":
        world.kube.patch_spec(owner, desiredState="Stopped")
        world.until(owner, "Stopped", within=3600)
    else:
        world.kube.delete(owner)
        world.until_gone(owner)
    assert not works(world, mine["jobId"])
    assert [run.life.state for run in world.sim.account(OTHER).runs] == ["RUNNING"]


def test_a_holder_whose_keys_are_slowed_down_keeps_what_it_holds(world: World) -> None:
    """Another key of the same account: that it has read the run is remembered, or waited for after a restart."""
    world.sim.configure(training=LONG)
    world.set_secret(SECOND, namespace=THEIRS)
    status = dict(world.until(world.kube.apply(job()), "Training"))
    world.rest(60)
    world.sim.faults.add(Fault(Effect.ERROR, code=18, count=0, access_key=FIRST))
    squatter = world.kube.apply(there(job("squatter", adopt=ids_of(status), deletionPolicy="Delete")))
    world.until(squatter, "AlreadyManaged")
    world.restart()
    world.rest(600)
    assert world.status(squatter).get("jobId") is None


@pytest.mark.parametrize("end", ["stopped", "taken over"])
def test_an_object_that_cannot_be_read_blocks_nothing(world: World, caplog: pytest.LogCaptureFixture, end: str) -> None:
    """Its status says that it holds the run, and then says nothing any more that could be read."""
    mine = handed_over(world)
    world.set_secret(OTHER, namespace=THEIRS)
    squatter = world.kube.apply(there(job("squatter", paused=True)))
    world.rest(10)
    owner = Key(TRAIN.plural, "default", "owner")
    if end == "stopped":
        world.until(world.kube.apply(job("owner", adopt=ids_of(mine))), "Training")
    uid = world.kube.objects[squatter]["metadata"]["uid"]
    world.kube.write_status(squatter, {**mine, "objectUid": uid, "observedGeneration": 1})
    world.rest(5)
    world.kube.objects[squatter]["status"]["pending"] = 5
    world.kube._changed(squatter)
    world.rest(5)
    caplog.clear()
    if end == "stopped":
        world.kube.patch_spec(owner, desiredState="Stopped")
        world.until(owner, "Stopped", within=3600)
    else:
        world.until(world.kube.apply(job("owner", adopt=ids_of(mine))), "Training", within=60)
    about = {getattr(record, "object", "") for record in caplog.records if "cannot be read" in record.getMessage()}
    assert about == {str(squatter)}


def test_a_forged_status_is_no_witness(world: World) -> None:
    """What a run that was read proves of the lists is not replaced by what somebody wrote into a status."""
    list_probe = world.kube.apply(job("witness"))
    status = dict(world.until(list_probe, "Succeeded"))
    before = world.store.list_probe(status["account"])
    squatter = world.kube.apply(there(job("squatter", paused=True)))
    world.rest(10)
    uid = world.kube.objects[squatter]["metadata"]["uid"]
    forged = {"objectUid": uid, "taskUuid": "job-fake", "jobUuid": "task-fake"}
    world.kube.write_status(squatter, {**status, **forged, "observedGeneration": 1})
    world.rest(10)
    assert world.store.list_probe(status["account"]) == before == (status["taskUuid"], status["jobUuid"])
