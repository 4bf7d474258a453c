"""Two operators: one leads, the other takes over, and whatever happens to either is paid for once."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.history import Object
from e2e.place import JOB, Place, job
from e2e.process import OperatorProcess
from e2e.proxy import Proxy
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_operator.__main__ import UNFINISHED
from qianfan_simulator import AfterLooks, Effect

SOON = {"LEASE_DURATION_SEC": "6"}
PATIENT = {"CONSOLE_API_RETRY_TIMEOUT": "20", "CREATE_GRACE_SEC": "60"}  # a frozen process still reads the reply
Candidates = Callable[..., OperatorProcess]


@pytest.fixture(scope="module")
def _alone(operator: OperatorProcess) -> Iterator[None]:
    """Have the operator of the other stories out of the way."""
    operator.kill()
    yield
    operator.start()


@pytest.fixture
def candidates(cluster: Cluster, place: Place, _alone: None) -> Iterator[Candidates]:
    """Start operators by name, each as a process of its own; afterwards they and their Lease are gone."""
    with ExitStack() as stack:
        keeper = stack.enter_context(closing(Keeper()))

        def start(name: str, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
            process = OperatorProcess(
                keeper, place.history, cluster, place.cloud.url, name=name, kubeconfig=kubeconfig, **settings
            )
            process.start()
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """Supply a way to the API server of its own."""
    port = urlsplit(cluster.server).port
    assert port
    with closing(Proxy(port)) as proxy:
        yield proxy


@pytest.fixture
def by_proxy(cluster: Cluster, proxy: Proxy, tmp_path: Path) -> Path:
    """Supply the operator's kubeconfig that leads through the proxy."""
    config = json.loads(cluster.kubeconfig_for("qianfan-system", "qianfan-operator").read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def goes_on(place: Place, before: Object) -> None:
    """The run that was recorded ends well, and no other one was paid for."""
    place.cloud.configure(training=AfterLooks(1))
    assert place.until_ready(JOB)["status"]["jobId"] == before["status"]["jobId"]
    assert place.paid() == {"createTask": 1, "createJob": 1}


@pytest.mark.usefixtures("endless")
def test_an_orderly_end_hands_over_at_once(place: Place, candidates: Candidates) -> None:
    """SIGTERM ends the leader with exit code 0, and the other one need not wait for a Lease of five minutes."""
    first = candidates("first", LEASE_DURATION_SEC="300")
    first.until_leading()
    second = candidates("second", LEASE_DURATION_SEC="300")
    place.apply(job())
    before = place.until_waiting(JOB, "Training")
    assert (first.leads(), second.leads(), second.healthy()) == (True, False, True)
    first.until_told("qianfan_cloud_requests_total{")
    assert "qianfan_cloud_requests_total{" not in second.metrics()

    assert first.terminate() == 0
    assert not [
        line for line in first.log() if str(line["message"]).startswith("Hung tasks are")
    ]  # kopf waits for them
    second.until_leading()
    goes_on(place, before)


@pytest.mark.usefixtures("endless")
def test_a_dead_leader_is_followed(place: Place, candidates: Candidates) -> None:
    """After SIGKILL the other one waits for the Lease to run out, and goes on with the same run."""
    first = candidates("first", **SOON)
    first.until_leading()
    second = candidates("second", **SOON)
    place.apply(job())
    before = place.until_waiting(JOB, "Training")
    first.signal(signal.SIGKILL)
    place.apply(job("another"))

    second.until_leading()
    place.until_waiting(JOB, "Training", "another")
    place.cloud.configure(training=AfterLooks(1))
    assert place.until_ready(JOB)["status"]["jobId"] == before["status"]["jobId"]
    place.until_ready(JOB, "another")
    assert place.paid() == {"createTask": 2, "createJob": 2}


def test_a_leader_that_is_cut_off_gives_up(
    place: Place, endless: None, candidates: Candidates, proxy: Proxy, by_proxy: Path
) -> None:
    """A leader that does not reach the API server ends, and the other one goes on with the same run."""
    first = candidates("first", by_proxy, **SOON)
    first.until_leading()
    second = candidates("second", **SOON)
    place.apply(job())
    before = place.until_waiting(JOB, "Training")
    proxy.cut()

    second.until_leading()
    assert first.until_ended() == 1
    goes_on(place, before)


@pytest.mark.usefixtures("endless")
def test_an_end_in_order_waits_until_what_was_paid_for_is_written(
    place: Place, candidates: Candidates, proxy: Proxy, by_proxy: Path
) -> None:
    """Told to end while the reply of createJob is on its way and the API server is not there, it writes the ids."""
    first = candidates("first", by_proxy)
    first.until_leading()
    place.spoil(Effect.SLOW, "createJob", seconds=1)
    place.apply(job())
    place.until_called("createJob", 1)
    proxy.cut()
    first.signal(signal.SIGTERM)

    def tried() -> bool:
        """Whether it has tried to write when it took no more keys: before, a pass would do it."""
        said = [line["message"] for line in first.log()]
        return "Stopping" in said and "API server request failed" in said[said.index("Stopping") :]

    place.history.wait_for(tried, lambda: f"it has not tried to write: {first.log()[-20:]}")
    assert first.runs()
    assert "jobId" not in place.get(JOB)["status"]
    proxy.mend()

    assert first.until_ended() == 0
    before = place.until(JOB, lambda body: body["status"].get("jobId"))
    candidates("second").until_leading()
    goes_on(place, before)


@pytest.mark.usefixtures("endless")
def test_an_end_that_cannot_write_ends_and_tells_what_it_paid_for(
    place: Place, candidates: Candidates, proxy: Proxy, by_proxy: Path
) -> None:
    """Without the API server it ends all the same, by a code of its own; its log suffices to adopt the run by hand."""
    first = candidates("first", by_proxy, SHUTDOWN_SEC="3", **SOON)
    first.until_leading()
    place.spoil(Effect.SLOW, "createJob", seconds=1)
    place.apply(job())
    place.until_called("createJob", 1)
    proxy.cut()
    first.signal(signal.SIGTERM)
    assert first.until_ended() == UNFINISHED
    (told,) = [
        line for line in first.log() if str(line["message"]).startswith("Resource created but its id was not saved")
    ]
    assert (told["level"], told["object"], told["operation"]) == (
        "ERROR", f"{JOB}/{place.namespace}/essay", "createJob",
    )  # fmt: skip
    (run,) = place.cloud.account(place.key.access_key).runs
    assert f"job_id={run.id}, " in str(told["ids"])
    assert told["inputs"] == str({"taskId": run.task.id, "taskUuid": run.task.uid, "taskName": run.task.name})
    status = place.get(JOB)["status"]  # the next one looks for it
    assert ("jobId" in status, status["pending"]["operation"]) == (False, "createJob")


@pytest.mark.usefixtures("endless")
def test_a_leader_frozen_while_it_pays_writes_what_it_paid_for(place: Place, candidates: Candidates) -> None:
    """Woken after another took over it reads the reply, records the run, which that one goes on with, and ends."""
    first = candidates("first", **SOON, **PATIENT)
    first.until_leading()
    place.spoil(Effect.SLOW, "createJob", seconds=2)
    place.apply(job())
    place.until_called("createJob", 1)
    first.signal(signal.SIGSTOP)
    candidates("second", **SOON, **PATIENT).until_leading()
    assert "jobId" not in place.get(JOB)["status"]
    first.signal(signal.SIGCONT)

    assert first.until_ended() == 1
    recorded = place.until(JOB, lambda body: body["status"].get("jobId"))
    before = place.until_waiting(JOB, "Training")
    assert before["status"]["jobId"] == recorded["status"]["jobId"]
    goes_on(place, before)


@pytest.mark.usefixtures("endless")
def test_a_leader_frozen_before_it_pays_does_not_pay(
    place: Place, candidates: Candidates, proxy: Proxy, by_proxy: Path
) -> None:
    """Woken between the intent and the request, after another took over, it sends nothing that had to be refused."""
    first = candidates("first", by_proxy, **SOON, **PATIENT)
    first.until_leading()
    place.spoil(Effect.SLOW, "createTask", seconds=2)
    place.apply(job())
    place.until_called("createTask", 1)
    proxy.hold_answers()
    place.until(JOB, lambda body: body["status"].get("pending"))
    first.signal(signal.SIGSTOP)
    candidates("second", **SOON, **PATIENT).until_leading()
    proxy.let_go()
    first.signal(signal.SIGCONT)

    assert first.until_ended() == 1
    assert "Created" not in {line["message"] for line in first.log()}
    assert {call.outcome for call in place.calls("createJob", outcome="")} <= {"ok"}  # by the other one
