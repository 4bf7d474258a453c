"""The budget of one reconcile: how many calls it may make, and for how long.

Besides, how many other objects it may read from the API server. The same notebook keeps what the cloud says about being
asked too often, so that it reaches the time of the next reconcile on every path, also where the error itself is
swallowed, or told as something else. Whoever paces the calls of an account has its place in `failed`, which every
failed call of every account comes through.

A reconcile runs in one thread from its beginning to its end, and whatever it calls counts: so the budget goes with the
thread's context and not through every signature, where a new path to the cloud could forget it. Who spends without a
budget, such as a person with the client in a shell, is not limited.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from qianfan_operator.cloud.errors import BudgetSpent, CloudError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reconcile may spend.

    The most that one needs is four complete scans of an account's models: with 10,000 models and 100 on a page 400
    calls, with 2,000 models and the documented 20 on a page as many. The time is half of what makes a process ill.
    """

    calls: int = 2000
    seconds: float = 300.0
    reads: int = 500
    """Of other objects: those that it refers to, and those that hold or need what it does."""


LIMITS: Final = Limits()


class Budget:
    """What is left of the limits of one reconcile. `clock` gives seconds since boot."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._calls, self._reads = limits.calls, limits.reads
        self._until = clock() + limits.seconds
        self.throttled = False
        """Whether the cloud has said of a call that the account asks too often."""
        self.retry_after = 0.0
        """The longest time, in seconds, that an answer has asked to wait."""

    def spend(self, operation: str) -> None:
        """Take one call; raises BudgetSpent, before anything is signed or sent, if there is none left or no time."""
        if self._calls <= 0 or self._clock() >= self._until:
            raise BudgetSpent(operation, self._limits.calls, self._limits.seconds)
        self._calls -= 1

    def note(self, error: CloudError) -> None:
        """Note what a failed call says about when the cloud may be asked again."""
        self.throttled |= error.throttled
        self.retry_after = max(self.retry_after, error.retry_after or 0.0)

    def take_read(self) -> bool:
        """Take one read of another object; False if there is none left."""
        self._reads -= 1
        return self._reads >= 0


_CURRENT: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Have every call of this thread spend from `budget` until the end of the block."""
    token = _CURRENT.set(budget)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def spend(operation: str) -> None:
    """Take one call from the budget of this thread, if it has one; raises BudgetSpent."""
    if budget := _CURRENT.get():
        budget.spend(operation)


def failed(error: CloudError) -> None:
    """Note a failed call of this thread, if it has a budget."""
    if budget := _CURRENT.get():
        budget.note(error)


def take_read() -> bool:
    """Take one read of another object from the budget of this thread, if it has one; False if there is none left."""
    spent = _CURRENT.get()
    return spent is None or spent.take_read()
