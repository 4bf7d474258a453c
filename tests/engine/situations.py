"""Every situation in which an object of ours can be (design 8), each with the story that leads there.

The stories play on the real engine and the simulator; where an object then stands is what tools and people read. The
docstring of a story is the sentence that the golden files and docs/status.md say of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from engine.manifests import job, model, service
from engine.stories import PUBLISH, next_version
from engine.world import FIRST, OTHER, World
from qianfan_operator.keys import Key
from qianfan_simulator import Effect, Fault, Never

Story = Callable[[World, str], Key]
KINDS = ("job", "model", "service")
MANIFESTS = {"job": job, "model": model, "service": service}
CREATES = {"job": "createJob", "model": "publishTrainModel", "service": "apply"}
WORKING = {"job": "Training", "model": "Publishing", "service": "Deploying"}
INCREMENTAL = {
    "baseTrainType": None,
    "trainType": None,
    "peftType": None,
    "incrementalFrom": {"jobRef": {"name": "base"}},
}
USABLE = {"job": "Succeeded", "model": "Available", "service": "Available"}


@dataclass(frozen=True)
class Situation:
    """What an object can be in: a name, the kinds that can, and how they come there."""

    name: str
    kinds: tuple[str, ...]
    story: Story

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        return self.story.__doc__ or ""


SITUATIONS: list[Situation] = []


def situation(*kinds: str) -> Callable[[Story], Story]:
    """Add a story to the list, in the order of this file; without kinds it is one of all three."""

    def add(story: Story) -> Story:
        SITUATIONS.append(Situation(story.__name__.replace("_", "-"), kinds or KINDS, story))
        return story

    return add


# The ways there.


def prepare(world: World, kind: str) -> None:
    """Bring about what an object of a kind refers to."""
    if kind != "job":
        world.until(world.kube.apply(job()), "Succeeded")
    if kind == "service":
        world.until(world.kube.apply(model()), "Available")


def applied(world: World, kind: str, **fields: object) -> Key:
    """Apply an object of which nothing is missing."""
    prepare(world, kind)
    return world.kube.apply(MANIFESTS[kind](**fields))


def brought_to(world: World, kind: str, reason: str, **fields: object) -> Key:
    """Apply it and wait for a reason of Ready; services are paid for on the way."""
    key = applied(world, kind, **fields)
    if kind == "service":
        world.until(key, "PaymentRequired")
        world.sim.pay()
    world.until(key, reason)
    return key


def working(world: World, kind: str, **fields: object) -> Key:
    """Come to where the cloud works at it."""
    return brought_to(world, kind, WORKING[kind], **fields)


def usable(world: World, kind: str, **fields: object) -> Key:
    """Come to the good end."""
    return brought_to(world, kind, USABLE[kind], **fields)


def until_condition(world: World, key: Key, kind: str, reason: str) -> Key:
    """Run until a condition has a reason."""
    world.run(lambda: world.condition(key, kind).get("reason") == reason)
    return key


# On the way.


@situation()
def fresh(world: World, kind: str) -> Key:
    """Applied, and not seen by the operator yet."""
    return applied(world, kind)


@situation()
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


@situation()
def keys_awaited(world: World, kind: str) -> Key:
    """The Secret is missing, and may still come."""
    prepare(world, kind)
    world.set_secret(None)
    key = world.kube.apply(MANIFESTS[kind]())
    world.until(key, "CredentialsNotFound")
    return key


@situation("job")
def creating(world: World, kind: str) -> Key:
    """Its task is there; its run waits for another one of the account."""
    world.sim.configure(max_running=1)
    working(world, kind)
    key = world.kube.apply(job("next"))
    world.until(key, "Creating")
    world.rest(60)
    return key


@situation()
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
def confirming(world: World, kind: str) -> Key:
    """The reply to its create was lost, and the cloud is searched for what came of it."""
    prepare(world, kind)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, CREATES[kind]))
    key = world.kube.apply(MANIFESTS[kind]())
    world.until(key, "Confirming")
    return key


@situation("job")
def waiting_for_run(world: World, kind: str) -> Key:
    """A new attempt waits for the run that works."""
    key = working(world, kind)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "WaitingForRun")
    return key


@situation("job")
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


@situation("service")
def switching(world: World, kind: str) -> Key:
    """It serves, and is being switched to another version."""
    key = usable(world, kind, updatePolicy="Follow")
    next_version(world)
    world.until(key, "Updating")
    return key


# Good ends.


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
def ready_keys_refused(world: World, kind: str) -> Key:
    """Usable, and the cloud refuses the keys."""
    key = usable(world, kind)
    world.set_secret(FIRST, secret="no-longer")
    return until_condition(world, key, "Synced", "CredentialsInvalid")


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


# Where a person must act.


@situation()
def dependency_failed(world: World, kind: str) -> Key:
    """What it refers to has failed or was stopped."""
    world.until(world.kube.apply(job("base", desiredState="Stopped")), "Stopped")
    if kind == "job":
        key = world.kube.apply(job(**INCREMENTAL))
    else:
        key = world.kube.apply(model(source={"jobRef": {"name": "base"}}))
    if kind == "service":
        key = world.kube.apply(service())
    world.until(key, "DependencyFailed")
    return key


@situation()
def keys_missing(world: World, kind: str) -> Key:
    """The Secret is missing, and has not come in its time."""
    return until_condition(world, keys_awaited(world, kind), "Stalled", "CredentialsNotFound")


@situation()
def keys_refused(world: World, kind: str) -> Key:
    """The cloud refuses the keys, again and again."""
    prepare(world, kind)
    world.set_secret(FIRST, secret="wrong")
    return until_condition(world, world.kube.apply(MANIFESTS[kind]()), "Stalled", "CredentialsInvalid")


@situation()
def failed(world: World, kind: str) -> Key:
    """It failed in the cloud."""
    key = working(world, kind)
    status = world.status(key)
    world.sim.fail(status[{"job": "jobId", "model": "modelVersionId", "service": "serviceId"}[kind]])
    return until_condition(world, key, "Stalled", f"{WORKING[kind]}Failed")


@situation("job")
def refused(world: World, kind: str) -> Key:
    """The cloud refuses its create as it is written."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=510401))
    key = applied(world, kind)
    world.until(key, "Refused")
    return key


