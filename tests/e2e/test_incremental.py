"""Training that goes on from another run."""

from e2e.place import JOB, TRAINING, Object, Place, condition, job, manifest


def next_job(base: str = "essay") -> Object:
    """A job that goes on from another one's run."""
    spec = {"trainConfig": TRAINING["trainConfig"], "trainset": TRAINING["trainset"]}
    return manifest(JOB, "next", {**spec, "incrementalFrom": {"jobRef": {"name": base}}})


def test_a_job_goes_on_from_another(place: Place) -> None:
    """Applied together, the second waits for the first, goes on from its run, and records which that was."""
    place.apply(next_job(), job(peftType="ALL"))

    status = place.until_ready(JOB, "next")["status"]
    names = ("taskId", "taskUuid", "jobId", "jobUuid")
    assert status["base"] == {name: place.get(JOB)["status"][name] for name in names}
    assert place.run("next").base is place.run()


def test_only_full_training_can_be_gone_on_from(place: Place) -> None:
    """A base of LoRA is refused before anything is sent, with the reason."""
    place.apply(job())
    place.until_ready(JOB)
    place.apply(next_job())

    stalled = place.until_stalled(JOB, "DependencyFailed", "next")
    assert "only a run of ALL can be a base" in condition(stalled, "Ready")["message"]
    assert place.paid() == {"createTask": 1, "createJob": 1}
