"""Keys that are missing, incomplete or wrong are named, never shown; and they can be mended."""

import json
import secrets

import pytest

from e2e.place import JOB, MODEL, Place, condition, is_so, job, model
from e2e.process import OperatorProcess
from qianfan_simulator import Effect, Key


def test_a_missing_secret_is_named_and_waited_for(bare_place: Place) -> None:
    """A job without a Secret waits, names the Secret, and trains within moments of its creation."""
    place = bare_place
    place.apply(job())
    waiting = place.until_waiting(JOB, "CredentialsNotFound")
    assert "qianfan-credentials" in condition(waiting, "Ready")["message"]
    assert not condition(waiting, "Stalled")

    place.give_keys()
    place.until_ready(JOB)


def test_a_missing_key_is_named_and_no_value_is_shown(bare_place: Place) -> None:
    """A Secret without the secret key is waited for by that key's name; what it does hold stays in it."""
    place = bare_place
    place.give_keys(QIANFAN_ACCESS_KEY=place.key.access_key)
    place.apply(job())
    waiting = place.until_waiting(JOB, "CredentialsNotFound")
    assert "QIANFAN_SECRET_KEY" in condition(waiting, "Ready")["message"]
    assert place.key.access_key not in json.dumps(waiting)

    place.give_keys()
    place.until_ready(JOB)


def test_wrong_keys_are_told_apart_from_missing_ones(bare_place: Place) -> None:
    """Keys that the cloud refuses are CredentialsInvalid at once, Stalled only later, and mended within moments."""
    place = bare_place
    place.give_keys(QIANFAN_ACCESS_KEY=place.key.access_key, QIANFAN_SECRET_KEY="not-the-secret-key")
    place.apply(job())
    waiting = place.until_waiting(JOB, "CredentialsInvalid")
    assert waiting["status"]["lastError"]["code"] == "SignatureDoesNotMatch"

    place.give_keys()
    place.until_ready(JOB)
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_wrong_keys_are_told_to_what_is_ready(place: Place) -> None:
    """A ready model says so within seconds, and stays Ready; the right keys are noticed as soon."""
    place.apply(job(), model())
    place.until_ready(MODEL)
    place.give_keys(QIANFAN_ACCESS_KEY=place.key.access_key, QIANFAN_SECRET_KEY="not-the-secret-key")
    told = place.until(MODEL, lambda body: is_so(body, "Synced", "False", "CredentialsInvalid"), within=15)
    assert condition(told, "Ready")["status"] == "True"

    place.give_keys()
    place.until(MODEL, lambda body: is_so(body, "Synced", "True"), within=15)


def test_keys_that_are_refused_once_are_tried_again(place: Place) -> None:
    """Keys that the cloud's IAM does not know yet are tried again, without anybody touching the Secret."""
    place.spoil(Effect.ERROR, "createTask", code="InvalidAccessKeyId")
    place.apply(job())
    place.until_waiting(JOB, "CredentialsInvalid")
    place.until_ready(JOB)


def test_a_finished_job_does_not_need_its_keys(place: Place) -> None:
    """A job that has succeeded stays Ready when its Secret goes."""
    place.apply(job())
    place.until_ready(JOB)
    place.kubectl("delete", "secret", "qianfan-credentials")
    place.patch(JOB, "essay", {"metadata": {"annotations": {"qianfan.dev/reconcile-requested-at": "now"}}})
    looked = place.until(JOB, lambda body: body["status"].get("lastHandledReconcileAt") == "now")
    assert condition(looked, "Ready")["status"] == "True"


@pytest.mark.usefixtures("endless")
def test_a_rotation_under_load_is_noticed_by_nobody(place: Place, operator: OperatorProcess) -> None:
    """Jobs that are polled go over to a second key, none goes back, none says anything; then the first is revoked."""
    names = [f"load-{number}" for number in range(12)]
    place.apply(*(job(name) for name in names))
    for name in names:
        place.until(JOB, lambda body: is_so(body, "Ready", "False", "Training"), name)
    first, second = place.key, Key(f"access-{secrets.token_hex(12)}", secrets.token_hex(16), account=place.namespace)
    place.cloud.keys[second.access_key] = second
    old, lines, told, calls = (
        place.get(JOB, names[0])["status"]["account"], len(operator.log()), len(place.history.told(JOB)),
        len(place.cloud.calls),
    )  # fmt: skip
    place.change_keys(second)
    for name in names:
        place.until(JOB, lambda body: body["status"]["account"] != old, name)
    del place.cloud.keys[first.access_key]
    place.key = second
    place.until_called("jobDetail", 3 * len(names))
    place.cloud.keys[first.access_key] = first  # for the test that nobody is told of any key

    made = [call for call in place.cloud.calls[calls:] if call.access_key in {first.access_key, second.access_key}]
    assert {call.outcome for call in made} == {"ok"}
    for run in {call.parameters.get("jobId") for call in made}:
        order = [call.access_key == second.access_key for call in made if call.parameters.get("jobId") == run]
        assert order == sorted(order)
    mine = [body for body in place.history.told(JOB)[told:] if body["metadata"]["namespace"] == place.namespace]
    assert {(condition(body, "Ready")["reason"], condition(body, "Reconciling")["status"]) for body in mine} == {
        ("Training", "True")
    }
    about = [line for line in operator.log()[lines:] if f"/{place.namespace}/" in str(line.get("object", ""))]
    assert not [line for line in about if line["level"] != "DEBUG"]


def test_another_secret_needs_a_role(place: Place) -> None:
    """A Secret of another name is refused by the API server, the message names the rule, and the rule is noticed."""
    data = (
        f"--from-literal=QIANFAN_{half.upper()}={getattr(place.key, half)}" for half in ("access_key", "secret_key")
    )
    place.kubectl("create", "secret", "generic", "team-key", *data)
    place.apply(job(credentialsRef={"name": "team-key"}))
    waiting = place.until_waiting(JOB, "CredentialsForbidden")
    assert "`get` on secrets with resourceNames [team-key]" in condition(waiting, "Ready")["message"]

    rule = ("--verb=get", "--resource=secrets", "--resource-name=team-key")
    place.kubectl("create", "role", "team-key", *rule)
    place.kubectl(
        "create", "rolebinding", "team-key", "--role=team-key", "--serviceaccount=qianfan-system:qianfan-operator"
    )
    place.until_ready(JOB)