@situation("model", "service")
def name_taken(world: World, kind: str) -> Key:
    """Something that is not its own has its name."""
    usable(world, kind)
    source = {"jobRef": {"name": "second"}}
    world.kube.apply(job("second"))
    if kind == "service":
        world.kube.apply(model("second", source=source, target={"modelName": "other_model"}))
        source = {"modelRef": {"name": "second"}}
    key = world.kube.apply(MANIFESTS[kind]("other", source=source))
    world.until(key, "NameTaken")
    return key


@situation("job")
def outcome_unknown(world: World, kind: str) -> Key:
    """The reply to its create was lost, and the cloud cannot tell what came of it."""
    world.sim.configure(v2="denied")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    key = applied(world, kind)
    world.until(key, "CreateOutcomeUnknown")
    return key


@situation("job")
def stopped_externally(world: World, kind: str) -> Key:
    """Somebody stopped its run in the console."""
    key = working(world, kind)
    world.sim.stop_run(world.status(key)["jobId"])
    world.until(key, "StoppedExternally")
    return key


@situation("job")
def stopped_wanted_running(world: World, kind: str) -> Key:
    """Stopped, and its spec wants it Running again."""
    key = stopped(world, kind)
    world.kube.patch_spec(key, desiredState="Running")
    return until_condition(world, key, "Stalled", "Stopped")


@situation("job")
def deadline_exceeded(world: World, kind: str) -> Key:
    """Its run was stopped at its deadline."""
    key = applied(world, kind, activeDeadlineSeconds=60)
    world.until(key, "DeadlineExceeded")
    return key


@situation("service")
def payment_overdue(world: World, kind: str) -> Key:
    """Nobody has paid for it in time."""
    return until_condition(world, applied(world, kind, paymentDeadlineSeconds=600), "Stalled", "PaymentRequired")


@situation("service")
def update_failed(world: World, kind: str) -> Key:
    """It serves, and could not be switched to another version."""
    world.sim.configure(updating=Never())
    key = usable(world, kind, updatePolicy="Follow")
    next_version(world)
    world.until(key, "UpdateFailed")
    return key


@situation("service")
def service_stopped(world: World, kind: str) -> Key:
    """It served, and its paid time has run out."""
    key = usable(world, kind)
    world.sim.expire(world.status(key)["serviceId"])
    world.until(key, "ServiceStopped")
    return key


@situation("service")
def drifted(world: World, kind: str) -> Key:
    """It served, and somebody changed it in the console."""
    key = usable(world, kind)
    version = next_version(world)
    world.client().modify_service(world.status(key)["serviceUuid"], version["modelIdStr"], version["modelVersionIdStr"])
    world.until(key, "Drifted")
    return key


@situation()
def gone(world: World, kind: str) -> Key:
    """It was there, and is no longer in the cloud."""
    key = working(world, kind) if kind == "job" else usable(world, kind)
    status = world.status(key)
    world.sim.delete(status[{"job": "taskId", "model": "modelVersionId", "service": "serviceId"}[kind]])
    world.until(key, "Gone")
    return key


# The end.


@situation()
def deleting(world: World, kind: str) -> Key:
    """Being deleted."""
    key = working(world, kind) if kind == "job" else usable(world, kind, deletionPolicy="Delete")
    if kind != "job":  # what needs no time to go is held up by the cloud
        world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.kube.delete(key)
    world.until(key, "Deleting")
    return key


@situation()
def deletion_blocked(world: World, kind: str) -> Key:
    """Being deleted, and the keys do not see what is to be released."""
    key = working(world, kind) if kind == "job" else usable(world, kind, deletionPolicy="Delete")
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
