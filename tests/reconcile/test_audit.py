"""Every call that changes the cloud, and every finalizer that is removed, is one line of the log that says why."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.cloud import operations
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.telemetry.logs import JsonFormatter
from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import job, service
from reconcile.situations.kit import KINDS, usable, working
from reconcile.stories import PUBLISH, TRAIN, next_version, published, serving, version_of
from reconcile.world import World

CHANGES = {one.operation for one in vars(operations).values() if isinstance(one, Endpoint) and one.changes}
Lines = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Call it with a message: it returns the fields of the lines that say it at a level, INFO by default."""
    caplog.set_level(logging.INFO)

    def told(message: str, level: int = logging.INFO) -> list[dict[str, Any]]:
        return [vars(one) for one in caplog.records if one.getMessage() == message and one.levelno == level]

    return told


def changes(lines: Lines, *operations: str) -> list[dict[str, Any]]:
    return [line for line in lines("cloud call") if line["operation"] in (operations or CHANGES)]


def test_a_chain_is_told_from_its_first_call_to_its_last(world: World, lines: Lines) -> None:
    """As many lines as the cloud had changing calls, in their order; then the finalizers, with what was recorded."""
    published(world)
    key = serving(world)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.rest(60)
    ids = world.status(key)["serviceId"], world.status(PUBLISH)["modelVersionId"]
    for one in (key, PUBLISH, TRAIN):
        world.kube.delete(one)
        world.until_gone(one)
    told = changes(lines)
    assert [line["operation"] for line in told] == [
        one.operation for one in world.sim.calls if one.operation in CHANGES
    ]
    assert {"createTask", "createJob", "publishTrainModel", "apply", "DeactivateService"} <= {
        line["operation"] for line in told
    }
    causes = {line["operation"]: line["cause"] for line in told}
    assert causes["apply"] == causes["createTask"] == causes["createJob"] == "create"
    assert causes["DeactivateService"] == causes["versionBatchDelete"] == causes["modelBatchDelete"] == "deletion"
    for line in told:
        assert line["code"] == "OK"
        assert line["request_id"]
        assert line["object"].endswith(("/train", "/publish", "/serve"))
        assert line["generation"] >= 1
    made = next(line for line in told if line["operation"] == "apply")
    assert f"serviceId={ids[0]}" in made["made"]
    (deleted,) = changes(lines, "versionBatchDelete")
    assert deleted["ids"] == [f"modelVersionIds={ids[1]}"]
    removed = lines("finalizer removed")
    assert [(line["object"], line["cause"]) for line in removed] == [
        (str(key), "deletion"), (str(PUBLISH), "deletion"), (str(TRAIN), "nothingLeft"),
    ]  # fmt: skip
    assert f"serviceId={ids[0]}" in removed[0]["ids"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"desiredState": "Stopped"}, "desiredState"),
        ({"activeDeadlineSeconds": 300}, "deadline"),
        ({"attempt": 2, "concurrencyPolicy": "Replace"}, "replace"),
    ],
)
def test_a_stop_says_why(world: World, lines: Lines, change: dict[str, Any], cause: str) -> None:
    """Which of the fields of the spec asked for it."""
    world.sim.configure(training=Never())
    key = world.kube.apply(job())
    run = world.until(key, "Training")
    world.kube.patch_spec(key, **change)
    world.rest(900)
    stops = changes(lines, "stopJob")
    assert {line["cause"] for line in stops} == {cause}
    assert {tuple(line["ids"]) for line in stops} == {(f"taskId={run['taskId']}", f"jobId={run['jobId']}")}
    assert {line["generation"] for line in stops} == {2}


