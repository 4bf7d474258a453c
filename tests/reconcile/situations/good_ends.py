"""Good ends, also where something stands in the way that does not matter now."""

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.situations.kit import USABLE, applied, situation, until_condition, usable, working
from reconcile.stories import next_version
from reconcile.world import FIRST, OTHER, World


@situation()
def ready(world: World, kind: str) -> Key:
    """Trained, published or serving."""
    return usable(world, kind)


@situation("model", "service")
def ready_cloud_unreachable(world: World, kind: str) -> Key:
    """Usable, and the cloud cannot be asked."""
    key = usable(world, kind)
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    return until_condition(world, key, "Synced", "CloudUnavailable")


@situation("model", "service")
def ready_throttled(world: World, kind: str) -> Key:
    """Usable, and the cloud says that the account asks too often."""
    key = usable(world, kind)
    world.sim.faults.add(Fault(Effect.ERROR, count=0, code=18))
    return until_condition(world, key, "Synced", "Throttled")


@situation("model", "service")
def ready_keys_refused(world: World, kind: str) -> Key:
    """Usable, and the cloud refuses the keys."""
    key = usable(world, kind)
    world.set_secret(FIRST, secret="no-longer")
    until_condition(world, key, "Synced", "CredentialsInvalid")
    world.rest(3600)  # the check of the Secret tells it first; its own look, and the error of that, come later
    return key


@situation("job")
def stopped(world: World, kind: str) -> Key:
    """Stopped, as its spec wants."""
    key = working(world, kind)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Stopped")
    return key


@situation()
def paused(world: World, kind: str) -> Key:
    """Paused before it was made."""
    key = applied(world, kind, paused=True)
    world.until(key, "Paused")
    return key


@situation()
def paused_ready(world: World, kind: str) -> Key:
    """Paused where that holds nothing back."""
    key = usable(world, kind)
    world.kube.patch_spec(key, paused=True)
    world.until(key, USABLE[kind])
    return key


@situation("model", "service")
def ready_account_changed(world: World, kind: str) -> Key:
    """Usable, and the Secret holds keys of another account."""
    key = usable(world, kind)
    world.set_secret(OTHER)
    return until_condition(world, key, "Synced", "AccountChanged")


@situation("service")
def paused_serving(world: World, kind: str) -> Key:
    """It serves, and a switch to another version is held back by the pause."""
    key = usable(world, kind, updatePolicy="Follow")
    world.kube.patch_spec(key, paused=True)
    next_version(world)
    world.until(key, "Paused")
    return key
