"""What a tenant may put into an object ends no process, fills no memory and is not repeated in a status."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from qianfan_operator.api.common import RECONCILE_ANNOTATION
from qianfan_operator.api.job import QianfanJob
from qianfan_operator.api.keys import Key
from qianfan_operator.api.training import inputs_hash, training_inputs
from qianfan_operator.kinds.registry import BY_PLURAL
from reconcile.manifests import TRAINING, job, model
from reconcile.world import World
from unit.objects import JOB, raw

MANY, WIDE = 4000, 250
"""Enough names, each as long as names may be, to fill an object."""


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def extra(value: Any) -> dict[str, Any]:
    """A hyper-parameter that this version does not know."""
    return {**TRAINING["trainConfig"], "extra": {"key": value}}


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


def deepest() -> Any:
    """A value as deep as JSON can just be read here: nobody who is called from here can recurse into it."""
    for depth in range(sys.getrecursionlimit(), 0, -1):
        try:
            return nested(depth)
        except RecursionError:
            continue
    raise AssertionError


@pytest.mark.parametrize("value", [nested(100), nested(300), pytest.param(None, id="deepest")])
def test_an_object_that_nests_deep_is_taken_in_like_any_other(world: World, value: Any) -> None:
    """Old definitions let `extra` nest as deep as JSON can be read: whoever recurses into that must not end."""
    deep = raw(JOB, spec={"trainConfig": extra(value or deepest())})

    world.event_handler.handle(JOB.plural, "ADDED", deep)
    record = world.store.get(JOB)

    assert record is not None
    assert record.signal is not None
    assert world.store.body(JOB) is not None


def test_what_nests_deep_is_never_trained(world: World) -> None:
    """The object says what is wrong, and nothing is paid for."""
    key = world.kube.apply(job(trainConfig=extra(nested(100))))
    world.until(key, "InvalidSpec")

    assert world.condition(key)["message"] == "spec.trainConfig.extra must nest at most 16 levels deep."
    assert world.sim.calls == []


@pytest.mark.parametrize("key", ["max steps", "1st", "k" * 65, "", "a/b", "\u202ea", "x" * 10_000])
def test_a_key_that_no_hyper_parameter_has_is_never_sent(world: World, key: str) -> None:
    """A definition cannot bound keys: they are held against the cloud's own form before anything is sent."""
    config = {**TRAINING["trainConfig"], "extra": {"inner": [{key: 1}]}}
    name = world.kube.apply(job(trainConfig=config))
    world.until(name, "InvalidSpec")

    assert "spec.trainConfig.extra must have keys of up to 64 letters" in world.condition(name)["message"]
    assert world.sim.calls == []


def test_what_was_trained_with_any_extra_is_not_judged_again(world: World) -> None:
    """A run that an older version trained goes on as it was; a new attempt is what must keep to the rules."""
    name = world.kube.apply(job())
    world.until(name, "Succeeded")
    status, calls = world.status(name), len(world.sim.calls)
    spec = {**TRAINING, "trainConfig": {**TRAINING["trainConfig"], "extra": {"old key": {"a": {"b": {"c": [1]}}}}}}
    trained = QianfanJob.parse({**world.kube.objects[name], "spec": spec}).spec
    world.kube.objects[name]["spec"] = spec
    status |= {"inputsHash": inputs_hash(trained), "inputs": training_inputs(trained)}
    world.restart()
    world.rest(600)

    assert world.is_so(name)
    assert len(world.sim.calls) == calls
    world.kube.patch_spec(name, attempt=2)
    world.until(name, "InvalidSpec")
    assert len(world.calls("createJob")) == 1


def test_foreign_metadata_is_not_remembered() -> None:
    """Labels, annotations and managed fields of others cost no memory, however many there are."""
    names = {f"{number:0{WIDE}d}": "x" for number in range(MANY)}
    world = World()
    try:
        world.event_handler.handle(
            JOB.plural, "ADDED",
            raw(JOB, labels=names, annotations={**names, RECONCILE_ANNOTATION: "now"}, managedFields=[{"a": names}],
                ownerReferences=[names], selfLink="x" * 1_000_000),
        )  # fmt: skip
        body = world.store.body(JOB)
        assert body == raw(JOB, annotations={RECONCILE_ANNOTATION: "now"})
    finally:
        world.close()


