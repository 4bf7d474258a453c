"""The operator may end at any moment, and any reply may be lost: nothing is paid for twice, nothing is forgotten.

Every story is first run through, to count its operations on Kubernetes and the cloud from the moment at which the user
acts. Then it is run again for each of them and for each way in which that operation can go wrong; afterwards a new
process, that knows nothing, goes on to the end, or it has done so while the old one was frozen. So the points are found
by the test, and none can be left out.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plugins.figures import Figures
from qianfan_operator.api.keys import Key
from qianfan_operator.kinds.marks import Mark
from qianfan_operator.kube.client import Conflict, KubeError
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_simulator import AfterSeconds, Effect, Fault
from qianfan_simulator.things import Run
from reconcile.manifests import job, model, service
from reconcile.world import DAY, FIRST, GRACE, OTHER, PACES, World

FAST = replace(
    PACES, training=AfterSeconds(15), stopping=AfterSeconds(5), publishing=AfterSeconds(5), payment=AfterSeconds(5),
    deploying=AfterSeconds(15), updating=AfterSeconds(5),
)  # fmt: skip
JOB, MODEL, SERVICE = (
    Key("qianfanjobs", "default", "train"),
    Key("qianfanmodels", "default", "publish"),
    Key("qianfanservices", "default", "serve"),
)
WRITES = frozenset({"patch_status", "patch_finalizers"})
CHANGES = frozenset(
    {"createTask", "createJob", "stopJob", "publishTrainModel", "versionBatchDelete", "modelBatchDelete", "apply",
     "ModifyService", "DeactivateService", "StopFineTuningTask"}
)  # fmt: skip
LASTING = WRITES | CHANGES

SPOILT = {
    "lost request": Fault(Effect.LOSE_REQUEST),
    "lost reply": Fault(Effect.LOSE_REPLY),
    "cut body": Fault(Effect.CUT_BODY),
    "late": Fault(Effect.DELIVER_LATE, seconds=40, hang_up=True),
}


class Killed(BaseException):
    """The process ends here."""


def another(world: World) -> None:
    """Let another process go on, as it does when the Lease of a frozen one has run out.

    It has time for a grace and a repeat; and the clock that the frozen one has learned from the cloud is still good.
    """
    world.restart()
    world.rest(3 * GRACE)


@dataclass
class Point:
    """Lets operations go wrong: each fault is a number, counted from the fault before it, and a way."""

    world: World
    faults: tuple[tuple[int, str], ...] = ()
    names: list[str] = field(default_factory=list)
    """The operations since the last fault."""
    frozen: Reconciler | None = None

    def arm(self) -> None:
        self.world.kube.around = self._kube
        self.world.around_cloud = self._cloud

    def disarm(self) -> None:
        self.world.kube.around = self.world.around_cloud = lambda _, do: do()

    def _kube(self, name: str, do: Callable[[], Any]) -> Any:
        way = self._way(name)
        if not way:
            return do()
        if way == "killed":
            raise Killed
        if way == "frozen before":
            return self._freeze(do)
        if way == "frozen after":
            result = do()
            return self._freeze(lambda: result)
        if way == "conflict":
            raise Conflict("somebody else was faster")
        if way == "lost reply":
            do()
        raise KubeError("lost")

    def _cloud(self, name: str, do: Callable[[], Any]) -> Any:
        way = self._way(name)
        if way == "killed":
            raise Killed
        if way == "frozen before":
            return self._freeze(do)
        if way:
            self.world.sim.faults.add(replace(SPOILT[way], operation=name))
        return do()

    def _freeze(self, do: Callable[[], Any]) -> Any:
        self.disarm()
        self.frozen = self.world.engine
        another(self.world)
        return do()

    def _way(self, name: str) -> str:
        self.names.append(name)
        if not self.faults or len(self.names) - 1 != self.faults[0][0]:
            return ""
        way, self.faults = self.faults[0][1], self.faults[1:]
        self.names.clear()
        return way


def ways(operation: str) -> tuple[str, ...]:
    """How an operation can go wrong. To be killed after one is to be killed before the next."""
    if operation in WRITES:
        return "killed", "frozen before", "frozen after", "lost request", "lost reply", "conflict"
    if operation in CHANGES:
        return "killed", "frozen before", *SPOILT
    return "killed", "lost reply"


@dataclass(frozen=True)
class Story:
    """What the user does, and what must be so at the end."""

    act: Callable[[World], object]
    over: Callable[[World], bool]
    before: Callable[[World], None] = lambda world: None


def ready(*keys: Key) -> Callable[[World], bool]:
    return lambda world: all(world.is_so(key) for key in keys)


def gone(*keys: Key) -> Callable[[World], bool]:
    return lambda world: not any(world.there(key) for key in keys)


def create_chain(world: World) -> None:
    for manifest in (job(), model(), service()):
        world.kube.apply(manifest)


def slow(world: World) -> None:
    """Let runs last so long that one which nobody stops still works at the end."""
    world.sim.configure(training=AfterSeconds(3 * DAY))


def train(world: World) -> None:
    world.kube.apply(job())
    world.until(JOB, "Training")


def train_slowly(world: World) -> None:
    slow(world)
    train(world)


def train_for_minutes(world: World) -> None:
    """Let a run last longer than it takes a new process to look at it for the first time."""
    world.sim.configure(training=AfterSeconds(600))
    train(world)


def chain(world: World) -> None:
    create_chain(world)
    world.run(lambda: ready(SERVICE)(world))


def delete_chain(world: World) -> None:
    world.kube.patch_spec(MODEL, deletionPolicy="Delete")
    for key in (SERVICE, MODEL, JOB):
        world.kube.delete(key)


def next_attempt(world: World) -> None:
    world.kube.patch_spec(JOB, attempt=2, concurrencyPolicy="Replace")


def publish_by_hand(world: World, name: str) -> dict[str, Any]:
    """Publish the witness's run as a model of its own; return the source of a service."""
    run = world.status(Key("qianfanjobs", "default", "witness"))
    meta = {"taskId": run["taskId"], "iterationId": run["jobId"]}
    made = world.client().prepare_publish({"isNewModel": True, "modelName": name, "versionMeta": meta}).send()
    return {"modelVersion": {"modelId": made.model_id, "modelVersionId": made.version_id}}


