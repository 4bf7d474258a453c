"""Another version comes behind an endpoint that serves all the time."""

from collections.abc import Iterator

import pytest

from e2e.place import JOB, MODEL, SERVICE, Object, Place, condition, is_so, job, model, service
from e2e.process import OperatorProcess
from qianfan_simulator import AfterLooks, Never
from simulator.story import Story


@pytest.fixture
def mortal(operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """The operator, to be ended by a test; it runs again afterwards."""
    yield operator
    if not operator.runs():
        operator.start()


def always_available(place: Place) -> bool:
    """Whether the service, since it first was, was told to be Available in every version of the object."""
    told = [one for one in place.history.told(SERVICE) if one["metadata"]["namespace"] == place.namespace]
    said = [condition(one, "Available").get("status") for one in told]
    return "True" in said and set(said[said.index("True") :]) == {"True"}


def serves(version: dict[str, int]) -> dict[str, object]:
    """The ids of the source of a service, from what publishing returned."""
    return {"modelVersion": {"modelId": version["modelId"], "modelVersionId": version["versionId"]}}


def test_a_new_attempt_flows_to_the_endpoint(place: Place) -> None:
    """With Follow all the way, raising `attempt` ends behind the same URL, and each step is made once."""
    place.apply(job(), model(updatePolicy="Follow"), service(updatePolicy="Follow"))
    before = place.until_ready(SERVICE)["status"]
    place.apply(job(attempt=2))

    def switched(body: Object) -> bool:
        return is_so(body, "Ready", "True") and body["status"]["modelVersionId"] != before["modelVersionId"]

    after = place.until(SERVICE, switched)["status"]
    published = place.get(MODEL)["status"]
    assert (after["modelVersionId"], published["version"]) == (published["modelVersionId"], "2")
    assert published["source"]["jobId"] == place.get(JOB)["status"]["jobId"]
    assert (after["serviceId"], after["url"]) == (before["serviceId"], before["url"])
    assert always_available(place)
    assert place.paid() == {"createTask": 2, "createJob": 2, "publishTrainModel": 2, "apply": 1}
    assert len(place.calls("ModifyService")) == 1


def test_a_new_attempt_goes_as_far_as_it_is_told(place: Place) -> None:
    """With Manual, the default, each object keeps what it has until its own source is another one."""
    place.apply(job(), model(), service())
    before = place.until_ready(SERVICE)["status"]
    place.apply(job(attempt=2))
    place.until_ready(JOB)
    asked = {"metadata": {"annotations": {"qianfan.dev/reconcile-requested-at": "now"}}}
    place.patch(MODEL, "essay", asked)
    looked = place.until(MODEL, lambda body: body["status"].get("lastHandledReconcileAt") == "now")
    assert (looked["status"]["version"], len(place.calls("publishTrainModel"))) == ("1", 1)

    place.apply(model(source={"jobRef": {"name": "essay", "attempt": 2}}))
    assert place.until_ready(MODEL)["status"]["version"] == "2"
    place.patch(SERVICE, "essay", asked)
    kept = place.until(SERVICE, lambda body: body["status"].get("lastHandledReconcileAt") == "now")
    assert kept["status"]["modelVersionId"] == before["modelVersionId"]
    assert not place.calls("ModifyService")


def test_a_switch_outlives_the_operator(place: Place, story: Story, mortal: OperatorProcess) -> None:
    """An operator that is killed in the middle of a switch goes on with it, and asks for it only once."""
    first, second = (story.ready(name) for name in ("one", "two"))
    place.apply(service(source=serves(first)))
    place.until_ready(SERVICE)
    place.cloud.configure(updating=Never())
    place.apply(service(source=serves(second)))
    place.until(SERVICE, lambda body: body["status"].get("switch", {}).get("since"))
    mortal.kill()
    place.cloud.configure(updating=AfterLooks(1))
    mortal.start()

    assert place.until_ready(SERVICE)["status"]["modelVersionId"] == second["versionId"]
    assert always_available(place)
    assert len(place.calls("ModifyService")) == 1


def test_without_v2_the_old_version_serves_on(place: Place, story: Story) -> None:
    """Where the account may not call V2, the service says so and is Available; going back ends it."""
    first, second = (story.ready(name) for name in ("one", "two"))
    place.apply(service(source=serves(first)))
    place.until_ready(SERVICE)
    place.cloud.configure(v2="denied")
    place.apply(service(source=serves(second)))
    assert is_so(place.until_stalled(SERVICE, "UpdateUnsupported"), "Available", "True")

    place.apply(service(source=serves(first)))
    assert place.until_ready(SERVICE)["status"]["modelVersionId"] == first["versionId"]
    assert always_available(place)
