"""The model and the engine are one protocol: whatever the engine does, step by step, is a path of the model.

What the engine does in a story is recorded: its writes, as far as they change what the model knows, its calls, its
signatures and its looks at leadership. The model is followed along as an automaton, in which all that happens around
the processes is silent; it must have a way to every next step, and may be at rest at the end.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model.around import moves
from model.check import at_rest
from model.state import Budget, Rules, State, start
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.transport import Transport
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job
from reconcile.test_crash import FAST, JOB, Killed, Point, slow
from reconcile.world import World

STEPS = {"patch_finalizers", "patch_status", "createTask", "createTask: exists", "prepare", "leading", "createJob",
         "look", "stopJob"}  # fmt: skip
NAMES = {"StopFineTuningTask": "stopJob", "DescribeFineTuningJobs": "look", "DescribeFineTuningTasks": "look"}


class Told(World):
    """A world in which every step of the engine is written down."""

    told: list[str]

    @property
    def leading(self) -> bool:
        """Whether the process leads; that it asked is a step."""
        self.tell("leading")
        return True

    @leading.setter
    def leading(self, value: bool) -> None:
        self.told = []

    def leads(self) -> bool:
        """Whether the process may change something: the model asks it only between the intent and the sending."""
        return True

    def tell(self, name: str) -> None:
        """Write a step down; looks that follow each other are one."""
        if name in STEPS and not (name == "look" and self.told[-1:] == ["look"]):
            self.told.append(name)

    def record(self, name: str, do: Callable[[], Any], pass_on: Callable[[str, Any], Any]) -> Any:
        """Write an operation down when it is done, unless it changes nothing that the model knows."""
        before = self.known()
        try:
            result = pass_on(name, do)
        except CloudError as error:
            self.tell(f"{name}: exists" if error.exists else NAMES.get(name, name))
            raise
        if name != "patch_status" or self.known() != before:
            self.tell(NAMES.get(name, name))
        return result

    def known(self) -> object:
        """What the model knows of the status."""
        status = self.status(JOB) if self.there(JOB) else {}
        ids = {one.get("jobId") or one.get("jobUuid") for one in (status, *status.get("runs", ()))} - {None}
        pending = status.get("pending") or {}
        intent = *map(pending.get, ("nonce", "attempt", "account")), pending.get("inputs", {}).get("taskId")
        return status.get("highestAttempt"), ids, intent

    def listen(self, point: Point) -> None:
        """Begin to write down; the point's faults happen on the way."""
        point.arm()
        kube, cloud = self.kube.around, self.around_cloud
        self.kube.around = lambda name, do: self.record(name, do, kube)
        self.around_cloud = lambda name, do: self.record(name, do, cloud)
        self.told.clear()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Told]]:
    """Make worlds that are written down; `list_probe` says whether their lists are known to show runs."""
    made: list[Told] = []
    prepare = Transport.prepare

    def signed(*args: Any) -> Any:
        made[-1].tell("prepare")
        return prepare(*args)

    monkeypatch.setattr(Transport, "prepare", signed)

    def make(*, list_probe: bool = True) -> Told:
        made.append(Told(FAST))
        if list_probe:
            made[-1].until(made[-1].kube.apply(job("witness")), "Succeeded")
        return made[-1]

    yield make
    for world in made:
        world.close()


def follow(rules: Rules, left: Budget, steps: list[str]) -> set[State]:
    """Follow the model along the engine's steps; return where it may be, and fail where it has no way on."""
    now = silently(rules, {start(left)})
    for number, step in enumerate(steps):
        after = {then for state in now for _, name, then, _ in moves(rules, state) if visible(name) == step}
        assert after, f"the model has no {step} after {steps[:number]}"
        now = silently(rules, after)
    return now


def visible(name: str) -> str:
    """Return the step that a move of the model shows, "" if none."""
    name = name if name == "createTask: exists" else name.partition(":")[0]
    return name if name in STEPS else ""


def silently(rules: Rules, states: set[State]) -> set[State]:
    """Add all states that are reached without a step."""
    todo = list(states)
    while todo:
        for _, name, then, _ in moves(rules, todo.pop()):
            if not visible(name) and then not in states:
                states.add(then)
                todo.append(then)
    return states


def create(world: Told) -> None:
    world.kube.apply(job())
    world.until(JOB, "Succeeded")


