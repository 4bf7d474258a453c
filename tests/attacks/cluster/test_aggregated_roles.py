"""Rights on the kinds are money: nobody has them only because he may edit Deployments."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
STANDARD = ("admin", "edit", "view")
READ = {"get", "list", "watch"}
WRITE = {"create", "delete", "deletecollection", "patch", "update"}


def granted(cluster: Cluster, group: str) -> dict[str, set[str]]:
    """What each of the standard roles of Kubernetes lets people do with an API group."""
    roles = json.loads(cluster.kubectl("get", "clusterrole", *STANDARD, "-o", "json").stdout)["items"]
    return {
        role["metadata"]["name"]: {
            verb for rule in role["rules"] if group in rule.get("apiGroups", ()) for verb in rule["verbs"]
        }
        for role in roles
    }


def settled(cluster: Cluster, marker: str) -> dict[str, set[str]]:
    """What the standard roles grant of our kinds, once they hold all that there is to aggregate now.

    A role of our own is aggregated as well; where its rules have arrived, those of older roles have.
    """
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in STANDARD}
    rules = [{"apiGroups": [marker], "resources": ["markers"], "verbs": ["get"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": marker, "labels": labels}, "rules": rules,
    }  # fmt: skip
    cluster.kubectl("create", "-f", "-", input=json.dumps(role))
    try:
        deadline = time.monotonic() + 30
        while granted(cluster, marker) != {key: {"get"} for key in STANDARD}:
            assert time.monotonic() < deadline
        return granted(cluster, "qianfan.dev")
    finally:
        cluster.kubectl("delete", "clusterrole", marker)


@pytest.fixture
def overlay(cluster: Cluster) -> Iterator[None]:
    """Install the optional overlay, and take it away again."""
    cluster.kubectl("apply", "--server-side", "-k", ROOT / "deploy/aggregate-roles")
    yield
    cluster.kubectl("delete", "-k", ROOT / "deploy/aggregate-roles")


def test_the_standard_roles_grant_nothing_by_default(cluster: Cluster, namespace: str) -> None:
    """After an installation `admin`, `edit` and `view` know nothing of our kinds."""
    assert settled(cluster, f"default.{namespace}") == {key: set() for key in STANDARD}


@pytest.mark.usefixtures("overlay")
def test_the_overlay_grants_and_an_upgrade_leaves_it(cluster: Cluster, namespace: str) -> None:
    """With the overlay the standard roles reach the kinds, also after deploy/access was applied again."""
    cluster.kubectl("apply", "--server-side", "-k", ROOT / "deploy/access")
    wanted = {"admin": READ | WRITE, "edit": READ | WRITE, "view": READ}
    assert settled(cluster, f"overlay.{namespace}") == wanted
