"""What belongs to nobody's account is not exclusive, and that keys see it says nothing about whose they are."""

from typing import Any

import pytest

from attacks.tenants import there
from reconcile.manifests import job, model
from reconcile.stories import PUBLISH, TRAIN
from reconcile.world import FIRST, OTHER, SECOND, World


@pytest.fixture
def preset(world: World) -> Any:
    """A version of the platform's own, which every account sees under the same ids."""
    (version, *_) = [version for version in world.sim.account().versions if not version.run]
    other = world.sim.account(OTHER)
    if other is not world.sim.account():
        other.models.add(version.model)
        other.versions.add(version)
    return version


def adopting(name: str, version: Any, **fields: Any) -> dict[str, Any]:
    return model(name, adopt={"modelVersionId": version.id}, source=None, target=None, **fields)


@pytest.mark.parametrize("keys", [FIRST, SECOND, OTHER])
def test_any_number_of_objects_may_use_a_preset_version(world: World, preset: Any, keys: str) -> None:
    """Who takes one over first keeps nobody else from it."""
    world.set_secret(keys, namespace="elsewhere")
    world.until(world.kube.apply(there(adopting("theirs", preset))), "Available")
    world.until(world.kube.apply(adopting("publish", preset)), "Available")
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH, within=600)
    assert [call for call in world.sim.calls if call.operation == "versionBatchDelete"] == []


def test_a_preset_version_proves_no_account(world: World, preset: Any) -> None:
    """Both keys see it, and are of two accounts: what the other one shows as "none" is not believed."""
    world.until(world.kube.apply(job()), "Training")
    world.until(world.kube.apply(adopting("publish", preset)), "Available")
    world.set_secret(OTHER)
    world.ask(PUBLISH)
    world.until(PUBLISH, "Available")
    world.rest(3600)
    assert world.reason(TRAIN) == "AccountChanged"
    world.kube.delete(TRAIN)
    world.rest(3600)
    assert world.there(TRAIN)
    assert {run.life.state for run in world.sim.account(FIRST).runs} <= {"RUNNING", "FINISH"}


def test_a_run_of_the_same_integers_proves_no_account(world: World) -> None:
    """Keys of another account that show another run under the recorded integers do not see mine, and stop nothing."""
    world.until(world.kube.apply(job()), "Training")
    world.set_secret(OTHER, namespace="elsewhere")
    world.sim.cloud.ids._next = world.status(TRAIN)["taskId"]
    theirs = world.kube.apply(there(job("theirs")))
    world.until(theirs, "Training")
    world.set_secret(OTHER)
    world.until(TRAIN, "AccountChanged")
    world.kube.delete(TRAIN)
    world.rest(300)
    assert world.there(TRAIN)
    assert [run.life.state for run in world.sim.account(OTHER).runs] == ["RUNNING"]
