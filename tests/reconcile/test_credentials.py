"""Keys: missing, refused, changed, of another account.

See docs/design/architecture.md#credentials.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import DAY, OTHER, SECOND, World

TRAIN = Key("qianfanjobs", "default", "train")


def test_a_missing_secret_may_still_come(world: World) -> None:
    """The Secret may be in the same chart: Reconciling, Stalled after its time, and used at once when it comes."""
    world.set_secret(None)
    key = world.kube.apply(job())
    world.until(key, "CredentialsNotFound", within=5)
    assert world.condition(key, "Reconciling")["status"] == "True"
    world.rest(DAY)
    assert world.reason(key) == "CredentialsNotFound"
    assert world.condition(key, "Stalled")["status"] == "True"
    world.set_secret("demo-access-key")
    world.until(key, "Training", within=60)


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_patience_does_not_depend_on_the_clock_of_the_node(world: World, ahead: float) -> None:
    """Creation times are the API server's: a node whose clock is minutes wrong waits just as long for a Secret.

    A restart does not begin the wait again.
    """
    world.set_secret(None)
    key = world.kube.apply(job())
    world.clock.ahead = ahead
    world.until(key, "CredentialsNotFound", within=5)
    assert world.condition(key, "Reconciling")["status"] == "True"
    world.rest(100)
    assert world.condition(key, "Reconciling")["status"] == "True"
    world.run(lambda: world.condition(key, "Stalled").get("status") == "True", within=60)
    before = world.writes(key)
    world.restart()
    world.rest(DAY)
    assert world.condition(key, "Stalled")["status"] == "True"
    assert world.writes(key) == before


def test_a_missing_secret_is_not_waited_for_without_end(world: World) -> None:
    """Also by what stays Ready meanwhile: after its time it is looked for as seldom as anything settled."""
    world.kube.apply(job())
    key = world.kube.apply(model())
    world.until(key, "Available")
    world.set_secret(None)
    world.rest(3600)
    assert world.condition(key, "Synced")["reason"] == "CredentialsNotFound"
    reads = list[str]()
    world.kube.around = lambda name, do: (reads.append(name), do())[1]
    world.rest(DAY)
    assert reads.count("secret") <= DAY / 600 + 10
    assert world.is_so(key)


def test_a_secret_that_lacks_a_key_is_told(world: World) -> None:
    """What is missing in the Secret is named."""
    world.kube.secrets["default", "qianfan-credentials"].pop("QIANFAN_SECRET_KEY")
    world.restart()
    key = world.kube.apply(job())
    world.until(key, "CredentialsNotFound")
    assert "QIANFAN_SECRET_KEY" in world.condition(key)["message"]


def test_another_secret_is_read_by_its_name(world: World) -> None:
    """credentialsRef names a Secret that is not watched; it is found when it comes."""
    key = world.kube.apply(job(credentialsRef={"name": "mine"}))
    world.until(key, "CredentialsNotFound")
    world.set_secret("demo-access-key", name="mine")
    world.until(key, "Succeeded")


def test_a_secret_that_may_not_be_read_has_its_own_reason(world: World) -> None:
    """A 403 of the API server is CredentialsForbidden, and says that a Role is missing."""

    def forbidden(name, do):
        if name == "secret":
            raise Forbidden("no")
        return do()

    world.kube.around = forbidden
    key = world.kube.apply(job(credentialsRef={"name": "mine"}))
    world.until(key, "CredentialsForbidden")
    assert "Role" in world.condition(key)["message"]
    world.kube.around = lambda _, do: do()
    world.set_secret("demo-access-key", name="mine")
    world.until(key, "Succeeded")


def test_refused_keys_are_told_after_three_refusals(world: World) -> None:
    """Keys are edited in two steps and IAM lags: Reconciling first, Stalled after three refusals over a minute."""
    world.set_secret("demo-access-key", secret="wrong")
    key = world.kube.apply(job())
    world.until(key, "CredentialsInvalid", within=10)
    assert world.condition(key, "Reconciling")["status"] == "True"
    assert not world.condition(key, "Stalled")
    world.run(lambda: world.condition(key, "Stalled").get("status") == "True", within=3600)
    assert world.reason(key) == "CredentialsInvalid"
    world.set_secret("demo-access-key")
    world.until(key, "Succeeded")


@pytest.mark.parametrize("times", [1, 2, 20])
def test_iam_that_lags_heals_by_itself(world: World, times: int) -> None:
    """Keys that the cloud refuses for a while are tried again without any change of the Secret."""
    world.sim.faults.add(Fault(Effect.ERROR, count=times, code="InvalidAccessKeyId", message="lag"))
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_a_working_run_survives_refused_keys(world: World) -> None:
    """Refused keys end nothing; the run is followed on when they are good again."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret("demo-access-key", secret="wrong")
    world.rest(300)
    assert world.reason(key) == "CredentialsInvalid"
    assert world.condition(key, "Succeeded")["status"] == "Unknown"
    world.set_secret("demo-access-key")
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 1


