"""What docs/gitops.md tells people to use: the name references of kustomize, and the annotations of the samples."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from qianfan_operator.api.common import Part
from qianfan_operator.kinds.registry import BY_PLURAL

ROOT = Path(__file__).parents[2]


def references(model: type[Part], path: str = "spec") -> Iterator[str]:
    """Every field of a spec that names another object, as kustomize writes its path."""
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Part):
                inner = f"{path}/{field.alias}"
                yield from [f"{inner}/name"] if str(field.alias).endswith("Ref") else references(part, inner)


def test_kustomize_follows_every_reference() -> None:
    """deploy/gitops/kustomizeconfig.yaml lists each reference of each kind, and the kind that it leads to."""
    config = yaml.safe_load((ROOT / "deploy/gitops/kustomizeconfig.yaml").read_text(encoding="utf-8"))
    listed = {
        (spec["kind"], spec["path"], target["kind"])
        for target in config["nameReference"]
        for spec in target["fieldSpecs"]
    }
    leads = {"jobRef": "QianfanJob", "modelRef": "QianfanModel", "credentialsRef": "Secret"}
    wanted = {
        (kind.resource.kind, path, leads[path.split("/")[-2]])
        for kind in BY_PLURAL.values()
        for path in references(kind.resource.model_fields["spec"].annotation)
    }
    assert listed == wanted
    assert len(wanted) == 7


@pytest.mark.parametrize("kind", ["job", "model", "service"])
def test_the_samples_are_protected(kind: str) -> None:
    """The sample of each kind carries the annotations of docs/gitops.md, word by word."""
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if one.startswith("metadata:")]
    shown: dict[str, Any] = yaml.safe_load(block)["metadata"]["annotations"]
    sample = yaml.safe_load((ROOT / f"deploy/samples/{kind}.yaml").read_text(encoding="utf-8"))
    assert sample["metadata"]["annotations"] == shown
