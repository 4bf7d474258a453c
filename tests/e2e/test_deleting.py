"""Deleting when something is in the way: what is said, and that the way out works on a real API server."""

import json
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from e2e.place import JOB, Place, condition, job
from e2e.process import OperatorProcess
from qianfan_devcluster.cluster import Cluster

_RULES = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"


@pytest.mark.usefixtures("endless")
def test_a_namespace_that_lost_its_keys_first_can_be_let_go(place: Place, mortal: OperatorProcess) -> None:
    """The Secret goes, the operator is restarted: the job says so, and the command in its message lets it go."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    mortal.kill()
    place.kubectl("delete", "secret", "qianfan-credentials")
    place.cluster.kubectl("delete", "namespace", place.namespace, "--wait=false")
    mortal.start()

    message = condition(place.until_stalled(JOB, "DeletionBlocked"), "Ready")["message"]
    assert message.startswith("Secret qianfan-credentials not found")
    kubectl, *words = shlex.split(message.partition(", then run: ")[2])
    assert kubectl == "kubectl"
    place.cluster.kubectl(*words)
    place.history.wait_for(lambda: not place.get(JOB), lambda: "the job is still there")
    assert run.life.state == "RUNNING"


@pytest.fixture
def newer_rule(cluster: Cluster) -> Iterator[str]:
    """Have the definition refuse, for a while, what it took before; returns the words of the refusal."""
    crd = json.loads(cluster.kubectl("get", "crd", "qianfanjobs.qianfan.dev", "-o", "json").stdout)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    words = "a newer version takes only attempt 7"
    rule = {"rule": "has(self.attempt) && self.attempt == 7", "message": words}

    def change(**operation: object) -> None:
        cluster.kubectl("patch", "crd", "qianfanjobs.qianfan.dev", "--type=json", "-p", json.dumps([operation]))

    place = len(spec["x-kubernetes-validations"])
    change(op="add", path=f"{_RULES}/-", value=rule)
    yield words
    change(op="remove", path=f"{_RULES}/{place}")


@pytest.mark.usefixtures("endless")
def test_what_a_newer_definition_refuses_can_be_deleted(place: Place, request: pytest.FixtureRequest) -> None:
    """A spec that newer rules refuse cannot be changed; it is observed and answered all the same, and deleted."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    words = request.getfixturevalue("newer_rule")

    def refused() -> bool:
        try:
            place.kubectl(
                "patch", JOB, "essay", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Orphan"}}', "--dry-run=server"
            )
        except subprocess.CalledProcessError as error:
            return words in error.stderr
        return False

    place.history.wait_for(refused, lambda: "the newer rule is not in force")
    place.kubectl("annotate", JOB, "essay", "qianfan.dev/reconcile-requested-at=now")
    place.until(JOB, lambda body: body["status"].get("lastHandledReconcileAt") == "now")
    place.delete(JOB, "essay")
    assert run.life.state == "STOP"
