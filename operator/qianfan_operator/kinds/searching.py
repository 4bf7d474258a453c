"""Looking into many things of an account, one call each: what takes more than one reconcile is gone on with.

"None" still is what complete rounds say: each lists anew, after the one before it has looked into all that it listed.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from qianfan_operator.external import World

T = TypeVar("T")
F = TypeVar("F")

AT_A_TIME = 500  # things looked into by one reconcile: a quarter of the calls that it may make


@dataclass
class _Round:
    number: int
    left: list[Any]  # the next one last


class Unfinished:
    """There is more to look into; the next reconcile goes on."""


def search(
    world: World, what: Hashable, rounds: int, things: Callable[[], Iterable[T]], look: Callable[[T], F | None]
) -> F | Unfinished | None:
    """Return the first that `look` finds among `things`, None if so many rounds show none.

    How far it has come is kept with the object in this process, also if `look` raises CloudError: a thing counts as
    looked into when `look` has returned. `what` tells the searches of an object apart.
    """
    place, looked = ("search", what), 0
    at: _Round | None = world.claims.get(place)
    while True:
        if at is None:
            at = world.claims[place] = _Round(1, [*things()][::-1])
        while at.left:
            if looked == AT_A_TIME:
                return Unfinished()
            found, looked = look(at.left[-1]), looked + 1
            at.left.pop()
            if found is not None:
                del world.claims[place]
                return found
        if at.number == rounds:
            del world.claims[place]
            return None
        at = world.claims[place] = _Round(at.number + 1, [*things()][::-1])
