"""What another object holds is neither recorded nor stopped, by whatever way it is found.

See docs/design/architecture.md#ownership.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, TRAIN, published, serving
from reconcile.world import DAY, World

LONG = AfterSeconds(30 * DAY)


def adopting(name: str, status: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A job that takes over a run by its integers."""
    return job(name, adopt={"taskId": status["taskId"], "jobId": status["jobId"]}, **fields)


def works(world: World, run: int) -> bool:
    return {run.id: run.life.state for run in world.sim.account().runs}[run] == "RUNNING"


def shelved(world: World) -> tuple[Key, Key, int]:
    """A job's lost run is left behind by its next attempt, and adopted by another job before V2 shows it."""
    world.sim.configure(training=LONG, v2="denied")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    first = world.kube.apply(job("first"))
    task = world.until(first, "CreateOutcomeUnknown")["taskId"]
    (run,) = (run.id for run in world.sim.account().runs)
    world.kube.patch_spec(first, attempt=2)
    world.until(first, "Training")
    other = world.kube.apply(adopting("other", {"taskId": task, "jobId": run}))
    world.until(other, "Training")
    return first, other, run


def test_a_run_known_by_its_strings_is_not_adopted_by_its_integers(world: World) -> None:
    """No call tells a run's integers with its strings; the name of its task tells that it is held."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=LONG)
    first = world.kube.apply(job("first"))
    before = dict(world.until(first, "Training"))
    world.kube.wipe_status(first)
    world.restart()
    world.run(lambda: world.status(first).get("jobUuid"))
    assert "jobId" not in world.status(first)
    other = world.kube.apply(adopting("other", before, deletionPolicy="Delete"))
    world.until(other, "AlreadyManaged")
    world.kube.delete(other)
    world.until_gone(other)
    assert works(world, before["jobId"])


@pytest.mark.parametrize("end", ["deleted", "stopped", "deleted before it looks"])
def test_a_late_run_that_another_adopted_is_left_to_it(world: World, end: str) -> None:
    """The outcome of an earlier attempt comes to light when another object holds it by then: it is not ours."""
    first, other, run = shelved(world)
    if end == "deleted before it looks":
        world.kube.delete(first)
        world.until(first, "DeletionBlocked")
    world.sim.configure(v2="on")
    world.rest(1200)
    if end == "stopped":
        world.kube.patch_spec(first, desiredState="Stopped")
        world.until(first, "Stopped")
    elif end == "deleted":
        world.kube.delete(first)
    if end != "stopped":
        world.until_gone(first)
    world.rest(1200)
    assert works(world, run)
    assert world.reason(other) == "Training"


def wiped(world: World, key: Key) -> None:
    """Wipe the status of an object that is paused, so that it does not look for what it had."""
    world.kube.patch_spec(key, paused=True)
    world.rest(10)
    world.kube.wipe_status(key)
    world.restart()
    world.rest(10)


def test_a_wiped_job_stops_no_run_that_another_adopted(world: World) -> None:
    """What a deletion finds by its mark counts only if nobody else has taken it over meanwhile."""
    world.sim.configure(training=LONG)
    first = world.kube.apply(job("first"))
    before = dict(world.until(first, "Training"))
    wiped(world, first)
    other = world.kube.apply(adopting("other", before))
    world.until(other, "Training")
    world.kube.delete(first)
    world.until_gone(first)
    world.rest(1200)
    assert works(world, before["jobId"])
    assert world.reason(other) == "Training"


def test_a_wiped_service_takes_no_endpoint_offline_that_another_adopted(world: World) -> None:
    """As for jobs: the endpoint bears our mark, and goes on serving for the object that holds it now."""
    published(world)
    first = serving(world)
    number = world.status(first)["serviceId"]
    wiped(world, first)
    adopt = {"serviceId": number}
    other = world.kube.apply(service("other", adopt=adopt, source=None, serviceName=None, uri=None))
    world.until(other, "Available")
    world.kube.delete(first)
    world.until_gone(first)
    world.rest(1200)
    assert world.reason(other) == "Available"


def test_a_wiped_model_deletes_no_version_that_another_adopted(world: World) -> None:
    """As for jobs: the version bears our mark, and stays for the object that holds it now."""
    number = published(world, deletionPolicy="Delete")["modelVersionId"]
    wiped(world, PUBLISH)
    other = world.kube.apply(model("other", adopt={"modelVersionId": number}, source=None, target=None))
    world.until(other, "Available")
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH)
    assert [version.id for version in world.sim.account().versions if version.run] == [number]


def test_nothing_is_taken_over_before_all_is_listed(world: World) -> None:
    """After a start the object that records a run may be read last: until then the run is adopted by nobody else."""
    world.sim.configure(training=LONG)
    holder = world.kube.apply(job("holder"))
    status = world.until(holder, "Training")
    other = world.kube.apply(adopting("other", status, deletionPolicy="Delete"))
    world.restart(late=[holder])
    world.rest(60)
    assert "listing" in world.condition(other)["message"]
    assert "jobId" not in world.status(other)
    world.show(holder)
    world.until(other, "AlreadyManaged")
    assert world.reason(holder) == "Training"


def orphaned(world: World) -> dict[str, Any]:
    """A run that goes on without an object; the ids that its status had."""
    world.sim.configure(training=LONG)
    key = world.kube.apply(job("gone", deletionPolicy="Orphan"))
    status = dict(world.until(key, "Training"))
    world.kube.delete(key)
    world.until_gone(key)
    return status


def test_a_claim_ends_with_the_pass_that_could_not_write_it(world: World) -> None:
    """Who was changed while it took a run over, and gave up, does not keep it from others."""
    status = orphaned(world)
    first = world.kube.apply(adopting("first", status))
    looked = len(world.calls("jobDetail"))

    def around(name: str, do: Callable[[], Any]) -> Any:
        if name == "patch_status" and len(world.calls("jobDetail")) > looked and not world.status(first).get("jobId"):
            world.kube.patch_spec(first, adopt=None, paused=True)
        return do()

    world.kube.around = around
    world.until(first, "Paused")
    assert "jobId" not in world.status(first)
    world.until(world.kube.apply(adopting("other", status)), "Training", within=60)


def test_a_holder_that_went_unseen_holds_nothing(world: World) -> None:
    """An object that was deleted during a gap of the watch is asked for before others are refused."""
    first = world.kube.apply(job("first", deletionPolicy="Orphan"))
    status = dict(world.until(first, "Succeeded"))
    world.kube.remove_finalizer(first)
    world.kube.delete(first)
    world.kube.listing()  # the watch learns nothing of this
    world.until(world.kube.apply(adopting("other", status)), "Succeeded", within=60)


def test_a_model_hears_of_the_end_of_an_earlier_attempt(world: World) -> None:
    """Who refers to an attempt that is not the current one is woken when its run is known to have ended."""
    world.sim.configure(training=AfterSeconds(3600))
    train = world.kube.apply(job())
    world.until(train, "Training")
    world.kube.patch_spec(TRAIN, attempt=2, concurrencyPolicy="Forbid")
    world.rest(60)
    world.kube.apply(model(source={"jobRef": {"name": "train", "attempt": 1}}))
    world.run(lambda: world.reason(PUBLISH) == "DependencyNotReady")
    world.run(lambda: [run for run in world.status(TRAIN).get("runs", ()) if run.get("trainStatus") == "FINISH"])
    world.run(lambda: world.calls("publishTrainModel"), within=30)
