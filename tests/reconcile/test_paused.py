"""`paused`: nothing is changed in the cloud, everything is seen, and it is said only where it holds something back."""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.situations.kit import MANIFESTS
from reconcile.test_deleting import PUBLISH, published, serving, states, training
from reconcile.world import DAY, GRACE, World

CHANGES = (
    "createTask", "createJob", "stopJob", "publishTrainModel", "apply", "ModifyService", "DeactivateService",
    "versionBatchDelete",
)  # fmt: skip


def waits(world: World, key: Key, for_what: str) -> None:
    """See that an object is Paused, says what that holds back, and goes on with none of it."""
    status = world.until(key, "Paused")
    assert status["observedGeneration"] == world.kube.objects[key]["metadata"]["generation"]
    assert f"Pending: {for_what}" in world.condition(key)["message"]
    assert not world.condition(key, "Reconciling")
    assert not world.condition(key, "Stalled")
    before = world.calls(*CHANGES)
    world.rest(3600)
    assert world.calls(*CHANGES) == before
    assert world.reason(key) == "Paused"


@pytest.mark.parametrize("kind", ["job", "model", "service"])
def test_nothing_is_created(kind: str, world: World) -> None:
    """What is not there yet is not made before the pause ends; no finalizer is put on until then."""
    if kind == "model":
        world.until(world.kube.apply(job()), "Succeeded")
    if kind == "service":
        published(world)
    key = world.kube.apply({"job": job, "model": model, "service": service}[kind](paused=True))
    waits(world, key, {"job": "Creating the task", "model": "Publishing run", "service": "Applying for"}[kind])
    assert not world.kube.objects[key]["metadata"].get("finalizers")
    world.kube.patch_spec(key, paused=None)
    world.until(key, {"job": "Succeeded", "model": "Available", "service": "PaymentRequired"}[kind])


def test_no_attempt_is_begun(world: World) -> None:
    """A raised attempt waits, and with Replace the running one is not stopped for it."""
    world.sim.configure(training=AfterSeconds(3 * DAY))
    key = training(world, concurrencyPolicy="Replace")
    world.kube.patch_spec(key, paused=True, attempt=2)
    waits(world, key, "Stopping the run of another attempt")
    world.kube.patch_spec(key, paused=False)
    world.run(lambda: states(world) == ["STOP", "RUNNING"])


def test_no_run_is_stopped_for_its_deadline(world: World) -> None:
    """A deadline that passes meanwhile is kept when the pause ends."""
    world.sim.configure(training=AfterSeconds(3 * DAY))
    key = training(world, activeDeadlineSeconds=60)
    world.kube.patch_spec(key, paused=True)
    waits(world, key, "Stopping the run")
    assert states(world) == ["RUNNING"]
    world.kube.patch_spec(key, paused=False)
    world.until(key, "DeadlineExceeded")


def test_no_service_is_switched(world: World) -> None:
    """A service whose source changes serves on as it was, Available, and switches when the pause ends."""
    key = serving(world)
    world.until(world.kube.apply(job("other")), "Succeeded")
    target = {"modelName": "other_model"}
    other = world.kube.apply(model("other", source={"jobRef": {"name": "other"}}, target=target))
    world.until(other, "Available")
    world.kube.patch_spec(key, paused=True, source={"modelRef": {"name": "other"}})
    waits(world, key, "Switching")
    assert world.is_so(key, "Available")
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Available")
    assert world.status(key)["modelVersionId"] == world.status(other)["modelVersionId"]


def test_it_is_not_said_where_nothing_is_held_back(world: World) -> None:
    """What is done, serving or training stays what it was, and its generation is judged."""
    key = serving(world)
    train = world.kube.apply(job("other"))
    world.until(train, "Training")
    before = {key: "Available", PUBLISH: "Available", train: "Training"}
    for each in before:
        world.kube.patch_spec(each, paused=True)
    world.rest(0)
    assert {each: world.reason(each) for each in before} == before
    world.until(train, "Succeeded")


@pytest.mark.parametrize("end", ["failed", "stopped by others", "invalid"])
def test_a_stall_stays_a_stall(end: str, world: World) -> None:
    """What a person must mend is said whether or not it is paused, and mending it while paused waits."""
    key = training(world)
    if end == "failed":
        world.sim.fail(next(iter(world.sim.account().runs)).id)
        reason = "TrainingFailed"
    elif end == "stopped by others":
        world.sim.stop_run(next(iter(world.sim.account().runs)).id)
        reason = "StoppedExternally"
    else:
        world.kube.patch_spec(key, attempt=2, trainsetRate="many")
        reason = "InvalidSpec"
    world.until(key, reason)
    world.kube.patch_spec(key, paused=True)
    world.rest(10)
    assert world.reason(key) == reason
    assert world.is_so(key, "Stalled")
    if end != "invalid":
        world.kube.patch_spec(key, attempt=2)
        waits(world, key, "Creating the task")


def test_an_open_intent_is_looked_for(world: World) -> None:
    """Whether a create made something is found out while paused, for that changes nothing; the run is recorded."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.kube.patch_spec(key, paused=True)
    world.rest(GRACE)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_an_intent_that_made_nothing_is_not_repeated(world: World) -> None:
    """A create that is proven to have made nothing waits for the end of the pause."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.kube.patch_spec(key, paused=True)
    waits(world, key, "Creating the task")
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("kind", ["job", "model", "service"])
def test_what_exists_is_taken_over(kind: str, world: World) -> None:
    """Importing with a pause records what is there and changes nothing in the cloud, also after that."""
    owners = [serving(world), PUBLISH, Key("qianfanjobs", "default", "train")]
    statuses = {key.plural: world.status(key) for key in owners}
    for key in owners:
        world.kube.patch_spec(key, deletionPolicy="Orphan")
        world.kube.delete(key)
        world.until_gone(key)
    changed = world.calls(*CHANGES)

    status = statuses[f"qianfan{kind}s"]
    adopt, reason = {
        "job": ({"taskId": status.get("taskId"), "jobId": status.get("jobId")}, "Succeeded"),
        "model": ({"modelVersionId": status.get("modelVersionId")}, "Available"),
        "service": ({"serviceId": status.get("serviceId")}, "Available"),
    }[kind]
    blank = {"source": None, "target": None, "serviceName": None, "uri": None} if kind != "job" else {}
    key = world.kube.apply(MANIFESTS[kind]("mine", adopt=adopt, paused=True, **blank))
    taken = world.until(key, reason)
    assert taken["adopted"] is True
    assert {name: taken[name] for name in adopt if name in taken} == {
        name: adopt[name] for name in adopt if name in taken
    }
    world.rest(3600)
    world.kube.delete(key)
    world.until_gone(key)
    assert world.calls(*CHANGES) == changed
