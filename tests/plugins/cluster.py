"""Fixtures of the real control plane: one per test run, a fresh namespace per test."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qianfan_devcluster.binaries import BinariesError, find
from qianfan_devcluster.build import Say
from qianfan_devcluster.cluster import Cluster
from status_tools.program import programs

_CHECKOUT = Path(__file__).parents[2]
_numbers = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the first test: a first build takes minutes, and a test's timeout must not cut it off."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly or not wanted & {"cluster", "tools"}:
        return
    plugins = session.config.pluginmanager
    terminal: Any = plugins.getplugin("terminalreporter")  # a worker of xdist has none, and shows nothing meanwhile
    capture: Any = plugins.getplugin("capturemanager")
    say: Say = terminal.write_line if terminal else lambda _: None
    try:
        with capture.global_and_fixture_disabled():
            if "cluster" in wanted:
                find(say=say)
            if "tools" in wanted:
                programs(say)
    except BinariesError as error:
        raise pytest.UsageError(str(error)) from error


def install(cluster: Cluster) -> None:
    """Install what the operator needs and is not itself: the definitions of its kinds, its account and its rights."""
    cluster.install_crds(_CHECKOUT / "crds")
    cluster.kubectl("apply", "--server-side", "--kustomize", _CHECKOUT / "deploy" / "access")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Supply a real API server with the definitions and the operator's rights installed, and an audit log."""
    with Cluster(audit=True) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Supply the name of a fresh namespace; it is deleted afterwards, and nobody waits for that."""
    name = f"test-{next(_numbers)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def tools() -> Path:
    """Supply the folder with Helm and the program that speaks for kstatus and Flux."""
    return programs(lambda _: None)
