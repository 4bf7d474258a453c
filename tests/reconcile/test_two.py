"""Two operators that both act, because nobody elected a leader: the status decides who may pay.

Every operation of either on Kubernetes or the cloud is a moment at which the other one may do all that it has to do.
The test finds these moments by itself, and tries each.

See docs/design/create-protocol.md#sending.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.event_handler import EventHandler
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_simulator import AfterSeconds
from reconcile.manifests import job, model, service
from reconcile.world import DAY, PACES, Idle, Queue, World

FAST = replace(
    PACES, training=AfterSeconds(15), publishing=AfterSeconds(5), payment=AfterSeconds(5), deploying=AfterSeconds(15)
)
SERVICE = Key("qianfanservices", "default", "serve")


@dataclass
class Operator:
    """One of the two."""

    queue: Queue
    engine: Reconciler
    event_handler: EventHandler


@dataclass
class Pair:
    """Two operators in one world; at the `n`-th operation of one the other has its say first."""

    world: World
    n: int | None = None
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.both = [self._operator()]
        self.world.start()
        self.both.append(self._operator())
        self.world.kube.around = self.world.around_cloud = self._around

    def run(self, over: Callable[[], bool]) -> None:
        """Let both work, the first one first, until something is so."""
        clock = self.world.clock
        end = clock.boot + DAY
        while not over():
            assert clock.boot < end, self.world.told()
            first, second = self.both
            if not self._work(first) | self._work(second):
                clock.advance(1.0)

    def _operator(self) -> Operator:
        return Operator(self.world.queue, self.world.engine, self.world.event_handler)

    def _work(self, one: Operator) -> bool:
        """Make one pass, if one is due; say whether one was."""
        world = self.world
        before = world.queue, world.engine
        world.kube.deliver(lambda *event: [each.event_handler.handle(*event) for each in self.both] and None)
        world.queue, world.engine = one.queue, one.engine
        try:
            world.step(world.clock.boot)
        except Idle:
            return False
        finally:
            world.queue, world.engine = before
        return True

    def _around(self, name: str, do: Callable[[], Any]) -> Any:
        self.names.append(name)
        if len(self.names) - 1 == self.n:
            (other,) = (one for one in self.both if one.engine is not self.world.engine)
            while self._work(other):
                pass
        return do()


def tell(n: int | None) -> Pair:
    """Have a whole chain made by two, in an account whose lists are known to show runs."""
    with closing(World(FAST)) as world:
        world.until(world.kube.apply(job("early")), "Succeeded")
        pair = Pair(world, n)
        for manifest in (job(), model(), service()):
            world.kube.apply(manifest)
        pair.run(lambda: world.is_so(SERVICE))
        paid = Counter(call.operation for call in world.calls("createJob", "publishTrainModel", "apply"))
        assert paid == {"createJob": 2, "publishTrainModel": 1, "apply": 1}, (n, pair.names[n or 0])
        assert world.violations == []
        return pair


def test_two_that_act_in_turns_pay_once() -> None:
    """Each thing is made once, and every status conforms."""
    assert "patch_status" in tell(None).names


def test_whenever_the_other_one_acts_each_thing_is_paid_for_once() -> None:
    """At whatever operation of one the other does all that it has to do, each thing is made once."""
    moments = len(tell(None).names)
    assert moments > 20
    for n in range(moments):
        tell(n)
