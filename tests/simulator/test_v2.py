"""The V2 actions over the memory that V1 fills.

See docs/design/wire.md#v2-calls.
"""

from typing import Any

import pytest

from qianfan_simulator import AfterSeconds, Simulator
from simulator.console import Console
from simulator.story import Story

JOB = {"name": "v2_job", "model": "ERNIE-Lite-8K-0725", "trainMode": "SFT"}
TASK: dict[str, Any] = {
    "parameterScale": "LoRA",
    "hyperParameterConfig": {"epoch": 1, "learningRate": 3e-5, "maxSeqLen": 4096},
    "datasetConfig": {"sourceType": "Platform", "versions": [{"versionId": "ds-1"}], "splitRatio": 20},
}


def everything(console: Console, action: str, key: str, **body: Any) -> list[Any]:
    """A whole list, page by page."""
    found, marker = [], {}
    while True:
        told = console.ok(action, **body, **marker)
        found += told[key]
        if not told["pageInfo"]["isTruncated"]:
            assert "nextMarker" not in told["pageInfo"]
            return found
        marker = {"marker": told["pageInfo"]["nextMarker"]}


def test_a_v2_run_from_its_job_to_its_end(sim: Simulator, console: Console, story: Story) -> None:
    """Waiting, Running with a percentage, Done with metrics; the dates are UTC, the unset one is zero."""
    sim.configure(training=AfterSeconds(1000))
    job = console.ok("CreateFineTuningJob", **JOB, description="mark")["jobId"]
    made = console.ok("CreateFineTuningTask", **TASK, jobId=job)
    assert made["jobId"] == job
    told = console.ok("DescribeFineTuningTask", taskId=made["taskId"])
    assert (told["runStatus"], told["finishDate"]) == ("Waiting", "0000-00-00T00:00:00Z")
    assert (told["jobName"], told["jobDescription"], told["parameterScale"]) == ("v2_job", "mark", "LoRA")
    sim.advance(100)
    assert console.ok("DescribeFineTuningTask", taskId=made["taskId"])["runProgress"] == "34%"
    sim.advance(1000)
    told = console.ok("DescribeFineTuningTask", taskId=made["taskId"])
    assert (told["runStatus"], told["finishDate"]) == ("Done", "2024-03-01T08:16:40Z")
    assert "runProgress" not in told
    assert told["metrics"]["BLEU-4"].endswith("%")
    meta = {"taskId": job, "iterationId": made["taskId"]}
    console.ok("publishTrainModel", isNewModel=True, modelName="m", versionMeta=meta)


def test_what_v1_made_is_listed_by_its_strings(console: Console, story: Story) -> None:
    """Tasks and runs of V1 appear under their uuids; the task's description is told, the run's is not."""
    task = story.task(description="mark of the task")
    run = story.run(task, description="mark of the run")
    (job,) = everything(console, "DescribeFineTuningJobs", "jobList")
    assert (job["jobId"], job["name"], job["description"]) == (task["uuid"], "task_name", "mark of the task")
    (listed,) = everything(console, "DescribeFineTuningTasks", "taskList", jobId=task["uuid"])
    detail = console.ok("DescribeFineTuningTask", taskId=run["uuid"])
    assert listed["taskId"] == detail["taskId"] == run["uuid"]
    assert "mark of the run" not in str(listed) + str(detail)


def test_v2_may_not_know_what_v1_made(sim: Simulator, console: Console, story: Story) -> None:
    """That V2 shows V1's things is inferred: it can be turned off."""
    run = story.run()
    sim.configure(v2_shows_v1=False)
    assert everything(console, "DescribeFineTuningJobs", "jobList") == []
    assert console.code("DescribeFineTuningTasks", jobId=run["taskUuid"]) == "InappropriateJSON"
    assert console.code("DescribeFineTuningTask", taskId=run["uuid"]) == "InappropriateJSON"


@pytest.mark.parametrize("reverse", [False, True])
def test_lists_are_paged(console: Console, story: Story, reverse: bool) -> None:
    """Ten things a page unless asked otherwise, at most a hundred; the pages make the whole list, in order."""
    names = [story.task(f"task_{number:02}")["name"] for number in range(23)]
    expected = names if reverse else names[::-1]
    first = console.ok("DescribeFineTuningJobs", pageReverse=reverse)
    assert (len(first["jobList"]), first["pageInfo"]["maxKeys"]) == (10, 10)
    for keys in (1, 7, 23, 500):
        found = everything(console, "DescribeFineTuningJobs", "jobList", maxKeys=keys, pageReverse=reverse)
        assert [job["name"] for job in found] == expected
    assert console.ok("DescribeFineTuningJobs", maxKeys=500)["pageInfo"]["maxKeys"] == 100


