"""Where a person must act on what is asked for: the spec, what it refers to, the keys."""

from collections.abc import Callable
from typing import Any

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden
from reconcile.manifests import job, model, service
from reconcile.situations.kit import IDS, INCREMENTAL, MANIFESTS, prepare, situation, until_condition, usable, working
from reconcile.situations.on_the_way import keys_awaited
from reconcile.world import FIRST, OTHER, World


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
def keys_forbidden(world: World, kind: str) -> Key:
    """The operator may not read the Secret."""
    prepare(world, kind)

    def refuse(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "secret":
            raise Forbidden("secrets is forbidden")
        return do()

    world.kube.around = refuse
    return until_condition(
        world, world.kube.apply(MANIFESTS[kind](credentialsRef={"name": "mine"})), "Stalled", "CredentialsForbidden"
    )


@situation("job")
def account_changed(world: World, kind: str) -> Key:
    """At work, and the Secret holds keys of another account."""
    key = working(world, kind)
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    return key


@situation()
def invalid_spec(world: World, kind: str) -> Key:
    """What its spec names cannot be used together, or is not there."""
    prepare(world, kind)
    wrong: dict[str, dict[str, Any]] = {
        "job": {"adopt": {"taskId": "job-abcdefghijkl", "jobId": 4711}},
        "model": {"source": {"run": {"taskId": 4711, "jobId": "task-abcdefghijkl"}}},
        "service": {"source": {"modelVersion": {"modelId": "am-abcdefghijkl", "modelVersionId": "amv-abcdefghijkl"}}},
    }
    key = world.kube.apply(MANIFESTS[kind](**wrong[kind]))
    world.until(key, "InvalidSpec")
    return key


@situation("job")
def attempt_mismatch(world: World, kind: str) -> Key:
    """An earlier attempt is selected, and what is trained is not what that one was trained with."""
    key = usable(world, kind)
    world.kube.patch_spec(key, attempt=2, trainsetRate=30)
    world.until(key, "Succeeded")
    world.kube.patch_spec(key, attempt=1)
    world.until(key, "AttemptMismatch")
    return key


@situation()
def already_bound(world: World, kind: str) -> Key:
    """It holds one thing, and is to take over another one."""
    key = usable(world, kind)
    world.kube.patch_spec(key, adopt=_named(world, key, kind) | {IDS[kind]: 4711})
    world.until(key, "AlreadyBound")
    return key


@situation()
def already_managed(world: World, kind: str) -> Key:
    """It is to take over what another object holds."""
    adopt = _named(world, usable(world, kind), kind)
    key = world.kube.apply(MANIFESTS[kind]("other", adopt=adopt))
    world.until(key, "AlreadyManaged")
    return key


@situation()
def adoption_forbidden(world: World, kind: str) -> Key:
    """It is to take over what an object of another namespace made, which the operator's settings forbid."""
    adopt = _named(world, usable(world, kind), kind)
    world.set_secret(FIRST, namespace="team")
    world.adopt = "own-mark"
    world.restart()
    manifest = MANIFESTS[kind]("mine", adopt=adopt)
    key = world.kube.apply({**manifest, "metadata": {"name": "mine", "namespace": "team"}})
    world.until(key, "AdoptionForbidden")
    return key


def _named(world: World, key: Key, kind: str) -> dict[str, Any]:
    """Name what an object holds as `adopt` does."""
    status = world.status(key)
    return {name: status[name] for name in (*(("taskId",) if kind == "job" else ()), IDS[kind])}
