"""Those who apply, change and delete while the operator dies and comes back; everything that they do is allowed."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.history import Object
from e2e.place import JOB, KINDS, Place, job, model, service
from qianfan_operator.kinds.marks import Mark, short_hash
from qianfan_simulator import Effect
from storm.books import is_settled
from storm.hands import Hands

_HIGHEST = 6  # attempts of one job
_PATIENCE = 120  # seconds until a run works: a grace may be before it


@dataclass
class Chain:
    """What somebody wants of a job, its model and its service."""

    name: str
    follow: bool
    policy: str
    attempt: int = 1
    wanted: bool = True


class People:
    """They do what chance chooses. `done` counts what they did."""

    def __init__(self, place: Place, hands: Hands, chance: random.Random, chains: int) -> None:
        self._place, self._hands, self._chance = place, hands, chance
        self._all = chains
        self.chains: list[Chain] = []
        self.done: Counter[str] = Counter()
        self.held: list[Any] = []
        """The runs that worked when their jobs were deleted; only who stops them ends them."""

    def can_begin(self) -> bool:
        """Whether there is something that the operator would begin at once; else too much of it is in doubt."""
        return len(self.chains) < self._all or any(map(self._is_over, self.chains))

    def act(self, share: float) -> None:
        """Do something that the operator begins at once, and every other time something that crosses its work.

        `share` of the storm is over, and by then that share of the chains is there.
        """
        due = len(self.chains) < share * self._all
        beginning = (self._apply_new, self._train_the_next) if due else (self._train_the_next, self._apply_new)
        any(map(self._do, beginning))
        if self._chance.random() < 0.5:
            crossing = [self._train_again, self._delete, self._apply_again, self._fail, self._doom, self._wipe]
            self._do(self._chance.choice(crossing))

    def finish(self) -> None:
        """Apply the chains that are not there yet, and delete one more whose run works."""
        while self._do(self._apply_new):
            pass
        any(map(self._do, (self._train_the_next, self._train_again)))
        self._place.history.wait_for(lambda: self._do(self._delete_at_work), lambda: "no run works", _PATIENCE)

    def wanted(self) -> set[str]:
        """Name the chains that are to be there."""
        return {chain.name for chain in self.chains if chain.wanted}

    def _do(self, what: Callable[[], bool]) -> bool:
        acted = what()
        if acted:
            self.done[what.__name__.strip("_").replace("_", " ")] += 1
        return acted

    def _apply_new(self) -> bool:
        if len(self.chains) == self._all:
            return False
        name = f"chain-{len(self.chains) + 1:02}"
        chain = Chain(name, self._chance.random() < 0.5, self._chance.choice(["Forbid", "Replace"]))
        self.chains.append(chain)
        self._apply(chain)
        return True

    def _apply(self, chain: Chain) -> None:
        follow: dict[str, Any] = {"updatePolicy": "Follow"} if chain.follow else {}
        training = job(chain.name, attempt=chain.attempt, concurrencyPolicy=chain.policy)
        self._hands.apply(training, model(chain.name, **follow), service(chain.name, **follow))

    def _some(self, fits: Callable[[Chain], bool]) -> Chain | None:
        fitting = [chain for chain in self.chains if fits(chain)]
        return self._chance.choice(fitting) if fitting else None

    def _object(self, plural: str, chain: Chain) -> Object | None:
        return self._place.history.get(plural, self._place.namespace, chain.name)

    def _train(self, fits: Callable[[Chain], bool]) -> bool:
        if chain := self._some(fits):
            chain.attempt += 1
            self._apply(chain)
        return chain is not None

    def _train_the_next(self) -> bool:
        """Raise the attempt of a job that has come to its end, so that a new run begins at once."""
        return self._train(self._is_over)

    def _train_again(self) -> bool:
        """Raise the attempt of any job, whatever it is doing."""
        return self._train(self._may_train)

    def _may_train(self, chain: Chain) -> bool:
        return chain.wanted and chain.attempt < _HIGHEST

    def _working(self, chain: Chain) -> list[Any]:
        """The runs at work that were made for a chain's job."""
        account, of = self._place.cloud.account(self._place.key.access_key), (self._place.namespace, chain.name)
        made = short_hash(KINDS[JOB], *of)
        marks = ((run, Mark.read(run.task.description)) for run in account.runs if run.life.state == "RUNNING")
        return [run for run, mark in marks if mark and mark.object == made]

    def _works(self, chain: Chain) -> bool:
        return chain.wanted and bool(self._working(chain))

    def _is_over(self, chain: Chain) -> bool:
        body = self._object(JOB, chain)
        there = body is not None and is_settled(body) and body["spec"]["attempt"] == chain.attempt
        return there and self._may_train(chain)

    def _delete(self) -> bool:
        """Delete a chain, rather one whose run works."""
        return self._delete_at_work() or self._let_go(self._some(lambda chain: chain.wanted))

    def _delete_at_work(self) -> bool:
        """Delete a chain whose run works, and goes on until it is stopped."""
        with self._place.cloud.lock:
            chain = self._some(self._works)
            for run in self._working(chain) if chain else ():
                self._place.cloud.hold(run.id)
                self.held.append(run)
        return self._let_go(chain)

    def _let_go(self, chain: Chain | None) -> bool:
        if chain:
            chain.wanted = False
            for plural in KINDS:
                self._hands.delete(plural, chain.name)
        return chain is not None

    def _apply_again(self) -> bool:
        def is_gone(chain: Chain) -> bool:
            return not any(self._object(plural, chain) for plural in KINDS)

        if chain := self._some(lambda chain: not chain.wanted and is_gone(chain)):
            chain.wanted = True
            self._apply(chain)
        return chain is not None

    def _wipe(self) -> bool:
        """Take the status of an object away, as a restore from a backup does."""
        if chain := self._some(lambda chain: chain.wanted):
            self._hands.wipe(self._chance.choice(list(KINDS)), chain.name)
        return chain is not None

    def _fail(self) -> bool:
        """Have a training fail, as a bad data set makes it."""
        with self._place.cloud.lock:
            runs = self._place.cloud.account(self._place.key.access_key).runs
            working = [run for run in runs if run.life.state == "RUNNING" and not run.life.held]
            if working:
                self._place.cloud.fail(self._chance.choice(working).id)
        return bool(working)

    def _doom(self) -> bool:
        """Have the next training fail when it would be done."""
        self._place.spoil(Effect.DOOM, "createJob")
        return True
