"""Label selectors, read strictly: a selector that is misread lends somebody's money to the wrong namespaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.selector import Selector

LABELS = {"team": "a", "example.com/tier": "gold", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("team=a", True),
        ("team==a", True),
        (" team = a , example.com/tier=gold ", True),
        ("team=b", False),
        ("team=a,team=b", False),
        ("team!=b", True),
        ("absent!=b", True),
        ("team", True),
        ("absent", False),
        ("!absent", True),
        ("!team", False),
        ("empty=", True),
        ("absent=", False),
        ("team in (a, b)", True),
        ("team in (b,c)", False),
        ("absent in (a)", False),
        ("team notin (b)", True),
        ("absent notin (b)", True),
        ("team notin (a,b)", False),
        ("in in (a)", False),
        ("team in(a)", True),
        ("team in (a),example.com/tier notin (silver),!absent", True),
    ],
)
def test_a_selector_selects_as_kubernetes_does(text: str, matches: bool) -> None:
    """Equality- and set-based requirements, all of which must be met."""
    assert Selector.parse(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ",", "team=a,", ",team=a", "team=a,,b=c", "team a", "team=a b", "=a", "!", "!team=a", "team in a",
        "team in ()", "team in (a", "team in (a,)", "team in (a b)", "team>1", "team===a", "team=a\n,b=c\nd",
        "team=*", "a/b/c=d", "/team=a", "Example.com/team=a", "-team=a", "team=-a", "t" * 64, "team=" + "a" * 64,
        f"{'a.' * 130}com/team", "team=a;b=c", "团队=a",
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused(text: str) -> None:
    """With a sentence, and not by matching anything."""
    with pytest.raises(ValueError, match="label"):
        Selector.parse(text)


@given(st.text(max_size=60))
def test_no_text_is_half_read(text: str) -> None:
    """Whatever is written, it is read to its end or refused."""
    try:
        selector = Selector.parse(text)
    except ValueError:
        return
    assert selector.text == text.strip()
    assert selector.requirements
