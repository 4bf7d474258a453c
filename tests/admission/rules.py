"""Every rule of the definitions, with the answer by which it refuses and the edges up to which it accepts.

Read from `crds/*.yaml`, so that nothing has to be added here for a field or a rule of a known shape, and a rule without
examples is found.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parents[2] / "crds"
Node = dict[str, Any]
Edge = Callable[[Any, Any], bool]
"""Whether an accepted object stands at an edge: given the old value (None in a new object) and the new one."""

_LIMITS: dict[str, tuple[str, type, Callable[[Any], Any]]] = {
    "minimum": ("should be greater than or equal to {}$", int, lambda value: value),
    "maximum": ("should be less than or equal to {}$", int, lambda value: value),
    "minLength": ("should be at least {} chars long$", str, len),
    "maxLength": ("Too long: may not be more than {} bytes$", str, len),
    "minItems": ("should have at least {} items$", list, len),
    "maxItems": ("Too many: [0-9]+: must have at most {} items$", list, len),
    "maxProperties": ("Too many: [0-9]+: must have at most {} items$", dict, len),
}  # the words are those of the API server; a node without a type holds values of any against the limits of theirs
_SIZE = re.compile(r"size\(self\) [<>]= (\d+)")
_HAS = re.compile(r"has\(self\.(\w+)\)")


@dataclass(frozen=True)
class Rule:
    """One thing that the API server may refuse an object for."""

    kind: str
    path: str
    """Of the values that it judges, for example `spec.trainset[].id`, or `extra{}` for every value of an open object;
    empty for the whole object."""
    name: str
    answer: str
    """A regular expression of the line that refuses."""
    edges: dict[str, Edge]

    def __str__(self) -> str:
        """Name it in a failure."""
        return f"{self.kind} {self.path or 'itself'}: {self.name}"

    def refuses(self, kind: str, line: str) -> bool:
        """Whether this line of an answer is about this rule."""
        return kind == self.kind and re.match(self.answer, line) is not None

    def reached(self, old: Node | None, new: Node) -> set[str]:
        """Return the edges at which an accepted object stands; `old` is what it was before the request."""
        if new["kind"] != self.kind:
            return set()
        before = values(old, self.path)
        pairs = [(before[at] if at < len(before) else None, value) for at, value in enumerate(values(new, self.path))]
        return {edge for edge, holds in self.edges.items() if any(holds(*pair) for pair in pairs)}


def values(document: Any, path: str) -> list[Any]:
    """Every value at a path."""
    found = [document] if document is not None else []
    for part in path.split(".") if path else ():
        name, *inside = re.split(r"(?=\[|\{)", part)
        found = [one[name] for one in found if name in one]
        for kind in inside:
            found = [item for one in found for item in _inside(one, kind)]
    return found


def _inside(value: Any, kind: str) -> list[Any]:
    if kind == "[]":
        return value if isinstance(value, list) else []
    return list(value.values()) if isinstance(value, dict) else []


def rules() -> list[Rule]:
    """Every rule on what users write, of every kind."""
    found: list[Rule] = []
    for file in sorted(CRDS.glob("*s.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        (version,) = definition["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        schema["properties"].pop("status")  # has types only, see tests/api/test_crds.py
        found += _below(definition["names"]["kind"], "", schema)
    return found


def _below(kind: str, path: str, node: Node) -> Iterator[Rule]:
    here = _escaped(path)
    for name in node.get("required", ()):
        yield Rule(kind, path, f"{name} is required", f"{_escaped(_at(path, name))}: Required value$", _has(name))
    narrower = any(_SIZE.search(rule["rule"]) for rule in node.get("x-kubernetes-validations", ()))
    for word, (words, type_, measure) in _LIMITS.items():
        if word in node:
            edges = {} if word == "maxLength" and narrower else _measures(node[word], measure, type_)
            yield Rule(kind, path, word, f"{here}: .*{words.format(node[word])}", edges)
    if "enum" in node:
        words = {word: _is(word) for word in node["enum"]}
        yield Rule(kind, path, "enum", f"{here}: Unsupported value: ", words)
    if node.get("x-kubernetes-list-type") == "set":
        several: dict[str, Edge] = {"several": lambda _, value: len(value) > 1}
        yield Rule(kind, path, "set", rf"{here}\[\d+\]: Duplicate value: ", several)
    for rule in node.get("x-kubernetes-validations", ()):
        yield _validation(kind, path, rule)
    for name, inner in node.get("properties", {}).items():
        yield from _below(kind, _at(path, name), inner)
    if "items" in node:
        yield from _below(kind, f"{path}[]", node["items"])
    if "additionalProperties" in node and node["maxProperties"]:
        yield from _below(kind, f"{path}{{}}", node["additionalProperties"])


def _validation(kind: str, path: str, rule: Node) -> Rule:
    words, message, at = rule["rule"], rule["message"], rule.get("fieldPath", "")
    answer = (
        rf"{_escaped((path + at).lstrip('.'))}: (Invalid value|Required value|Forbidden): (.*: )?{re.escape(message)}$"
    )
    if "oldSelf.spec." in words:
        edges = {"changes": _changes(at.removeprefix(".spec."))}
    elif "optionalOldSelf" in rule:
        edges = _needed(at.removeprefix("."), _HAS.findall(words))
    elif sizes := _SIZE.findall(words):
        edges = {f"{size} characters": _measures(int(size), len)[size] for size in sizes}
    elif names := _HAS.findall(words):
        edges = {name: _has(name)[name] for name in names}
    elif "type(self) == int" in words:
        edges = {"an integer": lambda _, id_: isinstance(id_, int), "a string": lambda _, id_: isinstance(id_, str)}
    else:
        edges = {"there": lambda *_: True}
    return Rule(kind, path, f"{at} {message}".lstrip(), answer, edges)


def _needed(name: str, names: list[str]) -> dict[str, Edge]:
    """Each of `names` may stand in for all others, and what an object did without it may go on without."""

    def edge(only: str) -> Edge:
        return lambda _, spec: only in spec and (only == name or name not in spec)

    return {
        **{one: edge(one) for one in names},
        "as before": lambda old, spec: old is not None and not set(names) & set(spec),
    }


def _changes(name: str) -> Edge:
    return lambda old, new: old is not None and old["spec"].get(name) != new["spec"].get(name)


def _has(name: str) -> dict[str, Edge]:
    return {name: lambda _, value: name in value}


def _is(word: Any) -> Edge:
    return lambda _, value: bool(value == word)


def _measures(limit: int, measure: Callable[[Any], Any], type_: type = object) -> dict[str, Edge]:
    return {f"{limit}": lambda _, value: isinstance(value, type_) and bool(measure(value) == limit)}


def _at(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")


def _escaped(path: str) -> str:
    return re.escape(path).replace(r"\[\]", r"\[\d+\]").replace(r"\{\}", r"\.\w+")
