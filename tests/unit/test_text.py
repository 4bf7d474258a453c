"""What is shown of text from outside: one visible line of bounded length."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.text import clean, cut

ANY = st.text(st.characters(codec=None, categories=None), max_size=300)


@given(ANY, st.integers(1, 100))
def test_any_text_becomes_one_visible_line_of_bounded_length(text: str, limit: int) -> None:
    """Nothing that is left can end a line, turn or hide text, or break an encoder; cleaning again changes nothing."""
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert shown.splitlines() in ([shown], [])
    assert shown.encode().decode() == shown
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert clean(shown, limit) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("训练 finished: naïve 😀", "训练 finished: naïve 😀"),
        ("one\ntwo\r\n\tthree", r"one\ntwo\r\n\tthree"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("zero\u200bwidth\ufeff\u2060", r"zero\u200bwidth\ufeff\u2060"),
        ("filler\u3164\u115f\u2800\U000e0041", r"filler\u3164\u115f\u2800\U000e0041"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
        ("wide\u3000and\u00a0hard", "wide and hard"),
        (r"a back\slash stays", r"a back\slash stays"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    """Any script is left as it is; what is invisible or does something to the line is written as an escape."""
    assert clean(text, 100) == shown


@given(ANY, st.integers(3, 100))
def test_a_note_is_cut_by_its_bytes(text: str, size: int) -> None:
    """As the API server counts them, and never within a character."""
    shown = cut(text, size)
    assert len(shown.encode()) <= size
    if len(text.encode(errors="backslashreplace")) > size:
        assert shown.endswith("…")
