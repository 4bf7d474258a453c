"""Anything in any order: people, the cloud, the network and the end of processes, for as long as chance goes on.

After every step nothing is paid twice and no status is wrong; in the end, when all trouble is over, everything is
settled, and when everything is deleted, nothing goes on in the cloud.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.manifests import TRAINING, job, model, service
from engine.test_crash import FAST, SPOILT, Killed
from engine.world import DAY, FIRST, GRACE, SECOND, Idle, World
from plugins.figures import Figures
from qianfan_operator.keys import Key
from qianfan_operator.kube import Conflict, KubeError
from qianfan_operator.names import Mark, short_hash
from qianfan_simulator import Effect, Fault

HOUR = 3600.0
INDEX = st.integers(0, 9)
JOBS, MODELS, SERVICES = (
    [Key(plural, "default", name) for name in names]
    for plural, names in {
        "qianfanjobs": ("train", "again"), "qianfanmodels": ("publish", "next"), "qianfanservices": ("serve",),
    }.items()
)  # fmt: skip
KEYS = (*JOBS, *MODELS, *SERVICES)
PAID = frozenset({"createJob", "publishTrainModel", "apply"})
WAYS = ("killed", "conflict", "lost request", "lost reply", "cut body", "late")
WASTED = frozenset({"FAIL", "STOP"})


def manifest(key: Key) -> dict[str, Any]:
    """What is applied at first under a key: a chain, and beside it a job and its model."""
    if key in JOBS:
        return job(key.name, deletionPolicy=None)
    if key in MODELS:
        other = key.name == "next"
        source = {"jobRef": {"name": "again" if other else "train"}}
        target = {"modelRef": {"name": "publish"}} if other else {"modelName": "my_model"}
        return model(key.name, source=source, target=target)
    return service(key.name)


class Anything(RuleBasedStateMachine):
    """The engine in one piece, and everybody who may do something to it."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(FAST)
        self.orphans: set[str] = set()
        self.after, self.way = -1, ""
        self.world.kube.around, self.world.around_cloud = self._kube, self._cloud
        self.wrong: list[str] = []

    # What goes wrong on the way.

    def _trouble(self) -> str:
        self.after -= 1
        return self.way if self.after == -1 else ""

    def _kube(self, name: str, do: Callable[[], Any]) -> Any:
        way = self._trouble()
        if not way:
            return do()
        self.seen[f"{way}, Kubernetes"] += 1
        if way == "killed":
            raise Killed
        if way == "conflict":
            raise Conflict("somebody else was faster")
        if way != "lost request":
            do()
        raise KubeError("lost")

    def _cloud(self, name: str, do: Callable[[], Any]) -> Any:
        way = self._trouble()
        if way:
            self.seen[f"{way}, cloud"] += 1
        if way == "killed":
            raise Killed
        if way in SPOILT:
            fault = SPOILT[way]
            self.world.sim.faults.add(Fault(fault.effect, name, seconds=fault.seconds, hang_up=fault.hang_up))
        if name in PAID:
            self._wanted(name)
        return do()

    def _wanted(self, operation: str) -> None:
        """What is about to be paid was announced in a status, and is still wanted."""
        what, key, raw = self.world.kube.writes[-1]
        now = self.world.kube.objects.get(key, raw)
        if what != "status" or raw["status"].get("pending", {}).get("operation") != operation:
            self.wrong.append(f"{operation} without an intent, after {what} of {key}")
        if "deletionTimestamp" in now["metadata"]:
            self.wrong.append(f"{operation} for {key}, which is being deleted")
        if now["spec"].get("paused") or now["spec"].get("desiredState") == "Stopped":
            self.wrong.append(f"{operation} for {key}, which does not want it")

    def _go(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Killed:
            self.world.restart()

    # People.

    def _patchable(self, key: Key) -> bool:
        raw = self.world.kube.objects.get(key)
        return raw is not None and "deletionTimestamp" not in raw["metadata"]

    def _change(self, keys: Sequence[Key], index: int, **fields: object) -> None:
        """Change a spec of those that are there, if any is."""
        if there := [key for key in keys if self._patchable(key)]:
            self.world.kube.patch_spec(there[index % len(there)], **fields)

    @initialize(absent=st.sets(st.sampled_from(KEYS)))
    def chains(self, absent: set[Key]) -> None:
        """From a run of which both ids are known the operator knows that lists show runs; then the chains begin."""
        self.world.until(self.world.kube.apply(job("witness")), "Succeeded")
        for key in KEYS:
            if key not in absent:
                self.world.kube.apply(manifest(key))

    @precondition(lambda self: any(not self.world.there(key) for key in KEYS))
    @rule(index=INDEX)
    def apply(self, index: int) -> None:
        absent = [key for key in KEYS if not self.world.there(key)]
        self.world.kube.apply(manifest(absent[index % len(absent)]))

    @rule(index=INDEX, attempt=st.integers(1, 4), epoch=st.sampled_from([4, 4, 4, 5]))
    def attempt(self, index: int, attempt: int, epoch: int) -> None:
        """Select an attempt, whose training may be another one; without another attempt none would be admitted."""
        others = [
            key for key in JOBS if self.world.kube.objects.get(key, {"spec": {}})["spec"].get("attempt", 1) != attempt
        ]
        self._change(others, index, attempt=attempt, trainConfig={**TRAINING["trainConfig"], "epoch": epoch})

    @rule(index=INDEX, state=st.sampled_from(["Stopped", None, None]))
    def desire(self, index: int, state: str | None) -> None:
        self._change(JOBS, index, desiredState=state)

    @rule(index=INDEX, paused=st.sampled_from([True, None, None]))
    def pause(self, index: int, paused: bool | None) -> None:
        self._change(KEYS, index, paused=paused)

    @rule(index=INDEX, policy=st.sampled_from(["Follow", "Manual"]))
    def follow(self, index: int, policy: str) -> None:
        self._change((*MODELS, *SERVICES), index, updatePolicy=policy)

    @rule(policy=st.sampled_from(["Replace", "Forbid"]), index=INDEX)
    def replace(self, index: int, policy: str) -> None:
        self._change(JOBS, index, concurrencyPolicy=policy)

    @rule(name=st.sampled_from(["publish", "next"]))
    def source(self, name: str) -> None:
        self._change(SERVICES, 0, source={"modelRef": {"name": name}})

    @rule(index=INDEX, policy=st.sampled_from([None, None, "Delete", "Orphan"]))
    def delete(self, index: int, policy: str | None) -> None:
        if there := [key for key in KEYS if self._patchable(key)]:
            key = there[index % len(there)]
            self.world.kube.patch_spec(key, deletionPolicy=policy)
            if policy == "Orphan":
                self.orphans.add(key.name)
            self.world.kube.delete(key)

    @rule(index=INDEX)
    def wipe(self, index: int) -> None:
        if there := [key for key in KEYS if self._patchable(key)]:
            self.world.kube.wipe_status(there[index % len(there)])

    @rule(index=INDEX)
    def ask(self, index: int) -> None:
        if there := [key for key in KEYS if self._patchable(key)]:
            self.world.ask(there[index % len(there)], str(self.world.clock.boot))

    @rule(access_key=st.sampled_from([FIRST, SECOND]))
    def rotate(self, access_key: str) -> None:
        self.world.set_secret(access_key)

    # The cloud.

    def _some(self, shelf: str, state: str, index: int) -> Any:
        found = [one for one in getattr(self.world.sim.account(), shelf) if one.life.state == state]
        return found[index % len(found)] if found else None

    @rule(index=INDEX)
    def fail(self, index: int) -> None:
        if run := self._some("runs", "RUNNING", index):
            self.world.sim.fail(run.id)

    @rule(index=INDEX)
    def stop_in_the_console(self, index: int) -> None:
        if run := self._some("runs", "RUNNING", index):
            self.world.sim.stop_run(run.id)

    @rule()
    def expire(self) -> None:
        if one := self._some("services", "Done", 0):
            self.world.sim.expire(one.id)

    @rule(seconds=st.sampled_from([0.0, 10.0, 30.0]))
    def lag(self, seconds: float) -> None:
        """Let lists lag as far as the protocol allows for: what lags for longer cannot be told from none."""
        self.world.sim.configure(list_lag=seconds)

    @rule(code=st.sampled_from([336000, 500000, 18]), after=st.booleans())
    def answer(self, code: int, after: bool) -> None:
        """Have a call answered with an error, whether it was executed or not; 18 is a refusal and never that."""
        self.world.sim.faults.add(Fault(Effect.ERROR, "*[bBkle]", code=code, after=after and code != 18))

    # Time and the process.

    @rule(after=st.integers(0, 12), way=st.sampled_from(WAYS))
    def trouble(self, after: int, way: str) -> None:
        self.after, self.way = after, way

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 20.0]))
    def wait_a_little(self, seconds: float) -> None:
        self._go(lambda: self.world.rest(seconds))

    @rule(seconds=st.sampled_from([20.0, GRACE, 2 * GRACE, HOUR]))
    def wait(self, seconds: float) -> None:
        self._go(lambda: self.world.rest(seconds))

    @rule(passes=st.integers(1, 8))
    def a_few_passes(self, passes: int) -> None:
        """Let only some of what is due be done before the next thing happens."""
        for _ in range(passes):
            self._go(self._pass)

    def _pass(self) -> None:
        self.world.deliver()
        with suppress(Idle):
            self.world.step(self.world.clock.boot + 60)

    # What must always be so.

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        account = self.world.sim.account()
        of_attempt, of_inputs = Counter[Any](), Counter[Any]()
        for task in account.tasks:
            assert len(task.runs) <= 1, f"two runs in task {task.name}"
            mark = Mark.read(task.description)
            assert mark
            of_attempt[mark.uid, mark.attempt, mark.inputs] += len(task.runs)
            of_inputs[mark.object, mark.attempt, mark.inputs] += sum(run.life.state not in WASTED for run in task.runs)
        assert max(of_attempt.values(), default=0) <= 1, "one attempt has two runs"
        assert max(of_inputs.values(), default=0) <= 1, "one training has two runs"
        published = Counter((one.run.id, one.model.id) for one in account.versions if one.run)
        assert max(published.values(), default=0) <= 1, "one run was published twice"
        assert sum(one.life.state != "Stopped" for one in account.services) <= 1, "two services of one object"
        assert self.wrong == []

    @invariant()
    def statuses_conform(self) -> None:
        assert self.world.violations == []

    # The end.

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.world.close()

    def _end(self) -> None:
        world = self.world
        self.after = -1
        world.sim.faults.clear()
        world.until(
            world.kube.apply(job("last")), "Succeeded"
        )  # a witness for the present keys, as the messages advise
        world.rest(3 * GRACE)
        world.rest(HOUR)
        self._settled()
        for key in filter(self._patchable, KEYS):
            world.kube.delete(key)
        world.run(lambda: not any(world.there(key) for key in KEYS), within=DAY)
        self._nothing_goes_on()
        self.nothing_is_paid_twice()
        self.statuses_conform()

    def _settled(self) -> None:
        for key, raw in self.world.kube.objects.items():
            assert raw["status"]["observedGeneration"] == raw["metadata"]["generation"], f"{key}\n{self.world.told()}"
            settled = self.world.is_so(key) or self.world.is_so(key, "Stalled")
            waits = self.world.reason(key) in {"Paused", "DependencyNotReady"}
            assert settled or waits, f"{key} is not settled\n{self.world.told()}"

    def _nothing_goes_on(self) -> None:
        account = self.world.sim.account()
        orphans = {
            short_hash(f"Qianfan{kind}", "default", name) for kind in ("Job", "Service") for name in self.orphans
        }
        for task in account.tasks:
            mark = Mark.read(task.description)
            assert mark
            if mark.object not in orphans:
                assert not [run.id for run in task.runs if run.life.working], f"task {task.name} still trains"
        if not self.orphans & {key.name for key in SERVICES}:
            assert not [one.name for one in account.services if one.life.state != "Stopped"], "a service still serves"


@pytest.mark.parametrize(
    "sequences", [pytest.param(15), pytest.param(200, marks=[pytest.mark.proof, pytest.mark.timeout(1200)])]
)
def test_whatever_happens_in_whatever_order_nothing_is_paid_twice(sequences: int, figures: Figures) -> None:
    """No sequence of what may happen leads to a second payment, a wrong status, or something that never ends."""
    paces = settings(
        max_examples=sequences, stateful_step_count=40, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Anything, settings=paces)
    figures("sequences", sequences)
    for what, times in sorted(Anything.seen.items()):
        figures(f"  {what}", times)