def test_a_misspelt_marker_never_advances(console: Console, story: Story) -> None:
    """Some SDKs send `maker`, which is an unknown key.

    See docs/design/wire.md#paging.
    """
    for number in range(3):
        story.task(f"task_{number}")
    first = console.ok("DescribeFineTuningJobs", maxKeys=2)
    again = console.ok("DescribeFineTuningJobs", maxKeys=2, maker=first["pageInfo"]["nextMarker"])
    assert again["jobList"] == first["jobList"]


def test_lists_are_filtered(console: Console, story: Story) -> None:
    """By model and by train mode."""
    story.run()
    console.ok("CreateFineTuningJob", **{**JOB, "model": "ERNIE-Speed-8K", "trainMode": "DPO"})
    assert [job["name"] for job in everything(console, "DescribeFineTuningJobs", "jobList", trainMode="DPO")] == [
        "v2_job"
    ]
    found = everything(console, "DescribeFineTuningJobs", "jobList", model="ERNIE-Lite-8K-0725")
    assert [job["name"] for job in found] == ["task_name"]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("CreateFineTuningJob", {**JOB, "name": "x"}),
        ("CreateFineTuningJob", {**JOB, "name": "x" * 21}),
        ("CreateFineTuningJob", {**JOB, "model": "GPT"}),
        ("CreateFineTuningJob", {**JOB, "trainMode": "sft"}),
        ("CreateFineTuningJob", {**JOB, "description": "x" * 501}),
        ("CreateFineTuningTask", {**TASK}),
        ("CreateFineTuningTask", {**TASK, "jobId": "job-nothing"}),
        ("DescribeFineTuningJobs", {"marker": "job-nothing"}),
        ("DescribeFineTuningJobs", {"maxKeys": 0}),
        ("DescribeFineTuningJobs", {"maxKeys": "10"}),
        ("DescribeFineTuningJobs", {"pageReverse": "no"}),
        ("DescribeFineTuningTasks", {}),
        ("DescribeFineTuningTask", {"taskId": 5}),
        ("DescribeFineTuningTask", {"taskId": "task-nothing"}),
        ("StopFineTuningTask", {}),
        ("DescribeModelSet", {}),
        ("DescribeModelSet", {"modelSetId": "am-1", "modelSetName": "m"}),
        ("DescribeModelSet", {"modelSetName": "nothing"}),
        ("DescribeModel", {"modelId": "amv-nothing"}),
        ("DescribeModel", {"modelId": 5}),
        ("DescribeService", {"serviceId": "svco-nothing"}),
        ("ModifyService", {"serviceId": "svco-nothing", "modelSetId": "am-1", "modelId": "amv-1"}),
        ("DeactivateService", {}),
    ],
)
def test_a_bad_request_is_http_400(console: Console, action: str, body: dict[str, Any]) -> None:
    """V2 names the parameter in an InappropriateJSON."""
    reply = console.send(action, body)
    assert reply.status_code == 400
    assert reply.json()["code"] == "InappropriateJSON"
    assert " param[" in reply.json()["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"parameterScale": "PromptTuning"},
        {"parameterScale": "ALL"},
        {"hyperParameterConfig": {"epoch": 0, "learningRate": 3e-5, "maxSeqLen": 4096}},
        {"hyperParameterConfig": None},
        {"datasetConfig": {**TASK["datasetConfig"], "splitRatio": 101}},
        {"datasetConfig": {**TASK["datasetConfig"], "splitRatio": None}},
        {"datasetConfig": {**TASK["datasetConfig"], "versions": []}},
        {"incrementTaskId": "task-nothing"},
    ],
)
def test_a_bad_v2_run_is_refused(console: Console, change: dict[str, Any]) -> None:
    """Bad parameters of CreateFineTuningTask are InappropriateJSON, and nothing is made."""
    job = console.ok("CreateFineTuningJob", **JOB)["jobId"]
    assert console.code("CreateFineTuningTask", **{**TASK, "jobId": job, **change}) == "InappropriateJSON"
    assert everything(console, "DescribeFineTuningTasks", "taskList", jobId=job) == []


