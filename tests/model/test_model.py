"""The protocol as a model: it holds in every state that can be reached, and no part of it can be taken away."""

import pytest

from model.cases import SMALL, WEAKER, Case
from model.check import check


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_the_protocol_holds(case: Case) -> None:
    """Whatever happens in whatever order: nothing is paid twice, forgotten, or left without an end."""
    verdict = check(case.rules, case.left)
    assert verdict.complete
    assert verdict.found == {}


@pytest.mark.parametrize("case", WEAKER, ids=lambda case: case.name)
def test_every_weaker_protocol_is_found_out(case: Case) -> None:
    """Without this part of the protocol there is a way to what must not be, and the model finds it."""
    assert case.finds in check(case.rules, case.left, until=case.finds).found