def serve_first(world: World) -> None:
    first, _ = (publish_by_hand(world, name) for name in ("first", "second"))
    world.rest(10)
    world.kube.apply(service(source=first))
    world.until(SERVICE, "Available")


def switch_to_second(world: World) -> None:
    second = next(one for one in world.sim.account().models if one.name == "second")
    ids = {"modelId": second.id, "modelVersionId": second.versions[0].id}
    world.kube.patch_spec(SERVICE, source={"modelVersion": ids})


def serves_second(world: World) -> bool:
    (one,) = world.sim.account().services
    return world.is_so(SERVICE) and one.version.model.name == "second"


def publish_first(world: World) -> None:
    train(world)
    world.until(JOB, "Succeeded")
    world.kube.apply(model(source={"jobRef": {"name": "witness"}}))
    world.until(MODEL, "Available")


def publish_next(world: World) -> None:
    world.kube.patch_spec(MODEL, source={"jobRef": {"name": "train"}})


def train_again(world: World) -> None:
    world.kube.patch_spec(JOB, attempt=2)


def trained(world: World) -> None:
    world.until(world.kube.apply(job()), "Succeeded")


def apply_again(world: World) -> None:
    if world.there(JOB):
        world.kube.delete(JOB)
    world.until_gone(JOB)
    world.kube.apply(job())


def left_behind(world: World) -> None:
    """Have a run that no object holds any more."""
    trained(world)
    world.kube.patch_spec(JOB, deletionPolicy="Orphan")
    world.kube.delete(JOB)
    world.until_gone(JOB)


def adopt(world: World) -> None:
    run = next(reversed(world.sim.account().runs))
    world.kube.apply(job(adopt={"taskId": run.task.id, "jobId": run.id}))


def surveyed(world: World) -> bool:
    return world.reason(JOB) == "Training" and "attempt" in world.status(JOB)


STORIES = {
    "train again": Story(train_again, ready(JOB), trained),
    "apply again": Story(apply_again, ready(JOB), train),
    "adopt a run": Story(adopt, ready(JOB), left_behind),
    "wipe the status": Story(lambda world: world.kube.wipe_status(JOB), surveyed, train_slowly),
    "create a job": Story(lambda world: world.kube.apply(job()), ready(JOB)),
    "create the chain": Story(create_chain, ready(JOB, MODEL, SERVICE)),
    "replace a run": Story(next_attempt, lambda world: world.is_so(JOB), train_for_minutes),
    "publish the next version": Story(publish_next, ready(MODEL), publish_first),
    "switch a service": Story(switch_to_second, serves_second, serve_first),
    "stop a run": Story(lambda world: world.kube.patch_spec(JOB, desiredState="Stopped"), ready(JOB), train_slowly),
    "delete a job": Story(lambda world: world.kube.delete(JOB), gone(JOB), train_slowly),
    "delete the chain": Story(delete_chain, gone(JOB, MODEL, SERVICE), chain),
    "delete while creating": Story(
        lambda world: (world.kube.apply(job()), world.rest(0), world.kube.delete(JOB)), gone(JOB), slow
    ),
}


TWICE_SPOILT = ("create a job", "delete while creating", "wipe the status", "stop a run", "delete a job")


def go_on(world: World, story: Story) -> None:
    """Go on to the end; a create that came to nothing twice is asked for again, as its message says."""
    world.run(lambda: story.over(world) or world.reason(JOB) == "Refused")
    if world.reason(JOB) == "Refused":
        world.ask(JOB)
        world.run(lambda: story.over(world))


