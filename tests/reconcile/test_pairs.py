"""Two things at once: a reply that is lost, or comes late, and something else that happens before it is found.

Whatever the pair, one run is paid for each attempt, one version for each run, and nothing is forgotten.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Conflict, KubeError
from qianfan_simulator import Effect, Fault
from qianfan_simulator.things import Run
from reconcile.manifests import job, model, service
from reconcile.test_crash import FAST, JOB, MODEL, SERVICE, Killed, another, paid_once, publish_by_hand, slow
from reconcile.world import DAY, FIRST, GRACE, OTHER, SECOND, World

LOST = Fault(Effect.LOSE_REPLY, "createJob")
LATE = Fault(Effect.DELIVER_LATE, "createJob", seconds=40, hang_up=True)


@dataclass(frozen=True)
class Pair:
    """What happens to createJob, what happens then, and what comes of it."""

    first: Fault
    then: Callable[[World], object]
    end: str
    attempts: tuple[int, ...] = (1,)
    """Of the runs that were paid to their end, as the status records them."""
    applied: int = 1
    """The attempt that was asked for first."""
    lag: float = 0.0


def raised(world: World) -> None:
    world.kube.patch_spec(JOB, attempt=2)


def reverted(world: World) -> None:
    raised(world)
    world.rest(5)
    world.kube.patch_spec(JOB, attempt=1)


PAIRS = {
    "lost, a list that lags, and a restart": Pair(LOST, World.restart, "Succeeded", lag=60.0),
    "lost, and the attempt raised": Pair(LOST, raised, "Succeeded", (2, 1)),
    "lost, and the attempt raised and reverted": Pair(LOST, reverted, "Succeeded"),
    "lost, and the attempt lowered": Pair(
        LOST, lambda world: world.kube.patch_spec(JOB, attempt=1), "AttemptMismatch", (2,), applied=2
    ),
    "lost, and the status wiped": Pair(LOST, lambda world: world.kube.wipe_status(JOB), "Succeeded"),
    "lost, and the object deleted": Pair(LOST, lambda world: world.kube.delete(JOB), "", ()),
    "lost, and another account's keys": Pair(LOST, lambda world: world.set_secret(OTHER), "AccountChanged"),
    "late to the living": Pair(LATE, lambda world: None, "Succeeded"),
    "late to the dead": Pair(LATE, World.restart, "Succeeded"),
    "late, and the attempt raised": Pair(LATE, raised, "Succeeded", (2,)),
    "late, and the object deleted": Pair(LATE, lambda world: world.kube.delete(JOB), "", ()),
}


def begin(worlds: Callable[..., World], lag: float = 0.0) -> World:
    """Return a world in which the lists are known to show runs."""
    world = worlds(replace(FAST, list_lag=lag))
    world.until(world.kube.apply(job("witness")), "Succeeded")
    return world


def paid(world: World) -> list[Run]:
    """The runs of the job, in whatever account, that were not stopped; of those that were there are no doubles."""
    return [run for run in paid_once(world) if run.life.state != "STOP" and not run.task.name.startswith("witness")]


def recorded(world: World) -> tuple[int, ...]:
    """The attempts that the status says have a run."""
    status = world.status(JOB) if world.there(JOB) else {}
    return tuple(
        one["attempt"]
        for one in (status, *status.get("runs", ()))
        if {"jobId", "jobUuid"} & set(one) and "attempt" in one
    )


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name: str, worlds: Callable[..., World]) -> None:
    """A createJob whose reply does not come, and then something else: each attempt has one run, which is recorded."""
    pair = PAIRS[name]
    world = begin(worlds, pair.lag)
    if not pair.end:
        slow(world)
    world.sim.faults.add(pair.first)
    world.kube.apply(job(attempt=pair.applied))
    world.until(JOB, "Confirming")
    if pair.applied > 1:  # the survey was that
        world.run(lambda: "pending" in world.status(JOB))
    pair.then(world)
    if not pair.end:
        world.until_gone(JOB)
    else:
        world.until(JOB, pair.end)
    world.rest(DAY)
    if pair.end == "AccountChanged":
        world.set_secret(FIRST)
        world.until(JOB, "Succeeded")
    assert recorded(world) == pair.attempts
    assert len(paid(world)) == len(pair.attempts)


def test_rotated_keys_find_what_a_lost_reply_made(worlds: Callable[..., World]) -> None:
    """The second key of the account is believed as soon as it shows something recorded, and finds the run."""
    world = begin(worlds)
    world.sim.faults.add(LOST)
    world.kube.apply(job())
    world.until(JOB, "Confirming")
    world.until(other := world.kube.apply(job("other")), "Training")
    world.set_secret(SECOND)
    world.until(JOB, "Succeeded", within=10 * GRACE)
    world.until(other, "Succeeded")
    assert len(paid(world)) == 2


def test_a_request_that_is_late_to_a_frozen_leader_is_refused(worlds: Callable[..., World]) -> None:
    """The leader freezes with its request on the way, another repeats it; the late copy is refused by its expiry."""
    world = begin(worlds)
    world.sim.faults.add(LATE)
    frozen = []

    def freeze(name: str, do: Callable[[], Any]) -> Any:
        if name != "createJob" or frozen:
            return do()
        frozen.append(world.engine)
        try:
            return do()
        finally:
            another(world)

    world.around_cloud = freeze
    world.kube.apply(job())
    world.until(JOB, "Succeeded")
    frozen[0].flush()
    world.rest(DAY)
    assert len(paid(world)) == 1


def test_lost_while_another_publishes_into_the_model(worlds: Callable[..., World]) -> None:
    """The version whose reply was lost is told from the one that another object publishes into the model meanwhile."""
    world = begin(worlds)
    for name in ("train", "other"):
        world.until(world.kube.apply(job(name)), "Succeeded")
    home = world.kube.apply(model("home", source={"jobRef": {"name": "witness"}}))
    world.until(home, "Available")
    target = {"modelRef": {"name": "home"}}
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "publishTrainModel"))
    mine = world.kube.apply(model("mine", target=target))
    world.until(mine, "Confirming")
    others = world.kube.apply(model("others", source={"jobRef": {"name": "other"}}, target=target))
    world.until(others, "Available")
    world.until(mine, "Available")
    world.rest(DAY)
    versions = {version.id: version.run.task.name for version in world.sim.account().versions if version.run}
    assert len(versions) == 3
    assert versions[world.status(mine)["modelVersionId"]].startswith("train")
    assert versions[world.status(others)["modelVersionId"]].startswith("other")


def test_lost_and_the_source_deleted(worlds: Callable[..., World]) -> None:
    """What was published is found by its run, whether or not the job that made it is still there."""
    world = begin(worlds)
    world.until(world.kube.apply(job()), "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "publishTrainModel"))
    key = world.kube.apply(model())
    world.until(key, "Confirming")
    world.kube.delete(JOB)
    world.until_gone(JOB)
    world.until(key, "Available")
    assert len([version for version in world.sim.account().versions if version.run]) == 1


def test_a_conflict_on_the_intent_sends_nothing(worlds: Callable[..., World]) -> None:
    """Whose intent meets a conflict begins anew; the task that it had claimed stays empty."""
    world, conflicts = begin(worlds), []

    def interfere(name: str, do: Callable[[], Any]) -> Any:
        if name == "patch_status" and world.calls("createTask")[1:] and not conflicts:
            conflicts.append(len(world.calls("createJob")))
            raise Conflict("somebody else was faster")
        return do()

    world.kube.around = interfere
    world.kube.apply(job())
    world.until(JOB, "Training")
    assert conflicts == [1]
    assert len(paid(world)) == 1


@pytest.mark.parametrize("v2", ["on", "denied", "missing"])
def test_a_task_is_remembered_until_something_is_sent_to_it(v2: str, worlds: Callable[..., World]) -> None:
    """Somebody writes the object between createTask and the intent: its task is used at once, with or without V2."""
    world, seen = begin(worlds), []
    world.sim.configure(v2=v2)

    def interfere(name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if name == "createTask" and not seen:
            seen.append(result)
            world.kube.annotate(JOB, note="somebody was here")
        return result

    world.around_cloud = interfere
    world.kube.apply(job())
    world.until(JOB, "Training", within=GRACE - 1)
    assert [task.id for task in world.sim.account().tasks][1:] == [seen[0].id]
    assert len(paid(world)) == 1


@pytest.mark.parametrize("v2", ["on", "denied", "missing"])
def test_an_intent_whose_write_was_not_answered_was_not_sent(v2: str, worlds: Callable[..., World]) -> None:
    """The process that wrote it knows that nothing followed: it begins anew at once and asks nobody."""
    world, lost = begin(worlds), []
    world.sim.configure(v2=v2)

    def lose(name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if name == "patch_status" and "pending" in world.status(JOB) and not lost:
            lost.append(result)
            raise KubeError("the reply was lost")
        return result

    world.kube.around = lose
    world.kube.apply(job())
    world.until(JOB, "Training", within=GRACE - 1)
    assert lost
    assert len(world.sim.account().tasks) == 2
    assert len(paid(world)) == 1


@pytest.mark.parametrize("restarts", [True, False], ids=["the spec", "an annotation"])
def test_a_grace_begins_again_when_somebody_writes_the_object(worlds: Callable[..., World], restarts: bool) -> None:
    """An empty task of an earlier life is believed a whole grace after others changed more than annotations."""
    world = begin(worlds)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createTask"))
    world.kube.apply(job())
    world.run(lambda: len(world.calls("createTask")) == 2)
    world.kube.delete(JOB)
    world.until_gone(JOB)
    world.kube.apply(job())
    world.until(JOB, "Confirming")
    world.rest(GRACE / 2)
    if restarts:
        world.kube.patch_spec(JOB, description="somebody was here")
    else:
        world.kube.annotate(JOB, note="somebody was here")
    since = world.clock.boot
    world.until(JOB, "Training")
    assert (world.clock.boot - since >= GRACE) == restarts
    assert len(paid(world)) == 1


def test_what_a_search_at_delete_finds_is_recorded_before_it_is_stopped(worlds: Callable[..., World]) -> None:
    """A process that was frozen stops no run of a successor: its write of what it found would have failed first."""
    world, known = begin(worlds), []
    slow(world)
    world.kube.apply(job())
    world.until(JOB, "Training")
    world.kube.wipe_status(JOB)
    world.kube.delete(JOB)

    def note(name: str, do: Callable[[], Any]) -> Any:
        if name == "StopFineTuningTask":
            known.append([run["jobUuid"] for run in world.status(JOB)["runs"]])
        return do()

    world.around_cloud = note
    world.until_gone(JOB)
    asked = [next(reversed(world.sim.account().runs)).uid]
    assert known in ([asked], [asked, asked])  # once for each state: while it waits in the queue, and at work
    assert paid(world) == []


@dataclass(frozen=True)
class Made:
    """Something that is paid for: its object, and how the cloud and a status name it."""

    key: Key
    manifest: Callable[[World], dict[str, Any]]
    end: str
    in_cloud: Callable[[World], list[object]]
    in_status: str

    def is_one(self, world: World) -> bool:
        """Say whether one is there that was not ended, and is what the object has recorded."""
        paid_once(world)
        status = world.status(self.key)
        known = [one[self.in_status] for one in (status, *status.get("runs", ())) if self.in_status in one]
        return len(known) == 1 and self.in_cloud(world) == known


def versions(world: World) -> list[object]:
    return [one.id for key in (FIRST, OTHER) for one in world.sim.account(key).versions if one.run]


def services(world: World) -> list[object]:
    everywhere = [one for key in (FIRST, OTHER) for one in world.sim.account(key).services]
    return [one.id for one in everywhere if one.life.state != "Stopped"]


def of_a_version(world: World) -> dict[str, Any]:
    source = publish_by_hand(world, "made")
    world.rest(10)
    return service(source=source)


MADE = {
    "createJob": Made(JOB, lambda _: job(), "Succeeded", lambda world: [run.uid for run in paid(world)], "jobUuid"),
    "publishTrainModel": Made(
        MODEL, lambda _: model(source={"jobRef": {"name": "witness"}}), "Available", versions, "modelVersionId"
    ),
    "apply": Made(SERVICE, of_a_version, "Available", services, "serviceId"),
}


@pytest.mark.parametrize("meanwhile", ["alive", "killed"])
@pytest.mark.parametrize("operation", MADE)
def test_no_api_server_right_after_the_create(operation: str, meanwhile: str, worlds: Callable[..., World]) -> None:
    """For a minute nothing can be written: the living keeps the ids, those of the dead are found again."""
    world, made, since = begin(worlds), MADE[operation], list[float]()
    manifest, before = made.manifest(world), len(world.calls(operation))

    def unreachable(name: str, do: Callable[[], Any]) -> Any:
        if len(world.calls(operation)) > before and not since:
            since.append(world.clock.boot)
            if meanwhile == "killed":
                raise Killed
        if since and world.clock.boot < since[0] + 60 and name != "post_event":
            raise KubeError("connection refused")
        return do()

    world.kube.around = unreachable
    world.kube.apply(manifest)
    try:
        world.until(made.key, made.end, within=GRACE - 1)
    except Killed:
        world.restart()
        world.until(made.key, "Confirming")
        world.until(made.key, made.end)
    assert since
    assert made.is_one(world)
    assert len(world.calls(operation)) == before + 1


def wiped(world: World, key: Key) -> None:
    if world.there(key):
        world.kube.wipe_status(key)


def applied_again(world: World, key: Key) -> None:
    if world.there(key):
        world.kube.delete(key)


def switched(world: World, key: Key) -> None:
    world.set_secret(OTHER)


@pytest.mark.parametrize("lost", [False, True], ids=["", "and a lost reply"])
@pytest.mark.parametrize("edit", [wiped, applied_again, switched])
@pytest.mark.parametrize("operation", MADE)
def test_at_every_stage(
    operation: str, edit: Callable[[World, Key], None], lost: bool, worlds: Callable[..., World]
) -> None:
    """Before whichever operation the user interferes: one thing is paid for, and it is recorded."""
    made, stage, count = MADE[operation], 0, 1
    while stage < count:
        world = begin(worlds)
        manifest = made.manifest(world)
        if lost:
            world.sim.faults.add(Fault(Effect.LOSE_REPLY, operation))
        count = max(count, made_with(world, made, manifest, edit, stage))
        assert made.is_one(world), f"stage {stage}"
        stage += 1
        world.close()


def made_with(
    world: World, made: Made, manifest: dict[str, Any], edit: Callable[[World, Key], None], stage: int
) -> int:
    """Go on to the end, with an edit before the operation of that number; return how many operations there were."""
    seen, key = 0, made.key

    def interfere(name: str, do: Callable[[], Any]) -> Any:
        nonlocal seen
        seen += 1
        if seen == stage + 1:
            edit(world, key)
        return do()

    world.kube.around = world.around_cloud = interfere
    world.kube.apply(manifest)
    world.run(lambda: world.reason(key) in {made.end, "AccountChanged"} or not world.there(key))
    world.kube.around = world.around_cloud = lambda _, do: do()
    if edit is applied_again:
        world.until_gone(key)
        world.kube.apply(manifest)
    if world.reason(key) == "AccountChanged":
        world.rest(3 * GRACE)
        world.set_secret(FIRST)
    world.until(key, made.end)
    return seen
