"""Deleting a model whose status was wiped, or whose versions others hold.

See docs/design/api.md#deleting.
"""

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model
from reconcile.stories import PUBLISH, next_version, published
from reconcile.world import World

SECOND = Key("qianfanmodels", "default", "second")


def names(world: World) -> list[str]:
    """The models of the account, with the numbers of their versions."""
    own = [one for one in world.sim.account().models if not one.preset]
    return [f"{one.name}: {', '.join(version.version for version in one.versions)}" for one in own]


def wiped(world: World, key: Key) -> None:
    """Wipe a status and delete the object while nobody looks."""
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.restart()


def test_a_wiped_model_goes_with_the_model_that_it_made(world: World) -> None:
    """What is found is recorded before it is deleted, so that an emptied model is known to be ours to delete."""
    published(world, deletionPolicy="Delete")
    next_version(world)
    wiped(world, PUBLISH)
    world.until_gone(PUBLISH)
    assert names(world) == []


@pytest.mark.parametrize("there", [True, False], ids=["beside the other object", "after the other object"])
def test_a_wiped_version_in_the_model_of_another_goes(world: World, there: bool) -> None:
    """It is found in the other object's model, and where that object is gone, in whatever model it is."""
    published(world)
    world.until(world.kube.apply(job("more")), "Succeeded")
    target = {"modelRef": {"name": "publish"}}
    world.kube.apply(model("second", source={"jobRef": {"name": "more"}}, target=target, deletionPolicy="Delete"))
    world.until(SECOND, "Available")
    assert names(world) == ["my_model: 1, 2"]
    if not there:
        world.kube.delete(PUBLISH)
        world.until_gone(PUBLISH)
    wiped(world, SECOND)
    world.until_gone(SECOND)
    assert names(world) == ["my_model: 1"]


@pytest.mark.parametrize("restarted", [False, True])
def test_an_earlier_version_still_belongs_to_who_published_it(world: World, restarted: bool) -> None:
    """What deleting an object would delete cannot be taken over by another one meanwhile, in no process."""
    first = published(world, deletionPolicy="Delete")
    next_version(world)
    if restarted:
        world.restart()
    adopt = {"modelVersionId": first["modelVersionId"]}
    other = world.kube.apply(model("mine", source=None, target=None, adopt=adopt))
    world.until(other, "AlreadyManaged")
    world.kube.patch_spec(PUBLISH, deletionPolicy="Orphan")
    world.kube.delete(PUBLISH)
    world.until(other, "Available")
    assert names(world) == ["my_model: 1, 2"]


def test_an_adopted_version_is_removed_if_that_is_written(world: World) -> None:
    """deletionPolicy Delete counts for what was taken over, too; a model that others made stays."""
    theirs = published(world)
    world.kube.delete(PUBLISH)
    world.until_gone(PUBLISH)
    adopt = {"modelVersionId": theirs["modelVersionId"]}
    key = world.kube.apply(model("mine", source=None, target=None, adopt=adopt, deletionPolicy="Delete"))
    world.until(key, "Available")
    world.kube.delete(key)
    world.until_gone(key)
    assert names(world) == ["my_model: "]
