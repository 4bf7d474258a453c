"""The pods, judged by the admission of a real API server in the namespace that the installation makes."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
SYSTEM = "qianfan-system"
DEPLOYMENTS = ["deploy/operator/deployment.yaml", "deploy/demo/simulator.yaml"]
Pod = dict[str, Any]


def pod(path: str) -> Pod:
    """A pod as the Deployment makes it."""
    deployment = next(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))
    template: Pod = deployment["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "judged"}, "spec": template["spec"]}


def refusal(cluster: Cluster, body: Pod) -> str:
    """Have the API server judge a pod; what it says against it."""
    words = ("create", "-n", SYSTEM, "--dry-run=server", "--validate=strict", "-f", "-")
    return cluster.kubectl(*words, input=json.dumps(body), check=False).stderr


@pytest.mark.parametrize("path", DEPLOYMENTS)
def test_a_restricted_namespace_takes_the_pods_as_they_are(cluster: Cluster, path: str) -> None:
    """The namespace enforces the restricted profile; the pods pass it without a warning."""
    labels = json.loads(cluster.kubectl("get", "namespace", SYSTEM, "-o", "json").stdout)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert refusal(cluster, pod(path)) == ""


def _root(body: Pod) -> None:
    body["spec"]["securityContext"]["runAsNonRoot"] = False


def _host(body: Pod) -> None:
    body["spec"]["hostNetwork"] = True


def _escalation(body: Pod) -> None:
    body["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True


def _disk(body: Pod) -> None:
    body["spec"]["volumes"] = [{"name": "disk", "hostPath": {"path": "/"}}]


@pytest.mark.parametrize("weaker", [_root, _host, _escalation, _disk])
def test_the_namespace_refuses_a_pod_that_asks_for_more(cluster: Cluster, weaker: Callable[[Pod], None]) -> None:
    """The profile is enforced and not only written down: each step away from it is refused."""
    body = copy.deepcopy(pod(DEPLOYMENTS[0]))
    weaker(body)
    assert 'violates PodSecurity "restricted:latest"' in refusal(cluster, body)
