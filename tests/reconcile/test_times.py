"""Times of the cloud in a status: all in UTC, as those of conditions; what an older operator wrote is still read."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from reconcile.manifests import job
from reconcile.stories import PUBLISH, TRAIN, published, serving
from reconcile.world import SECOND, World

SERVE = Key("qianfanservices", "default", "serve")
BEIJING = timezone(timedelta(hours=8))
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def texts(value: Any, path: str = "status") -> dict[str, str]:
    """Every text of a status, by its path."""
    if isinstance(value, dict):
        return {at: text for name, one in value.items() for at, text in texts(one, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {at: text for number, one in enumerate(value) for at, text in texts(one, f"{path}[{number}]").items()}
    return {path: value} if isinstance(value, str) else {}


def times(status: Any) -> dict[str, str]:
    return {path: text for path, text in texts(status).items() if re.match(r"\d{4}-\d\d-\d\d[T ]", text)}


def in_beijing(value: Any) -> Any:
    """Write the times of a status as version 0.1.0 wrote those of the cloud; conditions had UTC then, too."""
    if isinstance(value, dict):
        return {name: one if name == "conditions" else in_beijing(one) for name, one in value.items()}
    if isinstance(value, list):
        return [in_beijing(one) for one in value]
    if isinstance(value, str) and UTC_TIME.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(BEIJING).isoformat()
    return value


def test_every_time_is_in_utc(world: World) -> None:
    """Of a job, its model and its service, with an earlier attempt and all that the cloud tells of them."""
    published(world)
    serving(world)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Training")
    world.until(TRAIN, "Succeeded")
    found = {path: text for key in (TRAIN, PUBLISH, SERVE) for path, text in times(world.status(key)).items()}
    shown = {path.rpartition(".")[2] for path in found}
    assert {"startTime", "finishTime", "createTime", "onlineTime", "lastTransitionTime"} <= shown
    assert {path: text for path, text in found.items() if not UTC_TIME.fullmatch(text)} == {}


@pytest.mark.parametrize("keys", ["the same keys", "other keys of the account"])
def test_times_of_an_older_operator_are_read(world: World, keys: str) -> None:
    """They are rewritten at most once, name the same moment, and are not taken for those of another resource."""
    published(world)
    serving(world)
    for key in (TRAIN, PUBLISH, SERVE):
        world.kube.write_status(key, in_beijing(world.status(key)))
    if keys != "the same keys":
        world.set_secret(SECOND)
    world.restart()
    world.rest(3600)
    written = {key: world.writes(key) for key in (TRAIN, PUBLISH, SERVE)}
    world.rest(3600)
    assert {key: world.writes(key) for key in written} == written
    assert [world.reason(key) for key in written] == ["Succeeded", "Available", "Available"]
    assert times(world.status(PUBLISH))["status.createTime"].endswith("Z")


def test_a_deadline_counts_from_a_time_of_an_older_operator(world: World) -> None:
    """A run is stopped after its time, not eight hours earlier or later."""
    key = world.kube.apply(job(activeDeadlineSeconds=300))
    world.until(key, "Training")
    world.rest(30)
    world.kube.write_status(key, in_beijing(world.status(key)))
    world.restart()
    began = world.clock.boot
    world.until(key, "DeadlineExceeded")
    assert 200 < world.clock.boot - began < 400


def test_a_finished_run_is_done(world: World) -> None:
    """The cloud's last word for a run that has finished is 99 percent; the status says 100."""
    key = world.kube.apply(job())
    status = world.until(key, "Succeeded")
    assert status["progress"] == 100


def test_a_run_that_was_stopped_is_not_done(world: World) -> None:
    """Its progress stays what the cloud told."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.rest(100)
    world.kube.patch_spec(key, desiredState="Stopped")
    status = world.until(key, "Stopped")
    assert status["progress"] < 100
