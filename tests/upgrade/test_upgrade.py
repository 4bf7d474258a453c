"""Objects, statuses, names and marks of every released version go on working: nothing is created, nothing flips."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from paid import PAID
from qianfan_operator.api.common import FINALIZER
from qianfan_operator.api.keys import Key
from qianfan_operator.kinds.registry import BY_PLURAL
from reconcile.golden import played
from reconcile.situations import SITUATIONS
from reconcile.world import World
from upgrade.freeze import FOLDER

HOUR = 3600  # seconds
BY_NAME = {situation.name: situation for situation in SITUATIONS}
PLURALS = {kind.resource.kind: plural for plural, kind in BY_PLURAL.items()}
SNAPSHOTS = sorted(FOLDER.glob("v*/*/*.yaml"))
IDS = (
    "taskId", "taskUuid", "taskName", "jobId", "jobUuid", "modelId", "modelIdStr", "modelVersionId",
    "modelVersionIdStr", "serviceId", "serviceUuid", "url", "attempt", "highestAttempt", "inputsHash", "adopted",
)  # fmt: skip

LATER = ("sentDescription", "sentTags")
"""Fields of a status that version 0.1.0 did not have: what it did not record is not judged."""


def key_of(raw: Mapping[str, Any]) -> Key:
    return Key(PLURALS[raw["kind"]], raw["metadata"]["namespace"], raw["metadata"]["name"])


def install(world: World, frozen: Mapping[str, Any]) -> None:
    """Put back what the older version wrote, in Kubernetes and in the cloud."""
    for raw in frozen["objects"]:
        kept = world.kube.objects[key_of(raw)]
        kept["status"] = copy.deepcopy(raw["status"])
        kept["metadata"]["finalizers"] = list(raw["metadata"].get("finalizers", []))
    for thing in things(frozen["accounts"]):
        there = world.sim.find(thing["id"])
        there.name, there.description = thing["name"], thing["description"]


def forget_what_it_did_not_record(world: World, frozen: Mapping[str, Any]) -> None:
    """Take out of the statuses what the older version had no field for, and nobody can know afterwards."""
    for raw in frozen["objects"]:
        status = world.kube.objects[key_of(raw)]["status"]
        for name in LATER:
            if name not in raw["status"]:
                status.pop(name, None)


def things(value: Any) -> Iterator[Mapping[str, Any]]:
    """Walk over everything in the cloud that has an id."""
    if isinstance(value, Mapping):
        if "id" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from things(inner)


def outcome(world: World) -> dict[str, Any]:
    """Return what is paid for in the hour after a restart, and what the objects then say."""
    called = len(world.sim.calls)
    world.restart()
    world.rest(HOUR)
    paid = sorted(call.operation for call in world.sim.calls[called:] if call.operation in PAID.values())
    return {"paid": paid, "objects": {str(key): told(raw) for key, raw in world.kube.objects.items()}}


def told(raw: Mapping[str, Any]) -> dict[str, Any]:
    status = raw["status"]
    return {
        "conditions": {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions", [])},
        "ids": {name: status[name] for name in IDS if name in status},
        "held": FINALIZER in raw["metadata"].get("finalizers", []),
    }


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=[str(path.relative_to(FOLDER)) for path in SNAPSHOTS])
def test_an_older_version_s_objects_go_on_as_if_this_version_had_written_them(snapshot: Path) -> None:
    """After an upgrade the next hour pays for the same, and ends in the same statuses and ids, as without one."""
    situation, kind = BY_NAME[snapshot.stem], snapshot.parent.name
    frozen = yaml.safe_load(snapshot.read_text(encoding="utf-8"))
    with played(situation, kind) as (world, _):
        forget_what_it_did_not_record(world, frozen)
        expected = outcome(world)
    with played(situation, kind) as (world, _):
        install(world, frozen)
        assert outcome(world) == expected


def test_a_snapshot_shows_everything_that_the_version_knew() -> None:
    """Version 0.1.0 is frozen with every situation that it had."""
    assert len([path for path in SNAPSHOTS if "v0.1.0" in path.parts]) == 109
