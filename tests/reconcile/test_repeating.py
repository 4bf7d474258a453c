"""A create of unknown outcome that is proven to have made nothing: repeated once, then a person's.

See docs/design/create-protocol.md#repeats.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import TRAINING, job
from reconcile.world import DAY, World


def refused_twice(world: World) -> Key:
    """Return a job whose createJob was answered twice with 500000 and made nothing."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=500000))
    world.until(key, "Refused")
    return key


def sent(world: World) -> int:
    return sum(call.operation == "createJob" for call in world.sim.calls) - 1  # without the witness's


def test_a_create_that_made_nothing_twice_is_not_sent_again(world: World) -> None:
    """Neither later nor by another process: the status knows it, and says the ways out."""
    key = refused_twice(world)
    for _ in range(3):
        world.restart()
        world.rest(DAY)
    assert world.reason(key) == "Refused"
    assert sent(world) == 2
    assert "qianfan.dev/reconcile-requested-at" in world.condition(key)["message"]
    assert "(500000)" in world.condition(key)["message"]


def test_it_is_sent_once_more_when_somebody_asks(world: World) -> None:
    """The annotation has it sent once; what is made then ends the count."""
    key = refused_twice(world)
    world.ask(key, "1")
    world.rest(DAY)
    assert (world.reason(key), sent(world)) == ("Refused", 3)
    world.sim.faults.clear()
    world.ask(key, "2")
    world.until(key, "Succeeded")
    assert "madeNothing" not in world.status(key)["lastError"]


@pytest.mark.parametrize("restart", [False, True])
def test_it_keeps_nobody_from_deleting(world: World, restart: bool) -> None:
    """What is proven not to be there blocks no deletion."""
    key = refused_twice(world)
    if restart:
        world.restart()
    world.kube.delete(key)
    world.until_gone(key, within=3600)
    assert sent(world) == 2


def test_another_attempt_is_sent(world: World) -> None:
    """Only the same is not repeated: another attempt is another create."""
    key = refused_twice(world)
    world.sim.faults.clear()
    world.kube.patch_spec(key, attempt=2, trainConfig={**TRAINING["trainConfig"], "epoch": 5})
    world.until(key, "Succeeded")
    assert sent(world) == 3


def test_a_look_that_fails_does_not_forget_the_answer(world: World) -> None:
    """An error of the look between the two answers does not begin the count anew."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=500000))
    key = world.kube.apply(job())
    world.until(key, "Confirming")
    world.sim.faults.add(Fault(Effect.STATUS, "DescribeFineTuningJobs", count=2, status=502))
    world.until(key, "Refused")
    assert sent(world) == 2
