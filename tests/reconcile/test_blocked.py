"""What keeps an object from going, and that `deletionPolicy: Orphan`, set meanwhile, ends every wait.

See docs/design/api.md#deleting.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.test_deleting import PUBLISH, published, serving, states, training
from reconcile.test_duplicates import duplicate, second_run
from reconcile.world import DAY, FIRST, GRACE, OTHER, World

CHANGES = ("stopJob", "StopFineTuningTask", "versionBatchDelete", "modelBatchDelete", "DeactivateService")


def unconfirmed(world: World) -> Key:
    """Return a job whose createJob got no answer, on a cloud without V2."""
    world.sim.configure(v2="denied", training=AfterSeconds(30 * DAY))
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key := world.kube.apply(job()), "CreateOutcomeUnknown")
    return key


def shelved(world: World) -> Key:
    """Return a job that trains while the outcome of its first attempt is not known."""
    key = unconfirmed(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    return key


def adopted(world: World) -> Key:
    """Return a service that was taken over, and is to be taken offline."""
    owner = serving(world)
    number = world.status(owner)["serviceId"]
    world.kube.patch_spec(owner, deletionPolicy="Orphan")
    world.kube.delete(owner)
    world.until_gone(owner)
    fields = {"source": None, "serviceName": None, "uri": None, "deletionPolicy": "Delete"}
    world.until(key := world.kube.apply(service("mine", adopt={"serviceId": number}, **fields)), "Available")
    return key


def used(world: World) -> Key:
    """Return a model whose version is served."""
    serving(world)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    return PUBLISH


def versions(world: World) -> Key:
    """Return a model that deletes what it published."""
    return published(world, deletionPolicy="Delete")


@dataclass(frozen=True)
class Block:
    """What is there, what then happens, and what is said while the object waits."""

    there: Callable[[World], Key]
    happens: Callable[[World], object]
    reason: str = "DeletionBlocked"
    says: str = ""


def no_keys(world: World) -> None:
    world.set_secret(None)
    world.restart()


def other_keys(world: World) -> None:
    world.set_secret(OTHER)


def revoked(world: World) -> None:
    world.set_secret(FIRST, secret="no-longer")


def down(world: World) -> None:
    world.sim.stop()


def without_v2(world: World) -> None:
    world.sim.configure(v2="denied")


def forgotten(world: World) -> None:
    without_v2(world)
    for key in tuple(world.kube.objects):
        world.kube.wipe_status(key)


MISSING, CHANGED, REFUSED = "Secret qianfan-credentials not found", "access key in Secret", "refuses the keys"
BLOCKS = {
    "a run, no keys": Block(training, no_keys, says=MISSING),
    "a version, no keys": Block(versions, no_keys, says=MISSING),
    "a service, no keys": Block(serving, no_keys, says=MISSING),
    "a run, another account": Block(training, other_keys, says=CHANGED),
    "a version, another account": Block(versions, other_keys, says=CHANGED),
    "a service, another account": Block(serving, other_keys, says=CHANGED),
    "an open intent, another account": Block(unconfirmed, other_keys, says=CHANGED),
    "a run, keys revoked": Block(training, revoked, says=REFUSED),
    "a version, keys revoked": Block(versions, revoked, says=REFUSED),
    "a service, keys revoked": Block(serving, revoked, says=REFUSED),
    "a run, cloud down": Block(training, down, "Deleting"),
    "a version, cloud down": Block(versions, down, "Deleting"),
    "a service, cloud down": Block(serving, down, "Deleting"),
    "an open intent, no V2": Block(unconfirmed, without_v2, says="V2 is not available"),
    "an open intent, cloud down": Block(unconfirmed, down, "Deleting"),
    "an earlier attempt, no V2": Block(shelved, without_v2, says="V2 is not available"),
    "a service, no V2": Block(serving, without_v2, says="billable resources"),
    "an adopted service, no V2": Block(adopted, without_v2, says="billable resources"),
    "a forgotten run, no V2": Block(training, forgotten),
    "a forgotten service, no V2": Block(serving, forgotten, says="my_service"),
    "a version that is served": Block(used, lambda _: None, "InUse", "QianfanService serve"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_orphan_releases(name: str, world: World) -> None:
    """The object stays, says why and how to let it go; Orphan lets it go at once and calls nothing any more."""
    block = BLOCKS[name]
    key = block.there(world)
    block.happens(world)
    world.kube.delete(key)
    world.rest(600)
    told = world.condition(key)
    assert told["reason"] == block.reason
    assert block.says in told["message"]
    assert (f"patch {key.plural[:-1]} {key.name} --type=merge" in told["message"]) == (
        told["reason"] == "DeletionBlocked"
    )
    before = world.calls(*CHANGES)
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.rest(0)
    assert not world.there(key)
    assert world.calls(*CHANGES) == before


@pytest.mark.parametrize("blocker", ["no keys", "another account", "cloud down"])
@pytest.mark.parametrize("policy", ["Delete", None])
def test_what_has_nothing_left_goes_all_the_same(world: World, blocker: str, policy: str | None) -> None:
    """A job whose runs have ended has nothing to release: neither keys nor an answer of the cloud are needed."""
    world.until(done := world.kube.apply(job("done", deletionPolicy=policy)), "Succeeded")
    stopped = training(world, deletionPolicy=policy)
    world.kube.patch_spec(stopped, desiredState="Stopped")
    world.until(stopped, "Stopped")
    {"no keys": no_keys, "another account": other_keys, "cloud down": down}[blocker](world)
    for key in (done, stopped):
        world.kube.delete(key)
    world.rest(0)
    assert not world.there(done)
    assert not world.there(stopped)


@pytest.mark.parametrize("kind", ["model", "service"])
def test_a_refused_create_leaves_nothing_to_release(world: World, kind: str) -> None:
    """What the cloud has refused to make needs no keys to be deleted."""
    if kind == "model":
        world.until(world.kube.apply(job()), "Succeeded")
        world.sim.faults.add(Fault(Effect.ERROR, "publishTrainModel", count=0, code=500001))
        key = world.kube.apply(model(deletionPolicy="Delete"))
    else:
        published(world)
        world.sim.faults.add(Fault(Effect.ERROR, "apply", count=0, code=500001))
        key = world.kube.apply(service())
    world.run(lambda: world.condition(key, "Stalled"))
    assert world.kube.objects[key]["metadata"]["finalizers"]
    no_keys(world)
    world.kube.delete(key)
    world.rest(0)
    assert not world.there(key)


def test_what_is_known_is_stopped_while_an_earlier_outcome_is_not(world: World) -> None:
    """A run that is recorded does not cost on because of one of which nobody can tell whether it was made."""
    key = shelved(world)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert states(world) == ["RUNNING", "STOP"]
    assert world.condition(key, "Stalled")["status"] == "True"


def test_an_unknown_outcome_is_something_left(world: World) -> None:
    """A job is not over as long as nobody knows whether an earlier attempt has a run, though the current one ended."""
    key = shelved(world)
    world.sim.stop_run(world.status(key)["jobId"])
    world.until(key, "StoppedExternally")
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert states(world) == ["RUNNING", "STOP"]


def test_several_runs_of_an_earlier_attempt_are_all_stopped(world: World) -> None:
    """Nobody need say which run of an earlier attempt was the one that was wanted."""
    key = shelved(world)
    second_run(world, world.status(key)["runs"][0]["taskId"])
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    world.sim.configure(v2="on")
    world.until_gone(key)
    assert states(world) == ["STOP", "STOP", "STOP"]


def test_a_finished_job_is_polled_until_its_other_run_has_stopped(world: World) -> None:
    """That the selected run has ended does not end the care for one that was made besides."""
    key, first, _ = duplicate(world)
    world.kube.patch_spec(key, adopt={"taskId": first.task.id, "jobId": first.id})
    world.until(key, "Training")
    first.life.enter("FINISH", world.clock.cloud())
    world.until(key, "Succeeded")
    world.kube.delete(key)
    world.until_gone(key, within=GRACE)
    assert states(world) == ["FINISH", "STOP"]


@pytest.mark.parametrize("kind", ["run", "version", "service"])
def test_mended_keys_end_a_block_at_once(world: World, kind: str) -> None:
    """Whoever writes the right keys again need not wait, nor say so to each object."""
    key = {"run": training, "version": versions, "service": serving}[kind](world)
    world.set_secret(OTHER)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    world.rest(60 if kind == "run" else 3600)
    world.set_secret(FIRST)
    world.until_gone(key, within=60)
