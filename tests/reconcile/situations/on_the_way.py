"""On the way: something is under way, or is waited for."""

from paid import PAID
from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job
from reconcile.situations.kit import (
    IDS,
    INCREMENTAL,
    MANIFESTS,
    applied,
    passing,
    prepare,
    situation,
    until_condition,
    usable,
    working,
)
from reconcile.stories import next_version, refuse_finalizers
from reconcile.world import World


@passing()
def fresh(world: World, kind: str) -> Key:
    """Applied, and not seen by the operator yet."""
    return applied(world, kind)


@passing()
def changed(world: World, kind: str) -> Key:
    """Usable; its spec has changed, and the operator has not seen that yet."""
    key = usable(world, kind)
    world.kube.patch_spec(key, description="other words")
    return key


@situation()
def waiting(world: World, kind: str) -> Key:
    """What it refers to is missing or still at work."""
    key = world.kube.apply(MANIFESTS[kind](**(INCREMENTAL if kind == "job" else {})))
    world.until(key, "DependencyNotReady")
    return key


@passing()
def keys_awaited(world: World, kind: str) -> Key:
    """The Secret is missing, and may still come."""
    prepare(world, kind)
    world.set_secret(None)
    key = world.kube.apply(MANIFESTS[kind]())
    world.until(key, "CredentialsNotFound")
    return key


@passing("job")
def creating(world: World, kind: str) -> Key:
    """Its task is there; its run waits for another one of the account."""
    world.sim.configure(max_running=1)
    working(world, kind)
    key = world.kube.apply(job("next"))
    world.until(key, "Creating")
    world.rest(60)
    return key


@passing()
def at_work(world: World, kind: str) -> Key:
    """The cloud trains, publishes or deploys it."""
    return working(world, kind)


@situation()
def cloud_unreachable(world: World, kind: str) -> Key:
    """The same, and the cloud cannot be asked."""
    key = working(world, kind)
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    return until_condition(world, key, "Reconciling", "ProgressingWithRetry")


@situation()
def throttled(world: World, kind: str) -> Key:
    """The same, and the cloud says that the account asks too often."""
    key = working(world, kind)
    world.sim.faults.add(Fault(Effect.ERROR, count=0, code=18))
    return until_condition(world, key, "Synced", "Throttled")


@passing()
def confirming(world: World, kind: str) -> Key:
    """The reply to its create was lost, and the cloud is searched for what came of it."""
    prepare(world, kind)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, PAID[kind]))
    key = world.kube.apply(MANIFESTS[kind]())
    world.until(key, "Confirming")
    return key


@passing("job")
def restored(world: World, kind: str) -> Key:
    """It was restored from a backup with its status, which was written for an object of another uid."""
    key = working(world, kind)
    status = dict(world.status(key))
    world.kube.lose(key)
    world.kube.apply(MANIFESTS[kind]())
    world.kube.write_status(key, status)
    world.restart()
    world.until(key, "Confirming")
    return key


@passing("job")
def waiting_for_run(world: World, kind: str) -> Key:
    """A new attempt waits for the run that works."""
    key = working(world, kind)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "WaitingForRun")
    return key


@passing("job")
def stopping(world: World, kind: str) -> Key:
    """Its run is being stopped."""
    key = working(world, kind)
    world.kube.patch_spec(key, desiredState="Stopped")
    world.until(key, "Stopping")
    return key


@situation("service")
def unpaid(world: World, kind: str) -> Key:
    """Somebody must pay for it in the console."""
    key = applied(world, kind)
    world.until(key, "PaymentRequired")
    return key


@passing("service")
def switching(world: World, kind: str) -> Key:
    """It serves, and is being switched to another version."""
    key = usable(world, kind, updatePolicy="Follow")
    next_version(world)
    world.until(key, "Updating")
    return key


@passing("job")
def surveying(world: World, kind: str) -> Key:
    """Its status was wiped, and the cloud is searched for its runs."""
    key = working(world, kind)
    world.kube.wipe_status(key)
    world.until(key, "Confirming")
    return key


@situation()
def unknown_state(world: World, kind: str) -> Key:
    """The cloud says a word of it that this version does not know."""
    key = working(world, kind)
    world.sim.find(world.status(key)[IDS[kind]]).life.state = "HIBERNATING"
    world.until(key, "UnknownState")
    return key


@situation()
def without_a_finalizer(world: World, kind: str) -> Key:
    """A policy of the cluster refuses the operator's finalizer."""
    prepare(world, kind)
    refuse_finalizers(world)
    key = world.kube.apply(MANIFESTS[kind]())
    world.until(key, "FinalizerRefused")
    return key
