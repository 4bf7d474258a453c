"""What the cloud refuses as it is written waits for a person, with the cloud's own words."""

from e2e.place import JOB, TRAINING, Place, condition, job
from simulator.story import Story


def test_a_refused_configuration_is_shown_and_can_be_mended(place: Place) -> None:
    """A job that the cloud refuses is Stalled with its code and words; mended, it trains: nothing was paid for."""
    wrong = {"epoch": 4, "learningRate": "0.5", "maxSeqLen": 4096}
    place.apply(job(trainConfig=wrong))

    stalled = place.until_stalled(JOB, "Refused")
    assert "train config error (510401)" in condition(stalled, "Ready")["message"]
    error = stalled["status"]["lastError"]
    assert (error["operation"], error["code"], error["message"]) == ("createJob", "510401", "train config error")
    assert error["requestId"]
    assert place.paid() == {"createTask": 1}

    place.apply(job())
    place.until_ready(JOB)
    assert place.run().config["learningRate"] == 0.00003
    assert place.paid()["createJob"] == 1


def test_a_refused_data_set_trains_when_it_is_mended_in_the_cloud(place: Place) -> None:
    """A job that is Stalled for its data set trains by itself once the data set is good."""
    datasets = place.cloud.account(place.key.access_key).bad_datasets
    datasets[1234] = 510102
    place.apply(job())
    stalled = place.until_stalled(JOB, "Refused")
    assert "510102" in condition(stalled, "Ready")["message"]

    datasets.clear()
    place.until_ready(JOB)
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_a_spec_is_free_until_something_was_sent(bare_place: Place) -> None:
    """As long as nothing was sent, what is to be trained may change without a new attempt; the last word is trained."""
    place = bare_place
    place.apply(job(trainType="ERNIE-Bot-tubro-0725"))
    place.until_waiting(JOB, "CredentialsNotFound")
    place.apply(job())
    place.give_keys()

    place.until_ready(JOB)
    assert place.run().train_type == "ERNIE-Bot-turbo-0725"
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_a_name_of_somebody_else_is_not_taken_over(place: Place, story: Story) -> None:
    """A task name that others use stalls the job, and their task stays as it is."""
    story.task("task_name")
    place.apply(job(taskName="task_name"))
    stalled = place.until_stalled(JOB, "NameTaken")
    assert "Choose another spec.taskName" in condition(stalled, "Ready")["message"]

    place.apply(job(taskName="task_name_2"))
    assert place.until_ready(JOB)["status"]["taskName"] == "task_name_2"


def test_an_extra_that_admission_cannot_measure_is_invalid_before_anything_is_made(place: Place) -> None:
    """CEL does not see into open objects: the operator says at once which field is too large, and makes nothing."""
    config = TRAINING["trainConfig"]
    place.apply(job(trainConfig={**config, "extra": {f"key{number}": "x" * 1000 for number in range(17)}}))
    invalid = place.until_stalled(JOB, "InvalidSpec")
    assert "spec.trainConfig.extra must be at most 16384 bytes as JSON" in condition(invalid, "Ready")["message"]
    assert "finalizers" not in invalid["metadata"]
    assert place.calls() == []
    place.apply(job(trainConfig={**config, "extra": {"key": "x" * 1000}}))
    place.until_ready(JOB)
    assert place.paid() == {"createTask": 1, "createJob": 1}
