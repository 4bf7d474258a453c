"""The stage of the storm: a control plane, a cloud and an operator of its own, which ends and begins all the time."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.history import History
from e2e.place import Place
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import AfterLooks, AfterSeconds, Key, Options, Simulator

SETTINGS = {
    "LEADER_ELECTION": "false",
    "CREATE_EXPIRY_SEC": "12",  # longer than any request is late: only the grace keeps it from being repeated
    "CREATE_GRACE_SEC": "50",  # the least that goes with that
    "RESYNC_SEC": "10",
    "LOG_LEVEL": "INFO",
}
OPTIONS = Options(
    training=AfterSeconds(2),
    stopping=AfterLooks(1),
    publishing=AfterLooks(1),
    payment=AfterLooks(1),
    deploying=AfterLooks(1),
    updating=AfterLooks(1),
)


@pytest.fixture
def place() -> Iterator[Place]:
    """Supply a namespace of a fresh control plane with the keys of an account."""
    with Cluster() as cluster:
        install(cluster)
        cluster.kubectl("create", "namespace", "storm")
        with closing(History(cluster)) as history, Simulator(OPTIONS) as cloud:
            key = Key(f"access-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(16)}", account="storm")
            cloud.keys[key.access_key] = key
            place = Place(cluster, history, cloud, "storm", key)
            place.give_keys()
            yield place


@pytest.fixture
def operator(place: Place) -> Iterator[OperatorProcess]:
    """Supply an operator that does not run yet. One process replaces the other at once: nobody waits for a Lease."""
    with closing(Keeper()) as keeper:
        yield OperatorProcess(keeper, place.history, place.cluster, place.cloud.url, **SETTINGS)
