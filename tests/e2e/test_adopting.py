"""What was made by other means is taken over by its ids, shown as the cloud tells it, and left when the object goes."""

from e2e.place import MODEL, SERVICE, Place, condition, model, service
from simulator.story import Story

FOR_MODEL = {"source": None, "target": None}
FOR_SERVICE = {"source": None, "serviceName": None, "uri": None}


def test_a_model_and_its_service_are_taken_over(place: Place, story: Story) -> None:
    """A whole model and a service by the strings of the new console: what they are is shown, and nothing is made."""
    first = story.ready("by_hand")
    run = story.finished(story.task("more"))
    second = story.publish(run, modelId=first["modelId"])
    story.see("modelVersionDetail", "state", "Ready", modelVersionId=second["versionId"])
    served = story.serving(first)
    made = place.paid()
    place.apply(
        model(**FOR_MODEL, adopt={"modelId": first["modelIDStr"]}),
        service(**FOR_SERVICE, adopt={"serviceId": served["serviceUuid"]}),
    )

    shown, endpoint = place.until_ready(MODEL)["status"], place.until_ready(SERVICE)["status"]
    assert (shown["modelId"], shown["modelVersionId"]) == (first["modelId"], second["versionId"])
    assert [one["version"] for one in shown["versions"]] == ["2", "1"]
    assert (shown["source"]["taskId"], shown["source"]["jobId"]) == (run["taskId"], run["jobId"])
    assert (endpoint["serviceId"], endpoint["modelVersionId"]) == (served["serviceId"], first["versionId"])
    assert endpoint["url"].endswith(endpoint["uri"])
    place.delete(SERVICE, "essay")
    place.delete(MODEL, "essay")
    assert place.paid() == made
    assert place.cloud.find(served["serviceId"]).life.state == "Done"
    assert place.cloud.find(second["versionId"])


def test_adopt_is_the_way_out_of_a_taken_name(place: Place, story: Story) -> None:
    """A service whose name is taken says which id to adopt, and takes it over when that is added."""
    version = story.ready("by_hand")
    served = story.serving(version, name="essay_service")
    made = place.paid()
    source = {"modelVersion": {"modelId": version["modelId"], "modelVersionId": version["versionId"]}}
    place.apply(service(source=source))
    stalled = place.until_stalled(SERVICE, "NameTaken")
    assert f"spec.adopt.serviceId: {served['serviceId']}" in condition(stalled, "Ready")["message"]

    place.patch(SERVICE, "essay", {"spec": {"adopt": {"serviceId": served["serviceId"]}}})
    assert place.until_ready(SERVICE)["status"]["adopted"] is True
    assert place.paid() == made


def test_a_thing_has_one_object(place: Place, story: Story) -> None:
    """The second object that adopts a service is AlreadyManaged; one that holds another service is AlreadyBound."""
    version = story.ready("by_hand")
    services = [story.serving(version, name=name) for name in ("one", "two")]
    place.apply(service("first", **FOR_SERVICE, adopt={"serviceId": services[0]["serviceId"]}))
    place.until_ready(SERVICE, "first")
    place.apply(service("second", **FOR_SERVICE, adopt={"serviceId": services[0]["serviceUuid"]}))
    place.until_stalled(SERVICE, "AlreadyManaged", "second")

    place.patch(SERVICE, "first", {"spec": {"adopt": {"serviceId": services[1]["serviceId"]}}})
    place.until_stalled(SERVICE, "AlreadyBound", "first")
    place.patch(SERVICE, "first", {"spec": {"adopt": {"serviceId": services[0]["serviceUuid"]}}})
    place.until_ready(SERVICE, "first")
