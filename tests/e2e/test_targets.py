"""Models and services that begin in the middle of the chain, and the ways in which they can end."""

from e2e.place import MODEL, SERVICE, Place, condition, is_so, model, service
from qianfan_simulator import AfterLooks, Never
from simulator.story import Story


def test_a_run_is_published_into_a_model_that_exists(place: Place, story: Story) -> None:
    """A run given by its ids becomes the next version of a model given by its id; the status lists both versions."""
    there = story.ready("essay_model")
    run = story.finished(story.task("by_hand"))
    source = {"run": {"taskId": run["taskId"], "jobId": run["jobId"]}}
    place.apply(model(source=source, target={"modelId": there["modelId"]}))

    status = place.until_ready(MODEL)["status"]
    assert (status["modelId"], status["version"], status["versionCount"]) == (there["modelId"], "2", 2)
    assert [one["modelVersionId"] for one in status["versions"]] == [status["modelVersionId"], there["versionId"]]


def test_a_run_is_published_into_the_model_of_another_object(place: Place, story: Story) -> None:
    """A target that refers to another object waits for its model, and becomes a version of it."""
    runs = [story.finished(story.task(name)) for name in ("one", "two")]
    sources = [{"run": {"taskId": run["taskUuid"], "jobId": run["uuid"]}} for run in runs]
    place.apply(model("second", source=sources[1], target={"modelRef": {"name": "first"}}))
    place.until_waiting(MODEL, "DependencyNotReady", "second")
    place.apply(model("first", source=sources[0]))

    second, first = place.until_ready(MODEL, "second")["status"], place.until_ready(MODEL, "first")["status"]
    assert second["modelId"] == first["modelId"]
    assert second["modelVersionId"] != first["modelVersionId"]


def test_a_service_waits_for_its_payment(place: Place, story: Story) -> None:
    """An unpaid service says so and where to pay, is not Available, and serves once it is paid for."""
    version = story.ready()
    place.cloud.configure(payment=Never())
    ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
    place.apply(service(source={"modelVersion": ids}))

    unpaid = place.until_waiting(SERVICE, "PaymentRequired")
    assert is_so(unpaid, "Available", "False", "PaymentRequired")
    assert "https://console.bce.baidu.com/" in condition(unpaid, "Ready")["message"]
    assert unpaid["status"]["unpaidSince"]

    place.cloud.pay(unpaid["status"]["serviceId"])
    served = place.until_ready(SERVICE)
    assert is_so(served, "Available", "True")
    assert "unpaidSince" not in served["status"]


def test_a_service_that_nobody_pays_for_needs_a_person(place: Place, story: Story) -> None:
    """A service that is unpaid at its deadline is Stalled, and serves when somebody pays after all."""
    version = story.ready()
    place.cloud.configure(payment=Never())
    ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
    place.apply(service(source={"modelVersion": ids}, paymentDeadlineSeconds=1))
    overdue = place.until_stalled(SERVICE, "PaymentRequired")

    place.cloud.pay(overdue["status"]["serviceId"])
    place.until_ready(SERVICE)


def test_a_service_that_fails_to_deploy_needs_a_person(place: Place, story: Story) -> None:
    """A deployment that fails in the cloud is Stalled and not Available."""
    version = story.ready()
    place.cloud.configure(deploying=Never())
    ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
    place.apply(service(source={"modelVersion": ids}))
    place.cloud.fail(place.until(SERVICE, _deploys)["status"]["serviceId"])

    assert is_so(place.until_stalled(SERVICE, "DeployingFailed"), "Available", "False")


def test_a_service_that_was_stopped_is_not_available(place: Place, story: Story) -> None:
    """A serving endpoint whose paid time runs out is Stalled and not Available."""
    version = story.ready()
    ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
    place.apply(service(source={"modelVersion": ids}))
    place.cloud.expire(place.until_ready(SERVICE)["status"]["serviceId"])

    assert is_so(place.until_stalled(SERVICE, "ServiceStopped"), "Available", "False")


def test_a_version_that_fails_to_publish_needs_a_person(place: Place, story: Story) -> None:
    """A version that the cloud fails to make leaves the model Stalled."""
    run = story.finished()
    place.cloud.configure(publishing=Never())
    place.apply(model(source={"run": {"taskId": run["taskId"], "jobId": run["jobId"]}}))
    version = place.until(MODEL, lambda body: body["status"].get("modelVersionId"))["status"]["modelVersionId"]
    place.cloud.fail(version)

    place.until_stalled(MODEL, "PublishingFailed")


def test_a_service_switches_to_another_version(place: Place, story: Story) -> None:
    """Another source moves behind the same URL, and the endpoint is Available all the way."""
    versions = [story.ready(name) for name in ("one", "two")]
    sources = [{"modelVersion": {"modelId": one["modelId"], "modelVersionId": one["versionId"]}} for one in versions]
    place.apply(service(source=sources[0]))
    before = place.until_ready(SERVICE)["status"]
    place.cloud.configure(updating=Never())
    place.apply(service(source=sources[1]))
    assert is_so(place.until_waiting(SERVICE, "Updating"), "Available", "True")
    place.cloud.configure(updating=AfterLooks(1))

    after = place.until_ready(SERVICE)["status"]
    assert after["modelVersionId"] == versions[1]["versionId"]
    assert after["url"] == before["url"]
    assert len(place.calls("ModifyService")) == 1


def _deploys(body: dict[str, object]) -> bool:
    return is_so(body, "Ready", "False", "Deploying") and "serviceId" in body["status"]
