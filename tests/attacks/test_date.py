"""Whoever is on the way writes the cloud's `Date`, by which signatures are made: he can have them live for hours."""

from collections.abc import Iterator

import pytest

from attacks.eavesdropper import Eavesdropper, listening
from engine.world import FIRST, Clock
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.keys import AccessKey
from qianfan_operator.cloud.settings import CloudSettings
from qianfan_operator.cloud.transport import Transport
from qianfan_simulator import Options, Simulator

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
    assert "set the node's clock" in str(caught.value)
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
