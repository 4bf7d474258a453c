"""Killed for real: the operator's process dies again and again at the worst of times, and nothing is paid twice."""

import logging
import random
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.place import JOB, Place, job, model, service
from e2e.process import OperatorProcess
from plugins.figures import Figures
from storm.audit import Audit
from storm.books import Books
from storm.hands import Hands
from storm.moments import Moments
from storm.people import People

_SEED = 20240301
_REST = 180  # seconds until everything is settled: a grace is 50, and two may follow each other


@pytest.fixture
def moments(place: Place) -> Iterator[Moments]:
    """Supply the moments of the kills, from the cloud's access log and from the API server's watch."""
    log = logging.getLogger("qianfan_simulator.access")
    before, log.propagate = log.level, False
    log.setLevel(logging.INFO)
    with closing(Moments(place, random.Random(_SEED))) as moments:
        log.addHandler(moments)
        yield moments
        log.removeHandler(moments)
    log.propagate = True
    log.setLevel(before)


@pytest.fixture
def hands(place: Place) -> Iterator[Hands]:
    """Supply the hands of the people."""
    with closing(Hands(place.cluster, place.namespace)) as hands:
        yield hands


def rest(place: Place, books: Books, but: int = 0) -> None:
    """Wait until every object, or all `but` some, are settled: what is in doubt takes a grace, in which nobody dies."""
    place.history.wait_for(lambda: len(books.unsettled()) <= but, lambda: "\n".join(books.unsettled()), _REST)


@pytest.mark.parametrize(
    ("kills", "chains"),
    [pytest.param(10, 12), pytest.param(200, 60, marks=[pytest.mark.proof, pytest.mark.timeout(1200)])],
)
def test_whatever_moment_kills_it_nothing_is_paid_twice(
    place: Place,
    operator: OperatorProcess,
    moments: Moments,
    hands: Hands,
    figures: Figures,
    kills: int,
    chains: int,
) -> None:
    """Killed at any moment of a storm, the operator ends with one run per attempt, all of it recorded and settled."""
    people, books, rests = People(place, hands, random.Random(_SEED), chains), Books(place), 1
    operator.start()
    hands.apply(job("witness"), model("witness"), service("witness"))
    # From its run the operator knows that the cloud's lists show what they must.
    place.until_ready(JOB, "witness")

    for number in range(1, kills + 1):
        if not people.can_begin():
            rest(place, books, but=chains // 2)
            rests += 1
        people.act(number / kills)
        moments.deal()
        moments.wait()
        operator.die()
        moments.over()
        operator.begin()
    people.finish()
    rest(place, books)

    figures("kills survived", kills)
    missed = kills - moments.met.total()
    done = {**people.done, "runs stopped": len(people.held)}
    counted = {**moments.met, "at no such moment": missed, "rests": rests, **done, **books.figures()}
    for what, times in counted.items():
        figures(f"  {what}", times)
    assert people.held
    assert Audit(place, {"witness", *people.wanted()}, people.held).wrong() == []
    assert missed <= kills // 4
    assert all(moments.met[kind] >= dealt // 2 for kind, dealt in moments.dealt.items())
