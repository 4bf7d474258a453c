"""What others do to a version or a service is noticed at the slow look, told, and never undone unasked.

See docs/design/conditions.md#situations.
"""

from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator.things import Version
from reconcile.manifests import service
from reconcile.stories import PUBLISH, next_version, published, serving, version_of
from reconcile.world import DAY, World

SLOW = 1300.0
"""Seconds within which a settled thing is looked at again, with a margin."""


def the_version(world: World) -> Version:
    (one,) = [version for version in world.sim.account().versions if version.run]
    return one


def put_back(world: World, version: Version) -> None:
    world.sim.account().versions.add(version)
    version.model.versions.append(version)


def the_service(world: World) -> Any:
    (one,) = world.sim.account().services
    return one


def by_hand(world: World, version: dict[str, Any]) -> None:
    """Switch the service in the console."""
    world.client().modify_service(the_service(world).uid, version["modelIdStr"], version["modelVersionIdStr"])


def drifted(world: World, **fields: Any) -> tuple[Key, dict[str, Any], dict[str, Any]]:
    """A service of the first version, behind which somebody put the second; returns the ids of both."""
    first = published(world)
    key = serving(world, **fields)
    world.kube.patch_spec(key, updatePolicy="Manual")
    second = next_version(world)
    by_hand(world, second)
    world.until(key, "Drifted", within=SLOW)
    return key, first, second


def test_a_version_that_comes_back_is_available_again(world: World) -> None:
    """Gone is Stalled and publishes nothing; it heals by itself when the cloud shows the version again."""
    published(world)
    version = the_version(world)
    world.sim.delete(version.id)
    world.until(PUBLISH, "Gone", within=SLOW)
    world.rest(DAY)
    assert len(world.calls("publishTrainModel")) == 1
    put_back(world, version)
    world.until(PUBLISH, "Available", within=SLOW)


def test_a_version_that_is_gone_is_published_again_when_asked(world: World) -> None:
    """The annotation that the message names publishes the run once more, into the same model."""
    before = published(world)
    world.sim.delete(before["modelVersionId"])
    world.until(PUBLISH, "Gone", within=SLOW)
    assert "qianfan.dev/reconcile-requested-at" in world.condition(PUBLISH)["message"]
    world.ask(PUBLISH)
    status = world.until(PUBLISH, "Available")
    assert status["modelId"] == before["modelId"]
    assert status["published"] == [status["modelVersionId"]] == [the_version(world).id]
    assert len(world.calls("publishTrainModel")) == 2


def test_a_version_that_is_there_is_not_published_again(world: World) -> None:
    """Asked to publish what came back meanwhile, the operator finds it, and deletes and publishes nothing."""
    published(world)
    version = the_version(world)
    world.sim.delete(version.id)
    world.until(PUBLISH, "Gone", within=SLOW)
    put_back(world, version)
    world.ask(PUBLISH)
    world.until(PUBLISH, "Available")
    assert the_version(world) is version
    assert len(world.calls("publishTrainModel")) == 1


def test_a_whole_model_that_is_gone_is_told(world: World) -> None:
    """Without its model a version is Gone; to publish it again is refused with the cloud's word."""
    status = published(world)
    world.sim.delete(status["modelId"])
    world.until(PUBLISH, "Gone", within=SLOW)
    world.ask(PUBLISH)
    world.run(lambda: world.condition(PUBLISH, "Stalled").get("status") == "True" and world.reason(PUBLISH) != "Gone")
    world.rest(DAY)
    assert "model does not exist (10001)" in world.condition(PUBLISH)["message"]
    assert [one for one in world.sim.account().models if not one.preset] == []


def test_a_version_that_fails_later_is_told(world: World) -> None:
    """A ready version that the console marks as failed turns Ready off."""
    published(world)
    the_version(world).life.enter("Fail", world.clock.cloud())
    world.until(PUBLISH, "PublishingFailed", within=SLOW)
    the_version(world).life.enter("Ready", world.clock.cloud())
    world.until(PUBLISH, "Available", within=SLOW)
    assert len(world.calls("publishTrainModel")) == 1


