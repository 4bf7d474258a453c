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


def test_a_job_that_shall_not_run_costs_nothing(place: Place) -> None:
    """Stopped before anything was made: Ready without a call; Running then trains."""
    place.apply(job(desiredState="Stopped"))
    assert is_so(place.until_ready(JOB), "Ready", "True", "Stopped")
    assert place.calls() == []
    place.apply(job())
    place.until(JOB, lambda body: is_so(body, "Succeeded", "True"))


@pytest.mark.usefixtures("endless")
def test_a_run_ends_at_its_deadline(place: Place) -> None:
    """A run that has trained for longer than it may is stopped; a deadline that is raised afterwards is too late."""
    place.apply(job(activeDeadlineSeconds=60))
    place.until_waiting(JOB, "Training")
    run = place.run()
    run.created -= 100
    place.until_stalled(JOB, "DeadlineExceeded")
    assert run.life.state == "STOP"
    place.apply(job(activeDeadlineSeconds=6000))
    stalled = place.until_stalled(JOB, "DeadlineExceeded")
    assert "raise spec.attempt" in condition(stalled, "Ready")["message"]


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
