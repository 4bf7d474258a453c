"""Very many references, to one object and in a row: what a change of one costs. Counts only; no time is measured."""

from collections import Counter
from collections.abc import Callable

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.budget import Limits
from qianfan_operator.reconcile.reconciler import Result
from qianfan_simulator import AfterSeconds, Options
from reconcile.manifests import job, model, service
from reconcile.stories import PUBLISH, published
from reconcile.world import Idle, World

TRAIN = Key("qianfanjobs", "default", "train")
INCREMENTAL = {"baseTrainType": None, "trainType": None, "peftType": None}
SLOW = Options(training=AfterSeconds(1e6))
LONGEST = 100
"""Objects that may wait for each other in a row, as docs/job.md says."""


class Meter:
    """Counts the reconciles and the live reads of a world from now on."""

    def __init__(self, world: World) -> None:
        self.reconciles, self.reads = Counter[Key](), 0
        inner, around = world.engine.reconcile, world.kube.around

        def reconcile(key: Key) -> Result:
            self.reconciles[key] += 1
            return inner(key)

        def count(operation: str, do: Callable[[], object]) -> object:
            self.reads += operation == "get"
            return around(operation, do)

        world.engine.reconcile = reconcile  # type: ignore[method-assign]
        world.kube.around = count


def settle(world: World, seconds: float = 30.0) -> None:
    """Make all reconciles that are due within so many seconds, however many they are."""
    end = world.clock.boot + seconds
    while True:
        world.deliver()
        try:
            world.step(end)
        except Idle:
            world.clock.advance(max(0.0, end - world.clock.boot))
            return


def next_job(name: str, base: str) -> dict:
    return job(name, **INCREMENTAL, incrementalFrom={"jobRef": {"name": base}})


def referrers(world: World, count: int = 60) -> list[Key]:
    return [
        world.kube.apply(model(f"publish-{number:03}", target={"modelName": f"m{number}"})) for number in range(count)
    ]


@pytest.fixture
def crowded(worlds: Callable[..., World]) -> World:
    """A job that trains, and sixty models that wait for it."""
    world = worlds(SLOW)
    world.kube.apply(job())
    referrers(world)
    world.until(TRAIN, "Training")
    settle(world)
    return world


def test_a_patch_that_changes_nothing_for_others_wakes_nobody(crowded: World) -> None:
    """A spec that says the same to those who refer to it is reconciled, and they are not: once 121 reconciles."""
    meter = Meter(crowded)
    crowded.kube.patch_spec(TRAIN, activeDeadlineSeconds=80000)
    settle(crowded, 5.0)
    assert meter.reconciles[TRAIN] >= 1
    assert sum(meter.reconciles.values()) - meter.reconciles[TRAIN] == 0


def test_a_change_wakes_each_referrer_once(crowded: World) -> None:
    """The failure of a job is heard of once by each who refers to it, and so is its next attempt.

    A deletion is two changes: the job is being deleted, and later it does not exist.
    """
    run = next(iter(crowded.sim.account().runs))
    changes: list[tuple[Callable[[], object], int]] = [
        (lambda: crowded.sim.fail(run.id), 1),
        (lambda: crowded.kube.patch_spec(TRAIN, attempt=2), 1),
        (lambda: crowded.kube.delete(TRAIN), 2),
    ]
    for change, times in changes:
        meter = Meter(crowded)
        change()
        settle(crowded, 100.0)
        assert meter.reconciles.pop(TRAIN)
        assert Counter(meter.reconciles.values()) == {times: 60}


def test_a_new_object_wakes_each_referrer_once(worlds: Callable[..., World]) -> None:
    """Who waits for what does not exist yet hears of it when there is something to hear."""
    world = worlds(SLOW)
    users = referrers(world)
    settle(world)
    meter = Meter(world)
    world.kube.apply(job())
    settle(world, 5.0)
    assert [meter.reconciles[user] for user in users] == [1] * 60
    assert {world.reason(user) for user in users} == {"DependencyNotReady"}
    assert "not ready yet" in world.condition(users[0])["message"]


def test_a_reference_that_flaps_wakes_nobody_more_often_than_it_changes(crowded: World) -> None:
    """A thousand patches of one object, ten between any two reconciles: its referrers hear of none of them."""
    meter = Meter(crowded)
    for number in range(100):
        for step in range(10):
            crowded.kube.patch_spec(TRAIN, activeDeadlineSeconds=70000 + 10 * number + step)
            crowded.deliver()
        settle(crowded, 0.0)
    assert meter.reconciles.pop(TRAIN) <= 101
    assert sum(meter.reconciles.values()) == 0


def test_a_wake_up_makes_no_ripple(worlds: Callable[..., World]) -> None:
    """Who is woken, and says what it said before, wakes nobody: only the first of a chain hears of its base."""
    world = worlds(SLOW)
    world.kube.apply(job(peftType="ALL"))
    chain = [
        world.kube.apply(next_job(f"next-{number:02}", f"next-{number - 1:02}" if number else "train"))
        for number in range(20)
    ]
    world.until(TRAIN, "Training")
    settle(world)
    meter = Meter(world)
    world.kube.delete(TRAIN)
    settle(world, 100.0)
    assert [meter.reconciles[key] for key in chain] == [2] + [0] * 19


def reads_of(worlds: Callable[..., World], length: int, order: Callable[[range], object] = list) -> tuple[int, World]:
    world = worlds()
    meter = Meter(world)
    for number in order(range(length)):  # type: ignore[attr-defined]
        world.kube.apply(next_job(f"next-{number:03}", f"next-{number - 1:03}" if number else "absent"))
    settle(world, 60.0)
    return meter.reads, world


