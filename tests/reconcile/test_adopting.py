"""What exists in the cloud is taken over by its ids, old or new; nothing is made for it.

See docs/design/api.md#adopt.
"""

from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, TRAIN, published, serving, version_of
from reconcile.world import DAY, World

BY_ID = pytest.mark.parametrize("suffix", ["", "Str"], ids=["integer", "string"])
NEW = {"source": None, "target": None}


def elsewhere(world: World, name: str = "theirs", runs: int = 1) -> dict[str, Any]:
    """A model that somebody published by hand, of one run per version; returns the ids of its newest version."""
    told: dict[str, Any] = {}
    for number in range(runs):
        run = world.until(world.kube.apply(job(f"hand-{number}")), "Succeeded")
        meta = {"taskId": run["taskId"], "iterationId": run["jobId"], "description": "by hand"}
        into = {"modelId": told["modelId"]} if told else {"isNewModel": True, "modelName": name}
        made = world.client().prepare_publish({**into, "versionMeta": meta}).send()
        told = {
            "modelId": made.model_id, "modelIdStr": made.model_id_str,
            "modelVersionId": made.version_id, "modelVersionIdStr": made.version_id_str,
        }  # fmt: skip
    world.rest(60)
    return told


def served_elsewhere(world: World, **fields: Any) -> Any:
    """A service that somebody applied for by hand, for the version of `publish`."""
    ids = version_of(published(world))["modelVersion"]
    body = {"name": "my_service", "uri": "theirs", "replicas": 1, "poolType": 2, **ids, **fields}
    world.client().prepare_apply(body).send()
    (one,) = world.sim.account().services
    return one


def made(world: World) -> list[Any]:
    return world.calls("publishTrainModel", "apply", "ModifyService")


@BY_ID
def test_a_version_is_taken_over_with_all_that_the_cloud_tells(world: World, suffix: str) -> None:
    """By either id: model, state, the run that it was made of, and both ids of everything stand in the status."""
    theirs = elsewhere(world)
    before = len(made(world))
    key = world.kube.apply(model("mine", **NEW, adopt={"modelVersionId": theirs[f"modelVersionId{suffix}"]}))
    status = world.until(key, "Available")
    run = world.status(Key("qianfanjobs", "default", "hand-0"))
    assert {name: status[name] for name in theirs} == theirs
    assert (status["modelName"], status["version"], status["state"]) == ("theirs", "1", "Ready")
    assert status["source"] == {name: run[name] for name in ("taskId", "taskUuid", "jobId", "jobUuid")}
    assert status["adopted"] is True
    assert "createTime" in status
    assert len(made(world)) == before


@BY_ID
def test_a_whole_model_lists_its_versions_and_stays_with_its_newest(world: World, suffix: str) -> None:
    """The newest version at that time is taken and kept; the list shows what is published later, too."""
    theirs = elsewhere(world, runs=2)
    key = world.kube.apply(model("mine", **NEW, adopt={"modelId": theirs[f"modelId{suffix}"]}))
    world.until(key, "Available")
    world.kube.apply(job("later"))
    world.kube.apply(model("later", source={"jobRef": {"name": "later"}}, target={"modelId": theirs["modelId"]}))
    world.until(Key("qianfanmodels", "default", "later"), "Available")
    world.run(lambda: world.status(key)["versionCount"] == 3)
    status = world.status(key)
    assert (status["version"], status["modelVersionId"]) == ("2", theirs["modelVersionId"])
    assert [one["version"] for one in status["versions"]] == ["3", "2", "1"]
    assert {(one["sourceType"], one["state"]) for one in status["versions"]} == {("Train", "Ready")}
    assert world.reason(key) == "Available"


def test_a_version_of_the_platform_is_taken_over(world: World) -> None:
    """A preset version is made of no run: its source stays open, and its list tells where it comes from."""
    preset = next(one for one in world.sim.account().versions if one.model.preset)
    key = world.kube.apply(model("mine", **NEW, adopt={"modelVersionId": preset.uid}))
    status = world.until(key, "Available")
    assert "source" not in status
    assert [one["sourceType"] for one in status["versions"]] == ["PlatformPreset"]


def test_a_version_of_another_model_is_refused(world: World) -> None:
    """Ids that do not belong together are InvalidSpec, naming the model that it does belong to; mended, they work."""
    theirs = elsewhere(world)
    adopt = {"modelId": 4711, "modelVersionId": theirs["modelVersionId"]}
    key = world.kube.apply(model("mine", **NEW, adopt=adopt))
    world.until(key, "InvalidSpec")
    assert str(theirs["modelId"]) in world.condition(key)["message"]
    world.kube.patch_spec(key, adopt={**adopt, "modelId": theirs["modelIdStr"]})
    world.until(key, "Available")


def test_adopt_is_the_way_out_of_a_taken_name(world: World) -> None:
    """Added to a model that is NameTaken, it takes over what is there; deleting the object leaves it, by default."""
    theirs = elsewhere(world, "my_model")
    world.until(world.kube.apply(job()), "Succeeded")
    key = world.kube.apply(model(deletionPolicy=None))
    world.until(key, "NameTaken")
    before = len(made(world))
    world.kube.patch_spec(key, adopt={"modelVersionId": theirs["modelVersionIdStr"]})
    world.until(key, "Available")
    assert world.status(key)["modelVersionId"] == theirs["modelVersionId"]
    world.rest(DAY)
    assert len(made(world)) == before
    world.kube.delete(key)
    world.until_gone(key)
    assert world.sim.find(theirs["modelVersionId"])


