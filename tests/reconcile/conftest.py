"""The world of the stories."""

from collections.abc import Callable, Iterator

import pytest

from reconcile.world import World


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    """Make worlds; arguments are World's. At the end every status that was ever written must conform."""
    made: list[World] = []

    def make(*args: object, **settings: object) -> World:
        made.append(World(*args, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for world in made:
        world.close()
    assert [what for world in made for what in world.violations] == []


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    """One world of usual paces."""
    return worlds()
