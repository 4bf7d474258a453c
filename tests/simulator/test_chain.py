"""The way from a task to an endpoint."""

from simulator.console import Console
from simulator.story import JOB, SERVICE, Story


def test_the_chain_of_v1_from_task_to_endpoint(console: Console, story: Story) -> None:
    """The vendor's sample trains, publishes and serves, and every wait takes two looks."""
    task = console.ok("createTask", name="task_name", description="task_desc")
    job = console.ok("createJob", **JOB, taskId=task["id"])
    ids = {"taskId": task["id"], "jobId": job["id"]}
    assert story.see("jobDetail", "trainStatus", "FINISH", **ids) == ["RUNNING", "RUNNING"]
    meta = {"taskId": task["id"], "iterationId": job["id"]}
    published = console.ok("publishTrainModel", isNewModel=True, modelName="sdk_test_1", versionMeta=meta)
    version = published["versionId"]
    assert story.see("modelVersionDetail", "state", "Ready", modelVersionId=version) == ["Creating", "Creating"]
    applied = console.ok("apply", **SERVICE, modelId=published["modelId"], modelVersionId=version)
    service = {"serviceId": applied["serviceId"]}
    assert console.ok("serviceDetail", **service)["serviceStatus"] == "New"
    console.control("pay", id=applied["serviceId"])
    assert story.see("serviceDetail", "serviceStatus", "Done", **service) == ["Deploying", "Deploying"]
    assert console.ok("serviceDetail", **service)["uri"].endswith("_svc_uri")
