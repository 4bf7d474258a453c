"""A job that sixty models refer to, on a real API server: what a change of it costs the operator as a process."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.history import History
from e2e.place import JOB, MODEL, Place, is_so, job, model
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import Key, Never, Options, Simulator

CROWD = [f"crowd-{number:02}" for number in range(60)]
NAMESPACE = "crowded"
QUIET = {"POLL_MIN_SEC": "3600", "POLL_MAX_SEC": "3600", "PROBE_SEC": "3600", "RESYNC_SEC": "3600"}
"""What is reconciled has been woken: nothing is polled while the test lasts."""


class Crowd:
    """The place, and the operator that acts in it."""

    def __init__(self, place: Place, operator: OperatorProcess) -> None:
        self.place, self.operator = place, operator

    def reconciles(self) -> int:
        """Count the reconciles of models so far."""
        lines = [line for line in self.operator.metrics().splitlines() if line.startswith("qianfan_reconcile_total{")]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if MODEL in line))

    def until_all(self, reason: str) -> None:
        """Wait until every model says so."""
        for name in CROWD:
            self.place.until(MODEL, lambda body: is_so(body, "Ready", "False", reason), name)


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """Supply a stage of its own, whose operator polls nothing."""
    key = Key(f"access-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(16)}", account=NAMESPACE)
    options = Options(training=Never())
    with Cluster(audit=True) as cluster, Simulator(options) as cloud, closing(Keeper()) as keeper:
        install(cluster)
        cluster.kubectl("create", "namespace", NAMESPACE)
        cloud.keys[key.access_key] = key
        with closing(History(cluster)) as history:
            place = Place(cluster, history, cloud, NAMESPACE, key)
            place.give_keys()
            operator = OperatorProcess(keeper, history, cluster, cloud.url, **QUIET)
            operator.start()
            yield Crowd(place, operator)


def test_a_patch_costs_one_reconcile_and_a_change_one_for_each_referrer(crowd: Crowd) -> None:
    """Patches of a job that say nothing to others wake none of them; its failure wakes each once."""
    place = crowd.place
    place.apply(job())
    place.until_waiting(JOB, "Training")
    place.apply(*(model(name, source={"jobRef": {"name": "essay"}}) for name in CROWD))
    crowd.until_all("DependencyNotReady")
    place.history.wait_for(lambda: crowd.reconciles() >= len(CROWD), lambda: "the operator has not counted them")
    before = crowd.reconciles()

    for seconds in (3601, 3602, 3603):
        place.patch(JOB, "essay", {"spec": {"activeDeadlineSeconds": seconds}})
        place.until_waiting(JOB, "Training")
    run = next(iter(place.cloud.account(place.key.access_key).runs))
    place.cloud.fail(run.id)
    place.patch(JOB, "essay", {"metadata": {"annotations": {"qianfan.dev/reconcile-requested-at": "failed"}}})
    place.until_stalled(JOB, "TrainingFailed")
    crowd.until_all("DependencyFailed")
    assert crowd.reconciles() - before <= len(CROWD)
