"""Those who apply, change and delete while the operator dies and comes back; everything that they do is allowed."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.place import JOB, MODEL, SERVICE, Place, job, model, service
from qianfan_simulator import Effect

_HIGHEST = 4  # attempts of one job


@dataclass
class Chain:
    """What somebody wants of a job, its model and its service."""

    name: str
    follow: bool
    policy: str
    attempt: int = 1
    wanted: bool = True


class People:
    """They do one thing at a time, the next that chance chooses. `done` counts what they did."""

    def __init__(self, place: Place, chance: random.Random, chains: int) -> None:
        self._place, self._chance = place, chance
        self._unborn = chains
        self.chains: list[Chain] = []
        self.done: Counter[str] = Counter()

    def act(self, share: float) -> None:
        """Do something; `share` of the storm is over, and by then that share of the chains is to be there."""
        begun = len(self.chains)
        if self._unborn and begun <= share * (begun + self._unborn):
            self._do(self._apply_new)
        doing: list[Callable[[], bool]] = [
            self._train_again,
            self._train_again,
            self._delete,
            self._apply_again,
            self._fail,
            self._doom,
        ]
        self._do(self._chance.choice(doing))

    def finish(self) -> None:
        """Apply the chains that are not there yet."""
        while self._unborn:
            self._do(self._apply_new)

    def _do(self, what: Callable[[], bool]) -> None:
        if what():
            self.done[what.__name__.strip("_").replace("_", " ")] += 1

    def _apply_new(self) -> bool:
        self._unborn -= 1
        name = f"chain-{len(self.chains) + 1:02}"
        chain = Chain(name, self._chance.random() < 0.5, self._chance.choice(["Forbid", "Replace"]))
        self.chains.append(chain)
        self._apply(chain)
        return True

    def _apply(self, chain: Chain) -> None:
        follow: dict[str, Any] = {"updatePolicy": "Follow"} if chain.follow else {}
        training = job(chain.name, attempt=chain.attempt, concurrencyPolicy=chain.policy)
        self._place.apply(training, model(chain.name, **follow), service(chain.name, **follow))

    def _some(self, fits: Callable[[Chain], bool]) -> Chain | None:
        fitting = [chain for chain in self.chains if fits(chain)]
        return self._chance.choice(fitting) if fitting else None

    def _train_again(self) -> bool:
        if chain := self._some(lambda chain: chain.wanted and chain.attempt < _HIGHEST):
            chain.attempt += 1
            self._apply(chain)
        return chain is not None

    def _delete(self) -> bool:
        if chain := self._some(lambda chain: chain.wanted):
            chain.wanted = False
            self._place.kubectl("delete", f"{JOB},{MODEL},{SERVICE}", chain.name, "--wait=false")
        return chain is not None

    def _apply_again(self) -> bool:
        def gone(chain: Chain) -> bool:
            return not any(
                self._place.history.get(kind, self._place.namespace, chain.name) for kind in (JOB, MODEL, SERVICE)
            )

        if chain := self._some(lambda chain: not chain.wanted and gone(chain)):
            chain.wanted = True
            self._apply(chain)
        return chain is not None

    def _fail(self) -> bool:
        """Have a training fail, as a bad data set makes it."""
        with self._place.cloud.lock:
            runs = [
                run for run in self._place.cloud.account(self._place.key.access_key).runs if run.life.state == "RUNNING"
            ]
            if runs:
                self._place.cloud.fail(self._chance.choice(runs).id)
        return bool(runs)

    def _doom(self) -> bool:
        """Have the next training fail when it would be done."""
        self._place.spoil(Effect.DOOM, "createJob")
        return True
