"""What another tenant can do: objects in another namespace, with keys of its own, and statuses that were copied."""

import copy
from typing import Any

from fake_kube import Raw
from qianfan_operator.api.keys import Key
from reconcile.world import World

THERE = "elsewhere"


def there(manifest: Raw, namespace: str = THERE) -> Raw:
    """Put an object into another namespace."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def copied(world: World, source: Key, manifest: Raw, **status: Any) -> Key:
    """Apply an object and give it another one's status and finalizer, as a restore from a backup does."""
    kept = {**copy.deepcopy(world.status(source)), **status}
    key = world.kube.apply(manifest)
    world.kube.write_status(key, kept)
    return key


def restored(world: World, key: Key, manifest: Raw, *, held: bool = True) -> None:
    """Lose an object without a trace, and restore it from a backup: the same name and status, another uid.

    `held`: with the operator's finalizer.
    """
    status = copy.deepcopy(world.status(key))
    world.kube.lose(key)
    world.kube.apply(manifest)
    world.kube.write_status(key, status)
    if not held:
        world.kube.remove_finalizer(key)


def works(world: World, run: int) -> bool:
    """Say whether a run trains."""
    return {run.id: run.life.state for run in world.sim.account().runs}[run] == "RUNNING"
