"""Attempts as people change them: raised, reverted, left out, passed over, mended."""

import pytest

from e2e.place import JOB, Place, condition, job

MORE = {"trainConfig": {"epoch": 5, "learningRate": "0.00003", "maxSeqLen": 4096}}


def test_a_reverted_attempt_is_current_again(place: Place) -> None:
    """The manifest of before (`git revert`, `helm rollback`), without `attempt`, selects the first run: no call."""
    place.apply(job())
    first = place.until_ready(JOB)["status"]
    place.apply(job(attempt=2, **MORE))
    second = place.until_ready(JOB)["status"]
    assert second["taskName"] != first["taskName"]
    seen = len(place.calls())
    place.apply(job())
    back = place.until_ready(JOB)["status"]
    assert (back["attempt"], back["highestAttempt"], back["jobId"]) == (1, 2, first["jobId"])
    assert [(run["attempt"], run["jobId"]) for run in back["runs"]] == [(2, second["jobId"])]

    place.apply(job(attempt=2))  # a recorded number with other inputs
    stalled = place.until_stalled(JOB, "AttemptMismatch")
    assert "raise spec.attempt" in condition(stalled, "Ready")["message"]
    assert len(place.calls()) == seen
    assert place.paid() == {"createTask": 2, "createJob": 2}


@pytest.mark.usefixtures("endless")
def test_a_new_attempt_waits_or_replaces(place: Place) -> None:
    """Forbid waits for the run that works; going back goes on with it; Replace stops it, and only the last is paid."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    place.apply(job(attempt=2))
    place.until_waiting(JOB, "WaitingForRun")
    place.apply(job())
    place.until_waiting(JOB, "Training")
    place.apply(job(attempt=3, concurrencyPolicy="Replace"))
    status = place.until_waiting(JOB, "Training")["status"]

    assert run.life.state == "STOP"
    assert (status["attempt"], [one["stopReason"] for one in status["runs"]]) == (3, ["Stopped"])
    assert place.paid() == {"createTask": 2, "createJob": 2}


def test_what_the_cloud_refused_can_be_mended(place: Place) -> None:
    """After a refusal nothing was paid: the API server takes other inputs for the same attempt, which trains."""
    place.apply(job(trainConfig={"epoch": 400, "learningRate": "0.00003"}))
    refused = place.until_stalled(JOB, "Refused")
    assert "spec.trainConfig" in condition(refused, "Ready")["message"]
    place.apply(job(**MORE))

    assert place.until_ready(JOB)["status"]["attempt"] == 1
    assert place.paid()["createJob"] == 1
