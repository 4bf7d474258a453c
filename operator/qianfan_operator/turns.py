"""Whose turn it is: due keys by level, flow and account. No time and no locks; the work queue has both.

A *flow* is whose work it is (a namespace); an *account* is where its calls go. Within a level flows take turns, and
within a flow its accounts, so that a flow with ten thousand keys delays another one by one key. Neither a flow nor an
account occupies more than its share of the workers.

Nothing here looks at all keys or at all flows. The keys of one flow and one account at one level are a `_Bundle`. It
stands in the ring of its level. When its turn comes and its flow or its account has no worker left, it is parked there,
and comes back when one is given back: the one that was served longest ago first. An account that is paced can use the
same place: without a token it has no worker left before a certain time.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_BACK_AT_ONCE = 16  # parked bundles that come back with one worker: enough to be fair soon, few enough to cost nothing


class _Bundle(Generic[K]):
    """The due keys of one flow and one account at one level; `first` ones before the rest, each first come first served."""

    __slots__ = ("first", "flow", "level", "name", "parked_at", "rest", "shares", "ticket")

    def __init__(self, name: Hashable, level: int, flow: Hashable, shares: "tuple[_Share[K], ...]") -> None:
        self.name, self.level, self.flow, self.shares = name, level, flow, shares
        self.first: OrderedDict[K, None] = OrderedDict()
        self.rest: OrderedDict[K, None] = OrderedDict()
        self.parked_at: _Parking[K] | None = None
        self.ticket = 0  # grows with each time that it is served

    def __bool__(self) -> bool:
        return bool(self.first or self.rest)


class _Parking(Generic[K]):
    """The bundles of one level that wait for a share; the one that was served longest ago comes first."""

    __slots__ = ("_heap", "_parked")

    def __init__(self) -> None:
        self._heap: list[tuple[int, _Bundle[K]]] = []  # tickets differ, so that bundles are never compared
        self._parked = 0

    def __len__(self) -> int:
        return self._parked

    def park(self, bundle: _Bundle[K]) -> None:
        bundle.parked_at = self
        self._parked += 1
        heapq.heappush(self._heap, (bundle.ticket, bundle))

    def next(self) -> _Bundle[K]:
        while True:
            _, bundle = heapq.heappop(self._heap)
            if bundle.parked_at is self:
                self.leave(bundle)
                return bundle

    def leave(self, bundle: _Bundle[K]) -> None:
        bundle.parked_at = None
        self._parked -= 1
        if len(self._heap) > 2 * self._parked + 8:
            self._heap = [entry for entry in self._heap if entry[1].parked_at is self]
            heapq.heapify(self._heap)


class _Share(Generic[K]):
    """The workers that one flow or one account occupies, and its bundles."""

    __slots__ = ("bundles", "busy", "in_ring", "name", "parked")

    def __init__(self, name: Hashable, levels: int) -> None:
        self.name, self.busy, self.bundles = name, 0, 0
        self.in_ring = [0] * levels
        self.parked: tuple[_Parking[K], ...] = tuple(_Parking() for _ in range(levels))


Seat = tuple[_Share[K], ...]
"""What a key that was taken occupies."""


class Turns(Generic[K]):
    """The due keys of all levels; `at_once` is how many workers one flow, and one account, may occupy."""

    def __init__(self, levels: int, at_once: int) -> None:
        self._levels, self._at_once = levels, at_once
        self._rings: list[OrderedDict[Hashable, OrderedDict[_Bundle[K], None]]] = [OrderedDict() for _ in range(levels)]
        self._bundles: dict[Hashable, _Bundle[K]] = {}
        self._bundle_of: dict[K, _Bundle[K]] = {}
        self._shares: dict[Hashable, _Share[K]] = {}
        self._ticket = itertools.count()

    def __len__(self) -> int:
        return len(self._bundle_of)

    def __contains__(self, key: object) -> bool:
        return key in self._bundle_of

    def waiting(self, level: int) -> bool:
        """Say whether a level may have a key to take; False is certain."""
        return bool(self._rings[level])

    def put(self, key: K, level: int, flow: Hashable, account: Hashable, *, first: bool = False) -> None:
        """Add a key that is not there; `first`: before the other keys of its flow and account."""
        name = (level, flow, account)
        bundle = self._bundles.get(name)
        if bundle is None:
            shares = self._share(("flow", flow)), self._share(("account", account))
            for share in shares:
                share.bundles += 1
            bundle = self._bundles[name] = _Bundle(name, level, flow, shares)
            bundle.ticket = next(self._ticket)
            self._place(bundle)
        (bundle.first if first else bundle.rest)[key] = None
        self._bundle_of[key] = bundle

    def remove(self, key: K) -> bool:
        """Take a key out without serving it; say whether it was there."""
        bundle = self._bundle_of.pop(key, None)
        if bundle is None:
            return False
        del (bundle.first if key in bundle.first else bundle.rest)[key]
        if not bundle:
            self._discard(bundle)
        return True

    def take(self, level: int) -> tuple[K, Seat[K]] | None:
        """Take the key whose turn it is at a level, and what it occupies until `give_back`; None if none may be taken."""
        ring = self._rings[level]
        while ring:
            bundle = next(iter(next(iter(ring.values()))))
            if full := self._full(bundle):
                self._leave_ring(bundle)
                full.parked[level].park(bundle)
                continue
            key, _ = (bundle.first or bundle.rest).popitem(last=False)
            del self._bundle_of[key]
            for share in bundle.shares:
                share.busy += 1
            if bundle:
                self._go_behind(bundle)
            else:
                self._discard(bundle)
            return key, bundle.shares
        return None

    def give_back(self, seat: Seat[K]) -> None:
        """End the work on a key that was taken."""
        for share in seat:
            share.busy -= 1
            for level in range(self._levels):
                self._bring_back(share, level)
            self._forget_if_idle(share)

    def _share(self, name: Hashable) -> _Share[K]:
        if name not in self._shares:
            self._shares[name] = _Share(name, self._levels)
        return self._shares[name]

    def _forget_if_idle(self, share: _Share[K]) -> None:
        if not share.busy and not share.bundles:
            self._shares.pop(share.name, None)

    def _full(self, bundle: _Bundle[K]) -> _Share[K] | None:
        return next((share for share in bundle.shares if share.busy >= self._at_once), None)

    def _place(self, bundle: _Bundle[K]) -> None:
        """Put a bundle at the end of its ring, or park it where no worker is left."""
        if full := self._full(bundle):
            full.parked[bundle.level].park(bundle)
            return
        self._rings[bundle.level].setdefault(bundle.flow, OrderedDict())[bundle] = None
        for share in bundle.shares:
            share.in_ring[bundle.level] += 1

    def _leave_ring(self, bundle: _Bundle[K]) -> None:
        ring = self._rings[bundle.level]
        del ring[bundle.flow][bundle]
        if not ring[bundle.flow]:
            del ring[bundle.flow]
        for share in bundle.shares:
            share.in_ring[bundle.level] -= 1
        for share in bundle.shares:
            if not share.in_ring[bundle.level]:  # as long as one is there, somebody will pass by here again
                self._bring_back(share, bundle.level)

    def _go_behind(self, bundle: _Bundle[K]) -> None:
        """Put a bundle that was served behind all others: those in the ring, and those that are parked at its shares."""
        level, bundle.ticket = bundle.level, next(self._ticket)
        if not any(share.parked[level] for share in bundle.shares):
            ring = self._rings[level]
            ring[bundle.flow].move_to_end(bundle)
            ring.move_to_end(bundle.flow)
            return
        self._leave_ring(bundle)
        if crowded := next((share for share in bundle.shares if share.parked[level]), None):
            crowded.parked[level].park(bundle)
        else:
            self._place(bundle)

    def _bring_back(self, share: _Share[K], level: int) -> None:
        """Bring back some of what is parked at a share that has a worker left, so that no free worker is waited for."""
        parked, before = share.parked[level], share.in_ring[level]
        while parked and share.busy < self._at_once and share.in_ring[level] - before < _BACK_AT_ONCE:
            self._place(parked.next())

    def _discard(self, bundle: _Bundle[K]) -> None:
        """Forget a bundle that is empty."""
        del self._bundles[bundle.name]
        if bundle.parked_at is not None:
            bundle.parked_at.leave(bundle)
        else:
            self._leave_ring(bundle)
        for share in bundle.shares:
            share.bundles -= 1
            self._forget_if_idle(share)
