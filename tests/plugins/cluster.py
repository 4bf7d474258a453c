"""Fixtures of the real control plane: one per test run, a fresh namespace per test."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qianfan_devcluster.binaries import BinariesError, find
from qianfan_devcluster.cluster import Cluster

_CHECKOUT = Path(__file__).parents[2]
_numbers = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the first test: a first build takes minutes, and a test's timeout must not cut it off."""
    if session.config.option.collectonly or not any("cluster" in getattr(i, "fixturenames", ()) for i in session.items):
        return
    plugins = session.config.pluginmanager
    terminal: Any = plugins.getplugin("terminalreporter")  # a worker of xdist has none, and shows nothing meanwhile
    capture: Any = plugins.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            find(say=terminal.write_line if terminal else None)
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
