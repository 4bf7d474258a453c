"""What was deleted in Kubernetes and applied again finds in the cloud what it made before."""

from e2e.place import JOB, MODEL, SERVICE, Place, job, model, service


def test_a_finished_run_is_found_again(place: Place) -> None:
    """A job that is deleted and applied again shows its finished run, and nothing is paid."""
    place.apply(job())
    before = place.until_ready(JOB)["status"]
    place.delete(JOB, "essay")
    place.apply(job())

    after = place.until_ready(JOB)["status"]
    assert (after["taskUuid"], after["jobUuid"]) == (before["taskUuid"], before["jobUuid"])
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_an_orphaned_chain_is_found_again(place: Place) -> None:
    """A chain that is deleted with Orphan and applied again has the same run, version and URL, and nothing is paid."""
    chain = [job(deletionPolicy="Orphan"), model(deletionPolicy="Orphan"), service(deletionPolicy="Orphan")]
    place.apply(*chain)
    before = [place.until_ready(plural)["status"] for plural in (JOB, MODEL, SERVICE)]
    for plural in (SERVICE, MODEL, JOB):
        place.delete(plural, "essay")
    place.apply(*chain)

    after = [place.until_ready(plural)["status"] for plural in (JOB, MODEL, SERVICE)]
    for index, name in enumerate(("jobUuid", "modelVersionId", "url")):
        assert after[index][name] == before[index][name]
    assert place.paid() == {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}


def test_another_training_of_the_same_name_is_another_run(place: Place) -> None:
    """A job that is deleted and applied again with other inputs trains anew, in a task of its own."""
    place.apply(job())
    before = place.until_ready(JOB)["status"]
    place.delete(JOB, "essay")
    place.apply(job(trainset=[{"id": 5678}]))

    assert place.until_ready(JOB)["status"]["taskUuid"] != before["taskUuid"]
    assert place.paid() == {"createTask": 2, "createJob": 2}
