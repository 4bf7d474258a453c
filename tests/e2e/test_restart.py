"""The operator dies, ends in order and comes back, and what it was at goes on."""

import pytest

from e2e.place import JOB, MODEL, SERVICE, Place, job, model, service
from e2e.process import OperatorProcess
from qianfan_simulator import AfterLooks


@pytest.mark.usefixtures("endless")
def test_a_run_outlives_the_operator(place: Place, mortal: OperatorProcess) -> None:
    """An operator that is killed in the middle of a training goes on with the same run and pays for no other one."""
    place.apply(job())
    before = place.until_waiting(JOB, "Training")
    mortal.kill()
    place.cloud.configure(training=AfterLooks(1))
    mortal.start()

    after = place.until_ready(JOB)
    assert after["status"]["jobId"] == before["status"]["jobId"]
    assert place.paid() == {"createTask": 1, "createJob": 1}


@pytest.mark.usefixtures("endless")
def test_the_operator_ends_in_order(place: Place, mortal: OperatorProcess) -> None:
    """SIGTERM in the middle of a training ends the operator with exit code 0, and its successor finds the run."""
    place.apply(job())
    before = place.until_waiting(JOB, "Training")
    assert mortal.terminate() == 0
    place.cloud.configure(training=AfterLooks(1))
    mortal.start()

    assert place.until_ready(JOB)["status"]["jobId"] == before["status"]["jobId"]
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_what_is_asked_in_its_absence_is_done_on_its_return(place: Place, mortal: OperatorProcess) -> None:
    """What is applied and what is deleted while no operator runs is done when one does."""
    place.apply(job("early"), model("early"))
    place.until_ready(MODEL, "early")
    mortal.kill()
    place.apply(job(), model(), service())
    place.kubectl("delete", MODEL, "early", "--wait=false")
    mortal.start()

    place.until_ready(SERVICE)
    place.history.wait_for(lambda: not place.get(MODEL, "early"), lambda: "the deleted model is still there")
    assert place.paid() == {"createTask": 2, "createJob": 2, "publishTrainModel": 2, "apply": 1}