def tell(world: World, story: Story, point: Point) -> None:
    """Prepare, act, and go on to the end, in a new process wherever the point ends one."""
    list_probe = world.kube.apply(job("witness"))
    world.until(list_probe, "Succeeded")
    story.before(world)
    acted = False
    point.arm()
    while True:
        try:
            if not acted:
                story.act(world)
            acted = True
            go_on(world, story)
            break
        except Killed:
            world.restart()
    point.disarm()
    if point.frozen:  # it is awake again, and writes what only it knows
        point.frozen.flush()
        go_on(world, story)


def end(world: World) -> dict[str, Any]:
    """Return what there is at the end, without ids and times: what the user sees, and what the account holds.

    Of a run that was never wanted to the end it does not matter whether it was begun, only that it does not go on.
    """
    account = world.sim.account()
    objects = {
        str(key): (world.reason(key), raw["status"].get("attempt"), len(raw["status"].get("runs", [])))
        for key, raw in world.kube.objects.items()
    }
    return {
        "objects": objects,
        "runs": sorted(run.life.state for run in account.runs if run.life.state != "STOP"),
        "versions": sorted(version.life.state for version in account.versions if version.run),
        "services": sorted(one.life.state for one in account.services),
    }


def paid_once(world: World) -> list[Run]:
    """Return the runs of all accounts: one at most for each object, attempt and inputs, whatever became of it.

    The services, too, are one at most for each object and version.
    """
    accounts = [world.sim.account(key) for key in (FIRST, OTHER)]
    runs = [run for account in accounts for run in account.runs]
    marked = (*(run.task for run in runs), *(service for account in accounts for service in account.services))
    assert max(Counter(Mark.read(thing.description) for thing in marked).values(), default=0) <= 1
    return runs


def check_money(world: World) -> None:
    """At most one run per attempt, one version per run and model, one service; all is recorded."""
    paid_once(world)
    account = world.sim.account()
    published = Counter((version.run.id, version.model.id) for version in account.versions if version.run)
    assert max(published.values(), default=0) <= 1
    assert len(account.services) <= 1
    assert world.protocol.unwritten() == ()


def spoilt(worlds: Callable[..., World], story: Story, wanted: object, *faults: tuple[int, str]) -> Point:
    """Tell a story with faults; raises AssertionError if its end is another one."""
    world = worlds(FAST)
    point = Point(world, faults)
    try:
        tell(world, story, point)
        check_money(world)
        assert end(world) == wanted
    except AssertionError as error:
        raise AssertionError(f"{faults}: {error}") from None
    finally:
        world.close()
    return point


def unspoilt(worlds: Callable[..., World], story: Story) -> tuple[dict[str, Any], list[str]]:
    """Tell a story as it should be; return its end and its operations."""
    world = worlds(FAST)
    point = Point(world)
    tell(world, story, point)
    check_money(world)
    return end(world), point.names


@pytest.mark.parametrize("name", STORIES)
def test_every_point_of(name: str, worlds: Callable[..., World], figures: Figures) -> None:
    """Whatever goes wrong at whatever operation, the end is the one that would have been without it."""
    wanted, names = unspoilt(worlds, story := STORIES[name])
    failures = []
    for n, operation in enumerate(names):
        for way in ways(operation):
            try:
                spoilt(worlds, story, wanted, (n, way))
            except AssertionError as error:
                failures.append(f"{operation}: {error}")
    figures(f"faults at every point: {name}", sum(len(ways(operation)) for operation in names))
    assert failures == [], f"expected {wanted}"


def first(operation: str) -> tuple[str, ...]:
    """How an operation goes wrong first, of two: whatever changes something, in each way but that it freezes.

    While a process is frozen another one goes on to the end, so that nothing would be left for the second fault.
    """
    return tuple(way for way in ways(operation) if not way.startswith("frozen")) if operation in LASTING else ()


def second(operation: str) -> tuple[str, ...]:
    """How an operation goes wrong second: whatever changes something in each way, and each read by a lost reply.

    A read leaves nothing behind: to be killed before one is to be killed before the next change.
    """
    if operation in LASTING:
        return ways(operation)
    return () if operation == "post_event" else ("lost reply",)


@pytest.mark.proof
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TWICE_SPOILT)
def test_every_two_points_of(name: str, worlds: Callable[..., World], figures: Figures) -> None:
    """What goes wrong while something that went wrong is being mended leads to the same end, too."""
    wanted, names = unspoilt(worlds, story := STORIES[name])
    failures, pairs = [], 0
    for n, operation in enumerate(names):
        for way in first(operation):
            for m, later in enumerate(spoilt(worlds, story, wanted, (n, way)).names):
                for again in second(later):
                    pairs += 1
                    try:
                        spoilt(worlds, story, wanted, (n, way), (m, again))
                    except AssertionError as error:
                        failures.append(f"{operation}, {later}: {error}")
    figures(f"pairs of faults: {name}", pairs)
    assert failures == [], f"expected {wanted}"
