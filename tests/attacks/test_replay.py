"""Whoever hears a request may send it again: for how long, and against what.

The signature covers the method, the path, the query and three headers. It does not cover the body, where V1 names its
things: so what protects another run is that the signature ends soon, and nothing else.
"""

from collections.abc import Iterator

import pytest

from attacks.eavesdropper import Eavesdropper, listening
from qianfan_operator.api.training import create_job_body
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.transport import Transport
from qianfan_operator.kinds.job.kind import QianfanJob
from qianfan_simulator import Never, Options, Simulator
from reconcile.manifests import TRAINING
from reconcile.world import FIRST, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(clock: Clock) -> Iterator[Simulator]:
    """Supply a cloud whose trainings last; it checks signatures by the clock of the test."""
    with Simulator(Options(training=Never()), clock=clock.cloud) as cloud:
        yield cloud


@pytest.fixture
def ear(cloud: Simulator) -> Iterator[Eavesdropper]:
    with listening(cloud.url) as ear:
        yield ear


@pytest.fixture
def client(ear: Eavesdropper, clock: Clock) -> Client:
    """Supply the operator's client, as it is over a connection on which others listen."""
    keys = AccessKey(FIRST, FIRST.replace("access", "secret"))
    return Client(Transport(CloudSettings(base_url=ear.url, read_timeout=600.0), keys, clock))


def train(client: Client) -> tuple[int, int]:
    """Begin a run; return the ids of its task and of it."""
    spec = QianfanJob.parse({"metadata": {"name": "train", "namespace": "default", "uid": "1"}, "spec": TRAINING}).spec
    task = client.create_task(f"task_{len(client.fine_tuning_jobs())}", "words").id
    client.measure_clock()
    job = client.prepare_create_job(create_job_body(spec, task, None)).send().job_id
    return task, job


def test_a_captured_stop_ends_no_run_a_minute_later(client: Client, ear: Eavesdropper, clock: Clock) -> None:
    """A stop that was heard stops any run of the account, but only within seconds."""
    first, second, third = train(client), train(client), train(client)
    assert client.stop_job(*first)
    stop = ear.last("/stopJob")
    clock.advance(10)
    told = ear.replay(stop, taskId=second[0], jobId=second[1])
    assert told["result"] is True, "the attack itself must be a real one"
    clock.advance(50)
    told = ear.replay(stop, taskId=third[0], jobId=third[1])
    assert told.get("code") == "RequestExpired"
    assert client.job_detail(*third).status == "RUNNING"


def test_what_arrives_too_late_is_proven_not_to_have_been_done(client: Client, ear: Eavesdropper, clock: Clock) -> None:
    """A change that is held up on its way ends as an error that says that nothing was done, and is made again."""
    task, job = train(client)
    forward = ear.forward

    def late(path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        clock.advance(60)
        return forward(path, headers, body)

    ear.forward = late  # type: ignore[method-assign]
    with pytest.raises(Exception, match="RequestExpired") as caught:
        client.stop_job(task, job)
    assert caught.value.refused  # type: ignore[attr-defined]
    ear.forward = forward  # type: ignore[method-assign]
    assert client.job_detail(task, job).status == "RUNNING"
    assert client.stop_job(task, job)
