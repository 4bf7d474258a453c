"""One account's memory, and the few rules that every operation shares."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from qianfan_simulator.clock import Clock
from qianfan_simulator.errors import ConsoleError
from qianfan_simulator.options import Options
from qianfan_simulator.shelf import Shelf
from qianfan_simulator.things import Living, Model, Run, Service, Task, Thing, Version

T = TypeVar("T", bound=Thing)

_ALNUM = string.ascii_lowercase + string.digits
_FIRST_ID = 9220


class Ids:
    """Deterministic ids. One counter serves every kind, so that no id of one kind is ever right for another."""

    def __init__(self, seed: int = 0) -> None:
        # Two streams: the ids of things do not depend on how many replies there were before.
        self._things, self._replies = random.Random(seed), random.Random(seed)  # noqa: S311 - predictable on purpose
        self._next = _FIRST_ID

    def number(self) -> int:
        """Return a new integer id."""
        self._next += 1
        return self._next - 1

    def letters(self, length: int) -> str:
        """Lower-case letters and digits."""
        return "".join(self._things.choices(_ALNUM, k=length))

    def log_id(self) -> str:
        """V1's request id."""
        return str(self._replies.randrange(10**9, 10**10))

    def request_id(self) -> str:
        """V2's request id."""
        return str(uuid.UUID(int=self._replies.getrandbits(128), version=4))


@dataclass
class Cloud:
    """What all accounts of one simulator share."""

    clock: Clock
    options: Options
    ids: Ids = field(default_factory=Ids)


@dataclass
class Account:
    """Everything that one account owns. `made` collects what the present call has created, for the faults."""

    name: str
    cloud: Cloud
    tasks: Shelf[Task] = field(default_factory=Shelf)
    runs: Shelf[Run] = field(default_factory=Shelf)
    models: Shelf[Model] = field(default_factory=Shelf)
    versions: Shelf[Version] = field(default_factory=Shelf)
    services: Shelf[Service] = field(default_factory=Shelf)
    # Data sets that training refuses, by integer id or BOS path: 510101 or 510102. All others are good.
    bad_datasets: dict[int | str, int] = field(default_factory=dict)
    made: list[Thing] = field(default_factory=list)
    _hiding: list[Thing] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Unix seconds of the simulator's clock."""
        return self.cloud.clock.now()

    @property
    def options(self) -> Options:
        """The simulator's options, as they are now."""
        return self.cloud.options

    def new_ids(self, prefix: str) -> tuple[int, str]:
        """Both ids of a new thing, the string as `<prefix>-<12 letters or digits>`."""
        return self.cloud.ids.number(), f"{prefix}-{self.cloud.ids.letters(12)}"

    def keep(self, shelf: Shelf[T], thing: T) -> T:
        """Add a new thing."""
        self.made.append(thing)
        return shelf.add(thing)

    def look(self, thing: Living) -> None:
        """Count one reply that tells the thing's state."""
        thing.look(self.now, self.options)

    def settle(self, thing: Living) -> None:
        """Let the thing catch up with the clock before a rule asks for its state."""
        thing.settle(self.now, self.options)

    def settle_all(self) -> None:
        """Let everything catch up with the clock."""
        for shelf in (self.runs, self.versions, self.services):
            for thing in shelf:
                self.settle(thing)

    def hide(self, thing: Thing, scans: int) -> None:
        """Leave the thing out of the next `scans` complete readings of the lists that it belongs to."""
        thing.hidden = scans
        self._hiding.append(thing)

    def begin_scan(self, kind: type[Thing]) -> None:
        """Note that a client starts to read a list of this kind from its first page."""
        for thing in [thing for thing in self._hiding if isinstance(thing, kind)]:
            thing.concealed = thing.hidden > 0
            thing.hidden -= 1
            if not thing.concealed:
                self._hiding.remove(thing)

    def visible(self, thing: Thing) -> bool:
        """Whether lists show the thing now."""
        return not thing.concealed and self.now >= thing.created + self.options.list_lag

    def shown(self, things: Iterable[T]) -> list[T]:
        """Those of `things` that lists show now."""
        return [thing for thing in things if self.visible(thing)]

    def check_task_limit(self, refuse: Callable[[int], Exception] = ConsoleError) -> None:
        """Refuse one more task than the account may have."""
        if self.options.max_tasks is not None and len(self.tasks) >= self.options.max_tasks:
            raise refuse(510203)

    def check_run_limit(self, refuse: Callable[[int], Exception] = ConsoleError) -> None:
        """Refuse one more run than may train at a time."""
        if self.options.max_running is None:
            return
        for run in self.runs:
            self.settle(run)
        if sum(run.life.working for run in self.runs) >= self.options.max_running:
            raise refuse(510402)

    def find(self, reference: int | str) -> Thing | None:
        """Anything with this id, integer or string."""
        shelves = (self.tasks, self.runs, self.models, self.versions, self.services)
        return next((found for shelf in shelves if (found := shelf.find(reference)) is not None), None)

    def drop(self, thing: Thing) -> None:
        """Delete a thing with all that it holds."""
        match thing:
            case Task():
                for run in thing.runs:
                    self.drop(run)
                self.tasks.remove(thing)
            case Run():
                self.runs.remove(thing)
                thing.task.runs.remove(thing)
            case Model():
                for version in tuple(thing.versions):
                    self.drop(version)
                self.models.remove(thing)
            case Version():
                self.versions.remove(thing)
                thing.model.versions.remove(thing)
            case Service():
                self.services.remove(thing)
