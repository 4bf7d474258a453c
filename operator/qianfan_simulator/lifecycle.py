"""How things move from state to state, and how fast.

A *step* leads from a state of work to its end. Its *progression* says when the end is reached: at once, after it was
looked at n times, after t seconds, or never. A look is one reply that tells the thing's state; lists count. "After
two looks" is the default everywhere: with "at once" a client that forgets to wait would pass every test.

    run      RUNNING -> FINISH | FAIL          STOPPING -> STOP           (told as RUNNING until it is STOP)
    version  Creating -> Ready | Fail
    service  New -> Deploying -> Done | Failed, Updating -> Done, Stopping -> Stopped

The words are V1's; V2's are translations of them. STOPPING, Updating and Stopping are never told: the wire
has no words for them.

See docs/design/wire.md#states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Progression(Protocol):
    """When a step is over."""

    def share(self, looks: int, seconds: float) -> float:
        """How much of the step lies behind after so many looks and seconds: 0 at its begin, 1 or more at its end."""

    def end(self, begun: float, now: float) -> float:
        """Return the moment, in unix seconds, at which a step that began at `begun` and is over by `now` ended."""


@dataclass(frozen=True)
class AtOnce:
    """The first look sees the end."""

    def share(self, looks: int, seconds: float) -> float:
        """Be over from the begin."""
        return 1.0

    def end(self, begun: float, now: float) -> float:
        """When it began."""
        return begun


@dataclass(frozen=True)
class AfterLooks:
    """`looks` looks see the work, the next one sees the end."""

    looks: int = 2

    def share(self, looks: int, seconds: float) -> float:
        """Count looks."""
        return looks / self.looks if self.looks else 1.0

    def end(self, begun: float, now: float) -> float:
        """Return the moment of the look that noticed."""
        return now


@dataclass(frozen=True)
class AfterSeconds:
    """The end comes `seconds` seconds after the begin, looked at or not."""

    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError("seconds must be a finite number, not below zero")

    def share(self, looks: int, seconds: float) -> float:
        """Count seconds; none before the begin, where a clock that was set back may stand."""
        return max(0.0, seconds / self.seconds) if self.seconds > 0 else 1.0

    def end(self, begun: float, now: float) -> float:
        """To the second."""
        return begun + self.seconds


@dataclass(frozen=True)
class Never:
    """Somebody has to do something: nobody has paid yet."""

    def share(self, looks: int, seconds: float) -> float:
        """Stay at the begin."""
        return 0.0

    def end(self, begun: float, now: float) -> float:
        """Not reached; the present moment."""
        return now


def parse_progression(text: str) -> Progression:
    """Read `at-once`, `never`, `looks:2` or `seconds:20`.

    Raises ValueError for anything else.
    """
    word, _, number = text.partition(":")
    match word:
        case "at-once" if not number:
            return AtOnce()
        case "never" if not number:
            return Never()
        case "looks" if number.isascii() and number.isdecimal() and len(number) < 10:
            return AfterLooks(int(number))
        case "seconds":
            return AfterSeconds(float(number))
        case _:
            raise ValueError(f"{text[:40]!r} must be at-once, never, looks:N or seconds:T")


@dataclass(frozen=True)
class Step:
    """One edge: where it ends, where it ends when the thing is doomed, and the option that paces it."""

    end: str
    failed: str
    pace: str


Table = Mapping[str, Step]

RUN: Table = {
    "RUNNING": Step("FINISH", "FAIL", "training"),
    "STOPPING": Step("STOP", "STOP", "stopping"),
}
VERSION: Table = {"Creating": Step("Ready", "Fail", "publishing")}
SERVICE: Table = {
    "New": Step("Deploying", "Deploying", "payment"),
    "Deploying": Step("Done", "Failed", "deploying"),
    "Updating": Step("Done", "Done", "updating"),
    "Stopping": Step("Stopped", "Stopped", "stopping"),
}

# The share of a training's time from which on each percentage is told: plateaus, not a line. From a real run of 35
# minutes. A finished run keeps the last one: progress is no sign of the end. docs/design/wire.md#progress
PLATEAUS = ((0.0, 1), (0.03, 3), (0.06, 34), (0.2, 65), (0.94, 96), (0.97, 99))


def progress(share: float) -> int:
    """Return the percentage told after this share of the training."""
    return max(percent for begin, percent in PLATEAUS if share >= begin)


@dataclass(slots=True)
class Life:
    """Where one thing stands: its state since when, and the looks at it in this state."""

    table: Table
    state: str
    since: float
    looks: int = 0
    doomed: bool = False
    held: bool = False
    """Whether this state goes on until somebody ends it."""

    @property
    def working(self) -> bool:
        """Whether it will move on by itself or by payment."""
        return self.state in self.table

    def enter(self, state: str, now: float) -> None:
        """Be in `state` from `now` on."""
        self.state, self.since, self.looks, self.held = state, now, 0, False

    def share(self, now: float, paces: object) -> float:
        """How much of the present step lies behind (1 when there is none)."""
        if (step := self.table.get(self.state)) is None:
            return 1.0
        pace: Progression = getattr(paces, step.pace)
        share = pace.share(self.looks, now - self.since)
        return min(share, 0.999) if self.held else share

    def settle(self, now: float, paces: object) -> None:
        """Take every step that is over by `now`; `paces` has one progression per step, by name."""
        while (step := self.table.get(self.state)) is not None and self.share(now, paces) >= 1:
            pace: Progression = getattr(paces, step.pace)
            self.enter(step.failed if self.doomed else step.end, pace.end(self.since, now))
