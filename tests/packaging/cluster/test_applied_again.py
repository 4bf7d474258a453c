"""What is applied stands in the API server as it was written, so that no tool sees a difference for ever.

On a control plane of its own, for everything is really applied.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
PARTS = ("deploy/access", "deploy/operator")  # of deploy
FOUND = {str(one.parent.relative_to(ROOT)) for one in ROOT.glob("deploy/**/kustomization.yaml")}
FOLDERS = sorted({"crds", *FOUND} - {*PARTS})
ALONE = [
    ROOT / "deploy/argocd/argocd-cm.yaml",
    ROOT / "deploy/demo/credentials.yaml",
    *ROOT.glob("deploy/samples/*.yaml"),
]
FILES = sorted(str(one.relative_to(ROOT)) for one in ALONE)


DIFFERENT = ("poddisruptionbudget.policy/", "secret/")
"""Of which kubectl says `configured` even so: it always sends a budget's selector, and what a Secret has as text."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Supply an empty control plane with the definitions, which no test changes."""
    with Cluster() as cluster:
        cluster.install_crds(ROOT / "crds")
        for namespace in ("argocd", "samples", "qianfan-system"):
            cluster.kubectl("create", "namespace", namespace)
        yield cluster


def lost(written: Any, live: Any, path: str = "") -> Iterator[str]:
    """Name every leaf of what was written that is not live, or is another value there."""
    if isinstance(written, dict) and isinstance(live, dict):
        for name, value in written.items():
            yield from lost(value, live.get(name), f"{path}.{name}")
    elif isinstance(written, list) and isinstance(live, list) and len(written) == len(live):
        for index, value in enumerate(written):
            yield from lost(value, live[index], f"{path}[{index}]")
    elif written != live:
        yield f"{path}: {written!r} is {live!r}"


def written_in(cluster: Cluster, where: str) -> list[dict[str, Any]]:
    """Read the objects of a kustomization, or of a file; what a Secret has as text stands in it as base64."""
    path = ROOT / where
    text = cluster.kubectl("kustomize", path).stdout if path.is_dir() else path.read_text(encoding="utf-8")
    objects = list(yaml.safe_load_all(text))
    for one in objects:
        words = one.pop("stringData", {})
        if words:
            one["data"] = {name: base64.b64encode(word.encode()).decode() for name, word in words.items()}
    return objects


@pytest.mark.parametrize("where", [*FOLDERS, *FILES])
def test_every_leaf_is_live_and_applied_again_nothing_changes(cluster: Cluster, where: str) -> None:
    """Without --server-side kubectl compares the file with what is live, and says `configured` where they differ."""
    source: list[str | Path] = ["-k" if (ROOT / where).is_dir() else "-f", ROOT / where]
    if where in FILES:
        source += ["-n", "argocd" if "argocd" in where else "samples"]

    def live() -> dict[tuple[str, str], dict[str, Any]]:
        found = json.loads(cluster.kubectl("get", *source, "-o", "json").stdout)
        return {(one["kind"], one["metadata"]["name"]): one for one in found.get("items", [found])}

    cluster.kubectl("apply", *source)
    before, written = live(), written_in(cluster, where)
    assert len(before) == len(written)
    assert [
        f"{one['kind']} {one['metadata']['name']}{what}"
        for one in written
        for what in lost(one, before[one["kind"], one["metadata"]["name"]])
    ] == []

    again = cluster.kubectl("apply", *source).stdout.splitlines()
    assert [line for line in again if not line.endswith(" unchanged") and not line.startswith(DIFFERENT)] == []
    assert versions(live()) == versions(before)


def versions(objects: Mapping[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Tell the version of each object: of the specs, where controllers write a status as well."""
    return {
        name: str(one["metadata"].get("generation") or one["metadata"]["resourceVersion"])
        for name, one in objects.items()
    }
