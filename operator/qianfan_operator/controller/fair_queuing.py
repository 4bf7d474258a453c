"""Fair queuing: orders due keys by priority level, flow and account; no clocks, no locks.

The words are those of Kubernetes' API Priority and Fairness. A *flow* is whose work a key is (a namespace); an
*account* is where its calls go. A key that is worked on occupies a *seat*, which is a worker. A *share* is the seats
that one flow or account may occupy. Within a level the flow that was served longest ago is next, so that a flow with
ten thousand keys delays another one by one key. The fewer seats are free, the fewer may a flow occupy to get another.

Nothing here looks at all keys or at all flows. The keys of one flow and one account at one level are a `_Bundle`. Those
of a flow at one level stand in its `_FlowQueue`, and these queues by rank. A bundle whose flow or account turns out to
have no seat left is parked at that share, and comes back to its old place when a seat is given back. A queue whose flow
occupies too many seats is held as a whole, with its rank, until the flow gives one back or enough others are free.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_BACK_AT_ONCE = 16  # parked bundles that come back with one worker: enough to be fair soon, few enough to cost nothing


class _Ranked:
    """Has a rank, which is when it was served last, and stands in at most one ranking."""

    __slots__ = ("rank", "ranking")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.ranking: Any = None  # a _Ranking, or None


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
    """The seats that one flow or one account occupies (`busy`) and may occupy (`most`), and its bundles."""

    __slots__ = ("bundles", "busy", "most", "name", "parked", "queued", "queues")

    def __init__(self, name: Hashable, levels: int, most: int) -> None:
        self.queues: dict[int, _FlowQueue[K]] = {}  # of a flow, by level
        self.name, self.busy, self.bundles, self.most = name, 0, 0, most
        self.queued = [0] * levels
        self.parked: dict[int, _Ranking[_Bundle[K]]] = {}

    def park(self, bundle: "_Bundle[K]") -> None:
        self.parked.setdefault(bundle.queue.level, _Ranking()).add(bundle)

    def unpark(self, bundle: "_Bundle[K]") -> None:
        parked = self.parked.get(bundle.queue.level)
        if parked is not None and bundle.ranking is parked:
            parked.remove(bundle)


class _FlowQueue(_Ranked, Generic[K]):
    """A flow at one level: its bundles that may be served, as far as is known."""

    __slots__ = ("bundles", "flow", "level", "ready", "share")

    def __init__(self, rank: int, level: int, flow: Hashable, share: _Share[K]) -> None:
        super().__init__(rank)
        self.level, self.flow, self.share, self.bundles = level, flow, share, 0
        self.ready = _Ranking[_Bundle[K]]()


class _Bundle(_Ranked, Generic[K]):
    """The due keys of one flow and one account at one level, first come, first served, but for those that go first."""

    __slots__ = ("account", "first", "queue", "rest", "shares")

    def __init__(self, rank: int, queue: _FlowQueue[K], account: Hashable, shares: tuple[_Share[K], ...]) -> None:
        super().__init__(rank)
        self.queue, self.account, self.shares = queue, account, shares
        self.first: OrderedDict[K, None] = OrderedDict()
        self.rest: OrderedDict[K, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.first or self.rest)


Seat = tuple[_Share[K], ...]
"""What a key that was taken occupies: a worker, counted in the shares of its flow and its account."""


class QueueSet(Generic[K]):
    """The due keys of all levels. One flow, and one account, may occupy half of the workers.

    All whose account is None, which is not known, count as one account, with half as many workers more: so they do not
    occupy all workers, should their accounts be one that hangs, and one flow among them does not keep out the others.
    """

    def __init__(self, levels: int, workers: int) -> None:
        self._levels, self._at_once = levels, max(1, (workers + 1) // 2)
        # As long as so many bundles of an account stand in queues, one of these queues is not held: fewer flows than
        # that are busy when a worker is free. So somebody comes by, and the account needs no more of them back.
        self._enough_queued = workers
        self._ready = [_Ranking[_FlowQueue[K]]() for _ in range(levels)]
        self._held: list[dict[int, _Ranking[_FlowQueue[K]]]] = [{} for _ in range(levels)]  # by seats of the flow
        self._bundles: dict[Hashable, _Bundle[K]] = {}
        self._bundle_of: dict[K, _Bundle[K]] = {}
        self._shares: dict[Hashable, _Share[K]] = {}
        self._ranks = itertools.count()

    def __len__(self) -> int:
        return len(self._bundle_of)

    def __contains__(self, key: object) -> bool:
        return key in self._bundle_of

    def waiting(self, level: int, most: int) -> bool:
        """Say whether a level may have a key to take, of a flow with fewer seats than `most`; False is certain."""
        return bool(self._ready[level]) or any(some and busy < most for busy, some in self._held[level].items())

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

    def get(self, level: int, most: int) -> tuple[K, Seat[K]] | None:
        """Take the key whose turn it is at a level, and what it occupies until `give_back`; None if there is none.

        Only flows that occupy fewer seats than `most` get one.
        """
        while queue := self._first_queue(level, most):
            bundle = queue.ready.first()
            if full := self._full(bundle):
                self._leave_queue(bundle)
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
            for queue in share.queues.values():
                self._release(queue)
            self._forget_if_idle(share)

    def _first_queue(self, level: int, most: int) -> _FlowQueue[K] | None:
        """Find the queue that was served longest ago, of those whose flow occupies fewer seats than `most`."""
        ready, held = self._ready[level], self._held[level]
        while True:
            firsts = [some.first() for busy, some in held.items() if some and busy < most]
            if ready:
                firsts.append(ready.first())
            if not firsts:
                return None
            queue = min(firsts, key=lambda one: one.rank)
            self._release(queue)
            if queue.share.busy < most:
                return queue
            ready.remove(queue)
            held.setdefault(queue.share.busy, _Ranking()).add(queue)

    def _release(self, queue: _FlowQueue[K]) -> None:
        ready = self._ready[queue.level]
        if queue.ranking is not None and queue.ranking is not ready:
            queue.ranking.remove(queue)
            ready.add(queue)

    def _new_bundle(self, level: int, flow: Hashable, account: Hashable) -> _Bundle[K]:
        rank, shares = next(self._ranks), (self._share(("flow", flow)), self._share(("account", account)))
        queue = shares[0].queues.get(level)
        if queue is None:
            queue = shares[0].queues[level] = _FlowQueue(rank, level, flow, shares[0])
        bundle = self._bundles[level, flow, account] = _Bundle(rank, queue, account, shares)
        queue.bundles += 1
        for share in shares:
            share.bundles += 1
        self._place(bundle)
        return bundle

    def _discard(self, bundle: _Bundle[K]) -> None:
        """Forget a bundle that is empty."""
        queue = bundle.queue
        del self._bundles[queue.level, queue.flow, bundle.account]
        if bundle.ranking is queue.ready:
            self._leave_queue(bundle)
        else:
            for share in bundle.shares:
                share.unpark(bundle)
        queue.bundles -= 1
        if not queue.bundles:
            del queue.share.queues[queue.level]
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
        """Put a bundle into its queue, or park it where no worker is left."""
        if full := self._full(bundle):
            full.park(bundle)
            return
        queue = bundle.queue
        if not queue.ready:
            self._ready[queue.level].add(queue)
        queue.ready.add(bundle)
        for share in bundle.shares:
            share.queued[queue.level] += 1

    def _leave_queue(self, bundle: _Bundle[K]) -> None:
        queue = bundle.queue
        queue.ready.remove(bundle)
        if not queue.ready and queue.ranking is not None:
            queue.ranking.remove(queue)
        for share in bundle.shares:
            share.queued[queue.level] -= 1
        for share in bundle.shares:
            if share.queued[queue.level] < self._enough_queued:
                self._bring_back(share, queue.level)

    def _go_behind(self, bundle: _Bundle[K]) -> None:
        """Rank a bundle that was served, and its queue, behind all others."""
        queue = bundle.queue
        self._leave_queue(bundle)
        if queue.ready:
            self._ready[queue.level].remove(queue)
        bundle.rank = queue.rank = next(self._ranks)
        if queue.ready:
            self._ready[queue.level].add(queue)
        # Where others are parked it goes to them: it must not come before them while they are away.
        crowded = next((share for share in bundle.shares if share.parked.get(queue.level)), None)
        if crowded:
            crowded.park(bundle)
        else:
            self._place(bundle)
        if not bundle:
            self._discard(bundle)

    def _bring_back(self, share: _Share[K], level: int) -> None:
        """Bring back some of what is parked at a share that has a worker left, so that no free worker is waited for."""
        parked, before = share.parked.get(level), share.queued[level]
        enough = max(before + _BACK_AT_ONCE, self._enough_queued)
        while parked and share.busy < share.most and share.queued[level] < enough:
            bundle = parked.first()
            parked.remove(bundle)
            self._place(bundle)
