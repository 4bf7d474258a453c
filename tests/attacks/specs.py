"""Specs as a tenant may write them, made from the definitions: values at the limits, and values beyond all of them."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

CRDS = Path(__file__).parents[2] / "crds"
Node = dict[str, Any]

# One of each sort of character: plain, of two to four bytes, white space, control, bidi, joining, invisible, private.
_CHARACTERS = [
    "a", "Z", "0", "-", "_", ".", "/", "%", "'", '"', "\\", "$", "`", "{", "é", "微", "😀", "𠮷", " ", "\t", "\n", "\r",
    "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u0301", "\ufffd",
    "\ue000", "\U000e0041", "\u3000", "ﷺ",
]  # fmt: skip
_DECIMALS = ["0.00002", "2e-5", "1e-999", "0.9", "0" * 20 + "." + "9" * 40, "1", "0"]
_NAMES = ["train", "a", "a" * 253, ".".join(["a" * 63] * 3 + ["b" * 61]), "x--y", "0.0"]
_URIS = ["my_uri", "a" * 20, "0_-0", "aa"]


@functools.cache
def specs() -> dict[str, Node]:
    """The schema of each kind's spec."""
    found = {}
    for file in sorted(CRDS.glob("qianfan*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        found[definition["names"]["kind"]] = definition["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
            "spec"
        ]
    return found


def texts(most: int, least: int = 0) -> SearchStrategy[str]:
    """Texts of every sort of character, as long as may be or shorter."""
    pieces = st.lists(st.sampled_from(_CHARACTERS), min_size=1, max_size=4).map("".join)
    lengths = st.sampled_from(sorted({least, min(max(least, 1), most), most}))
    return st.builds(lambda piece, length: (piece * length)[:length], pieces, lengths)


def values(node: Node) -> SearchStrategy[Any]:
    """Values that a schema takes, at its limits more often than within them."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "x-kubernetes-int-or-string" in node:
        return st.one_of(st.sampled_from([1, 2**53 + 1, 2**63 - 1]), _id(node))
    kind = node.get("type")
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        largest = node.get("maximum", 2 ** (31 if node["format"] == "int32" else 63) - 1)
        return st.sampled_from([node["minimum"], node["minimum"] + 1, largest])
    if kind == "string":
        return _string(node)
    if kind == "array":
        return _lists(node)
    if "properties" in node:
        return _objects(node)
    return open_objects(node)


def open_objects(node: Node) -> SearchStrategy[Any]:
    """What an open object, or a value in one, may be: any type, as wide and as deep as the schema lets it."""
    scalars = st.one_of(
        st.none(), st.booleans(), st.sampled_from([0, -1, 2**63 - 1, -(2**63), 0.5, 1e308, -5e-324]),
        texts(node.get("maxLength", 0)),
    )  # fmt: skip
    choices: list[SearchStrategy[Any]] = [] if node.get("type") == "object" else [scalars]
    if node.get("maxItems"):
        choices.append(st.builds(lambda one, size: [one] * size, open_objects(node["items"]), _size(node["maxItems"])))
    if node.get("maxProperties"):
        inner, most = open_objects(node["additionalProperties"]), node["maxProperties"]
        keys = st.one_of(st.just("key"), texts(64, 1), st.just("k" * 70000))
        wide = st.builds(lambda one, key, size: {f"{key}{n}": one for n in range(size)}, inner, keys, _size(most))
        choices += [wide, st.dictionaries(keys, inner, max_size=3)]
    return st.one_of(choices)


@functools.cache
def _fields(kind: str) -> dict[str, SearchStrategy[Any]]:
    return {name: values(node) for name, node in specs()[kind]["properties"].items()}


@st.composite
def changed(draw: DrawFn, kind: str, base: Node) -> Node:
    """A spec of a kind that works, with some of its fields written otherwise: within the definition."""
    fields = _fields(kind)
    names = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=4, unique=True))
    return {**base, **{name: draw(fields[name]) for name in names}}


@st.composite
def broken(draw: DrawFn, kind: str, base: Node, depth: int) -> Node:
    """The same beyond every definition: other types, any length, number and depth, at any place."""
    spec = json.loads(json.dumps(base))
    for _ in range(draw(st.integers(1, 3))):
        at, places = spec, draw(st.sampled_from(sorted(_places(specs()[kind]))))
        for name in places[:-1]:
            at = at.setdefault(name, {}) if isinstance(at, dict) else {}
        if isinstance(at, dict):
            at[places[-1]] = draw(anything(depth))
    return spec  # type: ignore[no-any-return]


@functools.cache
def anything(depth: int) -> SearchStrategy[Any]:
    """Values of every type: empty, enormous, and nested up to a depth."""
    scalars = [None, True, 0, -1, 2**63, -(2**200), 1e308, 0.1, "", "1", "\0\u202e\n", "x" * 100_000, "微" * 50_000]
    texts = [
        "[]", "{}", json.dumps([None] * 2_000), json.dumps([{}] * 2_000), json.dumps([""] * 2_000), '{"": {"": ""}}',
        json.dumps({f"k{number}": number for number in range(2_000)}), '{"jobRef": [], "run": ""}',
        '{"name": "../../x"}', json.dumps({"name": "x" * 100_000}),
        "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth,
    ]  # fmt: skip
    return st.one_of(st.sampled_from(scalars), st.sampled_from(texts).map(json.loads))


def _places(node: Node) -> set[tuple[str, ...]]:
    found = set()
    for name, inner in node.get("properties", {}).items():
        found |= {(name,), *((name, *rest) for rest in _places(inner))}
    return found


def _size(most: int) -> SearchStrategy[int]:
    return st.sampled_from(sorted({0, 1, most}))


def _id(node: Node) -> SearchStrategy[str]:
    (prefix,) = re.findall(r"startsWith\('([^']+)'\)", node["x-kubernetes-validations"][0]["rule"])
    return texts(node["maxLength"] - len(prefix)).map(lambda rest: prefix + rest)


def _string(node: Node) -> SearchStrategy[str]:
    rules = " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    if sizes := [int(size) for size in re.findall(r"size\(self\) [<>]= (\d+)", rules)]:
        return texts(max(sizes), min(sizes) if len(sizes) > 1 else 0)
    if "double(self)" in rules:
        return st.sampled_from(_DECIMALS)
    if "bos:/" in rules:
        return texts(node["maxLength"] - 6, 1).map(lambda rest: f"bos:/{rest}")
    if "matches" in rules:
        return st.sampled_from(_NAMES if node["maxLength"] == 253 else _URIS)
    return texts(node["maxLength"], node.get("minLength", 0))


def _lists(node: Node) -> SearchStrategy[Any]:
    least, most = node.get("minItems", 0), node["maxItems"]
    if node["x-kubernetes-list-type"] == "set":
        return st.lists(values(node["items"]), min_size=least, max_size=most, unique=True)
    same = st.builds(lambda one, size: [one] * size, values(node["items"]), st.sampled_from([max(1, least), most]))
    return st.one_of(same, st.lists(values(node["items"]), min_size=least, max_size=4))


@st.composite
def _objects(draw: DrawFn, node: Node) -> Node:
    properties, required = node["properties"], set(node.get("required", ()))
    some = draw(st.sets(st.sampled_from(sorted(properties)))) | required
    return {name: draw(values(properties[name])) for name in sorted(some)}
