"""Texts that end a reader of JSON: nested ten thousand levels deep, and brackets in strings that look like it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qianfan_operator.api.common import Unreadable
from qianfan_operator.kube.decoder import (
    MAX_DEPTH,
    decode,
    decode_event,
    decode_object,
    decode_page,
    is_shallow,
    readable,
)

DEEPEST = 10_000
_NASTY = st.text('{}[]"\\/:, ab\u20ac\n', max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _NASTY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NASTY, inner, max_size=4),
    max_leaves=30,
)


def nested(levels: int, name: str = "a") -> str:
    return f'{{"{name}":' * levels + "1" + "}" * levels


def poisoned(levels: int = DEEPEST, **parts: Any) -> str:
    """An object whose managed fields are deep, as the API server writes it."""
    metadata = {"managedFields": "(deep)", "name": "essay", "namespace": "team", "uid": "u", "resourceVersion": "7"}
    body = {"apiVersion": "qianfan.dev/v1alpha1", "kind": "QianfanJob", "metadata": metadata, **parts}
    return json.dumps(body).replace('"(deep)"', f'[{{"fieldsV1":{nested(levels)}}}]')


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(_VALUES, st.integers(0, MAX_DEPTH + 40), st.sampled_from(["", "  "]))
@example({'"': "}]"}, MAX_DEPTH + 1, "")
@example({"\\": {"\\\\": '"{'}}, MAX_DEPTH + 1, "")
def test_whatever_is_taken_for_shallow_is(value: Any, levels: int, space: str) -> None:
    """Brackets, quotation marks and escapes in strings neither hide a depth nor make one up."""
    for number in range(levels):
        value = {'}"]': value} if number % 2 else [value, "{[\\"]
    text = json.dumps(value, ensure_ascii=False, indent=space or None).encode()
    if is_shallow(text):
        assert depth(value) <= MAX_DEPTH
    read = decode(b'{"x":' + text + b"}")["x"]
    assert depth(read) <= MAX_DEPTH - 1
    if depth(value) < MAX_DEPTH:
        assert read == value


def test_a_deep_object_is_read_without_its_depths() -> None:
    """Managed fields are no use to the operator, so that nothing is lost with them; that there were any is told."""
    read = decode_object(poisoned(spec={"x": 1}).encode())
    assert (read["metadata"]["name"], read["metadata"]["uid"], read["spec"]) == ("essay", "u", {"x": 1})
    assert "managedFields" not in read["metadata"]
    assert read["unreadable"] == "metadata.managedFields"
    assert readable(read) is read


@pytest.mark.parametrize("levels", [500, 1_000, 1_500, 4_000, DEEPEST])
def test_a_deep_spec_names_its_field(levels: int) -> None:
    """The status, which tells what the object holds, is read all the same."""
    text = poisoned(3, spec={"trainConfig": {"extra": "(spec)"}}, status={"jobId": 7})
    read = decode_object(text.replace('"(spec)"', nested(levels)).encode())
    assert (read["unreadable"], read["status"]) == ("spec.trainConfig", {"jobId": 7})


def test_what_an_object_holds_is_never_guessed() -> None:
    """A status of which something was cut out is none that anything may be done by."""
    text = poisoned(3, status={"pending": {"inputs": "(status)"}})
    read = decode_object(text.replace('"(status)"', nested(DEEPEST)).encode())
    with pytest.raises(Unreadable, match=r"status\.pending"):
        readable(read)


def test_one_poison_on_a_page_leaves_the_others_alone() -> None:
    """Also in a list of a built-in kind, whose objects do not name it."""
    good = {"metadata": {"name": "good", "labels": {"a": "b"}, "annotations": {"x": "y"}}, "data": {"a": "YQ=="}}
    secret = {**good, "data": {"QIANFAN_ACCESS_KEY": "YQ==", "more": "x" * 1000}}
    text = f'{{"kind":"SecretList","metadata":{{"continue":"t"}},"items":[{poisoned()},{json.dumps(secret)}]}}'
    page = decode_page(text.encode())
    assert page.document["metadata"] == {"continue": "t"}
    bad, kept = page.document["items"]
    assert bad["unreadable"]
    assert kept == {"metadata": {"name": "good", "annotations": {}}, "data": {"QIANFAN_ACCESS_KEY": "YQ=="}}


def test_an_event_of_a_watch_keeps_its_version() -> None:
    """The watch goes on from there."""
    event = decode_event(f'{{"type":"MODIFIED","object":{poisoned()}}}'.encode())
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("MODIFIED", "7")


@pytest.mark.parametrize("text", [b"", b"<html>{</html>", b"[]", b"1", nested(DEEPEST)[:-5].encode(), b'{"a":"\\"}'])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    """Always in the same way, however deep it is."""
    with pytest.raises(ValueError, match=r".+"):
        decode(text)


def test_a_definition_of_another_operator_is_reduced_to_its_group() -> None:
    """kopf watches all of them, and their schemas may be of megabytes."""
    text = {"kind": "CustomResourceDefinition", "metadata": {"name": "x"}, "spec": {"group": "g", "versions": ["y"]}}
    assert decode_object(json.dumps(text).encode())["spec"] == {"group": "g"}
