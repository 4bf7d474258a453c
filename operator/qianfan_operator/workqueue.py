"""The work queue: keys with a time and a lane, one pass per key at a time (client-go's semantics).

It deduplicates: of several requests for a key the earliest wins, and one that comes while the key is worked on is kept
for afterwards. Lanes are served in order; polls may never take all workers, and one group (a credential) at most half.
"""

import enum
import heapq
import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Container, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_BEATS = 10  # a second: polls wait for the next one, so that some run in one go, on warm caches, for a third less CPU


class Lane(enum.IntEnum):
    """The order in which due keys are served."""

    URGENT = 0  # deletions, changed specs, new objects
    RETRY = 1
    POLL = 2


class _Line(Generic[K]):
    """The due keys of one lane, first come, first served; by group, so that a saturated group costs one look."""

    def __init__(self) -> None:
        self._tickets: dict[Hashable, dict[K, int]] = {}
        self._group_of: dict[K, Hashable] = {}
        self._ticket = itertools.count()

    def __len__(self) -> int:
        return len(self._group_of)

    def put(self, key: K, group: Hashable) -> None:
        self._group_of[key] = group
        self._tickets.setdefault(group, {})[key] = next(self._ticket)

    def remove(self, key: K) -> bool:
        """Say whether the key was there."""
        if key not in self._group_of:
            return False
        group = self._group_of.pop(key)
        del self._tickets[group][key]
        if not self._tickets[group]:
            del self._tickets[group]
        return True

    def first(self, free: Callable[[Hashable], bool], busy: Container[K]) -> tuple[K, Hashable] | None:
        """Find the first key that is not busy and whose group is free, and that group."""
        heads = (
            next(((ticket, key, group) for key, ticket in keys.items() if key not in busy), None)
            for group, keys in self._tickets.items()
            if free(group)
        )
        found = min((head for head in heads if head), key=lambda head: head[0], default=None)
        return found and found[1:]


class WorkQueue(Generic[K]):
    """A keyed delay queue. Times are seconds on `clock`; all methods may be called from any thread."""

    def __init__(self, workers: int, clock: Callable[[], float], group: Callable[[K], Hashable]) -> None:
        self._clock = clock
        self._group = group
        self._polls_at_once = max(1, workers - max(1, workers // 4))
        self._group_at_once = max(1, (workers + 1) // 2)
        self._wanted: dict[K, tuple[float, Lane]] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[Lane, _Line[K]] = {lane: _Line() for lane in Lane}
        self._busy: dict[K, tuple[Lane, Hashable]] = {}
        self._groups: Counter[Hashable] = Counter()
        self._ticket = itertools.count()
        self._changed = threading.Condition()
        self._watcher: object | None = None  # the one worker that waits for the next key to be due
        self._closed = False

    def add(self, key: K, after: float = 0.0, lane: Lane = Lane.URGENT) -> None:
        """Ask for a pass over `key` in `after` seconds; an earlier or more urgent wish for it is kept."""
        due = self._clock() + after
        if lane is Lane.POLL:
            due = math.ceil(due * _BEATS) / _BEATS
        with self._changed:
            known = self._wanted.get(key)
            if known and known[0] <= due:
                if lane < known[1]:
                    self._wanted[key] = (known[0], lane)
                    if self._due[known[1]].remove(key):
                        self._due[lane].put(key, self._group(key))
                        self._changed.notify()  # a worker that may take no poll may take this
                return
            self._wanted[key] = (due, min(lane, known[1]) if known else lane)
            entry = (due, next(self._ticket), key)
            heapq.heappush(self._later, entry)
            if self._later[0] is entry:
                self._watcher = None  # it waits too long now
                self._changed.notify()

    def take(self) -> K | None:
        """Wait for the next key that may be worked on; None when the queue is closed."""
        with self._changed:
            while not self._closed:
                wait = self._promote()
                if (key := self._next()) is not None:
                    # The call that woke this worker may have been meant for another key, or it was the watcher.
                    if any(self._due.values()) or (self._later and self._watcher is None):
                        self._changed.notify()
                    return key
                self._rest(wait)
            return None

    def done(self, key: K) -> None:
        """Give back a key that `take` handed out."""
        with self._changed:
            _, group = self._busy.pop(key)
            self._groups[group] -= 1
            if not self._groups[group]:
                del self._groups[group]
            if any(self._due.values()):
                self._changed.notify()

    def drop(self, key: K) -> None:
        """Forget what was asked for `key`."""
        with self._changed:
            if known := self._wanted.pop(key, None):
                self._due[known[1]].remove(key)

    def close(self) -> None:
        """Hand out nothing any more; those who wait get None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def depth(self) -> dict[Lane, int]:
        """Count the keys that are due, by lane."""
        with self._changed:
            self._promote()
            return {lane: len(keys) for lane, keys in self._due.items()}

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
            if known is None or known[0] != due:  # an older wish, replaced since
                heapq.heappop(self._later)
            elif due > now:
                return due - now
            else:
                heapq.heappop(self._later)
                self._due[known[1]].put(key, self._group(key))
        return None

    def _next(self) -> K | None:
        for lane, line in self._due.items():
            if lane is Lane.POLL and sum(at is Lane.POLL for at, _ in self._busy.values()) >= self._polls_at_once:
                continue
            if found := line.first(lambda group: self._groups[group] < self._group_at_once, self._busy):
                key, group = found
                line.remove(key)
                del self._wanted[key]
                self._busy[key] = (lane, group)
                self._groups[group] += 1
                return key
        return None
