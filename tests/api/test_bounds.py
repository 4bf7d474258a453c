"""Every field of every spec is bounded by the definitions, at every level: in length, number, depth and size.

Read from the committed files, since these are what the API server holds objects against.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CRDS = Path(__file__).parents[2] / "crds"
OPEN = "x-kubernetes-preserve-unknown-fields"
ID = "x-kubernetes-int-or-string"
FORMATS = {"int32", "int64"}
"""Formats by which the API server bounds an integer: a larger one is refused as being of another type."""
Node = dict[str, Any]


def specs(folder: Path = CRDS) -> dict[str, Node]:
    """The schema of each kind's spec."""
    found = {}
    for file in sorted(folder.glob("qianfan*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        (version,) = definition["versions"]
        found[definition["names"]["kind"]] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def unbounded(path: str, node: Node) -> Iterator[str]:
    """Name every way in which a value may be without bounds."""
    kind = node.get("type")
    any_kind = kind is None and ID not in node  # a value of any type: each has to be bounded
    if (kind == "string" or ID in node or any_kind) and not {"enum", "maxLength"} & node.keys():
        yield f"{path} has no maxLength"
    if kind in {"integer", "number"} and node.get("format") not in FORMATS and "maximum" not in node:
        yield f"{path} has no maximum"
    if (kind == "array" or any_kind) and "maxItems" not in node:
        yield f"{path} has no maxItems"
    if (kind == "object" and "properties" not in node) or any_kind:
        if "maxProperties" not in node:
            yield f"{path} has no maxProperties"
        if node.get("maxProperties") != 0 and not isinstance(node.get("additionalProperties"), dict):
            yield f"{path} holds anything, at any depth"
    if any_kind and node.get("maxItems") != 0 and "items" not in node:
        yield f"{path} lists anything, at any depth"
    if "properties" in node and node.get(OPEN):
        yield f"{path} keeps what it does not know"
    for name, inner in node.get("properties", {}).items():
        yield from unbounded(f"{path}.{name}", inner)
    for word, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(word), dict):
            yield from unbounded(path + mark, node[word])


@pytest.mark.parametrize("kind", specs())
def test_everything_in_a_spec_is_bounded(kind: str) -> None:
    """Each text has a longest length, each list and open object a largest number, each integer a width, to the leaf."""
    assert list(unbounded("spec", specs()[kind])) == []


def test_the_walk_finds_what_is_unbounded() -> None:
    """A schema without any bound is told at each of its parts."""
    leaf: Node = {OPEN: True}
    schema: Node = {
        "type": "object",
        "properties": {
            "text": {"type": "string"}, "word": {"type": "string", "enum": ["A"]}, "id": {ID: True},
            "number": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}},
            "open": {"type": "object", OPEN: True}, "tree": {"type": "object", "additionalProperties": leaf},
        },
    }  # fmt: skip

    assert list(unbounded("spec", schema)) == [
        "spec.text has no maxLength", "spec.id has no maxLength", "spec.number has no maximum",
        "spec.list has no maxItems", "spec.list[] has no maxLength",
        "spec.open has no maxProperties", "spec.open holds anything, at any depth",
        "spec.tree has no maxProperties",
        "spec.tree{} has no maxLength", "spec.tree{} has no maxItems", "spec.tree{} has no maxProperties",
        "spec.tree{} holds anything, at any depth", "spec.tree{} lists anything, at any depth",
    ]  # fmt: skip
