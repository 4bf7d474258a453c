"""Backoff and poll intervals: pure functions of counts, in seconds."""

import random
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

K = TypeVar("K")

LONG_WATCHED = 32  # looks after which a wait grows no more, whatever the settings
_AT_ONCE, _PAUSE, _ALL = 10, 0.02, 30.0  # how many are woken at once, seconds between the others, and at most in all


def staggered(keys: Collection[K]) -> Iterator[tuple[K, float]]:
    """Yield each of many keys that are woken together with its wait: a few at once, the others one after the other."""
    pause = min(_PAUSE, _ALL / max(1, len(keys)))
    for index, key in enumerate(keys):
        yield key, max(0, index - _AT_ONCE) * pause


@dataclass(frozen=True)
class Clocks:
    """The times of a reconcile: boot time in seconds, and the wall as RFC 3339."""

    boot: Callable[[], float]
    now: Callable[[], str]
    pause: Callable[[float], None] = time.sleep
    """Waits at the end of the process, where nobody else does."""


@dataclass(frozen=True)
class Schedule:
    """How often the cloud is asked.

    A working thing is looked at closely at first (`poll_min`, or `retry_min` if the cloud was asked to change it), then
    ever wider (x1.5) up to `poll_max`. `resync` is for what is settled, `probe` for what waits for a person. `jitter`
    spreads each wait by up to that share of it.
    """

    poll_min: float = 10.0
    poll_max: float = 60.0
    resync: float = 600.0
    probe: float = 300.0
    retry_min: float = 1.0
    retry_max: float = 300.0
    jitter: float = 0.1
    random: Callable[[], float] = field(default=random.random, repr=False)

    def poll(self, looks: int) -> float:
        """Wait before the next look, after `looks` looks that found nothing new."""
        return self._spread(min(self.poll_max, self.poll_min * 1.5 ** min(looks, LONG_WATCHED)))

    def follow(self, looks: int) -> float:
        """Wait before the next look at what the cloud was asked to change: sooner at first than at what just works."""
        return self._spread(min(self.poll_max, self.retry_min * 1.5 ** min(looks, LONG_WATCHED)))

    def retry(self, failures: int) -> float:
        """Wait after the `failures`-th failure in a row (1 is the first)."""
        return self._spread(min(self.retry_max, self.retry_min * 2.0 ** min(failures - 1, 32)))

    def untrusted(self, failures: int) -> float:
        """Wait before trying whether a certificate is trusted by now: who mends it watches, and a try sends nothing."""
        return min(self.poll_max, self.retry(failures))

    def altered(self, times: int) -> float:
        """Wait before a status that somebody else has changed is dealt with, after so many times in a row."""
        return min(self.poll_max, self.retry_min * 2.0 ** min(times, LONG_WATCHED))

    def in_a_row(self, seconds: float) -> bool:
        """Say whether a change that comes so long after the last one that was dealt with is of the same row."""
        return seconds < 2 * self.poll_max

    def throttled(self, interval: float, failures: int) -> float:
        """Wait before asking again for what is looked at every `interval`: never sooner than that, and ever less."""
        return max(interval, min(self.retry_max, interval * 2.0 ** min(failures - 1, 32)))

    def settled(self) -> float:
        """Wait before a settled thing is looked at again."""
        return self._spread(self.resync)

    def stalled(self) -> float:
        """Wait before it is tried again whether a person has mended it."""
        return self._spread(self.probe)

    def after_restart(self, interval: float) -> float:
        """Spread the first look of a known thing over its interval, so that a restart makes no herd."""
        return self.random() * interval

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + self.jitter * (2 * self.random() - 1))
