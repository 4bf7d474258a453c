"""The simulator's clock: real or injected, and it can be pushed forward."""

import asyncio
import time
from collections.abc import Callable

# How often a held request looks at the clock, in real seconds. An injected clock cannot call back.
_TICK_SECONDS = 0.01


class Clock:
    """Unix seconds from `base`, plus whatever was added by `advance`."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._ahead = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return self._base() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`; held requests notice within a hundredth of a second."""
        self._ahead += seconds

    async def reach(self, moment: float) -> None:
        """Return once the clock shows `moment` or later."""
        while (left := moment - self.now()) > 0:
            await asyncio.sleep(min(left, _TICK_SECONDS))
