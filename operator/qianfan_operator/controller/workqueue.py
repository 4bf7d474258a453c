"""The work queue: keys with a time and a priority; one reconcile per key at a time, as in client-go.

It deduplicates: of several requests for a key the earliest wins, and one that comes while the key is worked on is kept
for afterwards. Nobody starves: flows take turns (`fair_queuing`), a flow's urgent work has a rate limit beyond which it
takes its turn among the retries, polls never take all workers, and what is less urgent is passed over only so often.
"""

import heapq
import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from qianfan_operator.controller.fair_queuing import QueueSet, Seat
from qianfan_operator.reconcile.priorities import Priority

K = TypeVar("K", bound=Hashable)

_BEATS = 10  # a second: polls wait for the next one, so that some run in one go, on warm caches, for a third less CPU


_URGENT, _RETRY, _POLL = range(3)  # the levels at which keys are served
_LEVELS = (_URGENT, _RETRY, _POLL)
_LEVEL_OF = {Priority.DELETION: _URGENT, Priority.URGENT: _URGENT, Priority.RETRY: _RETRY, Priority.POLL: _POLL}
_PASSED_OVER = {_URGENT: math.inf, _RETRY: 4, _POLL: 8}  # times in a row; then the level is served, if it can be


@dataclass(frozen=True)
class RateLimit:
    """How much urgent work a flow may have at once (`burst` keys), and per second on average (`rate`)."""

    burst: int = 50
    rate: float = 5.0


class _Spent:
    """What of their rate limits the flows have spent lately."""

    def __init__(self, limit: RateLimit) -> None:
        self._each = 1.0 / limit.rate
        self._most = limit.burst * self._each
        self._paid_off: dict[Hashable, float] = {}  # when each flow will have its whole burst again
        self._sweep_at = 1024

    def spend(self, flow: Hashable, now: float) -> bool:
        """Say whether the flow is within its limit with one key more, and count that."""
        paid_off = max(now, self._paid_off.get(flow, now)) + self._each
        if paid_off - now > self._most + 1e-9:
            return False
        self._paid_off[flow] = paid_off
        if len(self._paid_off) > self._sweep_at:
            self._paid_off = {flow: moment for flow, moment in self._paid_off.items() if moment > now}
            self._sweep_at = max(1024, 2 * len(self._paid_off))
        return True


