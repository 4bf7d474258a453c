"""What may go wrong on the way to Kubernetes and to the cloud, for stories in which chance decides when it does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from paid import PAID
from qianfan_operator.kube.client import KubeError
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.test_crash import CHANGES, SPOILT, WRITES, Killed
from reconcile.world import GRACE, World

KUBERNETES, CLOUD = "Kubernetes", "cloud"
AIMS = {"a write": WRITES, "what is paid": frozenset(PAID.values()), "a change": CHANGES, "anything": frozenset[str]()}

FROZEN = {"frozen shortly": 5.0, "frozen for long": 3 * GRACE}
"""A process stands still for so many seconds, in which another one acts: both are alive then."""

ANSWERS = {
    **SPOILT,
    "later than the grace": Fault(Effect.DELIVER_LATE, seconds=2 * GRACE, hang_up=True),
    "error instead": Fault(Effect.ERROR, code=336000),
    "error after it": Fault(Effect.ERROR, code=500000, after=True),
    "refused": Fault(Effect.ERROR, code=18),
}
WAYS = {
    KUBERNETES: ("killed", "conflict", "lost request", "lost reply", *FROZEN),
    CLOUD: ("killed", *ANSWERS, *FROZEN),
}
TARGETS = {
    KUBERNETES: ("a write", "a write", "anything"),
    CLOUD: ("what is paid", "what is paid", "a change", "anything"),
}


@dataclass(frozen=True)
class Mishap:
    """One thing that will go wrong: at the operation of that number among those that it aims at."""

    place: str
    way: str
    aim: str
    number: int

    def meets(self, place: str, operation: str) -> bool:
        """Say whether an operation is one of those that it aims at."""
        return place == self.place and operation in (AIMS[self.aim] or {operation})


def mishaps(place: str) -> st.SearchStrategy[Mishap]:
    """Draw mishaps; most aim at what changes something, where they tell."""
    numbers = st.sampled_from([0, 0, 0, 1, 2, 5])
    return st.builds(Mishap, st.just(place), st.sampled_from(WAYS[place]), st.sampled_from(TARGETS[place]), numbers)


def one_after_the_other(place: str, aim: str, count: int) -> st.SearchStrategy[list[Mishap]]:
    """Draw so many ways, each another one, that one operation after the other meets."""
    ways = st.permutations(WAYS[place]).map(lambda some: some[:count])
    return ways.map(lambda some: [Mishap(place, way, aim, number + 1) for number, way in enumerate(some)])


TROUBLE = st.lists(mishaps(KUBERNETES) | mishaps(CLOUD) | mishaps(CLOUD), max_size=4)
"""What goes wrong next, one after the other or all at once, when it comes to what it is aimed at."""

OPTIONS = st.sampled_from(
    [
        *({"list_lag": seconds} for seconds in (0.0, 10.0, 30.0)),  # what lags for longer cannot be told from none
        *({"v2": word} for word in ("on", "on", "denied", "missing")),
        *({"training": AfterSeconds(seconds)} for seconds in (15.0, 600.0)),
    ]
)
"""How else the cloud may behave."""


class Mishaps:
    """Has them happen in a world, and counts them. `meanwhile` is what somebody else does to meet a write."""

    def __init__(self, world: World, meanwhile: Callable[[], object], met: Counter[str]) -> None:
        self._world, self._meanwhile, self._met = world, meanwhile, met
        self._armed: list[Mishap] = []
        self._woken: list[Reconciler] = []
        self._unreachable_until = 0.0

    def add(self, *more: Mishap) -> None:
        """Have these happen when it comes to it, besides those that are left."""
        self._armed += more

    def unreachable(self, seconds: float) -> None:
        """Have the API server away for so long."""
        self._unreachable_until = self._world.clock.boot + seconds

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._armed.clear()
        self._unreachable_until = 0.0

    def end_woken(self) -> None:
        """End the processes that were frozen, as one does that leads no more: what only it knows is written."""
        armed, self._armed = self._armed, []
        while self._woken:
            self._woken.pop().flush()
        self._armed = armed

    def kube(self, name: str, do: Callable[[], Any]) -> Any:
        """Do an operation on Kubernetes, or what comes of it."""
        way = self._way(KUBERNETES, name)
        if self._world.clock.boot < self._unreachable_until:
            raise KubeError("connection refused")
        if way == "killed":
            raise Killed
        if way in FROZEN:
            self._freeze(FROZEN[way])
        if way == "conflict":
            self._meanwhile()
        if way == "lost request":
            raise KubeError("lost")
        result = do()
        if way == "lost reply":
            raise KubeError("lost")
        return result

    def cloud(self, name: str, do: Callable[[], Any]) -> Any:
        """Make a call of the cloud, or what comes of it."""
        way = self._way(CLOUD, name)
        if way == "killed":
            raise Killed
        if way in FROZEN:
            self._freeze(FROZEN[way])
        if way in ANSWERS:
            self._world.sim.faults.add(replace(ANSWERS[way], operation=name))
        return do()

    def _way(self, place: str, name: str) -> str:
        for index, one in enumerate(self._armed):
            if not one.meets(place, name):
                continue
            if one.number == 0:
                del self._armed[index]
                self._met[f"{place}: {one.way}"] += 1
                return one.way
            self._armed[index] = replace(one, number=one.number - 1)
        return ""

    def _freeze(self, seconds: float) -> None:
        """Let another process act meanwhile, to which nothing happens."""
        armed, self._armed = self._armed, []
        self._woken.append(self._world.engine)
        self._world.restart()
        self._world.rest(seconds)
        self._armed = armed
