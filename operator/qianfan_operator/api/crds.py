"""CRD generation: `python -m qianfan_operator.api.crds [--check] [FOLDER]` writes or compares `crds/`."""

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any

import yaml

from qianfan_operator.api import KINDS, Resource
from qianfan_operator.api.common import CATEGORY, GROUP, VERSION, Column
from qianfan_operator.api.schema import resource_schema

HEADER = "# Generated from the models in operator/qianfan_operator/api by `make crds`; not to be edited.\n"

KEPT = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "helm.sh/resource-policy": "keep",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
"""Annotations that keep tools from deleting a CRD, and with it every object of its kind; kubectl heeds none of them."""


def definition(kind: type[Resource]) -> dict[str, Any]:
    """Write the CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": dict(KEPT)},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version(kind)],
        },
    }


def _version(kind: type[Resource]) -> dict[str, Any]:
    """Write the one version that is served and stored."""
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(kind),
        "schema": {"openAPIV3Schema": resource_schema(kind)},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return version


def _columns(kind: type[Resource]) -> list[dict[str, Any]]:
    """Frame a kind's own columns by those that every kind has: Ready, Reason, Synced, ..., Age.

    The message is that of Synced: it is Ready's, but for an error that Ready does not show, which it shows then.
    """
    ready, synced = (f'.status.conditions[?(@.type=="{condition}")]' for condition in ("Ready", "Synced"))
    columns = (
        Column(name="Ready", json_path=f"{ready}.status"),
        Column(name="Reason", json_path=f"{ready}.reason"),
        Column(name="Synced", json_path=f"{synced}.status"),
        *kind.columns,
        Column(name="Message", json_path=f"{synced}.message", wide=True),
        Column(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )
    return [
        {
            "name": column.name,
            "type": column.type,
            "jsonPath": column.json_path,
            **({"priority": 1} if column.wide else {}),
        }
        for column in columns
    ]  # a priority of 0 is dropped by the API server, and would be a difference for ever


def render() -> dict[str, str]:
    """Return file name -> text of every CustomResourceDefinition."""
    return {
        f"{kind.plural}.yaml": HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=118, allow_unicode=True)
        for kind in KINDS
    }


def stale(folder: Path) -> str:
    """Return the difference between the files in `folder` and what they should be; empty if there is none."""
    difference: list[str] = []
    for name, text in render().items():
        path = folder / name
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        difference += difflib.unified_diff(
            there.splitlines(keepends=True), text.splitlines(keepends=True), f"{path} (there)", f"{path} (generated)"
        )
    return "".join(difference)


def main() -> int:
    """Write or check; the exit code says whether something is stale."""
    parser = argparse.ArgumentParser(prog="python -m qianfan_operator.crds", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("crds"), help="where the files lie (crds)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 and a diff if a file is stale")
    arguments = parser.parse_args()
    if arguments.check:
        difference = stale(arguments.folder)
        sys.stdout.write(difference)
        return 1 if difference else 0
    for name, text in render().items():
        (arguments.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
