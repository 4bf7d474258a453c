"""The protocol as a model: it holds in every state that can be reached, and no part of it can be taken away."""

import pytest

from model.cases import LARGE, SMALL, WEAKER, Case
from model.check import check
from plugins.figures import Figures


@pytest.mark.parametrize(
    "case", [*SMALL, *(pytest.param(case, marks=pytest.mark.proof) for case in LARGE)], ids=lambda case: case.name
)
def test_the_protocol_holds(case: Case, figures: Figures) -> None:
    """Whatever happens in whatever order: nothing is paid twice, forgotten, or left without an end."""
    verdict = check(case.rules, case.left)
    figures("states of the model", verdict.states)
    assert verdict.complete
    assert verdict.found == {}


@pytest.mark.parametrize("case", WEAKER, ids=lambda case: case.name)
def test_every_weaker_protocol_is_found_out(case: Case, figures: Figures) -> None:
    """Without this part of the protocol there is a way to what must not be, and the model finds it."""
    figures("weaker protocols found out", 1)
    verdict = check(case.rules, case.left, until=case.finds)
    figures("states of the model", verdict.states)
    assert case.finds in verdict.found