def test_a_deletion_says_so(world: World, lines: Lines) -> None:
    """The run that works is stopped for it, and the object released after that."""
    key = working(world, "job")
    world.kube.delete(key)
    world.until_gone(key)
    assert {line["cause"] for line in changes(lines, "stopJob")} == {"deletion"}
    assert [line["cause"] for line in lines("finalizer removed")] == ["deletion"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_in_the_cloud_is_named(world: World, lines: Lines, kind: str) -> None:
    """Orphan calls nothing: the line of the finalizer is the last that is ever told of the resource."""
    key = usable(world, kind) if kind != "job" else working(world, kind)
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.rest(60)
    status, before = world.status(key), len(changes(lines))
    world.kube.delete(key)
    world.until_gone(key)
    assert len(changes(lines)) == before
    (removed,) = lines("finalizer removed")
    assert (removed["object"], removed["cause"]) == (str(key), "orphan")
    number = {"job": "jobId", "model": "modelVersionId", "service": "serviceId"}[kind]
    assert f"{number}={status[number]}" in removed["ids"]


def test_all_earlier_runs_are_named(world: World, lines: Lines) -> None:
    """One item for each run, so that the line has room for as many as a status keeps."""
    key = usable(world, "job")
    runs = [world.status(key)["jobId"]]
    for attempt in range(2, 11):
        world.kube.patch_spec(key, attempt=attempt)
        world.run(lambda attempt=attempt: world.status(key)["attempt"] == attempt and world.reason(key) == "Succeeded")
        runs.append(world.status(key)["jobId"])
    world.kube.delete(key)
    world.until_gone(key)
    told = line_of("finalizer removed", lines)
    assert [number for number in runs if not re.search(rf"\bjobId={number}\b", " ".join(told))] == []
    assert "more" not in told[-1]


def test_of_many_earlier_runs_those_that_may_work_are_named(world: World, lines: Lines) -> None:
    """Ended runs are left out before those that may still cost something; how many are, is told."""
    key = usable(world, "job")
    ended = [{"attempt": -number, "jobId": 5000 + number, "trainStatus": "FINISH"} for number in range(30)]
    working = {"attempt": -40, "taskId": 8001, "jobId": 8002, "jobUuid": "task-b", "trainStatus": "RUNNING"}
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.rest(60)
    world.kube.write_status(key, {**world.status(key), "runs": [*ended, working]})
    world.restart()
    world.kube.delete(key)
    world.until_gone(key)
    told = line_of("finalizer removed", lines)
    (first, *_) = (item for item in told if item.startswith("run "))
    assert first == "run attempt=-40 taskId=8001 jobId=8002 jobUuid=task-b"
    assert len(told) == 20
    named = sum(item.startswith("run ") for item in told)
    assert told[-1] == f"… {31 - named} more"


def line_of(message: str, lines: Lines) -> list[str]:
    """The ids of the only such line, as they are written."""
    (fields,) = lines(message)
    told: list[str] = json.loads(JsonFormatter().format(logging.makeLogRecord(fields)))["ids"]
    return told


def test_a_switch_is_told(world: World, lines: Lines) -> None:
    """With the service and the version that it is switched to."""
    first = version_of(published(world))
    key = serving(world, source=first)
    second = next_version(world)
    world.kube.patch_spec(key, source=version_of(second))
    world.rest(600)
    (line,) = changes(lines, "ModifyService")
    assert line["cause"] == "switch"
    assert f"modelVersionIdStr={second['modelVersionIdStr']}" in line["ids"]
    assert f"serviceUuid={world.status(key)['serviceUuid']}" in line["ids"]


def test_what_was_made_for_an_object_that_went_is_ended(world: World, lines: Lines) -> None:
    """The run is stopped although no object asks for it any more."""

    def around(operation: str, do: Callable[[], Any]) -> Any:
        made = do()
        if operation == "createJob":
            world.kube.lose(TRAIN)
        return made

    world.around_cloud = around
    world.kube.apply(job())
    world.rest(120)
    assert {line["cause"] for line in changes(lines, "stopJob")} == {"objectGone"}


@pytest.mark.parametrize(
    ("fault", "code", "error_class"),
    [
        (Fault(Effect.ERROR, "createJob", code=510401), "510401", "NeedsAction"),
        (Fault(Effect.ERROR, "createJob", code=18), "18", "Throttled"),
        (Fault(Effect.LOSE_REPLY, "createJob"), "ConnectionLost", "Ambiguous"),
        (Fault(Effect.STATUS, "createTask", status=500), "HTTP 500", "Ambiguous"),
    ],
)
def test_a_change_that_fails_is_told_with_its_error(
    world: World, lines: Lines, fault: Fault, code: str, error_class: str
) -> None:
    """One line for the call, whatever came of it, and a warning."""
    world.sim.faults.add(fault)
    world.kube.apply(job())
    world.rest(30)
    line = changes(lines, fault.operation)[0]
    assert (line["code"], line["error_class"], line["cause"]) == (code, error_class, "create")
    assert "made" not in line
    warned = [*lines("cloud call failed", logging.WARNING)]
    warned += lines("The outcome of a create request is unknown", logging.WARNING)
    assert [(one["operation"], one["code"], one["error_class"]) for one in warned][:1] == [
        (fault.operation, code, error_class)
    ]


def test_a_single_failure_of_a_look_is_no_warning(world: World, lines: Lines) -> None:
    """It heals by itself; a second one in a row is a warning."""
    key = working(world, "job")
    world.sim.configure(training=Never())
    world.rest(60)
    world.sim.faults.add(Fault(Effect.STATUS, "jobDetail", status=500))
    world.rest(120)
    assert len(lines("cloud call failed")) == 1
    assert lines("cloud call failed", logging.WARNING) == []
    world.sim.faults.add(Fault(Effect.STATUS, "jobDetail", count=2, status=500))
    world.rest(120)
    assert len(lines("cloud call failed", logging.WARNING)) == 1
    assert world.reason(key) == "Training"


def test_a_line_says_nothing_of_the_object_before(world: World, lines: Lines) -> None:
    """Each line is about its own object, however many take turns on one thread."""
    for name in ("one", "two", "three"):
        world.kube.apply(job(name))
    world.rest(60)
    told = changes(lines, "createTask")
    assert len(told) == 3
    for line in told:
        name = line["object"].rpartition("/")[2]
        assert any(one.startswith("name=") and name in one for one in line["ids"])


def test_services_that_are_refused_say_so(world: World, lines: Lines) -> None:
    """A key without rights is told by its class."""
    published(world)
    world.sim.faults.add(Fault(Effect.ERROR, "apply", code=6))
    world.kube.apply(service())
    world.rest(30)
    line = changes(lines, "apply")[0]
    assert (line["code"], line["error_class"]) == ("6", "NeedsAction")
