"""Keys of another account, and whose keys are used: ways out, defaults, namespaces with one key.

See docs/design/create-protocol.md#other-accounts.
"""

from collections.abc import Callable

import pytest

from fake_kube import Raw
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import DAY, FIRST, OTHER, SECOND, World

TRAIN = Key("qianfanjobs", "default", "train")
THERE = "elsewhere"


def there(manifest: Raw) -> Raw:
    """Put an object into another namespace."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": THERE}}


def chain(world: World) -> list[Key]:
    """Have a job, its model and its service in use."""
    keys = [world.kube.apply(one) for one in (job(), model(), service())]
    world.until(keys[2], "PaymentRequired")
    world.sim.pay()
    world.until(keys[2], "Available")
    return keys


def test_a_new_attempt_after_an_end_trains_in_the_new_account(world: World) -> None:
    """A run that has ended holds nobody up, whichever account it was in."""
    key = world.kube.apply(job())
    first = world.until(key, "Succeeded")
    world.set_secret(OTHER)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert len(world.sim.account(OTHER).runs) == 1
    assert [run["jobId"] for run in world.status(key)["runs"]] == [first["jobId"]]


def test_a_new_attempt_waits_for_a_run_that_the_keys_do_not_see(world: World) -> None:
    """A run that works in the other account is not left alone; the status says whose keys are wanted, not to wait."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "AccountChanged")
    world.rest(3600)
    assert world.reason(key) == "AccountChanged"
    assert "Restore a key of the previous account" in world.condition(key)["message"]
    assert not world.sim.account(OTHER).runs
    world.set_secret(FIRST)
    world.run(lambda: world.is_so(key) and world.status(key)["attempt"] == 2)


@pytest.mark.parametrize("way", ["raised", "adopted"])
def test_a_person_decides_about_an_intent_of_another_account(world: World, way: str) -> None:
    """What is open in the old account is left behind by a raised attempt, or by `adopt` of a run of the new one."""
    world.set_secret(OTHER)
    other = world.until(world.kube.apply(job("other")), "Succeeded")
    world.set_secret(FIRST)
    world.until(world.kube.apply(job("witness")), "Succeeded")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Confirming")
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    ids = {"taskId": other["taskId"], "jobId": other["jobId"], "attempt": 1}
    world.kube.delete(Key("qianfanjobs", "default", "other"))
    world.kube.apply(job(attempt=2) if way == "raised" else job(adopt=ids))
    status = world.until(key, "Succeeded")
    if way == "raised":
        assert [(run["attempt"], "pending" in run) for run in status["runs"]] == [(1, True)]
        assert len(world.sim.account(OTHER).runs) == 2
    else:
        assert status["jobId"] == ids["jobId"]
    assert len(world.sim.account(FIRST).runs) == 2


def test_orphan_lets_go_of_what_the_keys_do_not_see(world: World) -> None:
    """Deleting under keys of another account names the way out, and the way out works for every kind."""
    keys = chain(world)
    for key in keys:
        world.kube.patch_spec(key, deletionPolicy="Delete")
    world.rest(DAY)
    world.set_secret(OTHER)
    world.rest(60)
    for key in reversed(keys):
        world.kube.delete(key)
    world.rest(3600)
    gone = {"StopFineTuningTask", "DeactivateService", "versionBatchDelete"}
    for key in keys[1:]:  # a finished job has nothing to release
        assert world.there(key)
        assert '"deletionPolicy":"Orphan"' in world.condition(key)["message"]
        world.kube.patch_spec(key, deletionPolicy="Orphan")
        world.until_gone(key)
    assert not [call for call in world.sim.calls if call.operation in gone]


