"""Killed for real: the operator's process dies again and again at the worst of times, and nothing is paid twice."""

import logging
import random
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.place import JOB, Place, job
from e2e.process import OperatorProcess
from plugins.figures import Figures
from storm.books import Books
from storm.moments import Moments
from storm.people import People

_SEED = 20240301
_CALM = 100  # kills, after which the operator may live until everything is settled: what is in doubt takes a grace
_REST = 180  # seconds until everything is settled: a grace is 43, and two may follow each other


@pytest.fixture
def chance() -> random.Random:
    """Supply the same chances every time."""
    return random.Random(_SEED)


@pytest.fixture
def moments(place: Place, chance: random.Random) -> Iterator[Moments]:
    """Supply the moments of the kills, from the cloud's access log and from the API server's watch."""
    log = logging.getLogger("qianfan_simulator.access")
    before, log.propagate = log.level, False
    log.setLevel(logging.INFO)
    with closing(Moments(place.history, chance)) as moments:
        log.addHandler(moments)
        yield moments
        log.removeHandler(moments)
    log.propagate = True
    log.setLevel(before)


def rest(place: Place, books: Books) -> None:
    """Wait until every object is settled."""
    place.history.wait_for(lambda: not books.unsettled(), lambda: "\n".join(books.unsettled()), _REST)


@pytest.mark.parametrize(
    ("kills", "chains"),
    [pytest.param(10, 12), pytest.param(200, 60, marks=[pytest.mark.proof, pytest.mark.timeout(1200)])],
)
def test_whatever_moment_kills_it_nothing_is_paid_twice(
    place: Place,
    operator: OperatorProcess,
    moments: Moments,
    chance: random.Random,
    figures: Figures,
    kills: int,
    chains: int,
) -> None:
    """Killed at any moment of a storm, the operator ends with one run per attempt, all of it recorded and settled."""
    people, books = People(place, chance, chains), Books(place)
    operator.start()
    place.apply(job("witness"))  # from it the operator knows that the cloud's lists show runs
    place.until_ready(JOB, "witness")

    for number in range(1, kills + 1):
        moments.draw()
        people.act(number / kills)
        moments.wait()
        operator.signal(signal.SIGKILL)
        operator.until_ended()
        moments.over()
        operator.begin()
        if number % _CALM == 0:
            rest(place, books)
    people.finish()
    rest(place, books)

    figures("kills survived", kills)
    for what, times in {**moments.met, "at no such moment": moments.missed, **people.done, **books.figures()}.items():
        figures(f"  {what}", times)
    assert books.wrong() == []
