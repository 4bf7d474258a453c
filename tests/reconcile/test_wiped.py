"""A status that was wiped or restored from a backup: what works in the cloud is found before anything else is told."""

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, service
from reconcile.stories import PUBLISH, published, serving
from reconcile.world import World


def wiped(world: World, key: Key, **fields: object) -> None:
    """Wipe the status of an object while nobody acts, and edit it."""
    world.kube.wipe_status(key)
    world.kube.patch_spec(key, **fields)


@pytest.fixture
def train(world: World) -> Key:
    """Supply a job that trains, under keys that have shown that lists show runs."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    key = world.kube.apply(job())
    world.until(key, "Training")
    return key


def test_a_stop_finds_the_run_first(world: World, train: Key) -> None:
    """Stopped is not told of a job whose run works on, unknown to its status: it is found, and stopped."""
    wiped(world, train, desiredState="Stopped")
    run = next(run for run in world.sim.account().runs if run.life.working)
    world.until(train, "Stopped")
    assert run.life.state == "STOP"
    assert len(world.calls("createJob")) == 2


def test_a_pause_does_not_keep_it_from_being_found(world: World, train: Key) -> None:
    """Looking changes nothing in the cloud, and what is found is observed."""
    before = world.status(train)["jobUuid"]
    wiped(world, train, paused=True)
    world.until(train, "Training")
    assert world.status(train)["jobUuid"] == before


def test_a_base_that_is_gone_does_not_hide_the_run(world: World) -> None:
    """A job whose `incrementalFrom` refers to nothing any more finds its run, and observes it to its end."""
    base = world.kube.apply(job("base", peftType="ALL", deletionPolicy="Orphan"))
    world.until(base, "Succeeded")
    own = {"baseTrainType": None, "trainType": None, "peftType": None}
    key = world.kube.apply(job("child", incrementalFrom={"jobRef": {"name": "base"}}, **own))
    world.until(key, "Training")
    before = world.status(key)["jobUuid"]
    world.kube.delete(base)
    world.run(lambda: not world.there(base))
    wiped(world, key)
    world.until(key, "Succeeded")
    assert world.status(key)["jobUuid"] == before
    assert len(world.calls("createJob")) == 2


def test_a_search_for_the_run_does_not_read_like_another_payment(world: World, train: Key) -> None:
    """Whoever sees it is told that nothing is created meanwhile."""
    wiped(world, train)
    world.until(train, "Confirming")
    searched = "The cloud is searched for one; nothing is created or paid for before that."
    assert world.condition(train)["message"] == f"This object has no recorded run. {searched}"


@pytest.fixture
def serve(world: World) -> Key:
    """Supply a service that serves, of which the model is gone."""
    published(world)
    key = serving(world)
    world.kube.delete(PUBLISH)
    world.run(lambda: not world.there(PUBLISH))
    return key


def test_a_model_that_is_gone_does_not_hide_the_endpoint(world: World, serve: Key) -> None:
    """A service that refers to nothing any more knows its endpoint again, and that it serves."""
    before = world.status(serve)
    wiped(world, serve)
    world.run(lambda: world.status(serve).get("url") == before["url"])
    world.rest(60)
    assert world.status(serve)["serviceId"] == before["serviceId"]
    assert world.reason(serve) == "DependencyNotReady"
    assert world.condition(serve, "Available")["status"] == "True"
    assert len(world.calls("apply")) == 1


def test_an_endpoint_of_which_nobody_can_tell_whose_it_is_is_told(world: World, serve: Key) -> None:
    """Without V2 nothing is recorded and nothing forgotten: a person can name the service."""
    before = world.status(serve)["serviceId"]
    world.sim.configure(v2="denied")
    wiped(world, serve)
    world.until(serve, "CreateOutcomeUnknown")
    world.kube.patch_spec(serve, adopt={"serviceId": before})
    world.run(lambda: world.status(serve).get("serviceId") == before)


def test_a_service_that_was_never_applied_for_waits_for_its_model(world: World) -> None:
    """A wiped status with nothing behind it in the cloud comes to what it was before."""
    key = world.kube.apply(service())
    world.until(key, "DependencyNotReady")
    wiped(world, key)
    world.until(key, "DependencyNotReady")
    assert len(world.calls("apply")) == 0
