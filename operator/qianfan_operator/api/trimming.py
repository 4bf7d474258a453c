"""Trimming: the parts of an object that nobody reads are dropped before it is stored.

The API server bounds none of this: labels, annotations and managed fields of a custom resource may fill the whole
object, and an older definition let a spec nest thousands of levels deep, which ends a recursive reader.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

RECONCILE_ANNOTATION = "qianfan.dev/reconcile-requested-at"
ANNOTATIONS = (RECONCILE_ANNOTATION,)
"""The annotations that the operator reads."""
METADATA = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "finalizers",
)  # fmt: skip
"""What it reads of `metadata` besides. Finalizers of others stay whole: to change ours replaces the list of all."""
DEEPEST = 32  # levels of an object's parts; no definition of ours ever had a field that needs more
CUT = "…"
_ECHO = 128  # characters


def trimmed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of an object what the operator reads of it; what nests deeper than `DEEPEST` is cut off there."""
    kept: dict[str, Any] = {name: raw[name] for name in ("apiVersion", "kind") if name in raw}
    kept |= {name: raw[name] if _fits(raw[name]) else _cut(raw[name], DEEPEST) for name in _PARTS if name in raw}
    metadata = raw.get("metadata")
    if isinstance(metadata, Mapping):
        kept["metadata"] = {name: metadata[name] for name in METADATA if name in metadata}
        annotations = metadata.get("annotations")
        if isinstance(annotations, Mapping) and (ours := {n: annotations[n] for n in ANNOTATIONS if n in annotations}):
            kept["metadata"]["annotations"] = {name: echo(str(value)) for name, value in ours.items()}
    return kept


def echo(value: str) -> str:
    """Return a value of an annotation as it is compared, and written into a status: as it is, or its hash.

    A hash stands for what is longer than 128 characters, or holds what does not print. The echo of an echo is itself.
    """
    if len(value) <= _ECHO and value.isprintable():
        return value
    return f"sha256:{hashlib.sha256(value.encode(errors='replace')).hexdigest()}"


def depth(value: object) -> int:
    """Count the levels of lists and objects in a value; 0 for one that is neither."""
    levels, level = 0, [value]
    while level := [one for one in level if isinstance(one, Mapping | list | tuple)]:
        levels += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, Mapping) else one)]
    return levels


_PARTS = ("spec", "status")


def _fits(value: object) -> bool:
    return depth(value) <= DEEPEST


def _cut(value: Any, levels: int) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not levels:
        return CUT
    if isinstance(value, Mapping):
        return {name: _cut(inner, levels - 1) for name, inner in value.items()}
    return [_cut(inner, levels - 1) for inner in value]
