"""Attempts as people change them: raised, reverted, left out, passed over, mended."""

import json
import subprocess
from typing import Any

import pytest

from e2e.place import JOB, TRAINING, Place, condition, is_so, job

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


def refusal(place: Place, **spec: Any) -> str:
    """What the API server answers to a patch of the spec that it refuses."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        place.patch(JOB, "essay", {"spec": spec})
    return str(refused.value.stderr)


@pytest.mark.parametrize("first", ["attempt", "inputs"])
def test_a_revert_in_two_steps_finds_its_way(place: Place, first: str) -> None:
    """The number, then its inputs. The inputs first are refused, by words that name the order which works."""
    place.apply(job())
    run = place.until_ready(JOB)["status"]["jobId"]
    place.apply(job(attempt=2, **MORE))
    second = place.until_ready(JOB)["status"]["jobId"]
    seen = len(place.calls())
    if first == "inputs":
        answer = refusal(place, trainConfig=TRAINING["trainConfig"])
        assert "set `attempt` to the earlier number first" in answer
    place.patch(JOB, "essay", {"spec": {"attempt": 1}})
    stalled = place.until_stalled(JOB, "AttemptMismatch")
    assert "Restore its inputs, which status.runs shows" in condition(stalled, "Ready")["message"]
    place.patch(JOB, "essay", {"spec": {"trainConfig": TRAINING["trainConfig"]}})
    assert place.until_ready(JOB)["status"]["jobId"] == run
    assert len(place.calls()) == seen

    place.patch(JOB, "essay", {"spec": {"attempt": 2}})
    place.patch(JOB, "essay", {"spec": {"trainConfig": MORE["trainConfig"]}})
    assert place.until_ready(JOB)["status"]["jobId"] == second
    assert place.paid() == {"createTask": 2, "createJob": 2}


def test_a_manifest_without_attempt_goes_back_after_the_number(place: Place) -> None:
    """kubectl takes out only what it applied; the refusal and the page say the way, and it costs nothing."""
    original = json.dumps(job())
    place.kubectl("apply", "-f", "-", input=original)
    first = place.until_ready(JOB)["status"]["jobUuid"]
    place.patch(JOB, "essay", {"spec": {"attempt": 2, "trainset": [{"id": 5678}]}})
    place.until(JOB, lambda body: body["status"].get("jobUuid") not in {None, first} and is_so(body, "Ready", "True"))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        place.kubectl("apply", "-f", "-", input=original)
    assert "to go back, set `attempt` to the earlier number first, then apply again" in refused.value.stderr

    place.patch(JOB, "essay", {"spec": {"attempt": 1}})
    place.kubectl("apply", "-f", "-", input=original)
    place.until(JOB, lambda body: body["status"].get("jobUuid") == first and is_so(body, "Ready", "True"))
    assert place.paid() == {"createTask": 2, "createJob": 2}


def test_inputs_that_fit_no_attempt_can_be_mended(place: Place) -> None:
    """Other inputs beside a recorded number, and that number selected again: the inputs can still be put right."""
    place.apply(job())
    place.until_ready(JOB)
    place.apply(job(attempt=2, **MORE))
    second = place.until_ready(JOB)["status"]["jobId"]
    wrong = {"epoch": 7, "learningRate": "0.00003"}
    place.apply(job(attempt=1, trainConfig=wrong))
    place.until_stalled(JOB, "AttemptMismatch")
    place.apply(job(attempt=2, trainConfig=wrong))
    stalled = place.until_stalled(JOB, "AttemptMismatch")
    assert "Restore its inputs, which status.inputs shows" in condition(stalled, "Ready")["message"]
    place.apply(job(attempt=2, **MORE))
    assert place.until_ready(JOB)["status"]["jobId"] == second
    assert place.paid() == {"createTask": 2, "createJob": 2}


MISMATCH = {"type": "Ready", "status": "False", "reason": "AttemptMismatch", "message": "No."}
FORGED: dict[str, dict[str, Any]] = {
    "another attempt": {"attempt": 7, "highestAttempt": 7},
    "no second attempt": {"attempt": 1, "highestAttempt": 1, "inputsHash": None},
    "a mismatch": {"conditions": [{**MISMATCH, "lastTransitionTime": "2024-03-01T08:00:00Z"}]},
    "no hash": {"inputsHash": None},
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_status_buys_no_run(place: Place, forged: str) -> None:
    """Who may write statuses can have other inputs accepted for the same number, and nothing is trained for them."""
    place.apply(job())
    place.until_ready(JOB)
    place.apply(job(attempt=2, **MORE))
    place.until_ready(JOB)
    place.patch(JOB, "essay", {"status": FORGED[forged]}, "--subresource=status")
    for spec in ({"trainConfig": {"epoch": 7, "learningRate": "0.00003"}}, {"attempt": 1}, {"attempt": 2}):
        judged = place.patch(JOB, "essay", {"spec": spec})["metadata"]["generation"]
        place.until(JOB, lambda now, judged=judged: now["status"]["observedGeneration"] == judged)
    assert place.paid() == {"createTask": 2, "createJob": 2}
