"""The simulator's clock: real or injected, and it can be pushed forward."""

import asyncio
import math
import time
from collections.abc import Callable

# How often a held request looks at the clock, in real seconds. An injected clock cannot call back.
_TICK_SECONDS = 0.01
_END = 253_370_764_800.0  # 9999-01-01: the last year that a date can show


class Clock:
    """Unix seconds from `base`, plus whatever was added by `advance`."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._ahead = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return self._base() + self._ahead

    def machine(self) -> float:
        """Unix seconds without what was added: the clock that clients on this machine sign by."""
        return self._base()

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`; held requests notice within a hundredth of a second.

        Raises ValueError for what is no finite number, is negative, or leads beyond what dates can tell.
        """
        if not (math.isfinite(seconds) and seconds >= 0 and self.now() + seconds <= _END):
            raise ValueError("`seconds` must be a number, not below zero, that leads to a date before the year 9999")
        self._ahead += seconds

    async def reach(self, moment: float) -> None:
        """Return once the clock shows `moment` or later."""
        while (left := moment - self.now()) > 0:
            await asyncio.sleep(min(left, _TICK_SECONDS))
