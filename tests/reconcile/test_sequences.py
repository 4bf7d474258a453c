"""Anything in any order: people, the cloud, the network, clocks and the end of processes, as long as chance goes on.

After every step nothing is paid twice and no status is wrong; in the end, when all trouble is over, everything is
settled, and when everything is deleted, nothing goes on in the cloud.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from paid import PAID
from plugins.figures import Figures
from qianfan_operator.api.keys import Key
from qianfan_operator.kinds.marks import Mark, short_hash
from qianfan_operator.settings import CLOCK_TOLERANCE
from qianfan_simulator import AfterSeconds
from reconcile.ends import is_settled
from reconcile.manifests import job
from reconcile.mishaps import CLOUD, OPTIONS, TROUBLE, WAYS, Mishap, Mishaps, one_after_the_other
from reconcile.people import JOBS, KEYS, People, manifest
from reconcile.test_crash import FAST, Killed
from reconcile.world import FIRST, GRACE, OTHER, SECOND, Idle, World

HOUR = 3600.0
WASTED = frozenset({"FAIL", "STOP"})


class Anything(People):
    """The engine in one piece, and everything that may happen to it."""

    met: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(FAST)
        self.mishaps = Mishaps(self.world, self._somebody_writes, self.met)
        self.world.kube.around, self.world.around_cloud = self.mishaps.kube, self._cloud
        self.wrong: list[str] = []

    @initialize(absent=st.sets(st.sampled_from(KEYS), max_size=2), blocker=one_after_the_other(CLOUD, "a change", 12))
    def chains(self, absent: set[Key], blocker: list[Mishap]) -> None:
        """From a run of which both ids are known the operator knows that lists show runs; then the chains begin."""
        self.world.until(self.world.kube.apply(job("witness")), "Succeeded")
        for key in KEYS:
            if key not in absent:
                self.world.kube.apply(manifest(key))
        self.mishaps.add(*blocker)
        for _ in range(2):
            self._go(lambda: self.world.rest(GRACE))

    # The network, the cloud and the clocks.

    @rule(seconds=st.sampled_from([10.0, 60.0]))
    def outage(self, seconds: float) -> None:
        """Let the API server be away."""
        self.mishaps.unreachable(seconds)

    @rule(options=OPTIONS)
    def configure(self, options: dict[str, Any]) -> None:
        """Let the cloud behave in another way."""
        self.world.sim.configure(**options)

    @rule(seconds=st.sampled_from([-HOUR, -60.0, 60.0, HOUR]))
    def set_the_node_s_clock(self, seconds: float) -> None:
        """Let the operator's wall clock jump."""
        self.world.clock.ahead += seconds

    @rule(seconds=st.sampled_from([-CLOCK_TOLERANCE, 60.0, HOUR]))
    def set_the_cloud_s_clock(self, seconds: float) -> None:
        """Let the cloud's clock jump: back no further than allowed for, as what had expired would be good again."""
        clock = self.world.clock
        clock.offset, clock.ahead = clock.offset + seconds, clock.ahead - seconds

    # Time and the process.

    @rule()
    def restart(self) -> None:
        """Kill the process, and start another one."""
        self.world.restart()

    @rule()
    def end(self) -> None:
        """End the process in order, and start another one: what only the first one knows is written."""
        self._go(self.world.engine.flush)
        self.wrong += [f"the ids of {key} were forgotten" for key in self.world.protocol.unwritten()]
        self.world.restart()

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 20.0]), blocker=TROUBLE)
    def wait_a_little(self, seconds: float, blocker: list[Mishap]) -> None:
        """Let all be done that is due by then."""
        self.mishaps.add(*blocker)
        self._go(lambda: self.world.rest(seconds))

    @rule(seconds=st.sampled_from([20.0, GRACE, 2 * GRACE, HOUR]), blocker=TROUBLE)
    def wait(self, seconds: float, blocker: list[Mishap]) -> None:
        """Let much be done."""
        self.mishaps.add(*blocker)
        self._go(lambda: self.world.rest(seconds))

    @rule(passes=st.integers(1, 8), blocker=TROUBLE)
    def a_few_passes(self, passes: int, blocker: list[Mishap]) -> None:
        """Let only some of what is due be done before the next thing happens."""
        self.mishaps.add(*blocker)
        for _ in range(passes):
            self._go(self._pass)

    def _pass(self) -> None:
        self.world.deliver()
        with suppress(Idle):
            self.world.step(self.world.clock.boot + 60)

    def _go(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Killed:
            self.world.restart()
        self.mishaps.end_woken()

    def _somebody_writes(self) -> None:
        for key in filter(self.patchable, KEYS):
            self.world.kube.annotate(key, note=str(self.world.clock.boot))

    def _cloud(self, name: str, do: Callable[[], Any]) -> Any:
        if name in PAID.values():
            self._wanted(name)
        return self.mishaps.cloud(name, do)

    def _wanted(self, operation: str) -> None:
        """What is about to be paid was announced in a status, and is still wanted."""
        statuses = (raw for what, _, raw in reversed(self.world.kube.writes) if what == "status")
        announced = (raw for raw in statuses if raw["status"].get("pending", {}).get("operation") == operation)
        if (raw := next(announced, None)) is None:
            self.wrong.append(f"{operation} without an intent")
            return
        uid = raw["metadata"]["uid"]
        now = next((one for one in self.world.kube.objects.values() if one["metadata"]["uid"] == uid), raw)
        name = now["metadata"]["name"]
        if now["status"].get("pending") != raw["status"]["pending"]:
            self.wrong.append(f"{operation} for {name}, whose intent is over")
        if "deletionTimestamp" in now["metadata"]:
            self.wrong.append(f"{operation} for {name}, which is being deleted")
        if now["spec"].get("paused") or now["spec"].get("desiredState") == "Stopped":
            self.wrong.append(f"{operation} for {name}, which does not want it")

    # What must always be so.

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """One run for each attempt of an object, and for each training that is not wasted; one version, one service."""
        paid = Counter[Any]()
        for access_key in (FIRST, OTHER):
            account = self.world.sim.account(access_key)
            for task in account.tasks:
                mark = Mark.read(task.description)
                assert mark
                assert len(task.runs) <= 1, f"two runs in task {task.name}"
                working = sum(run.life.state not in WASTED for run in task.runs)
                seen_by = access_key if mark.uid in self.wiped_marks() else ""  # other keys cannot know of the first
                paid["an attempt of an object", seen_by, mark.uid, mark.attempt, mark.inputs] += len(task.runs)
                paid["a training", access_key, mark.object, mark.attempt, mark.inputs] += working
            paid.update(("a version", one.run.id, one.model.id) for one in account.versions if one.run)
            paid["the service", access_key] = sum(one.life.state != "Stopped" for one in account.services)
        assert [what for what, times in paid.items() if times > 1] == []
        assert self.wrong == []

    @invariant()
    def statuses_conform(self) -> None:
        """Every status that was written could be read by the tools that wait."""
        assert self.world.violations == []

    def wiped_marks(self) -> set[str]:
        return {short_hash(uid) for uid in self.wiped}

    # The end.

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.world.close()

    def _end(self) -> None:
        """Let all settle, have the jobs train once more, delete everything meanwhile, and see what is left."""
        world = self.world
        self.mishaps.clear()
        world.sim.faults.clear()
        world.sim.configure(v2="on", list_lag=0.0, training=AfterSeconds(15))
        self._use(FIRST)
        world.rest(HOUR)
        self._settled()
        for key in filter(self.patchable, JOBS):
            world.kube.patch_spec(key, attempt=max(world.status(key).get("highestAttempt", 0), self.selected(key)) + 1)
        world.rest(5)
        for key in filter(self.patchable, KEYS):
            self.hold(key)
            world.kube.delete(key)
        world.rest(HOUR)
        for access_key in (SECOND, OTHER):
            if any(map(world.there, KEYS)):  # what was made with this key asks for it
                self._use(access_key)
                world.rest(HOUR)
        assert not any(map(world.there, KEYS)), world.told()
        self._nothing_goes_on()
        self.nothing_is_paid_twice()
        self.statuses_conform()

    def _use(self, access_key: str) -> None:
        """Use keys, and have a job train with them, as messages advise: then they are known to see what there is."""
        self.world.set_secret(access_key)
        self.world.until(self.world.kube.apply(job(access_key)), "Succeeded")

    def _settled(self) -> None:
        for key, raw in self.world.kube.objects.items():
            assert raw["status"]["observedGeneration"] == raw["metadata"]["generation"], f"{key}\n{self.world.told()}"
            assert is_settled(self.world, key), f"{key} is not settled\n{self.world.told()}"

    def _nothing_goes_on(self) -> None:
        assert [run.id for run in self.held if run.life.working] == [], "the run of a deleted object still trains"
        for access_key in (FIRST, OTHER):
            account = self.world.sim.account(access_key)
            trains = [task for task in account.tasks if any(run.life.working for run in task.runs)]
            serves = [one for one in account.services if one.life.state != "Stopped"]
            assert [one.name for one in (*trains, *serves) if not self.is_orphan(one.description)] == []


@pytest.mark.parametrize(
    ("sequences", "each"),
    [pytest.param(8, 0), pytest.param(200, 10, marks=[pytest.mark.proof, pytest.mark.timeout(1200)])],
)
def test_whatever_happens_in_whatever_order_nothing_is_paid_twice(sequences: int, each: int, figures: Figures) -> None:
    """No sequence of what may happen leads to a second payment, a wrong status, or something that never ends."""
    paces = settings(
        max_examples=sequences, stateful_step_count=40, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    Anything.met.clear()
    run_state_machine_as_test(Anything, settings=paces)
    ways = [f"{place}: {way}" for place, some in WAYS.items() for way in some]
    assert Anything.met.total() > 3 * sequences
    assert [way for way in ways if Anything.met[way] < each] == []
    figures("sequences", sequences)
    for way in ways:
        figures(f"  {way}", Anything.met[way])
