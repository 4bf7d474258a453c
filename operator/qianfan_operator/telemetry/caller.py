"""The context of a log line: for which object the cloud is called, and why.

A reconcile runs in one thread from its beginning to its end; so this goes with the thread's context and not through
every signature, where a new path to the cloud could forget it. Whoever calls without it is logged without it.
"""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class ChangeCause(enum.StrEnum):
    """Why the cloud is changed or an object is released; docs/logging.md has the list."""

    CREATE = "create"
    ADOPT = "adopt"
    SWITCH = "switch"
    SEARCH = "search"
    DESIRED_STATE = "desiredState"
    DEADLINE = "deadline"
    REPLACE = "replace"
    DELETION = "deletion"
    ORPHAN = "orphan"
    NOTHING_LEFT = "nothingLeft"
    ALREADY_MANAGED = "alreadyManaged"
    CRD_DELETED = "crdDeleted"
    OBJECT_GONE = "objectGone"


@dataclass(slots=True)
class Caller:
    """An object that is reconciled, as far as that is known yet."""

    object: str
    generation: int | None = None
    cause: ChangeCause | None = None


_CURRENT: ContextVar[Caller | None] = ContextVar("caller", default=None)


@contextmanager
def within(caller: Caller) -> Iterator[None]:
    """Have all that is called meanwhile be logged as called for this object."""
    token = _CURRENT.set(caller)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def read(generation: int) -> None:
    """Say which generation of the object is reconciled."""
    if caller := _CURRENT.get():
        caller.generation = generation


def because(cause: ChangeCause) -> None:
    """Say why what follows is done."""
    if caller := _CURRENT.get():
        caller.cause = cause


def about() -> dict[str, object]:
    """Return what a log line says of the caller: its fields that are known."""
    caller = _CURRENT.get()
    if caller is None:
        return {}
    known = {"object": caller.object, "generation": caller.generation, "cause": caller.cause}
    return {name: value for name, value in known.items() if value is not None}
