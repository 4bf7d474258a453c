"""Keys that are missing, incomplete or wrong are named, never shown; and they can be mended."""

import json

from e2e.place import JOB, Place, condition, job
from qianfan_simulator import Effect


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
