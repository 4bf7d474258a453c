"""The operator at work where deploy/policies judge every write, its own as well."""

import json
import time

from e2e.place import JOB, MODEL, SERVICE, Place, condition, job, model, service
from e2e.process import OperatorProcess
from plugins.policies import install_policies, judge


def until_judged(place: Place) -> None:
    """Wait until the API server knows the policies: an administrator's write of a status is refused then."""
    words = ("patch", JOB, "essay", "-n", place.namespace, "--subresource=status", "--type=merge", "--dry-run=server")
    deadline, change = time.monotonic() + 30, json.dumps({"status": {"taskName": "mine"}})
    while "status.qianfan.dev" not in (done := place.cluster.kubectl(*words, "-p", change, check=False)).stderr:
        assert time.monotonic() < deadline, done.stderr


def test_the_operator_works_under_all_policies(bare_place: Place, operator: OperatorProcess) -> None:
    """A chain becomes ready, takes a new attempt, and is deleted again: no policy is in the operator's way."""
    place = bare_place
    place.apply(job(paused=True))
    install_policies(place.cluster)
    judge(place.cluster, place.namespace)
    until_judged(place)

    place.give_keys()
    place.apply(job(), model(), service())
    for plural in (JOB, MODEL, SERVICE):
        place.until_ready(plural)
    place.patch(JOB, "essay", {"spec": {"attempt": 2}})
    place.until(JOB, lambda body: body["status"].get("highestAttempt") == 2)
    place.until_ready(JOB)
    for plural in (SERVICE, MODEL, JOB):
        place.delete(plural, "essay")
    assert operator.runs()
    refused = [line for line in operator.log() if "ValidatingAdmissionPolicy" in json.dumps(line)]
    assert refused == []


REFUSING = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-finalizers.example.org}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [qianfan.dev], apiVersions: ["*"], resources: [qianfanjobs], operations: [UPDATE]}]
  validations:
    - {expression: "!has(object.metadata.finalizers)", reason: Forbidden, message: No finalizers here.}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-finalizers.example.org}
spec:
  policyName: no-finalizers.example.org
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {no-finalizers: "yes"}}}
"""


def test_a_policy_that_refuses_the_finalizer_is_told_and_nothing_is_made(bare_place: Place) -> None:
    """Ready says who refuses what, in the API server's words; the object goes on by itself when it may."""
    place, held = bare_place, {"metadata": {"finalizers": ["example.org/any"]}}
    place.apply(job(paused=True))
    place.cluster.kubectl("apply", "-f", "-", input=REFUSING)
    place.cluster.kubectl("label", "namespace", place.namespace, "no-finalizers=yes")
    words = ("patch", JOB, "essay", "-n", place.namespace, "--type=merge", "--dry-run=server", "-p", json.dumps(held))
    deadline = time.monotonic() + 30
    while place.cluster.kubectl(*words, check=False).returncode == 0:
        assert time.monotonic() < deadline
    place.give_keys()
    place.apply(job())
    told = condition(place.until_stalled(JOB, "FinalizerRefused"), "Ready")["message"]
    assert "ValidatingAdmissionPolicy 'no-finalizers.example.org'" in told
    assert "No finalizers here" in told
    assert place.paid() == {}

    place.cluster.kubectl("label", "namespace", place.namespace, "no-finalizers-")
    place.until_ready(JOB)