class WorkQueue(Generic[K]):
    """A keyed delay queue. Times are seconds on `clock`; all methods may be called from any thread.

    `flow` and `account` tell whose work a key is and where its calls go (see `fair_queuing`); they are asked when it is
    due. A flow, and an account, occupies at most half of the workers. Flows share what is free, too: some flows whose
    calls hang leave workers to another one.
    """

    def __init__(
        self,
        workers: int,
        clock: Callable[[], float],
        flow: Callable[[K], Hashable],
        account: Callable[[K], Hashable] | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        self._clock, self._flow, self._account = clock, flow, account or flow
        self._workers = workers
        self._polls_at_once = max(1, workers - max(1, workers // 4))
        self._spent = _Spent(limit or RateLimit())
        self._wanted: dict[K, tuple[float, Priority]] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: QueueSet[K] = QueueSet(len(_LEVELS), workers)
        self._kept: set[K] = set()  # due, but worked on just now
        self._depth: Counter[Priority] = Counter()  # what is due, and kept, by lane
        self._busy: dict[K, tuple[Priority, Seat[K]]] = {}
        self._polling = 0
        self._passed_over = dict.fromkeys(_LEVELS, 0)
        self._ticket = itertools.count()
        self._changed = threading.Condition()
        self._watcher: object | None = None  # the one worker that waits for the next key to be due
        self._closed = False

    def add(self, key: K, after: float = 0.0, priority: Priority = Priority.URGENT) -> None:
        """Ask for a reconcile over `key` in `after` seconds; an earlier or more urgent wish for it is kept."""
        due = self._clock() + after
        if priority is Priority.POLL:
            due = math.ceil(due * _BEATS) / _BEATS
        with self._changed:
            known = self._wanted.get(key)
            if known and known[0] <= due:
                if priority < known[1]:
                    was_due = self._take_back(key, known[1])
                    self._wanted[key] = (known[0], priority)
                    if was_due:
                        self._put(key, priority)
                        self._changed.notify()  # a worker that may take no poll may take this
                return
            self._wanted[key] = (due, min(priority, known[1]) if known else priority)
            entry = (due, next(self._ticket), key)
            heapq.heappush(self._later, entry)
            if len(self._later) > 2 * len(self._wanted) + 64:
                self._forget_old_wishes()
            if self._later[0] is entry:
                self._watcher = None  # it waits too long now
                self._changed.notify()

    def now(self) -> float:
        """Return the time by which keys are due."""
        return self._clock()

    def get(self) -> K | None:
        """Wait for the next key that may be worked on; None when the queue is closed."""
        with self._changed:
            while not self._closed:
                wait = self._promote()
                if (key := self._next()) is not None:
                    # The call that woke this worker may have been meant for another key, or it was the watcher.
                    if self._waiting() or (self._later and self._watcher is None):
                        self._changed.notify()
                    return key
                self._rest(wait)
            return None

    def done(self, key: K) -> None:
        """Give back a key that `get` handed out."""
        with self._changed:
            priority, seat = self._busy.pop(key)
            self._polling -= priority is Priority.POLL
            self._due.give_back(seat)
            if key in self._kept:
                priority = self._wanted[key][1]
                self._take_back(key, priority)
                self._put(key, priority)
            if self._waiting():
                self._changed.notify()

    def forget(self, key: K) -> None:
        """Forget what was asked for `key`."""
        with self._changed:
            if known := self._wanted.pop(key, None):
                self._take_back(key, known[1])

    def close(self) -> None:
        """Hand out nothing any more; those who wait get None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def depth(self) -> dict[Priority, int]:
        """Count the keys that are due, by lane."""
        with self._changed:
            self._promote()
            return {priority: self._depth[priority] for priority in Priority}

    def busy(self) -> int:
        """Count the keys that are being worked on."""
        with self._changed:
            return len(self._busy)

    def _rest(self, wait: float | None) -> None:
        """Wait to be called; one worker, and only one, waits for the next key to be due, so that it wakes no herd."""
        if wait is None or self._watcher is not None:
            self._changed.wait()
            return
        me = self._watcher = object()
        self._changed.wait(wait)
        if self._watcher is me:
            self._watcher = None

    def _promote(self) -> float | None:
        """Move what is due by now into its lane; return the seconds until the next, None if there is none."""
        now = self._clock()
        while self._later:
            due, _, key = self._later[0]
            known = self._wanted.get(key)
            if known is None or known[0] != due or key in self._kept or key in self._due:
                heapq.heappop(self._later)  # an older wish, replaced since
            elif due > now:
                return due - now
            else:
                heapq.heappop(self._later)
                self._put(key, known[1])
        return None

    def _put(self, key: K, priority: Priority) -> None:
        """Have a key wait for its turn from now on; one that is worked on waits for the end of that first."""
        self._depth[priority] += 1
        if key in self._busy:
            self._kept.add(key)
            return
        flow, level = self._flow(key), _LEVEL_OF[priority]
        if level == _URGENT and not self._spent.spend(flow, self._clock()):
            level = _RETRY
        self._due.put(key, level, flow, self._account(key), first=priority is Priority.DELETION)

    def _take_back(self, key: K, priority: Priority) -> bool:
        """Have a key wait for its turn no more; say whether it did."""
        was_due = key in self._kept or self._due.remove(key)
        self._kept.discard(key)
        self._depth[priority] -= was_due
        return was_due

    def _forget_old_wishes(self) -> None:
        wanted = self._wanted
        self._later = [entry for entry in self._later if (known := wanted.get(entry[2])) and known[0] == entry[0]]
        heapq.heapify(self._later)

    def _waiting(self) -> bool:
        return any(self._may_wait(level) for level in _LEVELS)

    def _may_wait(self, level: int) -> bool:
        return self._due.waiting(level, self._most(level))

    def _most(self, level: int) -> int:
        """Count the workers of which a flow must occupy fewer to get another one: as many as would then be free.

        So one flow gets half of all, each further one up to half of what is left, and one that has none gets the last.
        """
        free = self._workers - len(self._busy)
        if level == _POLL:
            free = min(free, self._polls_at_once - self._polling)
        return max(1, free - 1)

    def _next(self) -> K | None:
        """Take the most urgent key, unless a level below it was passed over too often."""
        open_ = [level for level in _LEVELS if level is not _POLL or self._polling < self._polls_at_once]
        overdue = [level for level in open_ if self._passed_over[level] >= _PASSED_OVER[level]]
        for level in (*overdue, *open_):
            if not (found := self._due.get(level, self._most(level))):
                continue
            key, seat = found
            self._passed_over[level] = 0
            for other in open_:
                if other > level and self._may_wait(other):
                    self._passed_over[other] += 1
            priority = self._wanted.pop(key)[1]
            self._depth[priority] -= 1
            self._polling += priority is Priority.POLL
            self._busy[key] = (priority, seat)
            return key
        return None