def lose(effect: Effect) -> Callable[[Told], None]:
    def act(world: Told) -> None:
        world.sim.faults.add(Fault(effect, "createJob"))
        create(world)

    return act


def train_twice(world: Told) -> None:
    create(world)
    world.kube.patch_spec(JOB, attempt=2)
    world.until(JOB, "Succeeded")


def wipe(world: Told) -> None:
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    world.kube.wipe_status(JOB)
    world.run(lambda: "attempt" in world.status(JOB))


def delete(world: Told) -> None:
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    world.kube.delete(JOB)
    world.until_gone(JOB)


def apply_again(world: Told) -> None:
    delete(world)
    world.kube.apply(job())
    world.until(JOB, "Training")


def restore(world: Told) -> None:
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    status = dict(world.status(JOB))
    world.kube.lose(JOB)
    world.kube.apply(job())
    world.kube.write_status(JOB, status)
    world.run(lambda: world.status(JOB)["objectUid"] != status["objectUid"] and world.reason(JOB) == "Training")


def put_back(world: Told) -> None:
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    gone = {"jobId", "jobUuid", "trainStatus", "startTime"}
    world.kube.write_status(JOB, {name: value for name, value in world.status(JOB).items() if name not in gone})
    world.run(lambda: "jobUuid" in world.status(JOB))


STORIES = {
    "create": (create, Budget(ends=1)),
    "lose the reply": (lose(Effect.LOSE_REPLY), Budget(losses=1, ends=1)),
    "lose the request": (lose(Effect.LOSE_REQUEST), Budget(losses=1, ends=1)),
    "train twice": (train_twice, Budget(edits=1, ends=2)),
    "wipe the status": (wipe, Budget(edits=1)),
    "delete": (delete, Budget(edits=1)),
    "apply again": (apply_again, Budget(edits=2)),
    "restore": (restore, Budget(edits=2)),
    "put back": (put_back, Budget(edits=1)),
}
RULES = {name: Rules(edits=frozenset({edit})) for name, edit in {"restore": "restore", "put back": "rewind"}.items()}


@pytest.mark.parametrize("name", STORIES)
def test_the_engine_goes_a_way_of_the_model(name: str, told: Callable[..., Told]) -> None:
    """Each step of the engine is one that the model has there, and where the engine rests, it may rest, too."""
    act, left = STORIES[name]
    world = told()
    world.listen(Point(world))
    act(world)
    rules = RULES.get(name, Rules())
    assert any(at_rest(rules, state) for state in follow(rules, left, world.told))


def test_with_unproven_lists_the_mark_comes_first(told: Callable[..., Told]) -> None:
    """As long as no run was seen in a list, highestAttempt is written before the finalizer, as the model has it."""
    world = told(list_probe=False)
    world.listen(Point(world))
    create(world)
    assert world.told == ["patch_status", "patch_finalizers", "createTask", "prepare", "patch_status", "leading",
                          "createJob", "patch_status"]  # fmt: skip
    follow(Rules(proven=False), Budget(ends=1), world.told)


@pytest.mark.parametrize(
    "other", [Rules(sign_first=False), Rules(intent=False), Rules(proven=False)], ids=["sign", "intent", "mark"]
)
def test_the_engine_goes_no_way_of_another_protocol(other: Rules, told: Callable[..., Told]) -> None:
    """The comparison tells: a model with another order of steps has no such way."""
    world = told()
    world.listen(Point(world))
    create(world)
    with pytest.raises(AssertionError, match="the model has no"):
        follow(other, Budget(ends=1), world.told)


def test_the_stories_show_every_step(told: Callable[..., Told]) -> None:
    """No step of the model is without a story of the engine."""
    shown: set[str] = set()
    for act, _ in STORIES.values():
        world = told()
        world.listen(Point(world))
        act(world)
        shown |= set(world.told)
    assert shown == STEPS


def test_killed_anywhere_the_engine_goes_a_way_of_the_model(told: Callable[..., Told]) -> None:
    """Wherever the process is killed in a create, what it did and what the next one does is a path with one crash."""
    at, count = 0, 1
    while at < count:
        world = told()
        point = Point(world, ((at, "killed"),))
        world.listen(point)
        try:
            create(world)
        except Killed:
            world.restart()
            if not world.there(JOB):
                world.kube.apply(job())
            world.until(JOB, "Succeeded")
        else:
            break
        follow(Rules(), Budget(crashes=1, ends=1), world.told)
        at, count = at + 1, at + 2
    assert at > 6
