"""What is no longer wanted stops in the cloud, too."""

import pytest

from e2e.place import JOB, MODEL, SERVICE, Place, condition, is_so, job, model, service


@pytest.mark.usefixtures("endless")
def test_a_run_is_stopped_on_demand(place: Place) -> None:
    """`desiredState: Stopped` stops the run; the job is Ready, as it is what the spec wants, and has not Succeeded."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    place.apply(job(desiredState="Stopped"))

    stopped = place.until_ready(JOB)
    assert place.run().life.state == "STOP"
    assert is_so(stopped, "Ready", "True", "Stopped")
    assert is_so(stopped, "Succeeded", "False", "Stopped")


@pytest.mark.usefixtures("endless")
def test_a_deleted_job_takes_its_run_along(place: Place) -> None:
    """Deleting a job whose run trains stops the run, and the object goes when it has stopped."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    place.delete(JOB, "essay")

    assert run.life.state == "STOP"
    assert len(place.calls("stopJob")) == 1


@pytest.mark.usefixtures("endless")
def test_an_orphaned_run_goes_on(place: Place) -> None:
    """Deleting a job with `deletionPolicy: Orphan` leaves its run training."""
    place.apply(job(deletionPolicy="Orphan"))
    place.until_waiting(JOB, "Training")
    run = place.run()
    place.delete(JOB, "essay")

    assert run.life.state == "RUNNING"


@pytest.mark.usefixtures("endless")
def test_a_run_that_others_stopped_needs_a_person(place: Place) -> None:
    """A run that was stopped in the console leaves the job Stalled, with the way out in the message."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    place.cloud.stop_run(place.run().id)

    stalled = place.until_stalled(JOB, "StoppedExternally")
    assert "raise spec.attempt" in condition(stalled, "Ready")["message"]


@pytest.mark.usefixtures("endless")
def test_a_namespace_can_be_deleted_as_a_whole(place: Place) -> None:
    """A namespace goes with its training job and its Secret in whatever order, and the run is stopped."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    run = place.run()
    place.cluster.kubectl("delete", "namespace", place.namespace, "--timeout=60s")

    assert run.life.state == "STOP"


def test_a_deleted_chain_leaves_what_its_policies_say(place: Place) -> None:
    """Deleting a chain takes the service offline and, as its policy says Delete, removes the model."""
    place.apply(job(), model(deletionPolicy="Delete"), service())
    endpoint = place.cloud.find(place.until_ready(SERVICE)["status"]["serviceId"])
    published = place.get(MODEL)["status"]["modelId"]
    place.kubectl("delete", f"{JOB},{MODEL},{SERVICE}", "--all", "--timeout=60s")

    assert endpoint.life.state == "Stopped"
    with pytest.raises(KeyError):
        place.cloud.find(published)
