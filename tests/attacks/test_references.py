"""Names in references that are none, in objects that were stored before admission judged them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from attacks.test_paths import HOSTILE, RULE, TEXTS, each_hostile_text
from qianfan_operator.api import QianfanJob, QianfanModel, QianfanService
from qianfan_operator.api.keys import Key
from qianfan_operator.kinds.registry import BY_PLURAL
from reconcile.manifests import job, model, service
from reconcile.world import OTHER, World, keys

VICTIM = "../../tenant-b/secrets/qianfan-credentials"
SECRET: dict[str, Callable[[str], dict[str, Any]]] = {
    "job": lambda name: job(credentialsRef={"name": name}),
    "model": lambda name: model(source={"run": {"taskId": 1, "jobId": 2}}, credentialsRef={"name": name}),
    "service": lambda name: service(
        source={"modelVersion": {"modelId": 1, "modelVersionId": 2}}, credentialsRef={"name": name}
    ),
}
OBJECT: dict[str, Callable[[str], dict[str, Any]]] = {
    "job.incrementalFrom.jobRef": lambda name: job(
        incrementalFrom={"jobRef": {"name": name}}, baseTrainType=None, trainType=None, peftType=None
    ),
    "model.source.jobRef": lambda name: model(source={"jobRef": {"name": name}}),
    "model.target.modelRef": lambda name: model(
        source={"run": {"taskId": 1, "jobId": 2}}, target={"modelRef": {"name": name}}
    ),
    "service.source.modelRef": lambda name: service(source={"modelRef": {"name": name}}),
}
SPECS = {"QianfanJob": QianfanJob, "QianfanModel": QianfanModel, "QianfanService": QianfanService}
NAME = re.compile(RULE)


def watched(world: World) -> list[tuple[str, ...]]:
    """Have every read of a Secret or an object noted, with the names that it is made with."""
    seen: list[tuple[str, ...]] = []
    secret, get = world.kube.secret, world.kube.get

    def read_secret(namespace: str, name: str) -> Any:
        seen.append(("secret", namespace, name))
        return secret(namespace, name)

    def read(key: Key) -> Any:
        seen.append(tuple(key))
        return get(key)

    world.kube.secret, world.kube.get = read_secret, read  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize("kind", SECRET)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_no_secret_is_read_for_a_name_that_is_none(worlds: Callable[..., World], kind: str, name: str) -> None:
    """The object is InvalidSpec: not one Secret is read, and no other one's keys are taken instead."""
    world = worlds(default="operators-own")
    world.kube.secrets["operators-own", "qianfan-credentials"] = keys(OTHER)
    world.kube.secrets["default", VICTIM] = keys(OTHER)
    world.start()
    reads = watched(world)
    key = world.kube.apply(SECRET[kind](name))
    world.until(key, "InvalidSpec")
    world.rest(3600)
    assert world.is_so(key, "Stalled")
    assert world.condition(key)["message"].startswith("spec.credentialsRef.name must be a DNS-1123 name")
    assert [read for read in reads if read[0] == "secret"] == []
    assert world.sim.calls == []
    record = world.store.get(key)
    assert record is not None
    assert record.secrets == ()


@pytest.mark.parametrize("where", OBJECT)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_no_object_is_read_or_watched_by_a_name_that_is_none(world: World, where: str, name: str) -> None:
    """The object is InvalidSpec: nothing of that name is read, and nobody is woken for it."""
    reads = watched(world)
    key = world.kube.apply(OBJECT[where](name))
    world.until(key, "InvalidSpec")
    world.rest(3600)
    assert world.is_so(key, "Stalled")
    field = where.partition(".")[2]
    assert world.condition(key)["message"].startswith(f"spec.{field}.name must be a DNS-1123 name")
    assert {read[2] for read in reads} <= {key.name, "qianfan-credentials"}
    assert all(world.store.referrers(Key(plural, "default", name)) == () for plural in BY_PLURAL)
    assert world.calls("createTask", "createJob", "publishTrainModel", "apply") == []


@pytest.mark.parametrize("where", [*SECRET, *OBJECT])
@each_hostile_text
@given(text=TEXTS)
def test_every_reference_is_a_name_or_a_mistake(where: str, text: str) -> None:
    """What is read of a reference is a DNS-1123 name, whatever was stored; and all else is read all the same."""
    raw = {**SECRET, **OBJECT}[where](text)
    kind = SPECS[raw["kind"]]
    raw["metadata"]["namespace"] = "default"
    good = len(text) <= 253 and NAME.fullmatch(text) is not None
    try:
        kind.parse(raw)
        assert good
    except ValidationError:
        assert not good
    salvaged = kind.parse_lenient(raw)
    references = BY_PLURAL[kind.plural].references(salvaged)
    assert all(reference.namespace == "default" and NAME.fullmatch(reference.name) for reference in references)
    if where in SECRET:
        assert salvaged.spec.credentials_ref.name == (text if good else "")


def test_a_good_name_mends_the_object(world: World) -> None:
    """Once the reference is a name the object goes on by itself."""
    key = world.kube.apply(job(credentialsRef={"name": VICTIM}))
    world.until(key, "InvalidSpec")
    world.kube.patch_spec(key, credentialsRef={"name": "qianfan-credentials"})
    world.until(key, "Succeeded")


def test_an_object_that_never_had_keys_leaves_at_once(world: World) -> None:
    """Nothing was made for it, so nothing holds it."""
    key = world.kube.apply(job(credentialsRef={"name": VICTIM}))
    world.until(key, "InvalidSpec")
    world.kube.delete(key)
    assert not world.there(key)


@pytest.mark.parametrize("way", ["the name is mended", "it is left as it is"])
def test_an_object_that_has_a_run_leaves_by_the_documented_ways(world: World, way: str) -> None:
    """An object from before the rule is blocked in its deletion, says why, and goes with keys or without the cloud."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, credentialsRef={"name": VICTIM})
    world.until(key, "InvalidSpec")
    calls = len(world.sim.calls)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    message = world.condition(key)["message"]
    assert message.startswith("spec.credentialsRef.name must be a DNS-1123 name")
    command = """kubectl -n default patch qianfanjob train --type=merge -p '{"spec":{"deletionPolicy":"Orphan"}}'"""
    assert message.endswith(command)
    assert len(world.sim.calls) == calls
    if way == "the name is mended":
        world.kube.patch_spec(key, credentialsRef=None)
    else:
        world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.until_gone(key)
    assert [run.life.state for run in world.sim.account().runs] == [
        "STOP" if way == "the name is mended" else "RUNNING"
    ]


def test_other_objects_do_not_follow_a_reference_that_is_none(world: World) -> None:
    """A chain that is walked from object to object ends where a stored reference is no name."""
    first = world.kube.apply(job("first", incrementalFrom={"jobRef": {"name": "../x"}}))
    second = world.kube.apply(
        job("second", incrementalFrom={"jobRef": {"name": "first"}}, baseTrainType=None, trainType=None, peftType=None)
    )
    reads = watched(world)
    world.until(first, "InvalidSpec")
    world.run(lambda: world.reason(second) in {"DependencyFailed", "DependencyNotReady"})
    world.rest(3600)
    assert {read[2] for read in reads} <= {"first", "second", "qianfan-credentials"}
