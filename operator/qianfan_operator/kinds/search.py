"""Searches over many cloud resources, continued over several reconciles.

"None" still is what complete rounds say: each begins when the one before it has looked into all that was listed.
Within a round the things have an order. Each reconcile lists them anew and goes on after the last that it has looked
into: so nothing is left out that was there all the time, and no list has to be kept.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from qianfan_operator.kinds.interface import ReconcileContext

T = TypeVar("T")
F = TypeVar("F")

AT_A_TIME = 500  # things looked into by one reconcile: a quarter of the calls that it may make


_Rank = tuple[int, int, str]
_BEGIN: _Rank = (0, 0, "")


@dataclass
class _Round:
    what: str
    number: int = 1
    after: _Rank = _BEGIN  # the last that was looked into


class Unfinished:
    """There is more to look into; the next reconcile goes on."""


def search(
    ctx: ReconcileContext,
    purpose: str,
    what: str,
    rounds: int,
    things: Callable[[], Iterable[T]],
    look: Callable[[T], F | None],
) -> F | Unfinished | None:
    """Return the first that `look` finds among `things`, None if so many rounds show none.

    Things that are ids, numbers or strings, take a call each. How far it has come is kept with the object in this
    process, also if `look` raises CloudError: a thing counts as looked into when `look` has returned. Of one `purpose`
    there is one search at a time; it begins anew for another `what`.
    """
    place, looked = ("search", purpose), 0
    at: _Round | None = ctx.claims.get(place)
    if at is None or at.what != what:
        at = ctx.claims[place] = _Round(what)
    while True:
        for thing in sorted(things(), key=_rank):
            rank = _rank(thing)
            if rank > _BEGIN:
                if rank <= at.after:
                    continue
                if looked == AT_A_TIME:
                    return Unfinished()
                looked += 1
            if (found := look(thing)) is not None:
                del ctx.claims[place]
                return found
            at.after = max(at.after, rank)
        if at.number == rounds:
            del ctx.claims[place]
            return None
        at.number, at.after = at.number + 1, _BEGIN


def _rank(thing: object) -> _Rank:
    """Order ids. Strings come first: what has got a number besides since it was listed is looked into once more."""
    if isinstance(thing, int):
        return 2, thing, ""
    return (1, 0, thing) if isinstance(thing, str) else _BEGIN
