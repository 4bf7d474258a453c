"""The decoder of API server replies: bounded depth and size, so that no object can stop it.

The API server takes objects nested up to 10,000 levels deep, in an open field of a spec and, on every kind, in
`metadata.managedFields`. Python's decoder gives up at a depth that depends on its version, and what it decodes breaks
later, where something walks through it. So the depth has a bound of its own here: what lies deeper is cut out of the
text before it is decoded. It costs little, because a text is proved to be shallow by its brackets alone.

Of each object only what the operator reads is kept: a tenant may write a megabyte of labels, managed fields or foreign
annotations, which take twenty times that when they are decoded. Thread-safe.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

from qianfan_operator.api.common import ACCESS_KEY, SECRET_KEY, Unreadable
from qianfan_operator.api.trimming import ANNOTATIONS, METADATA

MAX_DEPTH = 64
"""Levels that are read, counted from the top of a reply; no valid object has a third of them."""
UNREADABLE = "unreadable"
"""Names in an object, beside its spec, what could not be read of it; the API server leaves no such field there."""
KEY_CHARACTERS = 4096
"""Characters of base64 that are read of a key in a Secret; `may_be_key` takes fewer."""

LARGE = 256 * 1024
"""Bytes of a text that takes long, and for a moment much memory, to decode; there is one such at a time."""
_LARGE_ONE = threading.Lock()

_STRUCTURE = b'{}[]"'
_REST = bytes(set(range(256)) - set(_STRUCTURE))
_BRACKET = re.compile(
    rb"""[^"{}\[\]]*+ (?: "(?:[^"\\]++|\\.)*+" [^"{}\[\]]*+ )*+ ([\[\]{}])""",
    re.DOTALL | re.VERBOSE,
)
"""The text up to the next bracket that is no part of a string, with that."""
_TOO_DEEP = "(nested too deeply to be read)"

_Raw = TypeVar("_Raw", bound=Mapping[str, Any])


class Page(NamedTuple):
    """A page of a list, and how many bytes of text it was."""

    document: dict[str, Any]
    size: int


def decode(data: bytes) -> dict[str, Any]:
    """Decode a reply that is no object of a kind, or one that is written back; ValueError if it is no JSON object."""
    return _mapping(_load(data)[0])


def decode_object(data: bytes) -> dict[str, Any]:
    """Decode an object; ValueError if the text is none."""
    with _turn(data):
        found, cut = _load(data)
        return _object(found, str(_mapping(found).get("kind", "")), cut=cut)


def decode_page(data: bytes) -> Page:
    """Decode a page of a list; ValueError if the text is none."""
    with _turn(data):
        found, cut = _load(data)
        document = _mapping(found)
        document.setdefault("metadata", {})
        items = document.get("items") or []  # none is null
        if not isinstance(items, list):
            raise ValueError("the items are no list")  # noqa: TRY004  # what is wrong is the text, not the program
        kind = str(document.get("kind", "")).removesuffix("List")
        document["items"] = items = [_object(item, kind, cut=cut) for item in items]
    return Page(document, len(data))


def decode_event(line: bytes) -> dict[str, Any]:
    """Decode a line of a watch; ValueError if it is no event."""
    with _turn(line):
        found, cut = _load(line)
        event = _mapping(found)
        if not isinstance(event.get("type"), str) or not isinstance(event.get("object"), dict):
            raise ValueError("the line is no event")  # noqa: TRY004  # what is wrong is the text, not the program
        if event["type"] != "ERROR":
            event["object"] = _object(event["object"], str(event["object"].get("kind", "")), cut=cut)
    return event


def readable(raw: _Raw) -> _Raw:
    """Return the object; raises Unreadable if something was cut out of its status, which tells what it holds."""
    what = str(raw.get(UNREADABLE, ""))
    if "status." in what:
        raise Unreadable(f"{what}: nested too deeply")
    return raw


def is_shallow(text: bytes) -> bool:
    """Prove that JSON is nested no deeper than MAX_DEPTH; what is proved by brackets alone costs less than decoding.

    Strings are what stands between two quotation marks, once escapes are gone. Of the brackets that are left each turn
    takes the innermost pairs away, thus at most two levels.
    """
    for escape in (rb"\\", rb"\""):
        text = text.replace(escape, b"") if escape in text else text
    left = b"".join(text.translate(None, _REST).split(b'"')[::2])
    for _ in range(MAX_DEPTH // 2):
        if not left:
            break
        left = left.replace(b"{}", b"").replace(b"[]", b"")
    return not left


def without_depths(text: bytes) -> bytes:
    """Put _TOO_DEEP in the place of whatever is nested deeper than MAX_DEPTH; ValueError if brackets do not match."""
    kept: list[bytes] = []
    depth = start = 0
    for found in _BRACKET.finditer(text):
        at = found.start(1)
        if text[at] in b"{[":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += text[start:at], json.dumps(_TOO_DEEP).encode()
        else:
            depth -= 1
            if depth == MAX_DEPTH:
                start = at + 1
    if depth:
        raise ValueError("brackets do not match")
    return b"".join((*kept, text[start:]))


def _turn(text: bytes) -> AbstractContextManager[Any]:
    return _LARGE_ONE if len(text) > LARGE else nullcontext()


def _load(text: bytes) -> tuple[Any, bool]:
    """Decode; also say whether something was cut out."""
    if is_shallow(text):
        return json.loads(text), False
    rest = without_depths(text)
    return json.loads(rest), rest != text


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("the text is no object")  # noqa: TRY004  # what is wrong is the text, not the program
    return found


def _object(found: Any, kind: str, *, cut: bool) -> dict[str, Any]:
    """Leave of an object what the operator reads, and name the fields in which something was cut out."""
    body = _mapping(found)
    metadata = _mapping(body.get("metadata"))
    if kind == "CustomResourceDefinition":  # whose schemas may be megabytes, and deep
        body["spec"] = {"group": body["spec"]["group"]}
        body.pop("status", None)
    elif kind == "Secret":
        data = body.get("data") or {}
        body["data"] = {name: data[name][:KEY_CHARACTERS] for name in (ACCESS_KEY, SECRET_KEY) if data.get(name)}
    if cut and (fields := [*_cut_fields(body)]):
        body[UNREADABLE] = ", ".join(fields)
    body["metadata"] = {name: metadata[name] for name in METADATA if name in metadata}
    if isinstance(annotations := metadata.get("annotations"), dict):
        body["metadata"]["annotations"] = {name: annotations[name] for name in ANNOTATIONS if name in annotations}
    return body


def _cut_fields(body: Mapping[str, Any]) -> Iterator[str]:
    for part in ("metadata", "spec", "status"):
        inside = body.get(part)
        if isinstance(inside, Mapping):
            yield from (f"{part}.{name}" for name, value in inside.items() if _is_cut(value))


def _is_cut(value: Any) -> bool:
    """Say whether something was cut out of a value; it is at most MAX_DEPTH levels deep."""
    if isinstance(value, Mapping):
        return any(map(_is_cut, value.values()))
    return any(map(_is_cut, value)) if isinstance(value, list) else value == _TOO_DEEP
