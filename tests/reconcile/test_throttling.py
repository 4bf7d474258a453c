"""Who is told to ask less often is asked less often: never sooner than the poll, nor than `Retry-After` says."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from paid import PAID
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import KubeError
from qianfan_simulator import AfterSeconds, Effect, Fault, Never
from reconcile.manifests import job
from reconcile.situations.kit import KINDS, usable, working
from reconcile.world import World

HOUR = 3600.0
THROTTLES = {
    **{str(code): Fault(Effect.ERROR, count=0, code=code) for code in (4, 17, 18, 19, 336501)},
    "HTTP 429": Fault(Effect.STATUS, count=0, status=429),
    "RequestLimitExceeded": Fault(Effect.ERROR, count=0, code="RequestLimitExceeded", status=400),
}


def polled(world: World, stage: Callable[[World, str], Key], kind: str) -> tuple[Key, float]:
    """Bring an object to where it is only looked at, as rarely as it ever is; tell how rarely."""
    key = stage(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    world.rest(HOUR)
    return key, world.schedule.resync if stage is usable else world.schedule.poll_max


def tries(world: World, kind: str, since: float) -> list[float]:
    """Return the times at which the cloud was asked for an object; calls of one reconcile are one."""
    asked = [call for call in world.sim.calls if call.time > since]
    if kind == "service":  # the model behind it is polled, too
        asked = [call for call in asked if "service" in call.operation.lower()]
    return sorted({call.time for call in asked})


@pytest.mark.parametrize("throttle", THROTTLES)
@pytest.mark.parametrize(
    ("stage", "kind"), [(working, kind) for kind in KINDS] + [(usable, "model"), (usable, "service")]
)
def test_who_is_throttled_is_asked_no_sooner_than_polled(
    world: World, stage: Callable[[World, str], Key], kind: str, throttle: str
) -> None:
    """The waits are at least those between polls, and grow; what works, or is usable, stays what it was."""
    key, interval = polled(world, stage, kind)
    reason, now = world.reason(key), world.clock.cloud()
    world.sim.faults.add(THROTTLES[throttle])
    world.rest(2 * HOUR)
    asked = tries(world, kind, now)
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert len(waits) > 5
    assert min(waits) >= interval
    assert waits == sorted(waits)
    assert world.reason(key) == reason
    synced = world.condition(key, "Synced")
    assert (synced["status"], synced["reason"]) == ("Unknown", "Throttled")
    assert world.is_so(key) == (stage is usable)
    world.sim.faults.clear()
    world.rest(HOUR)
    assert world.condition(key, "Synced")["status"] == "True"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [(700, 700), (7200, 3600)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_read_is_not_repeated_before_the_time_that_the_answer_names(
    world: World, kind: str, status: int, asked: float, waited: float
) -> None:
    """`Retry-After` of any answer is kept to, for an hour at most, by what only looks and by what deletes."""
    polled(world, working, kind)
    now = world.clock.cloud()
    world.sim.faults.add(Fault(Effect.STATUS, count=0, status=status, seconds=asked))
    world.run(lambda: len(tries(world, kind, now)) == 1)
    world.rest(3 * HOUR)
    waits = [later - earlier for earlier, later in pairwise(tries(world, kind, now))]
    assert waits
    assert min(waits) >= waited
    assert max(waits) <= waited + world.schedule.retry_max


@pytest.mark.parametrize("kind", KINDS)
def test_a_throttled_create_is_repeated_no_sooner_than_a_poll(world: World, kind: str) -> None:
    """A limit proves that nothing was made; it is made later, once, and not with a burst of tries."""
    world.sim.configure(training=AfterSeconds(60))
    world.sim.faults.add(Fault(Effect.ERROR, PAID[kind], count=5, code=18))
    key = working(world, kind)
    world.run(lambda: world.calls(PAID[kind]) and world.is_so(key, "Synced"))
    made = [call.time for call in world.sim.calls if call.operation == PAID[kind]]
    waits = [later - earlier for earlier, later in pairwise(made)]
    assert len(made) == 6
    assert min(waits) >= world.schedule.poll_min
    assert waits == sorted(waits)


def test_a_throttled_deletion_goes_on_at_the_pace_of_polls(world: World) -> None:
    """A stop that is refused for the rate of calls is asked for again, at waits that grow from that of a close poll."""
    key, _ = polled(world, working, "job")
    now = world.clock.cloud()
    world.sim.faults.add(Fault(Effect.ERROR, "stopJob", count=4, code=18))
    world.kube.delete(key)
    world.until_gone(key)
    asked = [call.time for call in world.sim.calls if call.operation == "stopJob" and call.time >= now][:5]
    assert [later - earlier for earlier, later in pairwise(asked)] == pytest.approx([10, 20, 40, 80], abs=1)


def test_a_busy_account_is_not_throttled(world: World) -> None:
    """Another training that runs is waited for as before: it says nothing of how often the cloud may be asked."""
    world.sim.configure(max_running=1)
    working(world, "job")
    key = world.kube.apply(job("next"))
    world.until(key, "Creating")
    world.rest(300)
    assert world.condition(key, "Synced")["reason"] == "QuotaExceeded"


@pytest.mark.parametrize("operation", ["patch_status", "patch_finalizers"])
def test_an_api_server_is_not_asked_before_the_time_that_it_names(world: World, operation: str) -> None:
    """What it answers an object's call goes to that object's place in the queue; nobody sleeps in a worker."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    asked: list[float] = []

    def around(name: str, do: Callable[[], Any]) -> Any:
        if name != operation or len(asked) == 4:
            return do()
        asked.append(world.clock.boot)
        error = KubeError("429 too many requests")
        error.retry_after = 40.0
        raise error

    world.kube.around = around
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    assert [later - earlier for earlier, later in pairwise(asked)] == [40.0, 40.0, 40.0]