def test_a_service_that_serves_again_is_available_again(world: World) -> None:
    """ServiceStopped and Gone heal by themselves; nothing is applied for."""
    published(world)
    key = serving(world)
    one = the_service(world)
    world.sim.expire(one.id)
    world.until(key, "ServiceStopped", within=SLOW)
    one.life.enter("Done", world.clock.cloud())
    world.until(key, "Available", within=SLOW)
    world.sim.delete(one.id)
    world.until(key, "Gone", within=SLOW)
    world.sim.account().services.add(one)
    world.until(key, "Available", within=SLOW)
    assert world.is_so(key, "Available")
    assert len(world.calls("apply")) == 1


def test_a_failed_deployment_that_is_mended_in_the_console_serves(world: World) -> None:
    """DeployingFailed heals by itself."""
    published(world)
    key = world.kube.apply(service())
    world.until(key, "PaymentRequired")
    world.sim.pay()
    world.sim.fail(the_service(world).id)
    world.until(key, "DeployingFailed")
    the_service(world).life.doomed = False
    the_service(world).life.enter("Deploying", world.clock.cloud())
    world.until(key, "Available", within=SLOW)


def test_a_drift_that_is_undone_heals(world: World) -> None:
    """Drifted names both versions and the ways out; when the recorded version serves again, nothing is left of it."""
    key, first, second = drifted(world)
    message = world.condition(key)["message"]
    assert str(first["modelVersionId"]) in message
    assert str(second["modelVersionId"]) in message
    assert world.condition(key, "Available")["status"] == "False"
    assert world.condition(key, "Synced")["status"] == "False"
    by_hand(world, first)
    world.until(key, "Available", within=SLOW)
    assert len(world.calls("ModifyService")) == 2


def test_a_drift_is_switched_back_when_asked(world: World) -> None:
    """The annotation that the message names brings the recorded version back; it does so once."""
    key, first, second = drifted(world)
    assert "qianfan.dev/reconcile-requested-at" in world.condition(key)["message"]
    world.rest(DAY)
    assert len(world.calls("ModifyService")) == 1
    world.ask(key)
    world.until(key, "Available")
    assert the_service(world).version.id == first["modelVersionId"]
    by_hand(world, second)
    world.until(key, "Drifted", within=SLOW)
    world.rest(DAY)
    assert the_service(world).version.id == second["modelVersionId"]


def test_a_drift_of_a_following_service(world: World) -> None:
    """Follow does not fight over a version either; the next version of its model object is switched to."""
    first = published(world)
    second = next_version(world)
    key = serving(world, updatePolicy="Follow")
    assert the_service(world).version.version == "2"
    by_hand(world, first)
    world.until(key, "Drifted", within=SLOW)
    world.rest(DAY)
    assert world.status(key)["modelVersionId"] == second["modelVersionId"]
    assert len(world.calls("ModifyService")) == 1
    next_version(world, attempt=3)
    world.until(key, "Available")
    assert the_service(world).version.version == "3"


def test_others_may_be_faster_than_a_following_service(world: World) -> None:
    """A version that somebody switched to before the operator did is no drift, and not switched to again."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    world.kube.patch_spec(key, paused=True)
    by_hand(world, next_version(world))
    world.rest(600)
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Available")
    world.rest(DAY)
    assert world.reason(key) == "Available"
    assert len(world.calls("ModifyService")) == 1


def test_a_drift_before_it_serves_is_told_when_it_does(world: World) -> None:
    """What others put behind an unpaid service is not taken for what this object asked for."""
    first = published(world)
    second = next_version(world)
    key = world.kube.apply(service(source=version_of(first)))
    world.until(key, "PaymentRequired")
    the_service(world).version = world.sim.find(second["modelVersionId"])
    world.rest(600)
    world.sim.pay()
    world.until(key, "Drifted")
    assert world.status(key)["modelVersionId"] == first["modelVersionId"]


def test_a_service_without_a_source_shows_what_it_serves(world: World) -> None:
    """Where the spec says nothing about the version, another one is no drift."""
    published(world)
    owner = serving(world, deletionPolicy="Orphan")
    world.kube.delete(owner)
    world.until_gone(owner)
    adopt = {"serviceId": the_service(world).id}
    key = world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt=adopt))
    world.until(key, "Available")
    second = next_version(world)
    by_hand(world, second)
    world.run(lambda: world.status(key)["modelVersionId"] == second["modelVersionId"], within=SLOW)
    assert world.reason(key) == "Available"


@pytest.mark.parametrize("generation", ["2023", "2024"])
def test_drift_is_seen_in_both_generations(world: World, generation: str) -> None:
    """Both field sets of service/detail tell the version that is served."""
    world.sim.configure(service_generation=generation)
    drifted(world)
