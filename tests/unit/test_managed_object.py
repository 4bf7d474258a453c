"""The patch that a pass writes is exactly what differs."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_kube import merge
from qianfan_operator.reconcile.managed_object import difference, missing, without

# A status holds no nulls: an absent field is left out.
LEAVES = st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2)
STATUSES = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=6),
    max_size=4,
)


@given(before=STATUSES, after=STATUSES)
def test_a_patch_turns_the_old_status_into_the_new_one(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Merged by the API server's rules (RFC 7396), the difference of two statuses gives the second."""
    assert merge(before, difference(before, after)) == after


@given(status=STATUSES)
def test_nothing_new_is_no_patch(status: dict[str, Any]) -> None:
    """An equal status is not written."""
    assert difference(status, status) == {}


@given(before=STATUSES, after=STATUSES)
def test_a_patch_names_only_what_differs(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What is equal on both sides is not sent, so that nobody else's field is written over."""
    patch = difference(before, after)
    assert set(patch) == {name for name in {*before, *after} if before.get(name, ...) != after.get(name, ...)}


def test_a_patch_goes_into_objects_and_replaces_lists() -> None:
    """A list is one value for a merge patch; a field of an object is removed by a null."""
    before = {"pending": {"nonce": "a", "attempt": 1}, "conditions": [1, 2], "gone": 1}
    after = {"pending": {"nonce": "b"}, "conditions": [1, 3]}
    assert difference(before, after) == {
        "pending": {"nonce": "b", "attempt": None}, "conditions": [1, 3], "gone": None,
    }  # fmt: skip


def test_what_was_dropped_is_named_and_left_out() -> None:
    """In objects and in lists of them; what came back changed was not dropped."""
    sent = {"a": 1, "error": {"code": 1, "until": 2}, "runs": [{"id": 1, "text": ""}, {"id": 2}], "uid": "u"}
    kept = {"a": 2, "error": {"code": 1}, "runs": [{"id": 1}, {"id": 2}]}
    dropped = set(missing(sent, kept))
    assert dropped == {("error", "until"), ("runs", "text"), ("uid",)}
    assert without(sent, dropped) == {**kept, "a": 1}
    assert without(kept, dropped) == kept
