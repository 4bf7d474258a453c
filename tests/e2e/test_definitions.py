"""The definitions are taken away and come back while the operator runs; on a cluster of its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.history import History
from e2e.place import JOB, Place, job
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import Simulator

CRDS = Path(__file__).parents[2] / "crds"


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


@pytest.mark.usefixtures("endless")
def test_a_definition_goes_with_what_it_defines_and_comes_back(place: Place, operator: OperatorProcess) -> None:
    """`kubectl delete crd` stops the runs of all jobs; the operator lives on, and finds the kind when it is back."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    place.cluster.kubectl("delete", "crd", f"{JOB}.qianfan.dev", "--timeout=60s")
    assert run.life.state == "STOP"
    assert operator.healthy()

    place.cluster.install_crds(CRDS)
    place.apply(job("again"))
    place.until_waiting(JOB, "Training", "again")
    assert place.run("again").life.state == "RUNNING"
    assert operator.terminate() == 0
