"""A namespace for the tests of admission: its objects have distinct names and no finalizers, so one is enough."""

import pytest

from qianfan_devcluster.cluster import Cluster


@pytest.fixture(scope="session")
def place(cluster: Cluster) -> str:
    """The name of a namespace on the real API server that has the three definitions."""
    name = "admission"
    cluster.kubectl("create", "namespace", name)
    return name
