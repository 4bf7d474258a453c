"""The shipped policies on a control plane that other tests share: they judge only the namespaces that a test names."""

import json
from pathlib import Path

import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "deploy/policies"
DELETION = POLICIES / "deletion"
_JUDGED = {POLICIES: "judged-by-policies", DELETION: "judged-by-deletion"}


def install_policies(cluster: Cluster, folder: Path = POLICIES) -> None:
    """Install the policies of a folder as they are, but with bindings that hold only for judged namespaces."""
    objects = list(yaml.safe_load_all(cluster.kubectl("kustomize", folder).stdout))
    for one in objects:
        if one["kind"] == "ValidatingAdmissionPolicyBinding":
            one["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {_JUDGED[folder]: "yes"}}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)


def judge(cluster: Cluster, namespace: str, folder: Path = POLICIES) -> None:
    """Have the policies of a folder judge what is written in a namespace from now on."""
    cluster.kubectl("label", "namespace", namespace, f"{_JUDGED[folder]}=yes")
