"""Who names a model version of mine does not keep it: only what is recorded or announced, under my account, does."""

from typing import Any

import pytest

from attacks.tenants import copied, there
from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, TRAIN, published, version_of
from reconcile.world import FIRST, OTHER, SECOND, World

THEIRS = "elsewhere"


@pytest.fixture
def status(world: World) -> dict[str, Any]:
    """A model whose deletion deletes; what it has."""
    return published(world, deletionPolicy="Delete")


def left(world: World) -> list[int]:
    return [version.id for version in world.sim.account().versions if version.run]


@pytest.mark.parametrize("keys", [None, OTHER, FIRST], ids=["no keys", "other keys", "the same keys"])
@pytest.mark.parametrize("suffix", ["", "Str"])
def test_a_bare_spec_elsewhere_keeps_no_version(world: World, status: dict[str, Any], keys: str, suffix: str) -> None:
    """A paused service of another namespace that only names the version blocks nobody's deletion."""
    if keys:
        world.set_secret(keys, namespace=THEIRS)
    world.kube.apply(there(service("squatter", source=version_of(status, suffix), paused=True)))
    world.rest(60)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert left(world) == []


def test_a_bare_target_elsewhere_keeps_no_model(world: World, status: dict[str, Any]) -> None:
    """Nor does a model of another namespace keep the empty model whose id it only names."""
    world.kube.apply(there(model("squatter", target={"modelId": status["modelId"]}, paused=True)))
    world.rest(60)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert [one for one in world.sim.account().models if not one.preset] == []


@pytest.mark.parametrize("keys", [None, OTHER])
def test_a_forged_status_elsewhere_keeps_no_version(world: World, status: dict[str, Any], keys: str | None) -> None:
    """Nor does one that says that it serves the version, with keys that do not see it."""
    if keys:
        world.set_secret(keys, namespace=THEIRS)
    squatter = world.kube.apply(there(service("squatter", paused=True)))
    forged = {
        "observedGeneration": 1,
        "serviceId": 1,
        "modelVersionId": status["modelVersionId"],
        "account": "00000000",
    }
    world.kube.write_status(squatter, {**forged, "objectUid": world.kube.objects[squatter]["metadata"]["uid"]})
    world.rest(60)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert left(world) == []


def test_a_copied_status_elsewhere_keeps_no_version(world: World, status: dict[str, Any]) -> None:
    """Nor does a copy of a status that did serve it."""
    world.set_secret(FIRST, namespace=THEIRS)
    serve = world.kube.apply(service())
    world.until(serve, "PaymentRequired")
    copied(world, serve, there(service("copy", paused=True)))
    world.kube.delete(serve)
    world.until_gone(serve)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert left(world) == []


@pytest.mark.parametrize("keys", [FIRST, SECOND])
@pytest.mark.parametrize("lost", [False, True])
def test_who_serves_it_elsewhere_keeps_it_and_is_not_named(
    world: World, status: dict[str, Any], keys: str, lost: bool
) -> None:
    """A service of the same account that is recorded to serve the version keeps it; the message does not say whose."""
    world.set_secret(keys, namespace=THEIRS)
    other = world.kube.apply(there(service("secretive", source=version_of(status))))
    world.until(other, "PaymentRequired")
    if lost and keys == FIRST:
        world.set_secret(None, namespace=THEIRS)  # a Secret that is lost for a moment frees nothing
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    assert "another namespace" in world.condition(PUBLISH)["message"]
    assert "secretive" not in world.condition(PUBLISH)["message"]
    assert THEIRS not in world.condition(PUBLISH)["message"]
    assert left(world) == [status["modelVersionId"]]


