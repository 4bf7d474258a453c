"""The table of docs/uninstall.md: every row is played, by itself, and what comes of it is what the row says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, published, serving
from reconcile.world import World

DAY = 86400
PAGE = (Path(__file__).parents[2] / "docs/uninstall.md").read_text(encoding="utf-8")


def table(name: str) -> dict[str, list[str]]:
    """Read a table of the page: the other cells by the first one of each row."""
    (text,) = re.findall(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end of {name} -->", PAGE, re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
    return {first: rest for first, *rest in rows}


ROWS, AGAIN = table("deletions"), table("applied again")
ON_A_CLUSTER = {
    "a namespace": "test_a_namespace_ends_what_it_holds_while_the_operator_runs",
    "a namespace while no operator runs": "test_a_namespace_that_no_operator_lets_go_gets_free",
    "a CRD while no operator runs": "test_what_is_stuck_in_terminating_gets_free",
    "`deploy/`": "test_without_the_operator_everything_stays_and_goes_on_later",
}
"""Rows that need a real API server, and their tests in tests/e2e/test_uninstall.py."""


def training(world: World, name: str = "train", **fields: object) -> Key:
    """A job whose run works for a month."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job(name, **fields))
    world.until(key, "Training")
    return key


def finished(world: World) -> Key:
    """A job whose run has ended."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    return key


def serves(world: World) -> Key:
    """A service that serves a version."""
    published(world)
    return serving(world)


def publishes(world: World, **fields: object) -> Key:
    """A model with a version."""
    published(world, **fields)
    return PUBLISH


def adopts(world: World, **fields: object) -> Key:
    """A job that has taken over a run at work."""
    status = world.status(owner := training(world, deletionPolicy="Orphan"))
    world.kube.delete(owner)
    world.until_gone(owner)
    key = world.kube.apply(job("mine", adopt={"taskId": status["taskId"], "jobId": status["jobId"]}, **fields))
    world.until(key, "Training")
    return key


def delete(world: World, key: Key) -> None:
    """Delete the object itself."""
    world.kube.delete(key)


def delete_crd(world: World, key: Key) -> None:
    """Delete the CRD of its kind, which deletes the object."""
    world.kube.crds[f"{key.plural}.qianfan.dev"] = {
        "creationTimestamp": "2024-01-01T00:00:00Z", "deletionTimestamp": "2024-03-01T08:00:00Z"
    }  # fmt: skip
    world.kube.delete(key)


def stopped(world: World) -> Key:
    """A job whose run was stopped in the console."""
    key = training(world)
    world.sim.stop_run(world.status(key)["jobId"])
    world.until(key, "StoppedExternally")
    return key


def failed(world: World) -> Key:
    """A job whose run has failed."""
    key = training(world)
    world.sim.fail(world.status(key)["jobId"])
    world.until(key, "TrainingFailed")
    return key


def fails_to_publish(world: World) -> Key:
    """A model whose version has failed."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.kube.apply(model())
    world.until(PUBLISH, "Publishing")
    world.sim.fail(world.status(PUBLISH)["modelVersionId"])
    world.until(PUBLISH, "PublishingFailed")
    return PUBLISH


def unpaid(world: World) -> Key:
    """A service that nobody has paid for."""
    published(world)
    key = world.kube.apply(service())
    world.until(key, "PaymentRequired")
    return key


def fails_to_serve(world: World) -> Key:
    """A service that was paid for and failed."""
    key = unpaid(world)
    world.sim.pay()
    world.until(key, "Deploying")
    world.sim.fail(world.status(key)["serviceId"])
    world.until(key, "DeployingFailed")
    return key


def expired(world: World) -> Key:
    """A service whose paid time has run out."""
    key = serves(world)
    world.sim.expire(world.status(key)["serviceId"])
    world.until(key, "ServiceStopped")
    return key


