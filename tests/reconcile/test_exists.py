"""The cloud says that what is to be made is there: it is ours if a reply was lost, else somebody's.

510201 is a task's name, 70101 a model's, 70118 a run that is published in a model.

See docs/design/create-protocol.md#two-complete-scans, docs/design/wire.md#error-codes.
"""

import pytest

from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model
from reconcile.world import DAY, GRACE, World

CODES = pytest.mark.parametrize(
    ("operation", "code"), [("createTask", 510201), ("publishTrainModel", 70101), ("publishTrainModel", 70118)]
)
STALLS = {510201: ("TaskExists", "adopt"), 70101: ("Refused", "(70101)"), 70118: ("Refused", "(70118)")}


@CODES
def test_what_was_made_and_is_said_to_exist_is_ours(world: World, operation: str, code: int) -> None:
    """Executed, and answered as if it had been there: it is found at once and used, and nothing is made besides."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, operation, code=code, after=True))
    world.until(train := world.kube.apply(job()), "Training", within=GRACE - 1)
    world.until(train, "Succeeded")
    world.until(world.kube.apply(model()), "Available", within=GRACE - 1)
    world.rest(DAY)
    assert [call.outcome for call in world.sim.calls if call.operation == "publishTrainModel"].count("ok") == 1
    assert len(world.calls("createJob")) == 2
    assert len([one for one in world.sim.account().versions if one.run]) == 1


@CODES
def test_what_exists_and_is_nowhere_to_be_seen_stalls(world: World, operation: str, code: int) -> None:
    """Not made by us, and not shown by any list: a person is told, not before the grace is over."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, operation, code=code, count=0))
    key = world.kube.apply(job())
    if operation != "createTask":
        key = world.kube.apply(model())
    world.until(key, "Confirming")
    since = world.clock.boot
    reason, told = STALLS[code]
    world.until(key, reason)
    assert world.clock.boot - since >= GRACE - 1
    assert world.is_so(key, "Stalled")
    assert told in world.condition(key)["message"]
