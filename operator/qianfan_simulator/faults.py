"""Trouble as data: a list of values, each of which spoils the next calls that it matches.

Of the faults that match a call only the first acts, and each acts on `count` calls: a list of faults is a script.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

_LONGEST = 1024  # characters of a text
_MOST = 2**31  # of anything that is counted


class Effect(StrEnum):
    """What happens to a call."""

    LOSE_REQUEST = "lose-request"  # the connection is closed, nothing is executed
    LOSE_REPLY = "lose-reply"  # executed, then the connection is closed without a reply
    DELIVER_LATE = "deliver-late"  # held for `seconds`, then checked (signature too) and executed
    SLOW = "slow"  # executed at once, answered after `seconds`
    CUT_BODY = "cut-body"  # executed; half of the body, then the connection is closed
    HTML = "html"  # a proxy's page with HTTP `status`, instead of executing or (`after`) instead of the reply
    STATUS = "http-status"  # an empty reply with HTTP `status`, before or after executing
    ERROR = "error"  # `code`: a number in V1's form, a word in V2's (with `status`), before or after executing
    HIDE = "hide"  # executed; what it made is missing from the next `looks` readings of lists
    DOOM = "doom"  # executed; what it made will end in failure


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the script.

    `operation` is the call's name, a pattern such as `Describe*`, or several of them with `|` between; `access_key`
    limits it to one key. The first `skip` matches pass; `count` 0 means for ever. `hang_up` closes the client's
    connection at once when the request is delivered late, so that nobody has to wait for a timeout. Raises ValueError
    for values that make no sense. What answers instead of the cloud says `Retry-After: <seconds>`, if there are any.
    """

    effect: Effect
    operation: str = "*"
    count: int = 1
    skip: int = 0
    access_key: str = ""
    seconds: float = 0.0
    hang_up: bool = False
    status: int = 0
    code: int | str = ""
    message: str = ""
    after: bool = False
    looks: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "effect", Effect(self.effect))
        for item in fields(self):
            value, default = getattr(self, item.name), item.default
            if item.name == "code":
                fits = _is_text(value) or (
                    isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST
                )
            elif isinstance(default, bool) or isinstance(value, bool):
                fits = isinstance(value, bool) and isinstance(default, bool)
            elif isinstance(default, int | float):
                fits = _is_number(value) and (isinstance(default, float) or isinstance(value, int))
            else:
                fits = _is_text(value)
            if not fits:
                raise ValueError(f"`{item.name}` may not be {repr(value)[:100]}")
        if self.effect is Effect.ERROR and self.code == "":
            raise ValueError("an error needs a `code`")
        if self.status and not 200 <= self.status <= 599:
            raise ValueError("`status` must be an HTTP status")

    @classmethod
    def from_json(cls, value: object, operations: Iterable[str]) -> Fault:
        """Read one JSON object with these fields; `operation` must match one of `operations`; raises ValueError."""
        if not isinstance(value, Mapping):
            raise ValueError("a fault must be a JSON object")  # noqa: TRY004 - one exception for a bad script
        names = {item.name for item in fields(cls)}
        if unknown := sorted(set(value) - names):
            raise ValueError(f"unknown field {unknown[0]!r}; there are {', '.join(sorted(names))}")
        if "effect" not in value:
            raise ValueError(f"`effect` must be one of {', '.join(Effect)}")
        fault = cls(**value)
        for pattern in fault.operation.split("|"):
            if not any(fnmatchcase(name, pattern) for name in operations):
                raise ValueError(f"`operation` {pattern[:100]!r} matches no call; there are {', '.join(operations)}")
        return fault

    def matches(self, operation: str, access_key: str) -> bool:
        """Whether this call is meant."""
        meant = any(fnmatchcase(operation, pattern) for pattern in self.operation.split("|"))
        return meant and self.access_key in ("", access_key)


class Faults:
    """The script that is left. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[list[Any]] = []

    def add(self, *faults: Fault) -> None:
        """Append to the script."""
        with self._lock:
            self._queue += [[fault, fault.skip, fault.count] for fault in faults]

    def clear(self) -> None:
        """End the script."""
        with self._lock:
            self._queue.clear()

    def left(self) -> list[dict[str, Any]]:
        """Return what has not happened yet, as JSON, with the present `skip` and `count`."""
        with self._lock:
            return [{**asdict(fault), "skip": skip, "count": count} for fault, skip, count in self._queue]

    def take(self, operation: str, access_key: str) -> Fault | None:
        """Return the fault that acts on this call, if any, and leave one less of it."""
        if not self._queue:
            return None
        with self._lock:
            for entry in self._queue:
                fault, skip, count = entry
                if not fault.matches(operation, access_key):
                    continue
                if skip:
                    entry[1] -= 1
                    continue
                if count == 1:
                    self._queue.remove(entry)
                elif count:
                    entry[2] -= 1
                return fault  # type: ignore[no-any-return]
        return None

    def give_back(self, fault: Fault) -> None:
        """Have a fault that found nothing to act on act on the next call instead."""
        with self._lock:
            for entry in self._queue:
                if entry[0] is fault:
                    entry[2] += 1 if entry[2] else 0
                    return
            self._queue.insert(0, [fault, 0, 1])


def _is_text(value: object) -> bool:
    """Whether it can stand in a header and a log line: printable, and not endless."""
    return isinstance(value, str) and len(value) <= _LONGEST and (value == "" or value.isprintable())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= _MOST
