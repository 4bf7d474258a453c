"""An object whose source object was deleted goes on with what it has, and says that its reference leads nowhere."""

from qianfan_operator.api.keys import Key
from reconcile.manifests import model
from reconcile.stories import PUBLISH, TRAIN, next_version, published, serving
from reconcile.world import World

HOUR = 3600.0


def said(world: World, key: Key) -> tuple[str, str, str]:
    synced = world.condition(key, "Synced")
    return synced["status"], synced["reason"], synced["message"]


def warnings(world: World, key: Key) -> list[tuple[str, str, int]]:
    uid = world.kube.objects[key]["metadata"]["uid"]
    mine = [one for one in world.kube.events if one["regarding"]["uid"] == uid]
    told = [(one["type"], one["reason"], one.get("series", {}).get("count", 1)) for one in mine]
    return [one for one in told if one[1] in {"DependencyNotReady", "Recovered"} and one[0] == "Warning"] + [
        one for one in told if one[1] == "Recovered"
    ]


def test_a_service_without_its_model_object_serves_on_and_says_so(world: World) -> None:
    """Ready and Available stay; Synced names the model. It is told once, at once, and again when the model is back."""
    published(world)
    key = serving(world)
    world.kube.delete(PUBLISH)  # its policy is Orphan: the version stays
    world.until_gone(PUBLISH)
    world.rest(10)
    status, reason, message = said(world, key)
    assert (status, reason) == ("False", "DependencyNotReady")
    assert "QianfanModel publish" in message
    assert "goes on serving" in message
    assert world.is_so(key)
    assert world.is_so(key, "Available")
    assert warnings(world, key) == [("Warning", "DependencyNotReady", 1)]
    written = world.writes(key)
    world.rest(2 * HOUR)
    world.restart()
    world.rest(2 * HOUR)
    assert world.writes(key) == written
    assert warnings(world, key) == [("Warning", "DependencyNotReady", 1)]
    assert said(world, key)[0] == "False"
    world.kube.apply(model())
    world.until(PUBLISH, "Available")
    world.rest(60)
    assert said(world, key)[0] == "True"
    assert warnings(world, key)[-1] == ("Normal", "Recovered", 1)
    assert len(world.calls("apply")) == 1


def test_a_restart_does_not_miss_what_is_only_not_listed_yet(world: World) -> None:
    """Until all objects were seen, nobody is said to be missing."""
    published(world)
    key = serving(world)
    world.restart(late=[PUBLISH])
    world.rest(HOUR)
    assert said(world, key)[0] == "True"
    world.show(PUBLISH)
    world.rest(HOUR)
    assert said(world, key)[0] == "True"
    assert warnings(world, key) == []


def test_a_model_that_follows_a_job_says_that_the_job_is_gone(world: World) -> None:
    """It cannot follow it any more; the version stays."""
    published(world, updatePolicy="Follow")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.rest(10)
    status, reason, message = said(world, PUBLISH)
    assert (status, reason) == ("False", "DependencyNotReady")
    assert "QianfanJob train" in message
    assert world.is_so(PUBLISH)


def test_a_model_that_changes_does_not_wake_a_service_that_does_not_follow(world: World) -> None:
    """That it is there is all that matters; a switch to its next version is not asked for."""
    published(world)
    key = serving(world)
    world.rest(HOUR)
    next_version(world)
    looked, now = len(world.calls("serviceDetail", "DescribeService")), world.clock.boot
    world.kube.patch_spec(PUBLISH, paused=True)
    world.rest(5)
    assert world.clock.boot - now < world.schedule.poll_min
    assert len(world.calls("serviceDetail", "DescribeService")) == looked
    assert said(world, key)[0] == "True"


def test_a_model_that_does_not_follow_needs_no_job(world: World) -> None:
    """A job may be cleaned up when its run is published."""
    published(world)
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.rest(HOUR)
    assert said(world, PUBLISH)[0] == "True"
