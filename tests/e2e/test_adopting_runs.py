"""Runs that were made in the console become objects."""

from e2e.place import JOB, Place, condition, is_so, job, manifest
from simulator.story import Story


def test_a_run_of_the_console_is_taken_over(place: Place, story: Story) -> None:
    """A run is adopted by its strings, shown with its end, and not by a second object; no run is made for it."""
    run = story.finished(story.task("by_hand"))
    strings = {"adopt": {"taskId": run["taskUuid"], "jobId": run["uuid"]}}
    integers = {"adopt": {"taskId": run["taskId"], "jobId": run["jobId"]}}
    place.apply(manifest(JOB, "essay", strings))
    status = place.until_ready(JOB)["status"]
    assert (status["taskName"], status["trainStatus"], status["adopted"]) == ("by_hand", "FINISH", True)
    assert status["inputs"] == {"peftType": "LoRA"}

    place.apply(manifest(JOB, "wrong", {"adopt": {"taskId": run["taskId"], "jobId": 2**40}}))
    gone = place.until_stalled(JOB, "Gone", "wrong")
    assert str(2**40) in condition(gone, "Ready")["message"]
    place.apply(job(**integers))  # the same run by its other ids: it is the recorded one
    known = place.until(JOB, lambda body: "jobId" in body["status"] and is_so(body, "Ready", "True"))
    assert known["status"]["jobId"] == run["jobId"]
    place.apply(manifest(JOB, "wrong", integers))
    assert "essay" in condition(place.until_stalled(JOB, "AlreadyManaged", "wrong"), "Ready")["message"]
    assert len(place.calls("createJob")) == 1