def test_adopt_may_be_removed(world: World) -> None:
    """What was taken over stays what it is; a source that is given then is published into its model."""
    theirs = elsewhere(world)
    key = world.kube.apply(model("mine", **NEW, adopt={"modelVersionId": theirs["modelVersionId"]}))
    world.until(key, "Available")
    before = len(made(world))
    target = {"modelId": theirs["modelId"]}
    world.kube.patch_spec(key, adopt=None, source={"jobRef": {"name": "hand-0"}}, target=target)
    world.until(key, "Available")
    world.rest(DAY)
    assert world.status(key)["modelVersionId"] == theirs["modelVersionId"]
    assert len(made(world)) == before
    world.kube.apply(job())
    world.kube.patch_spec(key, source={"jobRef": {"name": "train"}})
    world.until(key, "Available")
    assert (world.status(key)["modelId"], world.status(key)["version"]) == (theirs["modelId"], "2")


@pytest.mark.parametrize("kind", ["model", "service"])
def test_an_object_that_holds_something_else_is_already_bound(world: World, kind: str) -> None:
    """adopt of other ids is AlreadyBound, naming what is held, which serves on; either id of what is held is fine."""
    published(world)
    key = PUBLISH if kind == "model" else serving(world)
    other = {"modelVersionId": 4711} if kind == "model" else {"serviceId": "svco-abcdefghijkl"}
    held = world.status(key)["modelVersionId" if kind == "model" else "serviceId"]
    world.kube.patch_spec(key, adopt=other)
    world.until(key, "AlreadyBound")
    assert str(held) in world.condition(key)["message"]
    assert kind == "model" or world.is_so(key, "Available")
    for name in ("modelVersionId", "modelVersionIdStr") if kind == "model" else ("serviceId", "serviceUuid"):
        world.kube.patch_spec(key, adopt={next(iter(other)): world.status(key)[name]})
        world.until(key, "Available")
    world.kube.patch_spec(key, adopt=None)
    world.until(key, "Available")
    assert "adopted" not in world.status(key)


@BY_ID
def test_a_version_has_one_object(world: World, suffix: str) -> None:
    """The second one that adopts a version is AlreadyManaged, and takes it over when the first one goes."""
    theirs = elsewhere(world)
    adopt = {"modelVersionId": theirs["modelVersionId"]}
    first = world.kube.apply(model("first", **NEW, adopt=adopt))
    world.until(first, "Available")
    second = world.kube.apply(model("second", **NEW, adopt={"modelVersionId": theirs[f"modelVersionId{suffix}"]}))
    world.until(second, "AlreadyManaged")
    assert "QianfanModel first" in world.condition(second)["message"]
    world.kube.delete(first)
    world.until(second, "Available")
    assert world.status(second)["modelVersionId"] == theirs["modelVersionId"]


def test_what_cannot_be_found_is_taken_over_once_it_is_there(world: World) -> None:
    """Gone names the id, is asked for again by and by, and makes nothing."""
    theirs = elsewhere(world)
    version = world.sim.find(theirs["modelVersionId"])
    world.sim.delete(version.id)
    key = world.kube.apply(model("mine", **NEW, adopt={"modelVersionId": version.uid}))
    world.until(key, "Gone")
    assert version.uid in world.condition(key)["message"]
    world.sim.account().versions.add(version)
    world.sim.find(theirs["modelId"]).versions.append(version)
    world.until(key, "Available", within=3600)


@BY_ID
def test_an_unpaid_service_is_taken_over(world: World, suffix: str) -> None:
    """Its name, its address and its version are read from the cloud, and it is paid for and serves as any other."""
    one = served_elsewhere(world)
    adopt = {"serviceId": one.uid if suffix else one.id}
    key = world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt=adopt))
    world.until(key, "PaymentRequired")
    world.sim.pay()
    status = world.until(key, "Available")
    assert (status["serviceName"], status["uri"], status["url"].endswith(one.uri)) == ("my_service", one.uri, True)
    assert status["modelVersionId"] == world.status(PUBLISH)["modelVersionId"]
    assert "onlineTime" in status
    world.kube.delete(key)
    world.until_gone(key)
    assert one.life.state == "Done"


def test_a_stopped_service_is_taken_over(world: World) -> None:
    """A service that has served and is stopped is told as that, and goes on by itself when it serves again."""
    one = served_elsewhere(world)
    world.sim.pay()
    world.rest(600)
    world.sim.expire(one.id)
    key = world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt={"serviceId": one.id}))
    world.until(key, "ServiceStopped")
    one.life.enter("Done", world.clock.cloud())
    world.until(key, "Available", within=3600)


def test_a_service_that_is_taken_over_serves_what_the_spec_says(world: World) -> None:
    """With a source beside `adopt`, the service is switched to its version; without one it keeps what it has."""
    one = served_elsewhere(world)
    world.sim.pay()
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.until(world.kube.apply(model("next", target={"modelRef": {"name": "publish"}})), "Available")
    key = world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt={"serviceId": one.id}))
    world.until(key, "Available")
    world.rest(DAY)
    assert one.version.version == "1"
    world.kube.patch_spec(key, source={"modelRef": {"name": "next"}})
    world.until(key, "Available")
    assert one.version.version == "2"
    assert world.status(key)["adopted"] is True
