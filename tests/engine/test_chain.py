"""Three manifests that refer to each other end in an endpoint (design 1)."""

import itertools

import pytest

from engine.manifests import job, model, service
from engine.world import World
from qianfan_operator.keys import Key

SERVE = Key("qianfanservices", "default", "serve")


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


def test_the_events_tell_the_story(world: World) -> None:
    """One event per transition, with the reason of the condition."""
    world.kube.apply(job())
    world.until(Key("qianfanjobs", "default", "train"), "Succeeded")
    assert [event["reason"] for event in world.kube.events] == ["Creating", "Training", "Succeeded"]
