"""A rotation is finished when every `status.account` shows the new key, those of what has ended included."""

from collections.abc import Callable
from typing import Any

import pytest

from fake_kube import NAMESPACE
from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job
from reconcile.stories import PUBLISH, published, serving
from reconcile.world import DAY, FIRST, OTHER, SECOND, World, keys

READS = ("jobDetail", "DescribeFineTuningTask")
NAMED = "team-key"


def account(access_key: str) -> str:
    """What `status.account` says of a key."""
    return AccessKey(access_key, "any").account


CHECK = "userList"  # the read by which a changed Secret is checked


def ended(world: World, number: int, **fields: Any) -> list[Key]:
    """Jobs that have ended in every way."""
    made = [world.kube.apply(job(f"done-{at}", **fields)) for at in range(number)]
    world.run(lambda: all(world.reason(key) == "Succeeded" for key in made))
    world.sim.configure(training=AfterSeconds(30 * DAY))
    world.until(stopped := world.kube.apply(job("stopped", **fields)), "Training")
    world.kube.patch_spec(stopped, desiredState="Stopped")
    world.until(stopped, "Stopped")
    world.until(failed := world.kube.apply(job("failed", **fields)), "Training")
    world.sim.fail(world.status(failed)["jobId"])
    world.until(failed, "TrainingFailed")
    return [*made, stopped, failed]


def accounts(world: World, made: list[Key]) -> set[str]:
    return {world.status(key)["account"] for key in made}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_has_ended_shows_the_new_key(world: World, restarted: bool) -> None:
    """Within ten minutes, by one read each besides the check of the keys; also after a restart meanwhile."""
    made = ended(world, 5)
    before = [(world.reason(key), world.condition(key)) for key in made]
    seen = len(world.sim.calls)
    world.set_secret(SECOND)
    if restarted:
        world.rest(1)
        world.restart()
    world.rest(world.schedule.resync)
    assert accounts(world, made) == {account(SECOND)}
    assert [(world.reason(key), world.condition(key)) for key in made] == before
    calls = [call.operation for call in world.sim.calls[seen:]]
    assert len(calls) == len(made) + 1
    assert set(calls) <= {*READS, CHECK}
    world.rest(DAY)
    assert len(world.sim.calls) == seen + len(made) + 1


def test_a_whole_chain_shows_the_new_key(world: World) -> None:
    """What is polled learns of the key as it always did: jobs, models and services end with the same account."""
    published(world)
    served = serving(world)
    world.set_secret(SECOND)
    world.rest(world.schedule.resync)
    assert accounts(world, [Key("qianfanjobs", NAMESPACE, "train"), PUBLISH, served]) == {account(SECOND)}


@pytest.mark.parametrize("other", [OTHER, "no-such-access-key"])
def test_keys_that_do_not_see_a_run_prove_nothing(world: World, other: str) -> None:
    """Another account's keys, and keys that the cloud refuses: the account stays, and so does what Ready says."""
    made = ended(world, 3)
    before = [(world.status(key)["account"], world.condition(key)) for key in made]
    seen = len(world.sim.calls)
    world.set_secret(other)
    world.rest(DAY)
    assert [(world.status(key)["account"], world.condition(key)) for key in made] == before
    assert len([call for call in world.sim.calls[seen:] if call.operation == "jobDetail"]) <= len(made)
    world.set_secret(SECOND)
    world.rest(world.schedule.resync)
    assert accounts(world, made) == {account(SECOND)}


def test_what_has_ended_and_waits_for_a_person_shows_the_new_key(world: World) -> None:
    """A job whose spec does not fit its run is Stalled: the run proves the key all the same, once."""
    (done, *_) = ended(world, 1)
    world.kube.patch_spec(done, attempt=2)
    world.kube.patch_spec(done, attempt=1, trainsetRate=30)
    world.until(done, "AttemptMismatch")
    world.set_secret(OTHER)
    seen = len(world.sim.calls)
    world.rest(DAY / 2)
    assert world.status(done)["account"] == account(FIRST)
    assert len([call for call in world.sim.calls[seen:] if call.operation in READS]) <= 2 * 3  # one job has two ids
    world.set_secret(SECOND)
    world.rest(world.schedule.resync)
    assert world.status(done)["account"] == account(SECOND)
    assert world.reason(done) == "AttemptMismatch"


def test_a_cloud_that_is_away_is_asked_again(world: World) -> None:
    """A read that fails proves nothing and is repeated; what has Succeeded stays so."""
    made = ended(world, 2)
    world.sim.faults.add(Fault(Effect.ERROR, "*", count=0, code=500000))
    world.set_secret(SECOND)
    world.rest(world.schedule.resync)
    assert accounts(world, made) == {account(FIRST)}
    assert [world.reason(key) for key in made[:2]] == ["Succeeded"] * 2
    world.sim.faults.clear()
    world.rest(2 * world.schedule.retry_max)
    assert accounts(world, made) == {account(SECOND)}
    assert all(world.is_so(key, "Synced") for key in made[:2])


def secret_reads(world: World) -> list[str]:
    """Return a list that names each read of a Secret from now on."""
    reads = list[str]()
    world.kube.around = lambda name, do: (reads.append(name) if name == "secret" else None, do())[1]
    return reads


def test_secrets_of_what_has_ended_are_read_seldom(world: World) -> None:
    """Each of many finished jobs may name a Secret of its own; one that works has its Secret read each minute."""
    names = [f"key-{at}" for at in range(5)]
    for name in names:
        world.kube.secrets[NAMESPACE, name] = keys(FIRST)
    made = [world.kube.apply(job(name, credentialsRef={"name": name})) for name in names]
    world.run(lambda: all(world.reason(key) == "Succeeded" for key in made))
    world.rest(DAY / 24)
    reads = secret_reads(world)
    world.rest(DAY / 24)
    assert len(reads) <= len(names) * (DAY / 24 / world.schedule.resync + 1)
    world.sim.configure(training=AfterSeconds(DAY))
    busy = world.kube.apply(job("busy", credentialsRef={"name": names[0]}))
    world.until(busy, "Training")
    world.rest(1)
    reads.clear()
    world.rest(DAY / 24)
    assert len(reads) >= 55
    world.restart()
    world.kube.delete(busy)
    world.until_gone(busy)
    world.rest(120)
    reads.clear()
    world.rest(DAY / 24)
    assert len(reads) <= len(names) * (DAY / 24 / world.schedule.resync + 1)


def first_deleted(world: World, made: list[Key]) -> None:
    gone = made.pop(0)
    world.kube.delete(gone)
    world.until_gone(gone)


@pytest.mark.parametrize("then", [None, World.restart, first_deleted])
def test_a_secret_of_another_name_is_read_for_what_has_ended(world: World, then: Callable[..., Any] | None) -> None:
    """Nothing tells of its change: one of the objects that use it reads it for all of them."""
    world.kube.secrets[NAMESPACE, NAMED] = keys(FIRST)
    made = ended(world, 3, credentialsRef={"name": NAMED})
    if then is World.restart:
        world.restart()
    elif then:
        then(world, made)
    world.rest(DAY)
    seen = len(world.sim.calls)
    world.set_secret(SECOND, NAMED)
    world.rest(2 * world.schedule.resync)
    assert accounts(world, made) == {account(SECOND)}
    assert len(world.sim.calls) == seen + len(made) + 1
