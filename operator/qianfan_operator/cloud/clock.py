"""The cloud's time: read from `Date` headers, carried on by the boot-time clock.

A signature's timestamp is a promise about when the cloud stops accepting the request. The wall clock of the
node cannot keep that promise: it may be wrong, and it may be set while a request is on its way. So it is used only
until the cloud has told its own time once.

See docs/design/create-protocol.md#sending.
"""

import sys
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Protocol

MAX_AGE_SECONDS = 600.0
"""A measurement older than this no longer vouches for a paid create."""

MAX_CORRECTION_SECONDS = 60.0
"""How far from the node's wall clock a `Date` is believed that came over a connection which proves no sender.

Whoever can write that header can have signatures made that live longer by as much. A node whose time is kept is right
to a second, and one that lost its time server drifts by some seconds a day; both stay within.
"""

TOLERANCE_SECONDS = 5.0
"""`Date` has whole seconds and travels; two measurements that differ by more than this contradict each other."""


class Clock(Protocol):
    """The two clocks of a machine, in seconds."""

    def boottime(self) -> float:
        """Return the seconds since boot, sleep included; it never jumps."""

    def wall(self) -> float:
        """Return the seconds since 1970; it may jump."""


class SystemClock:
    """The machine's own clocks."""

    if sys.platform == "linux":
        _BOOT = time.CLOCK_BOOTTIME
    else:
        _BOOT = time.CLOCK_MONOTONIC

    def boottime(self) -> float:
        """See Clock."""
        return time.clock_gettime(self._BOOT)

    def wall(self) -> float:
        """See Clock."""
        return time.time()


class CloudClock:
    """What the cloud's clock shows now. Safe for many threads.

    It lags by the way of the header and by the cut-off fraction of a second, and never leads: a lagging signature ends
    too early, which costs a repeat; a leading one would live longer than promised, which could cost a second training.

    `limit`: how far from the wall clock it is trusted, in seconds; None if the sender of the `Date` is proven.
    """

    def __init__(self, clock: Clock, limit: float | None = None) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._measured: tuple[float, float] | None = None  # the cloud's epoch, our boot time when we heard it
        self._contradicted = False

    def learn(self, date: str | None, received: float) -> None:
        """Take in a `Date` header that arrived at boot time `received`; an unreadable one is ignored."""
        try:
            epoch = parsedate_to_datetime(date).timestamp() if date else None
        except (ValueError, OverflowError):
            epoch = None
        if epoch is None:
            return
        with self._lock:
            if self._measured is not None:
                last_epoch, last_received = self._measured
                if received < last_received:
                    return
                expected = last_epoch + (received - last_received)
                self._contradicted = abs(epoch - expected) > TOLERANCE_SECONDS
            self._measured = (epoch, received)

    def now(self) -> float:
        """Return the cloud's seconds since 1970, or the wall clock's as long as the cloud has said nothing."""
        measured = self.measured()
        return self._clock.wall() if measured is None else measured

    def measured(self) -> float | None:
        """Return the cloud's seconds since 1970, or None as long as the cloud has said nothing."""
        with self._lock:
            if self._measured is None:
                return None
            epoch, received = self._measured
        return epoch + (self._clock.boottime() - received)

    def trusted(self) -> bool:
        """Tell whether what the cloud said of the time may be relied on; True as long as it has said nothing."""
        measured = self.measured()
        return self._limit is None or measured is None or abs(measured - self._clock.wall()) <= self._limit

    def known(self) -> bool:
        """Tell whether a paid create may trust this clock: measured lately, and not contradicted by the last look."""
        with self._lock:
            if self._measured is None or self._contradicted:
                return False
            return self._clock.boottime() - self._measured[1] <= MAX_AGE_SECONDS
