"""What is installed, and what people copy, is accepted by a real API server."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "deploy/samples").glob("*.yaml"))
SYSTEM = "qianfan-system"


def built(cluster: Cluster, folder: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", ROOT / folder).stdout))


@pytest.fixture
def operator_kubeconfig(cluster: Cluster) -> Path:
    """The operator's own rights, from deploy/access, which the fixture of the cluster has installed."""
    return cluster.kubeconfig_for(SYSTEM, "qianfan-operator")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_samples_are_accepted(cluster: Cluster, namespace: str, sample: Path) -> None:
    """Every sample passes a strict server-side dry run as it is."""
    answer = cluster.kubectl(
        "apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-o", "name", "-f", sample
    )
    assert len(answer.stdout.split()) == len(list(yaml.safe_load_all(sample.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("folder", ["deploy", "deploy/demo"])
def test_what_is_installed_is_complete_and_accepted(cluster: Cluster, folder: str) -> None:
    """Both bases build with kubectl alone and hold all that the operator needs but the CRDs; all is accepted."""
    objects = built(cluster, folder)
    kinds = [one["kind"] for one in objects]
    assert {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment", "Service"} <= set(kinds)
    assert {one["metadata"].get("namespace", SYSTEM) for one in objects} == {SYSTEM}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-", input=text
    )


@pytest.mark.parametrize("folder", ["deploy/aggregate-roles", "deploy/network", "deploy/policies"])
def test_what_is_optional_is_accepted(cluster: Cluster, folder: str) -> None:
    """Each optional part builds with kubectl alone and passes a strict dry run on top of an installation."""
    assert built(cluster, folder)
    cluster.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", ROOT / folder)


def test_the_operator_reads_the_secrets_of_its_name_and_no_others(
    cluster: Cluster, namespace: str, operator_kubeconfig: Path
) -> None:
    """In any namespace it gets qianfan-credentials, lists it by name, and is refused everything else."""

    def may(*words: str) -> bool:
        return cluster.kubectl(*words, "-n", namespace, kubeconfig=operator_kubeconfig, check=False).returncode == 0

    cluster.kubectl("apply", "-n", namespace, "-f", ROOT / "deploy/samples/credentials.yaml")
    cluster.kubectl("create", "secret", "generic", "other", "-n", namespace, "--from-literal=a=b")
    assert may("get", "secret", "qianfan-credentials")
    assert may("get", "secrets", "--field-selector=metadata.name=qianfan-credentials")
    assert not may("get", "secret", "other")
    assert not may("get", "secrets")
    assert not may("delete", "secret", "qianfan-credentials")


def test_the_operator_cannot_write_specs_into_being(
    cluster: Cluster, namespace: str, operator_kubeconfig: Path
) -> None:
    """It may not create or delete the objects that it works for."""
    for verb in ("create", "delete", "deletecollection", "update"):
        for kind in ("qianfanjobs", "qianfanmodels", "qianfanservices"):
            answer = cluster.kubectl(
                "auth", "can-i", verb, kind, "-n", namespace, kubeconfig=operator_kubeconfig, check=False
            )
            assert answer.stdout.strip() == "no", (verb, kind)


def test_people_who_are_bound_may_use_the_kinds(cluster: Cluster, namespace: str) -> None:
    """The roles for people, bound as docs/operations.md shows, are enough for a whole chain, and grant no status."""
    person = f"person-{uuid.uuid4().hex[:8]}"
    for role in ("qianfan-edit", "qianfan-view"):
        cluster.kubectl(
            "create", "rolebinding", f"{person}-{role}", "-n", namespace, f"--clusterrole={role}", f"--user={person}"
        )
    sample = ROOT / "deploy/samples/chain.yaml"
    cluster.kubectl("apply", "-n", namespace, f"--as={person}", "-f", sample)
    cluster.kubectl("delete", "-n", namespace, f"--as={person}", "-f", sample)
    asked = cluster.kubectl(
        "auth", "can-i", "patch", "qianfanjobs", "--subresource=status", "-n", namespace, f"--as={person}", check=False
    )
    assert asked.stdout.strip() == "no"