def test_what_is_usable_survives_refused_keys(world: World) -> None:
    """A ready model and a finished job do not flip for what happens to keys; Synced says so."""
    world.kube.apply(job())
    key = world.kube.apply(model())
    world.until(key, "Available")
    world.set_secret("demo-access-key", secret="wrong")
    world.rest(DAY)
    assert world.is_so(key)
    assert world.is_so(TRAIN)
    assert (world.condition(key, "Synced")["status"], world.condition(key, "Synced")["reason"]) == (
        "False", "CredentialsInvalid",
    )  # fmt: skip


def test_another_key_of_the_same_account_is_taken_at_once(world: World) -> None:
    """A rotated key that sees the run goes on with it."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    before = world.status(key)["account"]
    world.set_secret(SECOND)
    world.until(key, "Succeeded")
    assert world.status(key)["account"] != before


def test_keys_of_another_account_do_not_make_a_run_gone(world: World) -> None:
    """What other keys do not see is not believed to be gone: AccountChanged until the old keys are back."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    assert world.condition(key, "Synced")["status"] == "False"
    world.rest(3600)
    assert world.reason(key) == "AccountChanged"
    assert not world.sim.account(OTHER).runs
    world.set_secret("demo-access-key")
    world.until(key, "Succeeded")


def test_what_is_usable_stays_ready_under_keys_of_another_account(world: World) -> None:
    """A serving endpoint stays Ready when the keys see another account, and says so in Synced."""
    world.kube.apply(job())
    world.kube.apply(model())
    key = world.kube.apply(service())
    world.until(key, "PaymentRequired")
    world.sim.pay()
    world.until(key, "Available")
    world.set_secret(OTHER)
    world.rest(DAY)
    assert world.is_so(key)
    assert world.condition(key, "Synced")["reason"] == "AccountChanged"


def test_an_open_intent_waits_for_the_keys_that_made_it(world: World) -> None:
    """A "none" of another account is not believed: nothing is repeated until keys of the same account are there."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.until(world.kube.apply(job("theirs", credentialsRef={"name": "mine"})), "CredentialsNotFound")
    world.set_secret(OTHER, name="mine")
    world.until(Key("qianfanjobs", "default", "theirs"), "Succeeded")  # evidence of the other account
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
    world.until(key, "Confirming")
    world.set_secret(OTHER)
    world.until(key, "AccountChanged")
    world.rest(3600)
    assert len(world.sim.account(OTHER).runs) == 1
    world.set_secret("demo-access-key")
    world.until(key, "Succeeded")


def test_deleting_waits_for_the_keys_that_see_the_run(world: World) -> None:
    """A run that other keys do not see is not let go: it may cost on."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.set_secret(OTHER)
    world.kube.delete(key)
    world.rest(300)
    assert world.there(key)
    world.set_secret("demo-access-key")
    world.until_gone(key)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]


def test_an_earlier_attempt_is_not_forgotten_under_other_keys(world: World) -> None:
    """A working run of another attempt that the new keys do not see is neither gone nor let go."""
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "WaitingForRun")
    world.set_secret(OTHER)
    world.kube.delete(key)
    world.rest(300)
    assert world.there(key)
    world.set_secret("demo-access-key")
    world.until_gone(key)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]


@pytest.mark.parametrize("policy", ["Delete", "Orphan"])
def test_what_other_keys_do_not_see_is_not_gone(world: World, policy: str) -> None:
    """Whatever deleting would do with it, a version that another account does not show stays what it was."""
    world.until(world.kube.apply(job()), "Succeeded")
    key = world.kube.apply(model(deletionPolicy=policy))
    world.until(key, "Available")
    world.set_secret(OTHER)
    world.rest(DAY)
    assert world.reason(key) == "Available"
    assert world.condition(key, "Synced")["reason"] == "AccountChanged"


def test_no_key_is_told(world: World) -> None:
    """No secret key stands in any object or event."""
    world.set_secret("demo-access-key", secret="very-secret-key")
    key = world.kube.apply(job())
    world.rest(600)
    assert "very-secret-key" not in str(world.kube.objects[key])
    assert "very-secret-key" not in str(world.kube.events)


def test_a_task_of_another_account_is_not_trained_in(world: World) -> None:
    """Keys of another account, given while a task has no run yet: its number is never sent with them."""
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=1, code=510402))
    world.run(lambda: any(call.operation == "createJob" for call in world.sim.calls))
    world.set_secret(OTHER)
    world.until(key, "Succeeded")
    assert [call.outcome for call in world.sim.calls if call.operation == "createJob"] == ["not executed", "ok"]
