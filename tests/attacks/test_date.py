"""Whoever is on the way writes the cloud's `Date`, by which signatures are made: he can have them live for hours."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from attacks.eavesdropper import Eavesdropper, listening
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.transport import Transport
from qianfan_simulator import Never, Options, Simulator
from reconcile.manifests import job
from reconcile.world import FIRST, PACES, Clock, World

HOUR = 3600.0
BODY = {"taskId": 1, "baseTrainType": "b", "trainType": "t", "trainMode": "SFT", "peftType": "LoRA"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ear(clock: Clock) -> Iterator[Eavesdropper]:
    """Supply somebody in front of a cloud that takes signatures of the future; whether the real one does is unknown."""
    with Simulator(Options(clock_tolerance=86400), clock=clock.cloud) as cloud, listening(cloud.url) as ear:
        yield ear


@pytest.fixture
def client(ear: Eavesdropper, clock: Clock) -> Client:
    keys = AccessKey(FIRST, FIRST.replace("access", "secret"))
    return Client(Transport(CloudSettings(base_url=ear.url), keys, clock))


def test_a_false_date_makes_no_paid_create_live_longer(client: Client, ear: Eavesdropper) -> None:
    """Nothing is signed for an hour from now because somebody says that it is an hour later; reads go on."""
    ear.ahead = HOUR
    client.measure_clock()
    with pytest.raises(CloudError, match="ClockUntrusted") as caught:
        client.prepare_create_job(BODY)
    assert caught.value.refused
    assert "Fix the node clock" in str(caught.value)
    assert client.user_models() == ()
    assert client.cloud_time() is None, "no deadline is over because somebody says so"


@pytest.mark.parametrize(
    "change", [lambda c: c.create_task("n", "d"), lambda c: c.stop_job(1, 2), lambda c: c.deactivate_service("svco-1")]
)
def test_a_false_date_makes_no_change_live_longer(client: Client, ear: Eavesdropper, change) -> None:
    """That holds for everything that changes something, also for the first call of all."""
    ear.ahead = HOUR
    with pytest.raises(CloudError, match="ClockUntrusted"):
        change(client)
    assert {one.path for one in ear.captured} == {"/wenxinworkshop/modelrepo/model/user/list"}


def test_what_is_believed_again_when_the_lie_ends(client: Client, ear: Eavesdropper) -> None:
    """A date near the node's own clock is believed, and the operator goes on by itself."""
    ear.ahead = HOUR
    client.measure_clock()
    ear.ahead = 30.0
    client.user_models()
    client.user_models()
    assert client.create_task("task_1", "words").id


def test_an_object_says_what_to_do_about_a_doubtful_time() -> None:
    """Nothing is changed in the cloud, the condition tells the remedy, and a clock that is set right ends it."""
    with closing(World(correction=60.0)) as world:
        world.clock.ahead = HOUR
        key = world.kube.apply(job())
        world.run(lambda: "ClockUntrusted" in world.condition(key, "Synced").get("message", ""), within=600)
        assert world.condition(key, "Synced")["reason"] == "CloudUnavailable"
        assert "Fix the node clock, or enable TLS verification" in world.condition(key, "Synced")["message"]
        world.rest(HOUR)
        assert {call.operation for call in world.sim.calls} <= {"userList", "DescribeFineTuningJobs"}
        world.clock.ahead = 0.0
        world.until(key, "Succeeded")


def test_a_run_is_not_stopped_by_a_doubtful_time() -> None:
    """What works goes on to be looked at; neither its deadline nor a wish to stop it is acted on by a false time."""
    with closing(World(replace(PACES, training=Never()), correction=60.0)) as world:
        key = world.kube.apply(job(activeDeadlineSeconds=7200))
        world.until(key, "Training")
        world.clock.ahead = -HOUR * 24  # the cloud's Date is a day later than the node's clock
        world.kube.patch_spec(key, desiredState="Stopped")
        world.rest(600)
        assert world.calls("stopJob") == []
        assert "ClockUntrusted" in world.condition(key, "Synced")["message"]
        world.clock.ahead = 0.0
        world.until(key, "Stopped")
