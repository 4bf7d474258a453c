"""A simulator per test, on a clock that stands still until the test moves it."""

from collections.abc import Iterator

import pytest

from qianfan_simulator import Simulator
from simulator.console import Console
from simulator.story import Story

NOON = 1_709_280_000.0  # 2024-03-01T08:00:00Z, the moment of the contract's signature vectors


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """The default simulator: two looks for everything, nobody pays."""
    with Simulator(clock=lambda: NOON) as simulator:
        yield simulator


@pytest.fixture
def console(sim: Simulator) -> Iterator[Console]:
    """A client of the first account."""
    client = Console(sim)
    with client.session:
        yield client


@pytest.fixture
def story(console: Console) -> Story:
    """The way to each state in one call."""
    return Story(console)
