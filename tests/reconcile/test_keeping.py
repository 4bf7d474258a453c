"""What deleting a model must not take from others.

See docs/design/api.md#deleting.
"""

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model, service
from reconcile.world import World

PUBLISH = Key("qianfanmodels", "default", "publish")


def published(world: World, **fields) -> dict:
    """Train and publish by an object whose deletion deletes; return its status."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.kube.apply(model(deletionPolicy="Delete", **fields))
    return world.until(PUBLISH, "Available")


def left(world: World) -> list[int]:
    return [version.id for version in world.sim.account().versions if version.run]


def test_after_a_start_nothing_is_deleted_before_all_is_listed(world: World) -> None:
    """Who uses a model is known only when all objects were listed: until then its version stays, and says so."""
    published(world)
    world.until(serve := world.kube.apply(service()), "PaymentRequired")
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    world.restart(late=[serve])
    world.rest(3600)
    assert left(world)
    assert "listing" in world.condition(PUBLISH)["message"]
    world.show(serve)
    world.until(PUBLISH, "InUse")


@pytest.mark.parametrize("ids", ["integers", "strings"])
def test_a_version_that_is_served_by_its_ids_is_in_use(world: World, ids: str) -> None:
    """A service that names the version by its ids keeps it as one does that names the object, from the start."""
    status, suffix = published(world), "" if ids == "integers" else "Str"
    version = {"modelId": status[f"modelId{suffix}"], "modelVersionId": status[f"modelVersionId{suffix}"]}
    key = world.kube.apply(service(source={"modelVersion": version}, paused=True))
    world.until(key, "Paused")
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    assert "serve" in world.condition(PUBLISH)["message"]
    world.kube.delete(key)
    world.until_gone(key)
    world.until_gone(PUBLISH, within=300)
    assert left(world) == []


def test_a_version_that_is_served_after_all_is_in_use(world: World) -> None:
    """A service that was adopted, or turned to another source, keeps the version that it is recorded to serve."""
    published(world)
    world.until(serve := world.kube.apply(service(deletionPolicy="Orphan")), "PaymentRequired")
    number = world.status(serve)["serviceId"]
    world.kube.delete(serve)
    world.until_gone(serve)
    adopt = {"serviceId": number}
    world.until(
        world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt=adopt)), "PaymentRequired"
    )
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    world.rest(3600)
    assert left(world)


def test_a_version_that_another_object_published_stays(world: World) -> None:
    """An object that was content with a version that it found there deletes nothing."""
    status = published(world)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Orphan")
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH)
    other = model("other", target={"modelId": status["modelId"]}, deletionPolicy="Delete")
    world.until(key := world.kube.apply(other), "Available")
    assert world.status(key)["modelVersionId"] == status["modelVersionId"]
    world.kube.delete(key)
    world.until_gone(key)
    assert left(world) == [status["modelVersionId"]]


@pytest.mark.parametrize("by", ["modelRef", "modelId"])
def test_an_empty_model_that_another_object_targets_stays(world: World, by: str) -> None:
    """Whoever targets the model, by reference or by its id, still finds it when the object that made it goes."""
    status = published(world)
    world.kube.apply(job("later", desiredState="Stopped"))
    target = {"modelRef": {"name": "publish"}} if by == "modelRef" else {"modelId": status["modelId"]}
    world.kube.apply(model("second", source={"jobRef": {"name": "later"}}, target=target))
    world.rest(60)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH)
    assert [one.id for one in world.sim.account().models if not one.preset] == [status["modelId"]]


def test_nothing_is_published_into_a_model_that_is_being_deleted(world: World) -> None:
    """`target.modelRef` to an object that is going waits, for its model may go with it."""
    published(world)
    world.until(world.kube.apply(service()), "PaymentRequired")
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    world.until(world.kube.apply(job("other")), "Succeeded")
    second = model("second", source={"jobRef": {"name": "other"}}, target={"modelRef": {"name": "publish"}})
    world.until(key := world.kube.apply(second), "DependencyNotReady")
    assert "being deleted" in world.condition(key)["message"]