def test_what_packs_large_is_read_anew_instead_of_remembered(world: World) -> None:
    """Two hundred objects as large as may be are known, and all of them together cost less than one of them."""
    noise = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(400_000))
    for number in range(200):
        key = Key(JOB.plural, "team", f"large-{number}")
        world.event_handler.handle(key.plural, "ADDED", raw(key, finalizers=[f"x.y/{noise}"]))
    records = [world.store.get(key) for key in world.store.known()]

    assert len(records) == 200
    assert sum(len(record.body or b"") for record in records if record) < len(noise)
    assert all(record.body is not None for record in records if record)  # something is going on with each of them


def test_finalizers_of_others_stay_whatever_they_cost(world: World) -> None:
    """Ours is put on and taken off among a megabyte of others, none of which is lost."""
    foreign = [f"others.example/{number:0{WIDE}d}" for number in range(MANY)]
    name = world.kube.apply(job())
    world.kube.objects[name]["metadata"]["finalizers"] = list(foreign)
    world.until(name, "Training")
    assert world.kube.objects[name]["metadata"]["finalizers"] == [*foreign, "qianfan.dev/cloud-resource"]
    world.kube.delete(name)
    world.rest(3600)

    assert world.kube.objects[name]["metadata"]["finalizers"] == foreign


@pytest.mark.parametrize("word", ["x" * 200_000, "微" * 129, "a\nb", "\u202etxt"])
def test_the_echo_of_an_annotation_is_bounded(world: World, word: str) -> None:
    """A request of any length is handled once, and its echo in the status is short and clean."""
    name = world.kube.apply(job())
    world.until(name, "Training")
    world.ask(name, word)
    world.rest()
    handled, writes = world.status(name)["lastHandledReconcileAt"], world.writes(name)
    world.restart()
    world.rest()

    assert len(handled) <= 128
    assert handled.isprintable()
    assert world.writes(name) == writes
    world.ask(name, word + "x")
    world.rest()
    assert world.status(name)["lastHandledReconcileAt"] != handled


def test_an_echo_that_an_older_version_wrote_still_compares_equal(world: World) -> None:
    """What v0.1.0 handled and wrote at full length is not handled again."""
    name, long = world.kube.apply(model(source={"run": {"taskId": 1, "jobId": 2}})), "x" * 5000
    world.rest()
    raw = world.kube.objects[name]
    raw["metadata"]["annotations"][RECONCILE_ANNOTATION] = raw["status"]["lastHandledReconcileAt"] = long

    assert not BY_PLURAL[name.plural].resource.parse(raw).reconcile_requested


def test_no_attempts_outgrow_a_status(world: World) -> None:
    """Eleven attempts, each with as much as may be trained with, leave room in the status for their ids."""
    path = "bos:/bucket/" + "微" * 150
    for attempt in range(1, 12):
        data = [{"bosPath": f"{path}{attempt}/{number}"} for number in range(64)]
        name = world.kube.apply(job(attempt=attempt, trainset=data))
        world.until(name, "Succeeded")
    status = world.status(name)

    assert [run["attempt"] for run in status["runs"]] == list(range(10, 0, -1))
    assert all(run["jobId"] and run["inputsHash"] and run["inputs"]["peftType"] for run in status["runs"])
    assert len(json.dumps(status, ensure_ascii=False).encode()) < 100_000


def test_more_than_a_status_can_record_is_not_trained(world: World) -> None:
    """The longest paths, as many as may be, are refused in words before anything is paid for."""
    name = world.kube.apply(job(trainset=[{"bosPath": f"bos:/{number:01018d}"} for number in range(64)]))
    world.until(name, "InvalidSpec")

    message = world.condition(name)["message"]
    assert re.search(r"spec.trainset must be at most 32768 bytes as JSON, not \d{5}: name folders", message)
    assert world.sim.calls == []


def test_the_way_out_of_a_blocked_deletion_is_told_whole() -> None:
    """However long what blocks it is, the command that lets the object go stands at the end of the message."""
    world = World()
    try:
        name = world.kube.apply({**job("n" * 253), "metadata": {"name": "n" * 253}})
        world.until(name, "Training")
        world.set_secret(None)
        world.restart()
        world.kube.delete(name)
        world.until(name, "DeletionBlocked")
        message = world.condition(name)["message"]
        assert len(message) <= 1024
        assert message.endswith(f""" {"n" * 253} --type=merge -p '{{"spec":{{"deletionPolicy":"Orphan"}}}}'""")
    finally:
        world.close()


def test_a_status_that_cannot_be_read_makes_nothing(world: World) -> None:
    """An object whose record is broken is told in the log, and tried again; nothing is made as if it had none."""
    name = world.kube.apply(job())
    world.kube.objects[name]["status"]["runs"] = "none"
    world.kube.annotate(name, note="changed")
    world.rest(600)

    assert world.sim.calls == []
    assert world.there(name)
