"""One simulated console without its HTTP: accounts, keys, faults, and everything that happens outside the API."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from qianfan_simulator.account import Account, Cloud, Ids
from qianfan_simulator.calls import Call, Calls
from qianfan_simulator.clock import Clock
from qianfan_simulator.faults import Faults
from qianfan_simulator.lifecycle import VERSION, AfterLooks, Life
from qianfan_simulator.options import Options
from qianfan_simulator.things import Living, Model, Run, Service, Thing, Version


@dataclasses.dataclass(frozen=True)
class Key:
    """An access key pair and the account that it opens."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    account: str = "demo"


# The last one opens another account: what one has made, the other does not see.
DEFAULT_KEYS = (
    Key("demo-access-key", "demo-secret-key", "demo"),
    Key("demo-access-key-2", "demo-secret-key-2", "demo"),
    Key("other-access-key", "other-secret-key", "other"),
)

# Everything that works is over now.
_NOW = AfterLooks(0)
_HURRY = Options(training=_NOW, stopping=_NOW, publishing=_NOW, payment=_NOW, deploying=_NOW, updating=_NOW)

_PRESETS = (("ERNIE-Bot-turbo-0725", "ernieBotLite-v201-8k"), ("ChatGLM2-6B", "chatglm2-6b"))


class World:
    """State and verbs, thread-safe: every verb and every served call holds `lock`."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        keys: Iterable[Key] = DEFAULT_KEYS,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = Clock(clock)
        self.faults = Faults()
        self.keys = {key.access_key: key for key in keys}
        self.recorded = Calls()
        self.cloud = Cloud(self.clock, options or Options(), Ids(seed))
        self._seed = seed
        self.accounts: dict[str, Account] = {}
        for key in self.keys.values():
            self._open(key.account)

    @property
    def options(self) -> Options:
        """The options as they are now."""
        return self.cloud.options

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""
        with self.lock:
            return self.recorded.all()

    def account(self, access_key: str = "demo-access-key") -> Account:
        """Return what this key opens, every state as of now; KeyError if it opens nothing.

        Take `lock` to read several things at one moment. Reading is not a look.
        """
        with self.lock:
            account = self.opened_by(access_key)
            account.settle_all()
            return account

    def opened_by(self, access_key: str) -> Account:
        """Return the same, as it was last seen."""
        return self._open(self.keys[access_key].account)

    def configure(self, **changes: Any) -> None:
        """Change options; raises TypeError for one that does not exist."""
        with self.lock:
            self.cloud.options = dataclasses.replace(self.cloud.options, **changes)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self.lock:
            self.clock.advance(seconds)

    def reset(self) -> None:
        """Forget all things, faults and calls; ids begin anew. Options, keys and the clock stay."""
        with self.lock:
            self.faults.clear()
            self.recorded.clear()
            self.cloud.ids = Ids(self._seed)
            names = list(self.accounts)
            self.accounts.clear()
            for name in names:
                self._open(name)

    def find(self, reference: int | str) -> Thing:
        """Anything of any account by either id; raises KeyError."""
        return self._owned(reference)[1]

    def pay(self, service: int | str | None = None) -> int:
        """Pay for one service, or for all that wait for it; returns how many were paid."""
        return self._move(Service, service, ("New",), "Deploying")

    def fail(self, reference: int | str, *, at_the_end: bool = False) -> None:
        """Make a working run, version or service fail, now or when its work would be done.

        Raises KeyError for an unknown id, ValueError for a thing that does not work.
        """
        with self.lock:
            thing = self._working(reference)
            thing.life.doomed, thing.life.held = True, False
            if not at_the_end:
                thing.settle(self.clock.now(), _HURRY)

    def hold(self, reference: int | str) -> None:
        """Keep a working run, version or service in its state until somebody ends it: it does not end by itself.

        Raises KeyError for an unknown id, ValueError for a thing that does not work.
        """
        with self.lock:
            self._working(reference).life.held = True

    def stop_run(self, run: int | str) -> None:
        """Stop a run in the web console, at once; raises KeyError, ValueError."""
        if not self._move(Run, run, ("RUNNING", "STOPPING"), "STOP"):
            raise ValueError(f"{run} does not train")

    def expire(self, service: int | str) -> None:
        """Let a service's paid time run out; raises KeyError, ValueError."""
        if not self._move(Service, service, ("New", "Deploying", "Done", "Updating", "Stopping"), "Stopped"):
            raise ValueError(f"{service} does not serve")

    def delete(self, reference: int | str) -> None:
        """Delete anything in the web console, with what it holds; raises KeyError."""
        with self.lock:
            account, thing = self._owned(reference)
            account.drop(thing)

    def hide(self, reference: int | str, looks: int) -> None:
        """Leave a thing out of the next `looks` complete readings of lists; raises KeyError."""
        with self.lock:
            account, thing = self._owned(reference)
            account.hide(thing, looks)

    def _owned(self, reference: int | str) -> tuple[Account, Thing]:
        for account in self.accounts.values():
            if (thing := account.find(reference)) is not None:
                return account, thing
        raise KeyError(reference)

    def _living(self, reference: int | str) -> Living:
        thing = self.find(reference)
        if not isinstance(thing, Living):
            raise ValueError(f"{thing.uid} has no state")  # noqa: TRY004 - the caller's id is at fault
        return thing

    def _working(self, reference: int | str) -> Living:
        thing = self._living(reference)
        thing.settle(self.clock.now(), self.options)
        if not thing.life.working:
            raise ValueError(f"{thing.uid} is {thing.life.state}")
        return thing

    def _move(self, kind: type[Living], reference: int | str | None, states: tuple[str, ...], to: str) -> int:
        with self.lock:
            now = self.clock.now()
            things: list[Living]
            if reference is None:
                things = [service for account in self.accounts.values() for service in account.services]
            else:
                things = [self._living(reference)]
            moved = 0
            for thing in things:
                thing.settle(now, self.options)
                if isinstance(thing, kind) and thing.life.state in states:
                    thing.life.enter(to, now)
                    moved += 1
            return moved

    def _open(self, name: str) -> Account:
        """Return the account of this name, which comes with the platform's models."""
        if name not in self.accounts:
            account = self.accounts[name] = Account(name, self.cloud)
            for model_name, train_type in _PRESETS:
                _add_preset(account, model_name, train_type)
        return self.accounts[name]


def _add_preset(account: Account, name: str, train_type: str) -> None:
    now = account.now
    number, uid = account.new_ids("am")
    model = Model(
        id=number, uid=uid, created=now, modified=now, name=name, train_type=train_type, preset=True, published=1
    )
    number, uid = account.new_ids("amv")
    life = Life(VERSION, "Ready", now)
    version = Version(id=number, uid=uid, created=now, model=model, run=None, version="Original", life=life)
    model.versions.append(version)
    account.models.add(model)
    account.versions.add(version)