@pytest.mark.parametrize("order", [list, reversed], ids=["from the base on", "to the base"])
def test_a_chain_is_read_by_its_links(worlds: Callable[..., World], order: Callable[[range], object]) -> None:
    """A chain of jobs costs live reads of the direct references only: with 600 of them it were 362,997 reads once."""
    short, _ = reads_of(worlds, 20, order)
    long, _ = reads_of(worlds, 80, order)
    assert long <= 4.5 * short
    assert long <= 6 * 80


def test_a_chain_of_six_hundred(worlds: Callable[..., World]) -> None:
    """It ends: each job that has too many before it says so, and those behind it say which one they refer to."""
    reads, world = reads_of(worlds, 600)
    assert reads <= 4 * 600
    reasons = Counter(world.reason(key) for key in world.kube.objects)
    assert reasons == {"DependencyNotReady": LONGEST, "DependencyFailed": 600 - LONGEST}
    first = Key("qianfanjobs", "default", f"next-{LONGEST:03}")
    assert f"more than {LONGEST} objects" in world.condition(first)["message"]
    assert world.sim.calls == []


def test_a_chain_that_is_cut_goes_on(worlds: Callable[..., World]) -> None:
    """A job that waits for too many goes on when they are fewer, and those behind it, too."""
    _, world = reads_of(worlds, 120)
    world.kube.apply(job("next-060", peftType="ALL"))
    last = Key("qianfanjobs", "default", "next-119")
    world.run(lambda: world.reason(last) == "DependencyNotReady", within=400)
    assert world.reason(Key("qianfanjobs", "default", "next-060")) == "Training"


@pytest.mark.parametrize("length", [1, 2, 3, 40, LONGEST, LONGEST + 1, 600])
def test_a_cycle_of_any_length_is_told(worlds: Callable[..., World], length: int) -> None:
    """All in it are DependencyFailed, and nothing is paid for."""
    world = worlds()
    meter = Meter(world)
    keys = [
        world.kube.apply(next_job(f"next-{number:03}", f"next-{(number - 1) % length:03}")) for number in range(length)
    ]
    settle(world, 700.0 if length > LONGEST else 60.0)
    assert {world.reason(key) for key in keys} == {"DependencyFailed"}
    assert world.sim.calls == []
    assert meter.reads <= 8 * length
    if 1 < length <= LONGEST:
        assert "leads back to the object itself" in world.condition(keys[0])["message"]


def test_six_hundred_referrers_of_one_object(worlds: Callable[..., World]) -> None:
    """Its change costs one reconcile, and one read of it, for each; they come bit by bit."""
    world = worlds(SLOW)
    world.kube.apply(job())
    referrers(world, 600)
    world.until(TRAIN, "Training")
    settle(world)
    meter = Meter(world)
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    settle(world, 100.0)
    own = meter.reconciles.pop(TRAIN)
    assert Counter(meter.reconciles.values()) == {1: 600}
    assert meter.reads <= 600 + 2 * own


def deleting(world: World, key: Key) -> tuple[list[int], Meter]:
    """Delete an object; return how many live reads each of its reconciles makes from now on."""
    meter, reads = Meter(world), list[int]()
    inner = world.engine.reconcile

    def reconcile(at: Key) -> Result:
        before = meter.reads
        try:
            return inner(at)
        finally:
            if at == key:
                reads.append(meter.reads - before)

    world.engine.reconcile = reconcile  # type: ignore[method-assign]
    world.kube.patch_spec(key, deletionPolicy="Delete")
    world.kube.delete(key)
    return reads, meter


def test_releasing_a_model_reads_nobody_who_only_refers_to_it(worlds: Callable[..., World]) -> None:
    """Three hundred services that have nothing in the cloud were read one by one in each reconcile once."""
    world = worlds()
    published(world)
    for number in range(300):
        world.kube.apply(service(f"s{number}", serviceName=f"s{number}", uri=f"u{number}", paused=True))
    settle(world)
    reads, _ = deleting(world, PUBLISH)
    settle(world, 60.0)
    assert not world.there(PUBLISH)
    assert max(reads) <= 6


def test_releasing_a_model_stops_at_the_first_users(worlds: Callable[..., World]) -> None:
    """Of hundreds of services that use its version as many are read as are told."""
    world = worlds()
    status = published(world)
    version = {"modelId": status["modelId"], "modelVersionId": status["modelVersionId"]}
    for number in range(300):
        key = world.kube.apply(service(f"s{number}", serviceName=f"s{number}", uri=f"u{number}", paused=True))
        world.kube.write_status(key, {"observedGeneration": 1, "account": "x", "serviceId": 7000 + number, **version})
    settle(world)
    reads, _ = deleting(world, PUBLISH)
    settle(world, 60.0)
    assert world.condition(PUBLISH)["reason"] == "InUse"
    assert max(reads) <= 12


def test_a_reconcile_reads_so_many_other_objects_and_no_more(
    worlds: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    """One that needs more says so, changes nothing, and is tried again."""
    world = worlds()
    world.engine._limits = Limits(reads=0)
    world.kube.apply(model())
    settle(world)
    assert "one reconcile may read 0 other objects" in caplog.records[-1].__dict__["error"]
    assert world.status(PUBLISH).get("conditions") is None
    assert not [one for one in caplog.records if one.exc_info]
    world.engine._limits = Limits(reads=1)
    settle(world, 400.0)
    assert world.reason(PUBLISH) == "DependencyNotReady"
