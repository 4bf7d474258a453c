"""What a demo leaves in a cluster, and a real installation after it: it must not talk to the simulator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
SYSTEM = "qianfan-system"
SETTINGS = {"QIANFAN_WORKERS": "8"}  # of the real installation, written by hand
WAYS = {
    "on the server's side": ("--server-side",),
    "as older tools do": (),
    "as another manager, by force": ("--server-side", "--field-manager=argocd-controller", "--force-conflicts"),
}


def built(cluster: Cluster, folder: str) -> str:
    """What a folder installs in the operator's namespace, without the rights that are there already."""
    objects = yaml.safe_load_all(cluster.kubectl("kustomize", ROOT / folder).stdout)
    return json.dumps({
        "apiVersion": "v1", "kind": "List",
        "items": [one for one in objects if one["kind"] in {"ConfigMap", "Deployment", "Service"}],
    })  # fmt: skip


def effective(cluster: Cluster) -> dict[str, str]:
    """The settings that a pod of the operator's Deployment gets."""
    found: Any = json.loads(cluster.kubectl("get", "deployment", "qianfan-operator", "-n", SYSTEM, "-o", "json").stdout)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    settings: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        words = ("get", "configmap", source["configMapRef"]["name"], "-n", SYSTEM, "--ignore-not-found", "-o", "json")
        text = cluster.kubectl(*words).stdout
        settings |= json.loads(text).get("data", {}) if text else {}
    return settings | {one["name"]: one.get("value", "") for one in container.get("env", ())}


@pytest.fixture
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """Supply a cluster in which neither a demo nor an installation stays."""
    yield cluster
    for folder in ("deploy/demo", "deploy"):
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", input=built(cluster, folder))
    cluster.kubectl("delete", "configmap", "qianfan-operator", "-n", SYSTEM, "--ignore-not-found")


@pytest.mark.parametrize("way", WAYS)
def test_a_real_installation_over_a_demo_does_not_see_its_settings(installed: Cluster, way: str) -> None:
    """The demo, then the operator: the pod gets what was written for the operator, and nothing of the demo's."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "qianfan-operator"}, "data": SETTINGS}
    installed.kubectl("apply", "--server-side", "-n", SYSTEM, "-f", "-", input=json.dumps(config))
    installed.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=built(installed, "deploy/demo"))
    assert effective(installed)["QIANFAN_CONSOLE_API_BASE_URL"] == "http://qianfan-simulator:8080"

    installed.kubectl("apply", *WAYS[way], "-f", "-", input=built(installed, "deploy"))
    assert effective(installed) == SETTINGS


def test_what_a_demo_leaves_goes_by_one_label(installed: Cluster) -> None:
    """The command of docs/operations.md takes the simulator and the settings away, and not the operator."""
    installed.kubectl("apply", "--server-side", "-f", "-", input=built(installed, "deploy/demo"))
    installed.kubectl("apply", "--server-side", "-f", "-", input=built(installed, "deploy"))
    command = (
        "kubectl -n qianfan-system delete deployment,service,configmap -l app.kubernetes.io/name=qianfan-simulator"
    )
    assert command in (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    installed.kubectl(*command.split()[1:], "--wait=false")
    names = installed.kubectl("get", "deployment,service,configmap", "-n", SYSTEM, "-o", "name").stdout.split()
    assert sorted(name.partition("/")[2] for name in names if "qianfan" in name) == [
        "qianfan-operator", "qianfan-operator-metrics",
    ]  # fmt: skip
