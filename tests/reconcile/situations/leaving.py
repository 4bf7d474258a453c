"""The end: being deleted, and what may hold that up."""

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault, Never
from reconcile.situations.kit import applied, situation, usable, working
from reconcile.stories import PUBLISH
from reconcile.world import OTHER, World


@situation()
def deleting(world: World, kind: str) -> Key:
    """Being deleted."""
    key = _releasable(world, kind)
    if kind == "job":
        world.sim.configure(stopping=Never())
    else:  # what needs no time to go is held up by the cloud
        world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.kube.delete(key)
    world.until(key, "Deleting")
    return key


@situation()
def deletion_blocked(world: World, kind: str) -> Key:
    """Being deleted, and the keys do not see what is to be released."""
    key = _releasable(world, kind)
    world.set_secret(OTHER)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    return key


@situation("model")
def served(world: World, kind: str) -> Key:
    """Being deleted, and its version is served."""
    usable(world, "service")
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    return PUBLISH


@situation()
def deleting_without_keys(world: World, kind: str) -> Key:
    """Being deleted, and the Secret is gone."""
    key = _releasable(world, kind)
    world.set_secret(None)
    world.restart()  # keys that were in use are kept in memory
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    return key


@situation("service")
def deleting_without_v2(world: World, kind: str) -> Key:
    """Being deleted, and the cloud offers no call to take it offline."""
    key = _releasable(world, kind)
    world.sim.configure(v2="denied")
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    return key


@situation()
def deleting_with_its_definition(world: World, kind: str) -> Key:
    """Being deleted because its CRD is, and somebody else keeps it."""
    key = _releasable(world, kind)
    world.kube.objects[key]["metadata"]["finalizers"].append("example.org/keep")
    world.kube.crds[f"{key.plural}.qianfan.dev"] = {"deletionTimestamp": world.clock.now()}
    world.kube.delete(key)
    world.until(key, "Orphaned")
    return key


@situation("service")
def deleting_unpaid(world: World, kind: str) -> Key:
    """Being deleted before anybody paid for it, and somebody else keeps it."""
    key = applied(world, kind)
    world.until(key, "PaymentRequired")
    world.kube.objects[key]["metadata"]["finalizers"].append("example.org/keep")
    world.kube.delete(key)
    world.until(key, "LeftInCloud")
    return key


def _releasable(world: World, kind: str) -> Key:
    """Come to where deleting has something to release."""
    return working(world, kind) if kind == "job" else usable(world, kind, deletionPolicy="Delete")
