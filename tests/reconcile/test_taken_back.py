"""The last look before the cloud is changed: what is taken back before it is done is not done.

A pass may work with what the watch has told it; whoever has written the object since has not been heard yet.

See docs/design/architecture.md#one-reconcile.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from reconcile.test_crash import CHANGES, FAST, JOB, MODEL, SERVICE, chain, train_slowly
from reconcile.world import GRACE, World

CREATES = frozenset({"createTask", "createJob", "publishTrainModel", "apply"})


def ends(world: World) -> list[str]:
    """The calls by which something was ended."""
    return [call.operation for call in world.sim.calls if call.operation in CHANGES - CREATES]


def edit_unheard(world: World, key: Key, **spec: Any) -> None:
    """Have the object edited when a pass is due for what the watch told before, and let that pass happen."""
    world.kube.patch_spec(key, **spec)
    world.step(world.clock.boot)


@pytest.mark.parametrize("key", [JOB, MODEL, SERVICE], ids=lambda key: key.plural)
def test_who_lets_go_at_the_last_moment_loses_nothing(key: Key, worlds: Callable[..., World]) -> None:
    """Orphan, set while the pass that would stop, delete or take offline is under way, is heard."""
    world = worlds(FAST)
    (train_slowly if key == JOB else chain)(world)
    if key == MODEL:
        world.kube.patch_spec(SERVICE, deletionPolicy="Orphan")
        world.kube.delete(SERVICE)
        world.until_gone(SERVICE)
        world.kube.patch_spec(MODEL, deletionPolicy="Delete")
        world.rest()
    world.kube.delete(key)
    world.deliver()
    edit_unheard(world, key, deletionPolicy="Orphan")
    world.until_gone(key)
    assert ends(world) == []


@pytest.mark.parametrize(
    ("asked", "taken_back"),
    [
        ({"desiredState": "Stopped"}, {"desiredState": "Running"}),
        ({"attempt": 2, "concurrencyPolicy": "Replace"}, {"attempt": 1}),
        ({"attempt": 2, "concurrencyPolicy": "Replace"}, {"concurrencyPolicy": "Forbid"}),
    ],
    ids=["a stop", "another attempt", "its precedence"],
)
def test_a_stop_that_is_taken_back_stops_nothing(
    asked: dict[str, Any], taken_back: dict[str, Any], worlds: Callable[..., World]
) -> None:
    """When the stop is recorded, and about to be called for, the user changes their mind: the run goes on."""
    world = worlds(FAST)
    train_slowly(world)
    world.kube.patch_spec(JOB, **asked)
    world.run(lambda: "stopReason" in world.status(JOB))
    edit_unheard(world, JOB, **taken_back)
    world.rest(GRACE)
    assert ends(world) == []
    assert world.reason(JOB) == ("WaitingForRun" if "concurrencyPolicy" in taken_back else "Training")
