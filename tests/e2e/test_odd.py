"""Odd objects: what others wrote into a status, or what a newer version would, does not throw the operator."""

import json
from typing import Any

import pytest

from e2e.place import JOB, MODEL, SERVICE, Place, is_so, job, model, service
from e2e.process import OperatorProcess

STATUSES: dict[str, Any] = {
    "fields-that-nobody-knows": {"mood": "sunny", "conditions": [{"type": "Sunny", "status": "True", "reason": "Sun"}]},
    "no-conditions": {"conditions": []},
    "a-word-that-nobody-knows": {"trainStatus": "DANCING", "progress": -7, "finishTime": "after lunch"},
    "an-error-without-words": {"lastError": {}},
}


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_that_others_wrote_is_put_right(place: Place, operator: OperatorProcess, name: str) -> None:
    """Whatever stands in the status of a finished job, the operator lives and the job is Ready again."""
    place.apply(job())
    place.until_ready(JOB)
    status = {"status": {"observedGeneration": 0, **STATUSES[name]}}
    place.kubectl("patch", JOB, "essay", "--subresource=status", "--type=merge", "-p", json.dumps(status))

    place.until(JOB, lambda body: body["status"]["observedGeneration"] == 1 and is_so(body, "Ready", "True"))
    assert operator.healthy()
    assert place.paid() == {"createTask": 1, "createJob": 1}


FORGED: dict[str, Any] = {
    "no-conditions": {"conditions": []},
    "another-run": {"jobId": 999_999},
    "no-run": {"jobId": None, "jobUuid": None},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_finished_job_that_others_change_is_put_right(place: Place, operator: OperatorProcess, name: str) -> None:
    """Nothing but the change itself leads to a look at a finished job: it comes at once, and nothing is paid."""
    place.apply(job())
    run = place.until_ready(JOB)["status"]["jobId"]
    place.patch(JOB, "essay", {"status": FORGED[name]}, "--subresource=status")

    place.until(JOB, lambda body: body["status"].get("jobId") == run and is_so(body, "Ready", "True"), within=15)
    assert operator.healthy()
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_a_wiped_status_finds_its_way_back(place: Place) -> None:
    """A model and a service that lost their status find the same version and the same URL, and nothing is paid."""
    place.apply(job(), model(), service())
    url = place.until_ready(SERVICE)["status"]["url"]
    version = place.get(MODEL)["status"]["modelVersionId"]
    for plural in (MODEL, SERVICE):
        place.patch(plural, "essay", {"status": None}, "--subresource=status")

    place.until(SERVICE, lambda body: body["status"].get("url") == url and is_so(body, "Ready", "True"))
    place.until(MODEL, lambda body: body["status"].get("modelVersionId") == version and is_so(body, "Ready", "True"))
    assert place.paid() == {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}


def test_an_object_that_refers_to_itself_is_told_so(place: Place, operator: OperatorProcess) -> None:
    """A model whose target is itself and a training that goes on from itself are Stalled, not waited for."""
    place.apply(model(target={"modelRef": {"name": "essay"}}), job(incrementalFrom={"jobRef": {"name": "essay"}}))
    place.until_stalled(MODEL, "DependencyFailed")
    place.until_stalled(JOB, "DependencyFailed")
    assert operator.healthy()