def test_an_object_goes_on_with_another_secret_of_the_same_account(world: World) -> None:
    """credentialsRef may be changed while a run works; the account is what counts."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret(SECOND, name="mine")
    world.kube.patch_spec(key, credentialsRef={"name": "mine"})
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_a_role_that_is_added_is_noticed_within_a_minute(world: World) -> None:
    """A Secret that the operator may not read at first is in use a minute after it may, however long that lasted."""

    def forbidden(name, do):
        if name == "secret":
            raise Forbidden("no")
        return do()

    world.kube.around = forbidden
    world.set_secret(FIRST, name="mine")
    key = world.kube.apply(job(credentialsRef={"name": "mine"}))
    world.rest(DAY / 4)
    assert world.condition(key, "Stalled")["reason"] == "CredentialsForbidden"
    world.kube.around = lambda _, do: do()
    world.until(key, "Training", within=61)


def test_two_namespaces_with_one_key_are_one_account(world: World) -> None:
    """They share the client and what it knows, and what one holds the other may not act on; it is not told who does."""
    world.set_secret(FIRST, namespace=THERE)
    status = world.until(world.kube.apply(job()), "Training")
    adopt = {"taskId": status["taskId"], "jobId": status["jobId"]}
    other = world.kube.apply(there(job(adopt=adopt, deletionPolicy="Delete")))
    world.until(other, "AlreadyManaged")
    assert "a QianfanJob in another namespace" in world.condition(other)["message"]
    own = world.kube.apply(there(job("own")))
    world.until(own, "Training")
    assert world.status(own)["account"] == status["account"]
    assert len([wire for wire in world.wires if wire.keys.access_key == FIRST]) == 1
    world.kube.delete(other)
    world.until_gone(other)
    world.until(TRAIN, "Succeeded")


def test_a_wrong_half_elsewhere_refuses_nobody_else(world: World) -> None:
    """Another namespace that knows an access key, and not its secret, is refused; whose key it is goes on."""
    world.set_secret(FIRST, secret="guessed", namespace=THERE)
    guesser = world.kube.apply(there(job()))
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.rest(600)
    assert world.condition(guesser, "Stalled")["reason"] == "CredentialsInvalid"
    assert world.is_so(key)


def test_without_the_setting_nobody_else_pays(worlds: Callable[..., World]) -> None:
    """A Secret of another namespace is never used unless the operator's settings say so."""
    world = worlds()
    world.set_secret(None)
    world.set_secret(FIRST, namespace=THERE)
    key = world.kube.apply(job())
    world.rest(DAY)
    assert world.reason(key) == "CredentialsNotFound"


def test_the_default_pays_where_nobody_else_does(worlds: Callable[..., World]) -> None:
    """With the setting, a namespace without a Secret trains with the default, whose rotation is heard of everywhere."""
    world = worlds(default=THERE)
    world.label()
    world.set_secret(None)
    key = world.kube.apply(job())
    world.rest(150)  # until then the namespace's own Secret might be on its way
    assert world.reason(key) == "CredentialsNotFound"
    world.set_secret(FIRST, namespace=THERE)
    first = world.until(key, "Training", within=60)["account"]
    world.set_secret(SECOND, namespace=THERE)
    world.rest(1)
    assert world.status(key)["account"] != first
    world.until(key, "Succeeded")


def test_a_secret_that_comes_a_moment_after_its_object_pays(worlds: Callable[..., World]) -> None:
    """The default does not stand in for keys that were applied together with the object."""
    world = worlds(default=THERE)
    world.label()
    world.set_secret(None)
    world.set_secret(OTHER, namespace=THERE)
    world.restart()
    key = world.kube.apply(job())
    world.rest(5)
    world.set_secret(FIRST)
    world.until(key, "Succeeded")
    assert not world.sim.account(OTHER).runs
    assert len(list(world.sim.account(FIRST).runs)) == 1


def test_keys_of_ones_own_replace_the_default_and_are_another_account(worlds: Callable[..., World]) -> None:
    """What was made with the default's money is not believed to be gone when a namespace brings keys of its own."""
    world = worlds(default=THERE)
    world.label()
    world.set_secret(None)
    world.clock.advance(121)
    world.set_secret(FIRST, namespace=THERE)
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    world.set_secret(None)
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1
