"""Where a person must act on what the cloud says, or on what happened there."""

from paid import PAID
from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.keys import Key
from qianfan_operator.api.training import create_job_body
from qianfan_simulator import AfterSeconds, Effect, Fault, Never
from reconcile.manifests import TRAINING, job, model
from reconcile.situations.good_ends import stopped
from reconcile.situations.kit import (
    IDS,
    MANIFESTS,
    WORKING,
    applied,
    situation,
    until_condition,
    usable,
    working,
)
from reconcile.situations.on_the_way import confirming
from reconcile.stories import next_version
from reconcile.world import DAY, World


@situation()
def failed(world: World, kind: str) -> Key:
    """It failed in the cloud."""
    key = working(world, kind)
    world.sim.fail(world.status(key)[IDS[kind]])
    return until_condition(world, key, "Stalled", f"{WORKING[kind]}Failed")


@situation()
def refused(world: World, kind: str) -> Key:
    """The cloud refuses its create as it is written."""
    return _answered(world, kind, {"job": 510401, "model": 70130, "service": 500001}[kind], "Refused")


@situation("job")
def quota_exceeded(world: World, kind: str) -> Key:
    """The account's quota or balance does not allow its create."""
    return _answered(world, kind, 510403, "QuotaExceeded")


@situation("job")
def task_limit_reached(world: World, kind: str) -> Key:
    """The account holds as many tasks as it may, so that none is made for it."""
    world.sim.configure(max_tasks=1)
    world.client().create_task("by_hand", "")
    key = applied(world, kind)
    world.until(key, "TaskLimitReached")
    return key


@situation()
def access_denied(world: World, kind: str) -> Key:
    """The keys are known to the cloud, and may not make it."""
    return _answered(world, kind, 6, "AccessDenied")


def _answered(world: World, kind: str, code: int, reason: str) -> Key:
    """Have the cloud answer its create with an error, again and again."""
    world.sim.faults.add(Fault(Effect.ERROR, PAID[kind], count=0, code=code))
    key = applied(world, kind)
    world.until(key, reason)
    return key


@situation()
def name_taken(world: World, kind: str) -> Key:
    """Something that is not its own has its name."""
    if kind == "job":
        world.client().create_task("task_name", "made by hand")
        key = world.kube.apply(job(taskName="task_name"))
        world.until(key, "NameTaken")
        return key
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
def task_exists(world: World, kind: str) -> Key:
    """A task of its name exists, and the cloud cannot tell whose it is."""
    world.sim.configure(v2="denied")
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createTask"))
    key = applied(world, kind)
    world.until(key, "TaskExists")
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
def two_runs(world: World, kind: str) -> Key:
    """The reply to its create was lost, and its task holds two runs."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = confirming(world, kind)
    body = create_job_body(JobSpec.model_validate(TRAINING), world.status(key)["taskId"])
    world.client().prepare_create_job(body).send()
    world.until(key, "DuplicateCloudResource")
    return key


@situation("job", "service")
def stopped_externally(world: World, kind: str) -> Key:
    """Somebody stopped it in the console before it was usable."""
    key = working(world, kind)
    stop = world.sim.stop_run if kind == "job" else world.sim.expire
    stop(world.status(key)[IDS[kind]])
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
def update_unsupported(world: World, kind: str) -> Key:
    """It serves, and the cloud offers no call to switch it to another version."""
    key = usable(world, kind, updatePolicy="Follow")
    world.sim.configure(v2="denied")
    next_version(world)
    world.until(key, "UpdateUnsupported")
    return key


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
    world.sim.delete(world.status(key)["taskId" if kind == "job" else IDS[kind]])
    world.until(key, "Gone")
    return key
