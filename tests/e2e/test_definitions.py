"""The CRDs are taken away and come back while the operator runs; on a cluster of its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.history import History
from e2e.place import JOB, KINDS, MODEL, SERVICE, Place, job, model, service
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import Never, Simulator

CRDS = Path(__file__).parents[2] / "crds"
NAMES = [f"{plural}.qianfan.dev" for plural in KINDS]
ENDS = ("stopJob", "StopFineTuningTask", "DeactivateService", "DeleteCustomModelVersion", "DeleteCustomModel")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Supply a control plane whose definitions nobody else needs."""
    with Cluster() as cluster:
        install(cluster)
        yield cluster


@pytest.fixture(scope="module")
def history(cluster: Cluster) -> Iterator[History]:
    """Supply the record of what is told there."""
    with closing(History(cluster)) as history:
        yield history


@pytest.fixture(scope="module")
def operator(cluster: Cluster, history: History, cloud: Simulator) -> Iterator[OperatorProcess]:
    """Supply an operator for it."""
    with closing(Keeper()) as keeper:
        operator = OperatorProcess(keeper, history, cluster, cloud.url)
        operator.start()
        yield operator


def test_what_goes_with_its_definition_is_left_in_the_cloud_and_found_again(
    place: Place, operator: OperatorProcess
) -> None:
    """`kubectl delete crd` stops, deactivates and deletes nothing; applied again, each object finds what it had."""
    chain = [job(), model(deletionPolicy="Delete"), service()]
    place.apply(*chain)
    before = [place.until_ready(plural)["status"] for plural in KINDS]
    place.cloud.configure(training=Never())
    place.apply(job("long"))
    place.until_waiting(JOB, "Training", "long")
    run = place.run("long")

    place.cluster.kubectl("delete", "crd", *NAMES, "--timeout=60s")
    assert run.life.state == "RUNNING"
    assert not [call.operation for call in place.calls(outcome="") if call.operation in ENDS]
    for plural in KINDS:  # the finished job is told nothing: nothing would have been stopped for it
        place.until_told(plural, "Orphaned", "long" if plural == JOB else "essay")
    orphaned = [line for line in operator.log() if line["message"] == "Orphaned"]
    assert {line["object"] for line in orphaned} == {
        f"{JOB}/{place.namespace}/long", f"{MODEL}/{place.namespace}/essay", f"{SERVICE}/{place.namespace}/essay",
    }  # fmt: skip
    assert operator.healthy()

    place.cluster.install_crds(CRDS)
    place.apply(*chain, job("long"))
    after = [place.until_ready(plural)["status"] for plural in KINDS]
    for index, name in enumerate(("jobUuid", "modelVersionId", "serviceUuid")):
        assert after[index][name] == before[index][name]
    place.until_waiting(JOB, "Training", "long")
    assert place.run("long") is run
    assert place.paid() == {"createTask": 2, "createJob": 2, "publishTrainModel": 1, "apply": 1}

    place.delete(JOB, "long")
    assert run.life.state == "STOP"  # on purpose
    assert operator.terminate() == 0
