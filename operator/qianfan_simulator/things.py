"""What an account holds. A *task* is V1's folder (V2: job), a *run* one training in it (V2: task).

See docs/design/wire.md#v1-and-v2-words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qianfan_simulator.lifecycle import Life
from qianfan_simulator.options import Options
from qianfan_simulator.shelf import Shelf


@dataclass(kw_only=True, slots=True, eq=False)
class Thing:
    """Both ids, and whether lists show it: not for `hidden` more scans, the last of which leaves it `concealed`."""

    id: int
    uid: str
    created: float
    name: str = ""
    description: str = ""
    hidden: int = 0
    concealed: bool = False


@dataclass(kw_only=True, slots=True, eq=False)
class Living(Thing):
    """A thing that moves through the states of lifecycle.py."""

    life: Life

    def settle(self, now: float, options: Options) -> None:
        """Catch up with the clock."""
        self.life.settle(now, options)

    def look(self, now: float, options: Options) -> None:
        """Be told to a client: catch up, and count it."""
        self.settle(now, options)
        self.life.looks += 1


@dataclass(kw_only=True, slots=True, eq=False)
class Task(Thing):
    """A named folder of runs. `model` and `mode` are known only of those made through V2, or once a run exists."""

    model: str = ""
    mode: str = "SFT"
    by_v1: bool = True
    runs: Shelf[Run] = field(default_factory=Shelf)
    versions: int = 0


@dataclass(kw_only=True, slots=True, eq=False)
class Run(Living):
    """One training. `train_type` is the catalogue's name, `config` and `dataset` are kept as sent."""

    task: Task
    version: int
    train_type: str
    peft: str
    config: dict[str, Any]
    dataset: Any
    base: Run | None = None
    reached: float = 0.0
    token: str = ""

    def settle(self, now: float, options: Options) -> None:
        """Catch up; a stopped run keeps the share of its training that it had reached."""
        if self.life.state == "RUNNING":
            self.reached = min(self.life.share(now, options), 0.999)
        self.life.settle(now, options)


@dataclass(kw_only=True, slots=True, eq=False)
class Model(Thing):
    """A model and its versions, oldest first. `train_type` is the internal algorithm name."""

    train_type: str
    modified: float
    preset: bool = False
    tags: list[str] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    published: int = 0


@dataclass(kw_only=True, slots=True, eq=False)
class Version(Living):
    """One version of a model; only preset ones come from no run."""

    model: Model
    run: Run | None
    version: str


@dataclass(kw_only=True, slots=True, eq=False)
class Service(Living):
    """An endpoint. While it is switched to another version, `wanted` is that version and the old one serves."""

    uri: str
    version: Version
    replicas: int
    pool: int
    wanted: Version | None = None
    online: float | None = None

    def settle(self, now: float, options: Options) -> None:
        """Catch up; a switch that fails leaves the old version."""
        was = self.life.state
        self.life.settle(now, options)
        if self.life.state == "Done":
            self.online = self.online or self.life.since
            if was == "Updating" and self.wanted:
                self.version = self.version if self.life.doomed else self.wanted
                self.wanted, self.life.doomed = None, False
