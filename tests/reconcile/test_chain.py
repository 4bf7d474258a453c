"""Three manifests that refer to each other end in an endpoint.

See docs/design/architecture.md#purpose.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Conflict
from reconcile.manifests import job, model, service
from reconcile.world import World

SERVE = Key("qianfanservices", "default", "serve")
PAGE = "https://console.bce.baidu.com/qianfan/ais/console/onlineService"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_chain_ends_in_an_endpoint_in_every_order(world: World, order: tuple[int, ...]) -> None:
    """Whatever is applied first: one task, one run, one version, one service, and a URL at the end."""
    manifests = [job(), model(), service()]
    for index in order:
        world.kube.apply(manifests[index])
        world.rest(5)
    world.until(SERVE, "PaymentRequired")
    world.sim.pay()
    assert world.until(SERVE, "Available")["url"].startswith("https://")
    for operation in ("createTask", "createJob", "publishTrainModel", "apply"):
        assert len(world.calls(operation)) == 1


def test_each_link_begins_when_the_one_before_is_done(world: World) -> None:
    """A change of a referenced object wakes who refers to it at once: no second passes between the links."""
    for manifest in (job(), model(), service()):
        world.kube.apply(manifest)
    train, publish = Key("qianfanjobs", "default", "train"), Key("qianfanmodels", "default", "publish")
    world.until(train, "Succeeded")
    finished = world.clock.boot
    world.until(publish, "Publishing")
    assert world.clock.boot == finished
    world.until(publish, "Available")
    ready = world.clock.boot
    world.run(lambda: world.calls("apply"))
    assert world.clock.boot == ready


def undisturbed(world: World) -> None:
    """Leave it alone."""


def restarted(world: World) -> None:
    """End the process after each pass that has written something, and start another one."""
    step = world.step

    def then(end: float) -> None:
        before = len(world.kube.writes)
        step(end)
        if len(world.kube.writes) > before:
            world.restart()

    world.step = then  # type: ignore[method-assign]


def contested(world: World) -> None:
    """Have every second write of a status meet a change by others, so that its pass is made again."""
    numbers = itertools.count()

    def around(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "patch_status" and next(numbers) % 2 == 0:
            raise Conflict("somebody else was first")
        return do()

    world.kube.around = around


@pytest.mark.parametrize("life", [undisturbed, restarted, contested])
def test_the_events_tell_the_story(world: World, life: Callable[[World], None]) -> None:
    """One event per transition and no other: its reason and message, and a warning where a person is waited for."""
    life(world)
    for manifest in (job(), model(), service()):
        world.kube.apply(manifest)
    world.until(SERVE, "PaymentRequired")
    world.sim.pay()
    world.until(SERVE, "Available")
    world.rest(3600)
    events = sorted(world.kube.events, key=lambda event: str(event["regarding"]["kind"]))
    assert [" ".join((event["type"], event["reason"], event["note"])) for event in events] == [
        "Normal Creating Creating the task and the run of attempt 1.",
        "Normal Training Run 9229 in task train_3cnaakem is training.",
        "Normal Succeeded Run 9229 in task train_3cnaakem has finished.",
        "Normal DependencyNotReady QianfanJob train is not ready yet.",
        "Normal Publishing Publishing run 9229.",
        "Normal Available Version 9231 of model my_model is ready.",
        "Normal DependencyNotReady QianfanModel publish is not ready yet.",
        "Normal Deploying Applying for the service.",
        f"Warning PaymentRequired Service my_service (9232) waits for its payment; pay for it in the console: {PAGE}",
        "Normal Deploying Service my_service (9232) is being deployed.",
        "Normal Available Service my_service (9232) is serving.",
    ]
    assert not any("series" in event for event in events)
    assert [event["regarding"]["name"] for event in events] == ["train"] * 3 + ["publish"] * 3 + ["serve"] * 5
