"""Edits of what the cloud has no call for: the owner is told by Synced, and who uses the object is not disturbed."""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model, service
from reconcile.world import DAY, World

TRAIN = Key("qianfanjobs", "default", "train")


def made(world: World, manifest: Callable[..., dict[str, Any]], **fields: Any) -> Key:
    """Make an object, and before it those that it refers to; return it when it is Ready."""
    for each in (job, model, service):
        key = world.kube.apply(each(**(fields if each is manifest else {})))
        if each is service:
            world.until(key, "PaymentRequired")
            world.sim.pay()
        world.run(lambda key=key: world.is_so(key))
        if each is manifest:
            break
    return key


def synced(world: World, key: Key) -> tuple[str, str]:
    told = world.condition(key, "Synced")
    return told["status"], told["reason"]


EDITS = [
    pytest.param(job, "description", "words", "other words", id="description of a job"),
    pytest.param(job, "description", None, "other words", id="first description of a job"),
    pytest.param(model, "description", "words", None, id="removed description of a model"),
    pytest.param(model, "tags", ["one"], ["one", "two"], id="tags of a model"),
    pytest.param(service, "description", "words", "other words", id="description of a service"),
]


@pytest.mark.parametrize(("manifest", "field", "first", "then"), EDITS)
def test_what_is_not_sent_is_told(
    world: World, manifest: Callable[..., dict[str, Any]], field: str, first: object, then: object
) -> None:
    """Synced names the field and what to do, Ready stays, nothing is sent, and undoing the edit makes it True again."""
    key = made(world, manifest, **{field: first})
    assert synced(world, key)[0] == "True"
    calls = len(world.sim.calls)
    world.kube.patch_spec(key, **{field: then})
    world.run(lambda: world.condition(key, "Synced")["status"] == "False", within=5)
    assert synced(world, key) == ("False", "UpdateUnsupported")
    told = world.condition(key, "Synced")["message"]
    assert f"spec.{field}" in told
    assert "the cloud has no call that changes the description" in told
    assert "Undo the change" in told
    assert world.is_so(key)
    assert not world.condition(key, "Stalled")
    assert not [
        call for call in world.sim.calls[calls:] if call.operation in {"createJob", "publishTrainModel", "apply"}
    ]
    world.restart()
    world.rest(DAY)
    assert synced(world, key) == ("False", "UpdateUnsupported")
    written = world.writes(key)
    world.rest(DAY)
    assert world.writes(key) == written
    world.kube.patch_spec(key, **{field: first})
    world.run(lambda: world.condition(key, "Synced")["status"] == "True", within=5)
    assert world.is_so(key)


def test_an_edit_while_it_trains_is_told_and_ends_nothing(world: World) -> None:
    """Nobody has to wait for the end of the run to hear of it."""
    key = world.kube.apply(job(description="words"))
    world.until(key, "Training")
    world.kube.patch_spec(key, description="other words")
    world.run(lambda: world.condition(key, "Synced")["status"] == "False", within=60)
    assert synced(world, key) == ("False", "UpdateUnsupported")
    assert world.condition(key, "Reconciling")["status"] == "True"
    world.until(key, "Succeeded")
    assert synced(world, key) == ("False", "UpdateUnsupported")


def test_a_new_attempt_uses_the_new_text(world: World) -> None:
    """With the attempt it is sent; a recorded attempt that becomes current again has its own."""
    key = made(world, job, description="words")
    world.kube.patch_spec(key, description="other words", attempt=2)
    world.run(lambda: world.is_so(key) and world.status(key)["attempt"] == 2)
    assert synced(world, key)[0] == "True"
    assert [run.description for run in world.sim.account().runs] == ["words", "other words"]
    world.kube.patch_spec(key, attempt=1)
    world.run(lambda: world.is_so(key) and world.status(key)["attempt"] == 1)
    assert synced(world, key) == ("False", "UpdateUnsupported")
    world.kube.patch_spec(key, description="words")
    world.run(lambda: world.is_so(key) and synced(world, key)[0] == "True")
    assert len(world.sim.account().runs) == 2


def test_the_next_version_uses_the_new_text(world: World) -> None:
    """What a version is published with is compared with that version alone."""
    key = made(world, model, description="words", updatePolicy="Follow")
    world.kube.patch_spec(key, description="other words")
    world.run(lambda: synced(world, key)[0] == "False", within=60)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.run(lambda: world.is_so(key) and len(world.status(key)["published"]) == 2)
    world.rest(60)
    assert synced(world, key)[0] == "True"


@pytest.mark.parametrize("manifest", [job, model, service])
def test_what_was_sent_before_it_was_recorded_is_not_judged(
    world: World, manifest: Callable[..., dict[str, Any]]
) -> None:
    """Objects of an earlier version of the operator do not complain about what nobody knows."""
    key = made(world, manifest, description="words")
    status = {name: value for name, value in world.status(key).items() if not name.startswith("sent")}
    world.kube.write_status(key, status)
    world.restart()
    world.kube.patch_spec(key, description="other words")
    world.rest(DAY)
    assert world.is_so(key)
    assert synced(world, key)[0] == "True"
