"""status.lastError says whether it is over, and since when; what a create was answered is never forgotten by that."""

import pytest

from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import job
from reconcile.situations.kit import KINDS, working
from reconcile.world import World

HOUR = 3600.0


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_that_is_over_is_told_as_over(world: World, kind: str) -> None:
    """The error stays, for whoever looks later, with the time at which it ended; the next one begins anew."""
    key = working(world, kind)
    world.sim.configure(training=Never(), publishing=Never(), deploying=Never())
    world.rest(HOUR)
    world.sim.faults.add(Fault(Effect.STATUS, count=0, status=503))
    world.rest(600)
    error = world.status(key)["lastError"]
    assert error["code"] == "HTTP 503"
    assert "resolvedAt" not in error
    world.sim.faults.clear()
    world.rest(600)
    over = world.status(key)["lastError"]
    assert {**over, "resolvedAt": None} == {**error, "resolvedAt": None}
    assert error["time"] < over["resolvedAt"] == world.condition(key, "Synced")["lastTransitionTime"]
    written = world.writes(key)
    world.rest(HOUR)
    assert world.writes(key) == written
    world.sim.faults.add(Fault(Effect.STATUS, count=0, status=503))
    world.rest(600)
    again = world.status(key)["lastError"]
    assert again["time"] > over["resolvedAt"]
    assert "resolvedAt" not in again


def test_a_refusal_lasts_until_what_it_refused_is_done(world: World) -> None:
    """Trying again, waiting and pausing do not end it; the run does."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=510401))
    key = world.kube.apply(job())
    world.until(key, "Refused")
    world.rest(HOUR)
    assert "resolvedAt" not in world.status(key)["lastError"]
    world.kube.patch_spec(key, paused=True)
    world.until(key, "Paused")
    assert "resolvedAt" not in world.status(key)["lastError"]
    world.sim.faults.clear()
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Training")
    world.rest(60)
    assert world.status(key)["lastError"]["resolvedAt"]


def test_an_error_is_over_though_the_run_failed(world: World) -> None:
    """What the cloud tells of the run shows that it answers again."""
    key = working(world, "job")
    world.sim.faults.add(Fault(Effect.STATUS, "jobDetail", count=3, status=503))
    world.run(lambda: "lastError" in world.status(key))
    (run,) = world.sim.account().runs
    run.life.doomed = True
    world.until(key, "TrainingFailed")
    assert world.status(key)["lastError"]["resolvedAt"]


def test_a_lost_reply_is_current_until_it_is_known_what_came_of_it(world: World) -> None:
    """While the outcome is open, the answer is what is known of it."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.rest(30)
    assert "resolvedAt" not in world.status(key)["lastError"]
    world.until(key, "Training")
    world.rest(60)
    assert world.status(key)["lastError"]["resolvedAt"]


def test_a_create_that_twice_made_nothing_is_not_over(world: World) -> None:
    """It is why nothing is sent: the count stays, and so does the error."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=500000))
    key = world.kube.apply(job())
    world.until(key, "Refused")
    sent = len([call for call in world.sim.calls if call.operation == "createJob"])
    world.rest(4 * HOUR)
    assert len([call for call in world.sim.calls if call.operation == "createJob"]) == sent
    error = world.status(key)["lastError"]
    assert error["madeNothing"] == 2
    assert "resolvedAt" not in error
