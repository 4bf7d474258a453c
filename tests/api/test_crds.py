"""The committed CustomResourceDefinitions are current and keep the conventions of the Kubernetes API."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_operator.api import KINDS, Resource
from qianfan_operator.api.crds import definition, render, stale

CRDS = Path(__file__).parents[2] / "crds"
CAMEL_CASE = re.compile(r"[a-z]+([A-Z][a-z]+)*[A-Z]?")
VENDORS_WORDS = {"ALL", "LoRA", "P-tuning", "SFT"}
OPEN = "x-kubernetes-preserve-unknown-fields"
LIMITS = {"enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "nullable"}


def schema(kind: type[Resource]) -> dict[str, Any]:
    """The schema of a kind as the API server gets it."""
    (version,) = definition(kind)["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and all schemas in it, each with its path."""
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def all_nodes(*parts: str) -> list[tuple[str, dict[str, Any]]]:
    """Every schema below these parts of every kind."""
    return [
        found
        for kind in KINDS
        for part in parts
        for found in nodes(schema(kind)["properties"][part], f"{kind.kind}.{part}")
    ]


def broken(rule: str, *parts: str) -> list[str]:
    """The paths whose schema breaks a rule, given as an expression that must not be true of `node`."""
    return [path for path, node in all_nodes(*parts) if BROKEN[rule](path, node)]


BROKEN: dict[str, Any] = {
    "a number in a spec does not survive every tool": lambda _, node: node.get("type") == "number",
    "a field is described": lambda path, node: not path.endswith("[]") and len(node.get("description", "")) < 10,
    "a description ends like a sentence": lambda _, node: not node.get("description", "x.").endswith("."),
    "a field has a type, or is an id": lambda _, node: "type" not in node and "x-kubernetes-int-or-string" not in node,
    "an object is closed or openly open": lambda _, node: (
        node.get("type") == "object" and sum(word in node for word in ("properties", "additionalProperties", OPEN)) != 1
    ),
    "a list says how it merges": lambda _, node: node.get("type") == "array" and "x-kubernetes-list-type" not in node,
    "an integer says its width": lambda _, node: node.get("type") == "integer" and "format" not in node,
    "an enum is CamelCase": lambda _, node: any(
        word not in VENDORS_WORDS and not re.fullmatch(r"([A-Z][a-z]+)+", word) for word in node.get("enum", ())
    ),
    "a field is camelCase": lambda path, _: not CAMEL_CASE.fullmatch(path.rsplit(".", 1)[1].removesuffix("[]")),
    "a duration ends in Seconds": lambda path, node: (
        re.search(r"(Deadline|Timeout|Period|Interval|Duration|[a-z]Time)$", path) is not None
        and node.get("type") == "integer"
    ),
    "a reference ends in Ref": lambda path, node: (
        ("name" in node.get("properties", {}) and node["properties"].keys() <= {"name", "attempt"})
        and not path.endswith("Ref")
    ),
    "a boolean has no is": lambda path, node: (
        node.get("type") == "boolean" and re.search(r"\.is[A-Z]", path) is not None
    ),
}


def test_the_committed_files_are_current() -> None:
    """What is committed is what the models generate now (`make crds` mends it)."""
    assert stale(CRDS) == ""


