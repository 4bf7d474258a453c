"""What of an object is read: what the operator knows of, as deep as any field of ours needs, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianfan_operator.api.common import RECONCILE_ANNOTATION, Metadata
from qianfan_operator.api.open_objects import LARGEST, flaw
from qianfan_operator.api.trimming import CUT, DEEPEST, METADATA, depth, echo, trimmed
from unit.objects import JOB, raw

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = "must have keys of up to 64 letters, digits and `_` that begin with a letter"


def test_every_field_of_the_metadata_that_is_read_is_kept() -> None:
    """What the model of the metadata knows is what trimming keeps, but for annotations, of which only ours are."""
    assert {field.alias for field in Metadata.model_fields.values()} == {*METADATA, "annotations"}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*METADATA, "labels", "annotations", "managedFields"]), JSON), JSON, JSON)
def test_trimming_twice_is_trimming_once(metadata: Any, spec: Any, status: Any) -> None:
    """What was trimmed is what is kept of it, and what it was made from is left as it is."""
    whole = {"kind": "QianfanJob", "metadata": metadata, "spec": spec, "status": status, "data": {}}
    before = json.dumps(whole)
    once = trimmed(whole)

    assert trimmed(once) == once
    assert json.dumps(whole) == before
    assert (once["spec"], once["status"]) == (spec, status)  # none nests deep


@pytest.mark.parametrize("levels", [DEEPEST - 1, DEEPEST, DEEPEST + 1, 100_000])
def test_only_what_nests_too_deep_is_cut(levels: int) -> None:
    """A part of an object is kept whole up to the deepest level, and cut there, however deep it goes."""
    deep: Any = "bottom"
    for _ in range(levels):
        deep = {"a": deep}
    kept = trimmed(raw(JOB) | {"spec": deep})["spec"]

    assert (kept is deep) == (levels <= DEEPEST)
    assert depth(kept) == min(levels, DEEPEST)
    if levels > DEEPEST:
        for _ in range(DEEPEST):
            kept = kept["a"]
        assert kept == CUT


@settings(deadline=None)
@given(st.text(max_size=300) | st.text("a", min_size=100, max_size=300))
def test_an_echo_is_short_and_clean_and_its_own_echo(value: str) -> None:
    """What is compared is at most 128 printable characters; what was written is equal to itself."""
    said = echo(value)

    assert echo(said) == said
    assert len(said) <= 128
    assert said.isprintable()
    assert said == value or said.startswith("sha256:")


def test_different_requests_have_different_echoes() -> None:
    """Of two long values that begin alike each is handled."""
    assert echo("x" * 200) != echo("x" * 201)
    assert trimmed(raw(JOB, annotations={RECONCILE_ANNOTATION: "x" * 200}))["metadata"]["annotations"] == {
        RECONCILE_ANNOTATION: echo("x" * 200)
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, ""),
        ({"A1_b": {"c": [{"d": None}]}, "k" * 64: 1}, ""),
        ({"a": "x" * (LARGEST - 9)}, ""),
        ({"a": "x" * (LARGEST - 8)}, "must be at most 16384 bytes as JSON, not 16385"),
        ({"a": "微" * 6000}, "must be at most 16384 bytes as JSON, not 18009"),
        ({"b": {"a-b": 1}, "1": 2}, f"{KEYS}, which '1' is not"),
        ({"k" * 65: 1}, f"{KEYS}, which '{'k' * 63}…' is not"),
    ],
)
def test_what_keeps_an_open_object_from_being_sent(value: Any, words: str) -> None:
    """The first thing that is wrong is told, the same one each time."""
    assert flaw(value) == words
