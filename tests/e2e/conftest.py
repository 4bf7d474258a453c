"""The stage of the stories: a real API server, the operator as a process of its own, the cloud simulated over HTTP."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from e2e.history import History
from e2e.place import Place
from e2e.process import OperatorProcess
from e2e.shell import Shell
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import AfterLooks, Key, Never, Options, Simulator
from simulator.console import Console
from simulator.story import Story

OPTIONS = Options(
    training=AfterLooks(2),
    stopping=AfterLooks(1),
    publishing=AfterLooks(1),
    payment=AfterLooks(1),
    deploying=AfterLooks(1),
    updating=AfterLooks(1),
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Supply a control plane of their own: the operator acts on whatever it finds, also on what other tests leave."""
    with Cluster(audit=True) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture(scope="session")
def history(cluster: Cluster) -> Iterator[History]:
    """Supply the record of everything that was ever told about our objects."""
    with closing(History(cluster)) as history:
        yield history


@pytest.fixture(scope="session")
def cloud() -> Iterator[Simulator]:
    """Supply the cloud; every test has an account of its own in it."""
    with Simulator(OPTIONS) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def operator(cluster: Cluster, history: History, cloud: Simulator) -> Iterator[OperatorProcess]:
    """Supply the operator, running under its own service account."""
    with closing(Keeper()) as keeper:
        operator = OperatorProcess(keeper, history, cluster, cloud.url)
        operator.start()
        yield operator


@pytest.fixture
def mortal(operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """The operator, to be ended by a test; it runs again afterwards."""
    yield operator
    if not operator.runs():
        operator.start()


@pytest.fixture
def bare_place(
    cluster: Cluster, history: History, cloud: Simulator, operator: OperatorProcess, namespace: str
) -> Iterator[Place]:
    """Supply a fresh namespace without a Secret, and an account of its own; the cloud's paces and moods end with it."""
    key = Key(f"access-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(16)}", account=namespace)
    cloud.keys[key.access_key] = key
    yield Place(cluster, history, cloud, namespace, key)
    cloud.faults.clear()
    cloud.configure(**vars(OPTIONS))


@pytest.fixture
def place(bare_place: Place) -> Place:
    """Supply a fresh namespace with the keys of an account of its own."""
    bare_place.give_keys()
    return bare_place


@pytest.fixture
def story(place: Place) -> Iterator[Story]:
    """Supply what was done in the account by other means than the operator."""
    with requests.Session() as session:
        session.trust_env = False
        yield Story(Console(place.cloud, place.key.access_key, place.key.secret_key, session))


@pytest.fixture
def shell(place: Place, tmp_path: Path, tools: Path) -> Iterator[Shell]:
    """Supply a terminal whose context is the place."""
    with closing(Shell(place, tmp_path, tools)) as shell:
        yield shell


@pytest.fixture
def endless(cloud: Simulator) -> None:
    """Have no training end by itself while a test lasts."""
    cloud.configure(training=Never())
