"""Whose turn it is: due keys by level, flow and account. No time and no locks; the work queue has both.

A *flow* is whose work it is (a namespace); an *account* is where its calls go. Within a level the flow that was served
longest ago is next, so that a flow with ten thousand keys delays another one by one key. Neither a flow nor an account
occupies more than its share of the workers, and the last workers are a reserve for the flows that occupy none.

Nothing here looks at all keys or at all flows. The keys of one flow and one account at one level are a `_Bundle`. Those
of a flow stand in its `_Line`, and the lines by seniority. A bundle whose flow or account turns out to have no worker
left is parked there, and comes back to its old place when one is given back. A line whose flow may not take of the
reserve is held back as a whole, with its rank, until its flow is idle or a worker outside the reserve is free.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_BACK_AT_ONCE = 16  # parked bundles that come back with one worker: enough to be fair soon, few enough to cost nothing


class _Ranked:
    """Has a rank, which is when it was served last, and stands in at most one ranking."""

    __slots__ = ("rank", "ranking")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.ranking: object = None


R = TypeVar("R", bound=_Ranked)


class _Ranking(Generic[R]):
    """Those that wait in one place; who was served longest ago is first. A rank changes only outside."""

    __slots__ = ("_heap", "_size")

    def __init__(self) -> None:
        self._heap: list[tuple[int, R]] = []  # ranks differ
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, item: R) -> None:
        item.ranking = self
        self._size += 1
        heapq.heappush(self._heap, (item.rank, item))

    def remove(self, item: R) -> None:
        item.ranking = None
        self._size -= 1
        if len(self._heap) > 2 * self._size + 8:
            # One that left and came back with its rank has entries that are equal.
            self._heap = list(dict.fromkeys(entry for entry in self._heap if self._has(entry)))
            heapq.heapify(self._heap)

    def first(self) -> R:
        while not self._has(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][1]

    def _has(self, entry: tuple[int, R]) -> bool:
        rank, item = entry
        return item.ranking is self and item.rank == rank


class _Share(Generic[K]):
    """The workers that one flow or one account occupies, and its bundles."""

    __slots__ = ("bundles", "busy", "in_line", "lines", "most", "name", "parked")

    def __init__(self, name: Hashable, levels: int, most: int) -> None:
        self.lines: dict[int, _Line[K]] = {}  # of a flow, by level
        self.name, self.busy, self.bundles, self.most = name, 0, 0, most
        self.in_line = [0] * levels
        self.parked: dict[int, _Ranking[_Bundle[K]]] = {}

    def park(self, bundle: "_Bundle[K]") -> None:
        self.parked.setdefault(bundle.line.level, _Ranking()).add(bundle)

    def unpark(self, bundle: "_Bundle[K]") -> None:
        parked = self.parked.get(bundle.line.level)
        if parked is not None and bundle.ranking is parked:
            parked.remove(bundle)


class _Line(_Ranked, Generic[K]):
    """A flow at one level: its bundles that may be served, as far as is known."""

    __slots__ = ("bundles", "flow", "level", "ready", "share")

    def __init__(self, rank: int, level: int, flow: Hashable, share: _Share[K]) -> None:
        super().__init__(rank)
        self.level, self.flow, self.share, self.bundles = level, flow, share, 0
        self.ready = _Ranking[_Bundle[K]]()


class _Bundle(_Ranked, Generic[K]):
    """The due keys of one flow and one account at one level, first come, first served, but for those that go first."""

    __slots__ = ("account", "first", "line", "rest", "shares")

    def __init__(self, rank: int, line: _Line[K], account: Hashable, shares: tuple[_Share[K], ...]) -> None:
        super().__init__(rank)
        self.line, self.account, self.shares = line, account, shares
        self.first: OrderedDict[K, None] = OrderedDict()
        self.rest: OrderedDict[K, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.first or self.rest)


Seat = tuple[_Share[K], ...]
"""What a key that was taken occupies."""


class Turns(Generic[K]):
    """The due keys of all levels. One flow, and one account, may occupy half of the workers.

    All whose account is None, which is not known, count as one account, with half as many workers more: so they do not
    occupy all workers, should their accounts be one that hangs, and one flow among them does not keep out the others.
    """

    def __init__(self, levels: int, workers: int) -> None:
        self._levels, self._at_once = levels, max(1, (workers + 1) // 2)
        # As long as so many bundles of an account are in line, one of them will be passed by: not all lines are held,
        # because fewer flows than that are busy when a worker is free.
        self._crowd = workers
        self._ready = [_Ranking[_Line[K]]() for _ in range(levels)]
        self._held = [_Ranking[_Line[K]]() for _ in range(levels)]  # these may not take of the reserve
        self._bundles: dict[Hashable, _Bundle[K]] = {}
        self._bundle_of: dict[K, _Bundle[K]] = {}
        self._shares: dict[Hashable, _Share[K]] = {}
        self._ranks = itertools.count()

    def __len__(self) -> int:
        return len(self._bundle_of)

    def __contains__(self, key: object) -> bool:
        return key in self._bundle_of

    def waiting(self, level: int, *, reserve: bool) -> bool:
        """Say whether a level may have a key to take, for a worker of the reserve or another; False is certain."""
        return bool(self._ready[level]) or (not reserve and bool(self._held[level]))

    def put(self, key: K, level: int, flow: Hashable, account: Hashable, *, first: bool = False) -> None:
        """Add a key that is not there; `first`: before the other keys of its flow and account."""
        bundle = self._bundles.get((level, flow, account)) or self._new_bundle(level, flow, account)
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

    def take(self, level: int, *, reserve: bool) -> tuple[K, Seat[K]] | None:
        """Take the key whose turn it is at a level, and what it occupies until `give_back`; None if there is none.

        A worker of the `reserve` takes keys of such flows only as occupy no worker.
        """
        while line := self._first_line(level, reserve=reserve):
            bundle = line.ready.first()
            if full := self._full(bundle):
                self._leave_line(bundle)
                full.park(bundle)
                continue
            key, _ = (bundle.first or bundle.rest).popitem(last=False)
            del self._bundle_of[key]
            for share in bundle.shares:
                share.busy += 1
            self._go_behind(bundle)
            return key, bundle.shares
        return None

    def give_back(self, seat: Seat[K]) -> None:
        """End the work on a key that was taken."""
        for share in seat:
            share.busy -= 1
            for level in range(self._levels):
                self._bring_back(share, level)
            if not share.busy:
                for line in share.lines.values():
                    self._hold_no_more(line)
            self._forget_if_idle(share)

    def _first_line(self, level: int, *, reserve: bool) -> _Line[K] | None:
        """Find the line that was served longest ago, of those that this worker may serve."""
        ready, held = self._ready[level], self._held[level]
        if not reserve and held and not (ready and ready.first().rank < held.first().rank):
            self._hold_no_more(held.first())
        while ready:
            line = ready.first()
            if not (reserve and line.share.busy):
                return line
            ready.remove(line)
            held.add(line)
        return None

    def _hold_no_more(self, line: _Line[K]) -> None:
        held = self._held[line.level]
        if line.ranking is held:
            held.remove(line)
            self._ready[line.level].add(line)

    def _new_bundle(self, level: int, flow: Hashable, account: Hashable) -> _Bundle[K]:
        rank, shares = next(self._ranks), (self._share(("flow", flow)), self._share(("account", account)))
        line = shares[0].lines.get(level)
        if line is None:
            line = shares[0].lines[level] = _Line(rank, level, flow, shares[0])
        bundle = self._bundles[level, flow, account] = _Bundle(rank, line, account, shares)
        line.bundles += 1
        for share in shares:
            share.bundles += 1
        self._place(bundle)
        return bundle

    def _discard(self, bundle: _Bundle[K]) -> None:
        """Forget a bundle that is empty."""
        line = bundle.line
        del self._bundles[line.level, line.flow, bundle.account]
        if bundle.ranking is line.ready:
            self._leave_line(bundle)
        else:
            for share in bundle.shares:
                share.unpark(bundle)
        line.bundles -= 1
        if not line.bundles:
            del line.share.lines[line.level]
        for share in bundle.shares:
            share.bundles -= 1
            self._forget_if_idle(share)

    def _share(self, name: Hashable) -> _Share[K]:
        if name not in self._shares:
            more = self._at_once // 2 if name == ("account", None) else 0
            self._shares[name] = _Share(name, self._levels, self._at_once + more)
        return self._shares[name]

    def _forget_if_idle(self, share: _Share[K]) -> None:
        if not share.busy and not share.bundles:
            self._shares.pop(share.name, None)

    def _full(self, bundle: _Bundle[K]) -> _Share[K] | None:
        return next((share for share in bundle.shares if share.busy >= share.most), None)

    def _place(self, bundle: _Bundle[K]) -> None:
        """Put a bundle into its line, or park it where no worker is left."""
        if full := self._full(bundle):
            full.park(bundle)
            return
        line = bundle.line
        if not line.ready:
            self._ready[line.level].add(line)
        line.ready.add(bundle)
        for share in bundle.shares:
            share.in_line[line.level] += 1

    def _leave_line(self, bundle: _Bundle[K]) -> None:
        line = bundle.line
        line.ready.remove(bundle)
        if not line.ready:
            (self._held if line.ranking is self._held[line.level] else self._ready)[line.level].remove(line)
        for share in bundle.shares:
            share.in_line[line.level] -= 1
        for share in bundle.shares:
            if share.in_line[line.level] < self._crowd:
                self._bring_back(share, line.level)

    def _go_behind(self, bundle: _Bundle[K]) -> None:
        """Rank a bundle that was served, and its line, behind all others."""
        line = bundle.line
        self._leave_line(bundle)
        if line.ready:
            self._ready[line.level].remove(line)
        bundle.rank = line.rank = next(self._ranks)
        if line.ready:
            self._ready[line.level].add(line)
        # Where others are parked it goes to them: it must not come before them while they are away.
        crowded = next((share for share in bundle.shares if share.parked.get(line.level)), None)
        if crowded:
            crowded.park(bundle)
        else:
            self._place(bundle)
        if not bundle:
            self._discard(bundle)

    def _bring_back(self, share: _Share[K], level: int) -> None:
        """Bring back some of what is parked at a share that has a worker left, so that no free worker is waited for."""
        parked, before = share.parked.get(level), share.in_line[level]
        enough = max(before + _BACK_AT_ONCE, self._crowd)
        while parked and share.busy < share.most and share.in_line[level] < enough:
            bundle = parked.first()
            parked.remove(bundle)
            self._place(bundle)
