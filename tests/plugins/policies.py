"""The shipped policies on a control plane that other tests share: they judge only the namespaces that a test names."""

import json
from pathlib import Path

import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "deploy/policies"
_JUDGED = "judged-by-policies"


def install_policies(cluster: Cluster) -> None:
    """Install deploy/policies as it is, but with bindings that hold only for judged namespaces."""
    objects = list(yaml.safe_load_all(cluster.kubectl("kustomize", POLICIES).stdout))
    for one in objects:
        if one["kind"] == "ValidatingAdmissionPolicyBinding":
            one["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {_JUDGED: "yes"}}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)


def judge(cluster: Cluster, namespace: str) -> None:
    """Have the policies judge what is written in a namespace from now on."""
    cluster.kubectl("label", "namespace", namespace, f"{_JUDGED}=yes")
