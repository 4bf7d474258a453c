"""Names and marks: what we made is recognised, and nothing else is."""

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.api.common import Metadata
from qianfan_operator.kinds.marks import Mark, short_hash, task_name

DNS_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", fullmatch=True)
TASK_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=2, max_size=20)
TEXTS = st.text(max_size=60)
NUMBERS = st.integers(1, 2**31 - 1)
CHINESE = "行业问答模型微调任务二〇二五"


def a_mark(
    cluster: str = "cluster", kind: str = "QianfanJob", namespace: str = "team", name: str = "faq", attempt: int = 1,
    inputs: str = "h1:abc", uid: str = "uid-1",
) -> Mark:  # fmt: skip
    return Mark.of(cluster, Metadata(name=name, namespace=namespace, uid=uid), kind, attempt, inputs)


OTHERS = [
    a_mark(cluster="another"), a_mark(kind="QianfanModel"), a_mark(namespace="other"), a_mark(name="faq2"),
    a_mark(attempt=2), a_mark(inputs="h1:abd"),
]  # fmt: skip


@given(name=DNS_NAMES, attempt=NUMBERS, sequence=NUMBERS)
def test_a_derived_name_is_one_that_the_cloud_takes(name: str, attempt: int, sequence: int) -> None:
    """Whatever a Kubernetes object is called, its task has 2 to 20 characters of a-z, 0-9 and _.

    See docs/design/wire.md#createtask.
    """
    assert re.fullmatch(r"[a-z0-9_]{2,20}", task_name(a_mark(name=name, attempt=attempt), name, None, sequence))


@given(wanted=TASK_NAMES, attempt=NUMBERS, sequence=NUMBERS)
def test_a_wanted_name_keeps_its_length(wanted: str, attempt: int, sequence: int) -> None:
    """A taskName is used as it is the first time, and never becomes too long afterwards."""
    name = task_name(a_mark(attempt=attempt), "faq", wanted, sequence)
    assert 2 <= len(name) <= 20
    assert (name == wanted) == (attempt == sequence == 1)


def test_a_chinese_name_stays_readable() -> None:
    """What the user wrote is cut by characters, and the hash is put behind it."""
    assert task_name(a_mark(), "faq", CHINESE, 1) == CHINESE
    assert re.fullmatch(CHINESE[:11] + r"_[a-z2-7]{8}", task_name(a_mark(), "faq", CHINESE, 2))


def test_names_are_locks() -> None:
    """Another cluster, kind, namespace, object, attempt, input or sequence number is another name; a uid is not."""
    names = {task_name(mark, "faq", None, 1) for mark in [a_mark(), *OTHERS]}
    names |= {task_name(a_mark(), "faq", None, sequence) for sequence in (2, 3, 11)}
    assert len(names) == len(OTHERS) + 4
    assert task_name(a_mark(uid="uid-2"), "faq", None, 1) in names


def test_long_names_that_begin_alike_differ() -> None:
    """What is cut off is still in the hash."""
    names = {f"customer-service-questions-{number}" for number in range(200)}
    assert len({task_name(a_mark(name=name), name, None, 1) for name in names}) == 200


def test_the_form_of_names_and_marks_is_for_ever() -> None:
    """What an older version made must be found by a newer one: these literals may never change."""
    mark = a_mark()
    assert str(mark) == "[qf1 czgpdsud pxlxurlx 1 spfz6kuz jje2z6fg]"
    assert task_name(mark, "faq.v2-long-name", None, 1) == "faq_v2_long_x3wh5xpy"


def test_hashed_parts_do_not_run_together() -> None:
    """ "ab", "c" and "a", "bc" are different."""
    assert short_hash("ab", "c") != short_hash("a", "bc")
    assert re.fullmatch(r"[a-z2-7]{8}", short_hash("x"))


@given(attempt=NUMBERS, cluster=TEXTS, name=DNS_NAMES, inputs=TEXTS, uid=TEXTS, text=st.none() | st.text(max_size=400))
def test_a_mark_survives_its_description(
    attempt: int, cluster: str, name: str, inputs: str, uid: str, text: str | None
) -> None:
    """Whatever the user's description says, the mark in front of it is read back as it was."""
    mark = a_mark(cluster=cluster, name=name, attempt=attempt, inputs=inputs, uid=uid)
    assert Mark.read(mark.describe(text)) == mark


@given(length=st.integers(0, 300))
def test_a_cut_description_gives_the_mark_or_none(length: int) -> None:
    """A cloud that cuts never makes one mark into another."""
    mark = a_mark(attempt=12)
    found = Mark.read(mark.describe("For the help desk. " * 10)[:length])
    assert found == (mark if length >= len(str(mark)) else None)


@pytest.mark.parametrize(
    "description",
    [
        None,
        "",
        "Made by hand.",
        f"See {a_mark()}",
        str(a_mark()).replace("qf1", "qf2"),
        str(a_mark()).replace(" 1 ", " one "),
        str(a_mark()).upper(),
        "[qf1 short pxlxurlx 1 spfz6kuz jje2z6fg]",
        "[qf1]",
    ],
)
def test_foreign_descriptions_bear_no_mark(description: str | None) -> None:
    """Only what begins with our mark, in this version's form, is ours."""
    assert Mark.read(description) is None


def test_our_mark_is_ours_whatever_the_uid() -> None:
    """A deleted and re-applied manifest finds its own paid run again; every other difference makes it foreign."""
    mine = a_mark()
    assert mine.ours(a_mark(uid="uid-2"))
    assert not any(mine.ours(other) for other in OTHERS)
    assert not mine.ours(None)


def test_one_object_is_recognised_over_its_attempts() -> None:
    """A survey looks for all attempts and inputs of one object, and for no other object."""
    mine = a_mark()
    assert [mine.same_object(other) for other in OTHERS] == [False, False, False, False, True, True]
    assert not mine.same_object(None)
    assert mine.same_object(replace(mine, uid="another"))
    assert {field.name for field in fields(Mark)} == {"cluster", "object", "attempt", "inputs", "uid"}
