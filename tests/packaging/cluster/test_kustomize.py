"""What is for kustomize does what docs/gitops.md says, by the kustomize of the real kubectl."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]


def built(cluster: Cluster, folder: Path, text: str, *files: str) -> dict[str, dict[str, Any]]:
    """Build a kustomization with copies of our files beside it; the objects by their kinds."""
    for name in files:
        shutil.copy(ROOT / name, folder)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = yaml.safe_load_all(cluster.kubectl("kustomize", folder).stdout)
    return {one["kind"]: one for one in objects}


def test_references_follow_a_prefix(cluster: Cluster, tmp_path: Path) -> None:
    """A chain whose names get a prefix refers to the objects by their new names."""
    text = "namePrefix: team-\nresources: [chain.yaml]\nconfigurations: [kustomizeconfig.yaml]\n"
    chain = built(cluster, tmp_path, text, "deploy/samples/chain.yaml", "deploy/gitops/kustomizeconfig.yaml")
    assert chain["QianfanJob"]["metadata"]["name"] == "team-essay"
    assert chain["QianfanModel"]["spec"]["source"]["jobRef"]["name"] == "team-essay"
    assert chain["QianfanService"]["spec"]["source"]["modelRef"]["name"] == "team-essay"


def test_the_config_map_for_argo_cd_gives_each_kind_its_script(cluster: Cluster, tmp_path: Path) -> None:
    """The tools of Kubernetes read the text that stands there once as the value of all three keys."""
    config = built(cluster, tmp_path, "resources: [argocd-cm.yaml]\n", "deploy/argocd/argocd-cm.yaml")["ConfigMap"]
    script = (ROOT / "deploy/argocd/health.lua").read_text(encoding="utf-8")
    assert list(config["data"].values()) == [script] * 3