def test_names_are_unique_across_both_apis(sim: Simulator, console: Console, story: Story) -> None:
    """A V1 task's name is taken for a V2 job, and a limit holds for both."""
    story.task("v2_job")
    assert console.code("CreateFineTuningJob", **JOB) == "InappropriateJSON"
    sim.configure(max_tasks=1)
    assert console.code("CreateFineTuningJob", **{**JOB, "name": "another"}) == "InappropriateJSON"


def test_incremental_v2_runs_keep_their_model(console: Console) -> None:
    """The base must be of the job's own model."""
    job = console.ok("CreateFineTuningJob", **JOB)["jobId"]
    base = console.ok("CreateFineTuningTask", **TASK, jobId=job)["taskId"]
    console.ok("CreateFineTuningTask", **TASK, jobId=job, incrementTaskId=base)
    speed = console.ok("CreateFineTuningJob", **{**JOB, "name": "speed", "model": "ERNIE-Speed-8K"})["jobId"]
    assert console.code("CreateFineTuningTask", **TASK, jobId=speed, incrementTaskId=base) == "InappropriateJSON"


def test_stopping_answers_whether_it_did(console: Console, story: Story) -> None:
    """True for a working run, false for one that ended and for one that is not there; V1 sees the same."""
    run = story.run()
    assert console.ok("StopFineTuningTask", taskId=run["uuid"]) is True
    assert story.see("DescribeFineTuningTask", "runStatus", "Stopped", taskId=run["uuid"]) == ["Running"]
    assert console.ok("DescribeFineTuningTask", taskId=run["uuid"])["finishDate"] == "0000-00-00T00:00:00Z"
    assert console.ok("jobDetail", taskId=run["taskId"], jobId=run["jobId"])["trainStatus"] == "STOP"
    assert console.ok("StopFineTuningTask", taskId=run["uuid"]) is False
    assert console.ok("StopFineTuningTask", taskId="task-nothing") is False


def test_deleting_runs_and_jobs(console: Console, story: Story) -> None:
    """A working run protects itself and its job; a deleted one is gone for V1 too, and the name is free."""
    run = story.run()
    assert console.ok("DeleteFineTuningTask", taskId=run["uuid"]) is False
    assert console.ok("DeleteFineTuningJob", jobId=run["taskUuid"]) is False
    console.control("stop", id=run["uuid"])
    assert console.ok("DeleteFineTuningTask", taskId=run["uuid"]) is True
    assert console.ok("DeleteFineTuningTask", taskId=run["uuid"]) is False
    assert console.code("jobDetail", taskId=run["taskId"], jobId=run["jobId"]) == 510301
    assert console.ok("DeleteFineTuningJob", jobId=run["taskUuid"]) is True
    assert console.ok("DeleteFineTuningJob", jobId=run["taskUuid"]) is False
    story.task()


def test_the_catalogue(console: Console) -> None:
    """Every model tells its scales and their parameters; what it names can be created."""
    models = console.ok("DescribeFineTuningSupportModels")
    assert isinstance(models, list)
    for number, model in enumerate(models):
        scale = model["supportTrainMode"][0]["supportParameterScale"][0]
        assert {one["key"] for one in scale["supportHyperParameterConfig"]} >= {"epoch", "learningRate"}
        console.ok("CreateFineTuningJob", name=f"job_{number}", model=model["model"], trainMode="SFT")


def test_a_model_set_by_id_and_by_name(console: Console, story: Story) -> None:
    """V2's model set is V1's model, its models are V1's versions."""
    version = story.publish(story.finished())
    by_id = console.ok("DescribeModelSet", modelSetId=version["modelIDStr"])
    assert by_id == console.ok("DescribeModelSet", modelSetName="model_1")
    assert (by_id["modelIds"], by_id["source"]) == ([version["versionIdStr"]], "UserCreate")
    told = story.see("DescribeModel", "status", "Ready", modelId=version["versionIdStr"])
    assert told == ["Creating", "Creating"]
    model = console.ok("DescribeModel", modelId=version["versionIdStr"])
    assert (model["modelSetId"], model["isSupportDeploy"]) == (version["modelIDStr"], True)
    assert model["sourceInfo"]["trainTaskId"].startswith("task-")


