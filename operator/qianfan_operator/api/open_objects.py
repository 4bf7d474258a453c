"""Open objects: parts of a spec whose keys the cloud defines; they pass through, within bounds.

A definition bounds their depth, their width and their texts; keys and the size of the whole it cannot bound. Those are
judged where something new would be sent (`flaw`): what was sent once is never judged again.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import WithJsonSchema

from qianfan_operator.api.trimming import depth

LARGEST = 16384  # bytes of one open object as JSON
_DEEPEST = 16  # levels; a definition allows fewer, but older ones allowed any number
_FORMER = 14  # levels of objects below the deepest that may be used: version 0.1.0 took up to 16 in all
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_OPEN = "x-kubernetes-preserve-unknown-fields"


def tree(levels: int = 3, *, width: int = 16, most: int = 16, length: int = 1024) -> WithJsonSchema:
    """Write the schema of an object of at most `most` keys.

    Lists and objects nest to `levels` levels, this one counted, with at most `width` entries each; texts have at most
    `length` characters. A node that has no type may carry the limits of every type: each is held against its own.

    The API server lets an unchanged value pass, whatever it is, but compares objects only as deep as there are nodes:
    so there are some below the deepest that may be used, else an older object could neither be changed nor leave.
    """
    last: dict[str, Any] = {_OPEN: True, "maxLength": length, "maxItems": 0, "maxProperties": 0}
    node = last
    for _ in range(_FORMER):
        node = {**last, "additionalProperties": node}
    for _ in range(levels - 1):
        node = {
            _OPEN: True,
            "maxLength": length,
            "maxItems": width,
            "maxProperties": width,
            "items": node,
            "additionalProperties": node,
        }
    return WithJsonSchema({"type": "object", "maxProperties": most, "additionalProperties": node})


def flaw(value: Mapping[str, Any]) -> str:
    """Say what keeps an open object from being sent, beginning with a verb; empty if nothing does."""
    if depth(value) > _DEEPEST:
        return f"must nest at most {_DEEPEST} levels deep"
    if (size := bytes_as_json(value)) > LARGEST:
        return f"must be at most {LARGEST} bytes as JSON, not {size}"
    strange = min((key for key in _keys(value) if not _KEY.fullmatch(key)), default=None)
    if strange is not None:
        shown = strange if len(strange) <= 64 else f"{strange[:63]}…"
        return f"must have keys of up to 64 letters, digits and `_` that begin with a letter, which {shown!r} is not"
    return ""


def bytes_as_json(value: object) -> int:
    """Return how many bytes a value has as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)