MADE_AGAIN: dict[str, tuple[Callable[[World], Key], str]] = {
    "a run that works": (training, ""),
    "a run that has finished": (finished, ""),
    "a run that failed": (failed, "createJob"),
    "a run that was stopped": (stopped, "createJob"),
    "a version that was published": (publishes, ""),
    "a version that failed": (fails_to_publish, ""),
    "a service that serves": (serves, ""),
    "a service that waits for its payment": (unpaid, ""),
    "a service that failed": (fails_to_serve, "apply"),
    "a service that was stopped": (expired, "apply"),
}
WORDS = {
    "": "find it",
    "createJob": "**train and pay again**",
    "apply": "apply for a new service, which waits for its payment",
}
"""What each call that creates something is in the page."""
CREATES = ("createTask", "createJob", "publishTrainModel", "apply")


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("row", AGAIN)
def test_what_is_applied_again_is_found_or_made_again(world: World, row: str, paused: bool) -> None:
    """The object goes with its CRD; what it creates when both are back is what the row says, and paused nothing."""
    make, call = MADE_AGAIN[row]
    assert AGAIN[row] == [WORDS[call]]
    key = make(world)
    spec = world.kube.get(key)["spec"]
    delete_crd(world, key)
    world.until_gone(key)
    world.kube.crds.clear()
    world.restart()
    before = len(world.calls(*CREATES))
    kind = {"qianfanjobs": "QianfanJob", "qianfanmodels": "QianfanModel", "qianfanservices": "QianfanService"}[
        key.plural
    ]
    again = {**spec, "paused": True} if paused else spec
    world.kube.apply({"kind": kind, "metadata": {"name": key.name}, "spec": again})
    world.rest(3600)
    made = [one.operation for one in world.calls(*CREATES)[before:]]
    assert [name for name in made if name != "createTask"] == ([] if paused or not call else [call])


def delete_secret(world: World, key: Key) -> None:
    """Delete the Secret with the keys."""
    world.set_secret(None)


STORIES: dict[str, tuple[Callable[[World], Key], Callable[[World, Key], None]]] = {
    "a job whose run works": (training, delete),
    "a job whose runs have ended": (finished, delete),
    "a service that serves": (serves, delete),
    "a model": (publishes, delete),
    "a model with `deletionPolicy: Delete`": (lambda world: publishes(world, deletionPolicy="Delete"), delete),
    "an object with `deletionPolicy: Orphan`": (lambda world: training(world, deletionPolicy="Orphan"), delete),
    "an object that adopted its resource": (adopts, delete),
    "an adopting object with `deletionPolicy: Delete`": (lambda world: adopts(world, deletionPolicy="Delete"), delete),
    "an object with `paused: true`": (lambda world: pause(world, training(world)), delete),
    "the Secret with the keys": (training, delete_secret),
    "a CRD": (training, delete_crd),
}


def pause(world: World, key: Key) -> Key:
    """Pause an object."""
    world.kube.patch_spec(key, paused=True)
    world.rest(60)
    return key


def in_the_cloud(world: World, key: Key) -> str:
    """Tell what has become of the object's resource."""
    account = world.sim.account()
    if key == PUBLISH:
        return "kept" if [version for version in account.versions if version.run] else "ended"
    if key.plural == "qianfanservices":
        return {"Done": "kept", "Stopped": "ended"}[next(iter(account.services)).life.state]
    (run,) = account.runs
    return {"RUNNING": "kept", "FINISH": "kept", "STOP": "ended"}[run.life.state]


@pytest.mark.parametrize("row", ROWS)
def test_the_row_is_true(world: World, row: str) -> None:
    """Whether the object goes, and what becomes of its resource, is what the row says."""
    if row in ON_A_CLUSTER:
        tests = (Path(__file__).parents[1] / "e2e/test_uninstall.py").read_text(encoding="utf-8")
        assert f"def {ON_A_CLUSTER[row]}(" in tests
        return
    make, remove = STORIES[row]
    key = make(world)
    remove(world, key)
    world.rest(3600)
    assert ["stay" if world.there(key) else "gone", in_the_cloud(world, key)] == ROWS[row][:2]


def test_every_story_has_a_row() -> None:
    """A row that is taken out of the page takes its story along."""
    assert set(ROWS) == {*STORIES, *ON_A_CLUSTER}
