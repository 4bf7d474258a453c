"""The cloud is down, slow or talks nonsense: what is known stays, and heals by itself."""

from typing import Any

import pytest

from e2e.place import JOB, SERVICE, Place, condition, is_so, job, model, service
from qianfan_simulator import AfterLooks, Effect

TROUBLES: dict[str, tuple[Effect, dict[str, Any]]] = {
    "unreachable": (Effect.LOSE_REQUEST, {}),
    "slow": (Effect.SLOW, {"seconds": 4.0}),
    "cut-body": (Effect.CUT_BODY, {}),
    "a-page-of-a-proxy": (Effect.HTML, {"status": 502}),
    "a-page-that-says-200": (Effect.HTML, {"status": 200}),
    "internal-error": (Effect.STATUS, {"status": 500}),
    "empty-200": (Effect.STATUS, {"status": 200}),
    "too-many-requests": (Effect.ERROR, {"code": 18}),
    "high-load": (Effect.ERROR, {"code": 336100}),
    "no-access-for-a-moment": (Effect.ERROR, {"code": 500002}),
    "a-code-nobody-knows": (Effect.ERROR, {"code": 987654}),
}


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_poll_that_fails_changes_nothing_of_what_is_known(place: Place, trouble: str) -> None:
    """While a run cannot be looked at it stays Training with all its ids, Synced is Unknown, and then it goes on."""
    place.apply(job())
    before = place.until_waiting(JOB, "Training")["status"]
    effect, more = TROUBLES[trouble]
    place.spoil(effect, "jobDetail", count=0, **more)

    reason = "Throttled" if trouble == "too-many-requests" else "CloudUnavailable"
    blind = place.until(JOB, lambda body: is_so(body, "Synced", "Unknown", reason))
    assert is_so(blind, "Ready", "False", "Training")
    assert is_so(blind, "Reconciling", "True", "ProgressingWithRetry")
    for name in ("taskId", "jobId", "trainStatus"):
        assert blind["status"][name] == before[name]

    place.cloud.configure(training=AfterLooks(1))
    place.cloud.faults.clear()
    place.until_ready(JOB)
    assert place.paid() == {"createTask": 1, "createJob": 1}


def test_an_endpoint_that_cannot_be_looked_at_stays_available(place: Place) -> None:
    """A serving endpoint stays Ready and Available while the cloud is down, and Synced tells that nobody knows."""
    place.apply(job(), model(), service())
    place.until_ready(SERVICE)
    place.spoil(Effect.LOSE_REQUEST, count=0)

    blind = place.until(SERVICE, lambda body: is_so(body, "Synced", "Unknown", "CloudUnavailable"))
    assert is_so(blind, "Ready", "True", "Available")
    assert is_so(blind, "Available", "True", "Available")
    assert not condition(blind, "Reconciling")

    place.cloud.faults.clear()
    place.until(SERVICE, lambda body: is_so(body, "Synced", "True"))


def test_a_create_that_did_not_leave_is_repeated(place: Place) -> None:
    """Creates that the cloud turned away unexecuted are repeated until they are done, and each is done once."""
    for operation in ("createTask", "createJob", "publishTrainModel", "apply"):
        place.spoil(Effect.ERROR, operation, code=18, count=2)
    place.apply(job(), model(), service())

    place.until_ready(SERVICE)
    assert place.paid() == {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}