def test_another_version_of_the_same_integer_elsewhere_keeps_nothing(world: World, status: dict[str, Any]) -> None:
    """A service of another account serves a version whose integer is by chance the same."""
    world.set_secret(OTHER, namespace=THEIRS)
    world.kube.apply(there(job()))
    world.until(Key(TRAIN.plural, THEIRS, "train"), "Succeeded")
    world.sim.cloud.ids._next = status["modelId"]  # the cloud counts per account, for all we know
    world.kube.apply(there(model()))
    theirs = world.until(Key(PUBLISH.plural, THEIRS, "publish"), "Available")
    assert theirs["modelVersionId"] == status["modelVersionId"]
    world.sim.cloud.ids._next = 20_000
    world.until(world.kube.apply(there(service())), "PaymentRequired")
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert left(world) == []


def test_within_a_namespace_a_bare_spec_keeps_it(world: World, status: dict[str, Any]) -> None:
    """Those who can delete both are asked to."""
    world.kube.apply(service(source=version_of(status), paused=True))
    world.rest(60)
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    assert "QianfanService serve" in world.condition(PUBLISH)["message"]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("keys", [OTHER, SECOND])
def test_who_cannot_ask_now_keeps_what_is_its_own_alone(
    world: World, status: dict[str, Any], keys: str, restarted: bool
) -> None:
    """The cloud slows the keys of another namespace down: my keys tell whether they see what it serves."""
    world.set_secret(keys, namespace=THEIRS)
    if keys == OTHER:
        world.kube.apply(there(job()))
        world.until(Key(TRAIN.plural, THEIRS, "train"), "Succeeded")
        world.sim.cloud.ids._next = status["modelId"]
        world.kube.apply(there(model()))
        theirs = world.until(Key(PUBLISH.plural, THEIRS, "publish"), "Available")
        assert theirs["modelVersionId"] == status["modelVersionId"]
        world.sim.cloud.ids._next = 20_000
    world.until(world.kube.apply(there(service(source=version_of(status)))), "PaymentRequired")
    world.sim.faults.add(Fault(Effect.ERROR, code=18, count=0, access_key=keys))
    if restarted:
        world.restart()
    world.kube.delete(PUBLISH)
    if keys == OTHER:
        world.until_gone(PUBLISH)
    else:
        world.rest(3600)
        assert world.reason(PUBLISH) == "InUse"


@pytest.mark.parametrize("keys", [OTHER, FIRST])
def test_who_cannot_be_read_keeps_what_its_account_served(world: World, status: dict[str, Any], keys: str) -> None:
    """A status that nobody can read any more counts as it was read last, if that was under my key."""
    world.set_secret(keys, namespace=THEIRS)
    if keys == OTHER:
        squatter = world.kube.apply(there(service("squatter", paused=True)))
        uid = world.kube.objects[squatter]["metadata"]["uid"]
        forged = {"observedGeneration": 1, "serviceId": 1, "modelVersionId": status["modelVersionId"], "account": "0"}
        world.kube.write_status(squatter, {**forged, "objectUid": uid})
    else:
        squatter = world.kube.apply(there(service(source=version_of(status))))
        world.until(squatter, "PaymentRequired")
    world.rest(10)
    world.kube.objects[squatter]["status"]["pending"] = 5
    world.kube._changed(squatter)
    world.rest(10)
    world.kube.delete(PUBLISH)
    if keys == OTHER:
        world.until_gone(PUBLISH)
    else:
        world.until(PUBLISH, "InUse")


def test_a_reference_to_what_cannot_be_read_is_waited_for(world: World) -> None:
    """The object that refers is told which one it is, and goes on when that is mended."""
    world.until(world.kube.apply(job()), "Succeeded")
    good = dict(world.status(TRAIN))
    world.kube.objects[TRAIN]["status"]["pending"] = 5
    world.kube._changed(TRAIN)
    world.rest(5)
    world.kube.apply(model())
    world.until(PUBLISH, "DependencyNotReady")
    assert "QianfanJob train cannot be read" in world.condition(PUBLISH)["message"]
    world.kube.write_status(TRAIN, good)
    world.until(PUBLISH, "Available")