def test_a_stale_file_is_found_by_the_command(tmp_path: Path) -> None:
    """`--check` shows what is stale and fails; writing mends it."""
    shutil.copytree(CRDS, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "qianfanjobs.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("qfj", "qfx"), encoding="utf-8")
    command = [sys.executable, "-m", "qianfan_operator.api.crds", str(tmp_path)]

    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    written = subprocess.run(command, check=False)

    assert checked.returncode == 1
    assert "-    - qfx\n+    - qfj\n" in checked.stdout
    assert (written.returncode, stale(tmp_path)) == (0, "")


def test_a_missing_file_is_stale(tmp_path: Path) -> None:
    """A definition that was never written is reported whole."""
    assert stale(tmp_path).count("\n+kind: CustomResourceDefinition\n") == len(KINDS)


@pytest.mark.parametrize("rule", BROKEN)
def test_fields_keep_the_conventions(rule: str) -> None:
    """No field of a spec or a status breaks a convention of the Kubernetes API."""
    assert broken(rule, "spec", "status") == []


def test_a_spec_has_no_defaults() -> None:
    """The API server writes nothing into a spec: it would show up as a difference in GitOps tools."""
    assert [path for path, node in all_nodes("spec") if "default" in node] == []


def test_every_default_is_told() -> None:
    """What the operator does with a field that is left out stands in its description."""
    spec = schema(KINDS[0])["properties"]["spec"]["properties"]

    assert spec["trainsetRate"]["description"].endswith("Default: 20.")
    assert spec["paused"]["description"].endswith("Default: false.")
    assert spec["desiredState"]["description"].endswith("Default: Running.")
    assert spec["credentialsRef"]["properties"]["name"]["description"].endswith("Default: qianfan-credentials.")


def test_a_status_has_types_only() -> None:
    """No word or number of the cloud, however surprising, can keep an id from being recorded."""
    assert [(path, word) for path, node in all_nodes("status") for word in LIMITS & node.keys()] == []
    assert [path for path, node in all_nodes("status") if "x-kubernetes-validations" in node] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_of_a_kind(kind: type[Resource]) -> None:
    """Each kind requires a spec, has a status of its own, and starts as observed by nobody."""
    (version,) = definition(kind)["spec"]["versions"]
    root = schema(kind)
    status = root["properties"]["status"]

    assert version["subresources"] == {"status": {}}
    assert root["required"] == ["spec"]
    assert status["default"] == {"observedGeneration": -1}
    assert {path: node["default"] for path, node in nodes(status, "") if "default" in node and path} == {
        ".observedGeneration": -1
    }
    conditions = status["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert definition(kind)["spec"]["names"]["categories"] == ["qianfan"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_answer_whether_it_can_be_used_first(kind: type[Resource]) -> None:
    """Every kind shows Ready, Reason and Synced first and Age last; the narrow table stays narrow."""
    (version,) = definition(kind)["spec"]["versions"]
    columns = version["additionalPrinterColumns"]
    narrow = [column["name"] for column in columns if "priority" not in column]

    assert narrow[:3] == ["Ready", "Reason", "Synced"]
    assert narrow[-1] == "Age"
    assert len(narrow) <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_selectable_fields_exist(kind: type[Resource]) -> None:
    """No column and no selectable field points at a field that the schema does not have."""
    paths = {path for part in ("spec", "status") for path, _ in nodes(schema(kind)["properties"][part], f".{part}")}
    named = {column.json_path for column in kind.columns} | set(kind.selectable)

    assert named - paths == set()


def test_ids_in_columns_can_be_compared() -> None:
    """A heading says the same in every kind; one in `-ID` is the integer, and RUN is what is always known."""
    shown = [column for kind in KINDS for column in kind.columns]
    ids = {(column.name, column.json_path) for column in shown if column.name.endswith("-ID")}

    assert ids == {
        ("Run-ID", ".status.jobId"), ("Model-ID", ".status.modelId"), ("Version-ID", ".status.modelVersionId"),
    }  # fmt: skip
    assert all(column.type == "integer" for column in shown if column.name.endswith("-ID"))
    assert ("Run", ".status.jobUuid") in {(column.name, column.json_path) for column in shown}


def test_a_key_of_a_list_map_is_required() -> None:
    """The API server takes a list map only if each item has its keys."""
    maps = {path: node for path, node in all_nodes("spec", "status") if node.get("x-kubernetes-list-type") == "map"}

    assert {path.split(".", 1)[1] for path in maps} == {"status.conditions", "status.runs", "status.versions"}
    for node in maps.values():
        assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"])


def test_only_what_lets_unchanged_values_pass_is_used() -> None:
    """No schema uses the words that the API server also holds against values that did not change."""
    unforgiving = {"not", "allOf", "anyOf", "oneOf"}

    assert [path for path, node in all_nodes("spec", "status") if unforgiving & node.keys()] == []


def test_rules_speak_to_people() -> None:
    """Every rule says what must or may not be, in one line."""
    messages = [
        rule["message"]
        for kind in KINDS
        for _, node in nodes(schema(kind), "")
        for rule in node.get("x-kubernetes-validations", ())
    ]

    assert len(messages) > 20
    assert [message for message in messages if not re.search(r"\b(must|may)\b", message) or "\n" in message] == []


def test_a_rule_on_the_root_judges_only_what_changed() -> None:
    """Rules on the root compare with what was there: an unchanged object passes, so its finalizer can always go."""
    rules = [rule for kind in KINDS for rule in schema(kind).get("x-kubernetes-validations", ())]

    assert len(rules) == 13
    assert [rule for rule in rules if "oldSelf.spec." not in rule["rule"] or "optionalOldSelf" in rule] == []


def test_the_files_are_yaml_that_says_what_it_is() -> None:
    """Each file opens with how it was made and holds one definition of its own name."""
    for name, text in render().items():
        assert text.startswith("# Generated")
        assert yaml.safe_load(text)["metadata"]["name"] == f"{name.removesuffix('.yaml')}.qianfan.dev"
