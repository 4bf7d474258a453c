"""Objects that refer to each other wait, are woken, and fail together."""

import pytest

from e2e.history import Object
from e2e.place import JOB, MODEL, SERVICE, Place, condition, is_so, job, model, service
from qianfan_simulator import AfterLooks


def test_a_chain_may_be_applied_from_its_end(place: Place) -> None:
    """A service and a model that are there before their job say what they wait for, and are woken when it has ended."""
    place.apply(service(), model())
    assert "QianfanModel essay" in condition(place.until_waiting(SERVICE, "DependencyNotReady"), "Ready")["message"]
    assert "QianfanJob essay" in condition(place.until_waiting(MODEL, "DependencyNotReady"), "Ready")["message"]

    place.apply(job())
    place.until_ready(SERVICE)


@pytest.mark.usefixtures("endless")
def test_a_failed_training_fails_what_waits_for_it(place: Place) -> None:
    """A failed run stalls the job, and the model that waits for it; the next attempt carries both on."""
    place.apply(job(), model(), service())
    place.until_waiting(JOB, "Training")
    place.cloud.fail(place.run().id)

    failed = place.until_stalled(JOB, "TrainingFailed")
    assert is_so(failed, "Succeeded", "False", "TrainingFailed")
    assert "TrainingFailed" in condition(place.until_stalled(MODEL, "DependencyFailed"), "Ready")["message"]
    place.until_stalled(SERVICE, "DependencyFailed")

    place.cloud.configure(training=AfterLooks(1))
    place.apply(job(attempt=2))
    place.until_ready(SERVICE)
    assert [run["attempt"] for run in place.get(JOB)["status"]["runs"]] == [1]
    assert place.paid() == {"createTask": 2, "createJob": 2, "publishTrainModel": 1, "apply": 1}


def test_a_model_follows_its_job_and_a_service_its_model(place: Place) -> None:
    """With Follow, a new successful attempt becomes the next version and moves behind the same URL."""
    place.apply(job(), model(updatePolicy="Follow"), service(updatePolicy="Follow"))
    first = place.until_ready(SERVICE)["status"]
    place.apply(job(attempt=2))

    def switched(body: Object) -> bool:
        return body["status"]["modelVersionId"] != first["modelVersionId"] and is_so(body, "Ready", "True")

    second = place.until(SERVICE, switched)["status"]
    assert (second["url"], second["serviceId"]) == (first["url"], first["serviceId"])
    assert second["modelId"] == first["modelId"]
    assert place.get(MODEL)["status"]["version"] == "2"
    assert place.paid() == {"createTask": 2, "createJob": 2, "publishTrainModel": 2, "apply": 1}