def test_a_service_says_serving(console: Console, story: Story) -> None:
    """V2's word for Done is Serving; the endpoint is the last segment of the URL; the description is told."""
    service = story.service(description="mark")["serviceUuid"]
    told = console.ok("DescribeService", serviceId=service)
    assert (told["runStatus"], told["chargeStatus"], told["description"]) == ("New", "NotOpen", "mark")
    console.control("pay", {})
    assert story.see("DescribeService", "runStatus", "Serving", serviceId=service) == ["Deploying", "Deploying"]
    told = console.ok("DescribeService", serviceId=service)
    assert told["url"].rpartition("/")[2] == told["endpoint"]
    assert told["updateStatus"] == "None"
    (listed,) = everything(console, "DescribeServices", "serviceList", name="sdk", runStatus=["Serving"])
    assert listed["serviceId"] == service
    assert everything(console, "DescribeServices", "serviceList", runStatus=["New"]) == []


def test_switching_the_version_of_a_service(console: Console, story: Story) -> None:
    """ModifyService leaves the old version serving until the new one is there; address and id stay."""
    first = story.ready()
    service = story.serving(first)["serviceUuid"]
    before = console.ok("DescribeService", serviceId=service)
    second = story.ready("model_2")
    creating = story.publish(story.finished(story.task("creating")), "model_3")
    wanted = {"serviceId": service, "modelSetId": second["modelIDStr"], "modelId": second["versionIdStr"]}
    assert console.code("ModifyService", **{**wanted, "modelSetId": first["modelIDStr"]}) == "InappropriateJSON"
    unready = {"modelSetId": creating["modelIDStr"], "modelId": creating["versionIdStr"]}
    assert console.code("ModifyService", **{**wanted, **unready}) == "InappropriateJSON"
    assert console.ok("ModifyService", **wanted) is True
    assert console.code("ModifyService", **wanted) == "InappropriateJSON"
    told = console.ok("DescribeService", serviceId=service)
    assert (told["runStatus"], told["modelId"]) == ("Serving", first["versionIdStr"])
    assert told["updateStatus"] != "None"
    assert story.see("DescribeService", "updateStatus", "None", serviceId=service) == ["Updating"]
    after = console.ok("DescribeService", serviceId=service)
    assert after == {**before, "modelSetId": second["modelIDStr"], "modelId": second["versionIdStr"]}


def test_a_switch_can_fail(console: Console, story: Story) -> None:
    """Then the old version goes on serving, and the next switch may work."""
    first, second = story.ready(), story.ready("model_2")
    service = story.serving(first)["serviceUuid"]
    wanted = {"serviceId": service, "modelSetId": second["modelIDStr"], "modelId": second["versionIdStr"]}
    console.ok("ModifyService", **wanted)
    console.control("fail", id=service)
    told = console.ok("DescribeService", serviceId=service)
    assert (told["modelId"], told["updateStatus"], told["runStatus"]) == (first["versionIdStr"], "None", "Serving")
    console.ok("ModifyService", **wanted)
    story.see("DescribeService", "modelId", second["versionIdStr"], serviceId=service)


def test_taking_a_service_offline(console: Console, story: Story) -> None:
    """DeactivateService is asynchronous, and says so when there is nothing to take offline."""
    service = story.service()["serviceUuid"]
    told = console.ok("DeactivateService", serviceId=service)
    assert (told["operation"], told["message"]) == (False, "service status is New")
    console.control("pay", id=service)
    story.see("DescribeService", "runStatus", "Serving", serviceId=service)
    assert console.ok("DeactivateService", serviceId=service) == {"operation": True, "message": ""}
    assert console.ok("DeactivateService", serviceId=service)["operation"] is True
    assert story.see("DescribeService", "runStatus", "Stopped", serviceId=service) == ["Serving"]
    assert console.ok("DeactivateService", serviceId=service)["operation"] is False


@pytest.mark.parametrize(("mode", "status", "code"), [("denied", 403, "AccessDenied"), ("missing", 404, "InvalidURI")])
def test_v2_can_be_switched_off(console: Console, mode: str, status: int, code: str) -> None:
    """Then every action is refused alike, V1 goes on, and a wrong signature is still a wrong signature."""
    console.control("v2", mode=mode)
    reply = console.send("DescribeFineTuningJobs")
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    console.ok("userList")
    stranger = Console(console.sim, secret_key="wrong", session=console.session)
    assert stranger.code("DescribeFineTuningJobs") == "SignatureDoesNotMatch"
    console.control("v2", mode="on")
    console.ok("DescribeFineTuningJobs")


def test_unknown_actions(sim: Simulator, console: Console) -> None:
    """An action that is not simulated says so: a 404 would look like a cloud without V2."""
    reply = console.send("DescribeModelNothing")
    assert (reply.status_code, reply.json()["code"]) == (501, "NotSimulated")
    assert "DescribeModelNothing" in reply.json()["message"]
    assert sim.calls[-1].operation == "unknown"
