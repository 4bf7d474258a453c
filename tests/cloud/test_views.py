"""Replies of every generation become the same values, and what a reply must not lack is not made up."""

import dataclasses
import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.cloud import fields
from qianfan_operator.cloud.fields import MalformedError
from qianfan_operator.cloud.views import (
    Applied,
    Model,
    ModelSummary,
    ModelVersion,
    Published,
    Run,
    RunIds,
    RunItem,
    ServedVersion,
    Service,
    ServiceItem,
    Task,
    TaskItem,
    repository,
    serving,
    training,
)

URL = "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/uhd3xsc8_essaycor"

STOPPED_RUN = {
    "id": 11,
    "description": "",
    "taskId": 12102,
    "taskName": "demo_task",
    "version": 1,
    "trainType": "ernieBotLite-v201-8k",
    "trainMode": "SFT",
    "peftType": "LoRA",
    "trainStatus": "STOP",
    "progress": 0,
    "runTime": 267452,
    "trainTime": 0,
    "startTime": "2023-10-23 20:26:46",
    "finishTime": "0000-00-00 00:00:00",
    "vdlLink": "https://console.bce.baidu.com/qianfan/visualdl/index?displayToken=eyJydW5JZCI6InJ1bi0xIn0=",
}
VERSION = {
    "modelId": 17313,
    "modelIdStr": "am-6q6dhia9rhb8",
    "modelName": "m_1",
    "modelVersionId": 21331,
    "modelVersionIdStr": "amv-avbt5d6q6xb4",
    "version": "1",
    "description": "mark",
    "state": "Ready",
    "trainType": "ernieBotLite-v201-8k",
    "createTime": "2024-01-26T20:26:46+08:00",
    "sourceExtra": {
        "sourceType": "Train",
        "trainSourceExtra": {
            "taskId": 12,
            "taskIdStr": "job-aaaaaaaaaaaa",
            "runId": 34,
            "runIdStr": "task-bbbbbbbbbbbb",
        },
    },
}


def test_a_new_task():
    """createTask gives both ids; before 2024 there is only the number."""
    assert Task.parse({"id": 12102, "uuid": "job-abc", "name": "n"}) == Task(12102, "job-abc", "n")
    assert Task.parse({"id": "12102", "name": "n"}) == Task(12102, None, "n")


def test_a_new_run():
    """createJob gives the number, and later also the string."""
    assert RunIds.parse({"id": 5, "uuid": "task-abc"}) == RunIds(5, "task-abc")
    assert RunIds.parse({"id": 5}) == RunIds(5, None)


def test_a_stopped_v1_run():
    """A real reply of a stopped run: its finish time is zero, hence none, and its times are told in UTC."""
    run = Run.parse(STOPPED_RUN)
    assert (run.task_id, run.job_id, run.status, run.progress) == (12102, 11, "STOP", 0)
    assert run.start_time == "2023-10-23T12:26:46Z"
    assert run.finish_time is None
    assert (run.run_time_seconds, run.train_time_seconds, run.version) == (267452, 0, 1)
    assert run.vdl_link.startswith("https://console.bce.baidu.com/")


def test_a_v2_run():
    """A V2 run has the ids crossed and its progress in a string; its words are told as V1's."""
    run = Run.parse_v2(
        {
            "taskId": "task-b",
            "jobId": "job-a",
            "jobName": "n",
            "runStatus": "Running",
            "runProgress": "34%",
            "createDate": "2024-03-01T08:00:00Z",
            "finishDate": "0000-00-00T00:00:00Z",
        }
    )
    assert (run.task_uuid, run.job_uuid, run.task_id, run.job_id) == ("job-a", "task-b", None, None)
    assert (run.status, run.progress) == ("RUNNING", 34)
    assert (run.start_time, run.finish_time) == ("2024-03-01T08:00:00Z", None)


def test_unknown_words_are_kept():
    """A status that nobody has documented is shown as it is; an empty one of V2 is its queue."""
    assert Run.parse({"trainStatus": "QUEUEING"}).status == "QUEUEING"
    assert Run.parse_v2({"runStatus": ""}).status == "Waiting"
    assert Run.parse_v2({"runStatus": "Frozen"}).status == "Frozen"


@pytest.mark.parametrize("key", ["modelIDStr", "modelIdStr"])
def test_a_published_version(key):
    """The publish reply spells one key as nobody else does; both spellings are read."""
    reply = {"modelId": 17313, key: "am-6q", "version": "1", "versionId": 21331, "versionIdStr": "amv-av"}
    assert Published.parse(reply) == Published(17313, "am-6q", 21331, "amv-av", "1")


def test_a_published_version_of_2023():
    """The oldest reply has numbers only."""
    assert Published.parse({"modelId": 1, "versionId": 2, "version": 1}) == Published(1, None, 2, None, "1")


def test_a_model_version_knows_its_run():
    """Of which run a version was made stands deep inside its source."""
    version = ModelVersion.parse(VERSION)
    assert (version.version_id, version.version_id_str) == (21331, "amv-avbt5d6q6xb4")
    assert (version.task_id, version.task_uuid) == (12, "job-aaaaaaaaaaaa")
    assert (version.job_id, version.job_uuid) == (34, "task-bbbbbbbbbbbb")
    assert version.create_time == "2024-01-26T12:26:46Z"


@pytest.mark.parametrize("source", [{}, None, {"trainSourceExtra": None}, []])
def test_a_preset_version_has_no_run(source):
    """Without a training source there are no ids of a run."""
    version = ModelVersion.parse({**VERSION, "sourceExtra": source})
    assert (version.task_id, version.task_uuid, version.job_id, version.job_uuid) == (None, None, None, None)


@pytest.mark.parametrize("order", [["1", "2", "10"], ["10", "2", "1"], ["2", "10", "1"]])
def test_versions_come_newest_first(order):
    """Whatever the cloud's order, numbered versions are sorted by number, not by letters."""
    versions = [{**VERSION, "version": version} for version in order]
    model = Model.parse({"modelId": 1, "modelIdStr": "am-1", "modelName": "m", "modelVersionList": versions})
    assert [version.version for version in model.versions] == ["10", "2", "1"]


def test_named_versions_stay_in_the_clouds_order():
    """Versions of preset models have names, which have no order."""
    versions = [{**VERSION, "version": version} for version in ("Original", "0922")]
    model = Model.parse({"modelId": 1, "modelVersionList": versions})
    assert [version.version for version in model.versions] == ["Original", "0922"]


def test_a_listed_model():
    """The list of models tells the latest version with its source; a model without versions has none."""
    item = {"modelId": 1, "modelIdStr": "am-1", "modelName": "m", "versionCount": 3, "latestVersionInfo": {}}
    assert ModelSummary.parse(item).latest is None
    latest = {key: VERSION[key] for key in ("version", "state", "sourceExtra")}
    item["latestVersionInfo"] = {**latest, "versionId": 9, "versionIdStr": "amv-9"}
    summary = ModelSummary.parse(item)
    assert summary.version_count == 3
    assert summary.latest is not None
    assert (summary.latest.version_id, summary.latest.version_id_str) == (9, "amv-9")
    assert summary.latest.job_id == 34


def test_a_new_service():
    """apply gives the number, and later also the string."""
    assert Applied.parse({"result": True, "serviceId": 5729}) == Applied(5729, None)
    assert Applied.parse({"serviceId": 5, "serviceUuid": "svco-1"}) == Applied(5, "svco-1")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(
            {
                "id": 5729,
                "modelId": 1,
                "iterationId": 2,
                "name": "n",
                "uri": "uhd3xsc8_essaycor",
                "fullUri": "http://10.0.0.1/x",
                "serviceStatus": 1,
                "onlineTime": 1698067606,
                "createTime": 1698067606,
                "vmConfig": {"instanceCount": 2},
            },
            {
                "service_id": 5729,
                "model_id": 1,
                "model_version_id": 2,
                "status": "1",
                "uri": "uhd3xsc8_essaycor",
                "url": "",
                "replicas": 2,
                "online_time": "2023-10-23T13:26:46Z",
            },
            id="2023",
        ),
        pytest.param(
            {
                "id": 5729,
                "aiModelId": 1,
                "aiModelVersionId": 2,
                "name": "n",
                "uri": "uhd3xsc8_essaycor",
                "url": URL,
                "serviceStatus": "Done",
                "onlineTime": "0000-00-00 00:00:00",
                "createTime": "2024-01-26 20:26:46",
            },
            {
                "service_id": 5729,
                "model_id": 1,
                "model_version_id": 2,
                "status": "Done",
                "url": URL,
                "replicas": None,
                "online_time": None,
                "create_time": "2024-01-26T12:26:46Z",
            },
            id="2024",
        ),
        pytest.param(
            {
                "serviceId": "svco-1",
                "modelSetId": "am-1",
                "modelId": "amv-2",
                "url": URL,
                "runStatus": "Serving",
                "updateStatus": "None",
                "chargeStatus": "Opened",
                "resourceConfig": {"replicasCount": 3},
            },
            {
                "service_id": None,
                "service_uuid": "svco-1",
                "model_id": None,
                "model_version_id": None,
                "model_id_str": "am-1",
                "model_version_id_str": "amv-2",
                "status": "Serving",
                "uri": "uhd3xsc8_essaycor",
                "update_status": "None",
                "replicas": 3,
            },
            id="V2 of 2025",
        ),
        pytest.param(
            {"serviceId": "svco-1", "modelId": "am-1", "modelVersionId": "amv-2", "runStatus": "New"},
            {"model_id_str": "am-1", "model_version_id_str": "amv-2", "uri": "", "status": "New"},
            id="V2 of May 2024",
        ),
    ],
)
def test_a_service_of_any_year(reply, expected):
    """Which model a service serves is told by prefixes and types, since the keys changed their meaning."""
    service = dataclasses.asdict(Service.parse(reply))
    assert {key: service[key] for key in expected} == expected


@pytest.mark.parametrize("number", [5, "5"])
def test_a_listed_service(number):
    """The list's ids are numbers or strings of digits, and its address ends in the name of the endpoint."""
    item = ServiceItem.parse(
        {
            "serviceId": number,
            "serviceUuid": "svco-1",
            "name": "n",
            "url": URL,
            "versionList": [{"aiModelId": 1, "aiModelVersionId": 2, "serviceStatus": "Done"}],
        }
    )
    assert (item.service_id, item.service_uuid, item.uri) == (5, "svco-1", "uhd3xsc8_essaycor")
    assert item.versions == (ServedVersion(1, 2, None, None, "Done"),)


def test_v2_lists():
    """V2's tasks and runs are told in V1's words."""
    task = TaskItem.parse({"jobId": "job-1", "name": "n", "description": "[qf1 a]"})
    assert (task.task_uuid, task.description) == ("job-1", "[qf1 a]")
    run = RunItem.parse({"taskId": "task-1", "jobId": "job-1", "runStatus": "Done"})
    assert (run.job_uuid, run.task_uuid, run.status) == ("task-1", "job-1", "FINISH")


@pytest.mark.parametrize(
    ("parse", "reply"),
    [
        (Task.parse, {"uuid": "job-1"}),
        (RunIds.parse, {"uuid": "task-1"}),
        (Run.parse, {"id": 1}),
        (Run.parse_v2, {"taskId": "task-1"}),
        (Published.parse, {"modelId": 1}),
        (ModelVersion.parse, {"modelId": 1}),
        (Model.parse, {"modelVersionList": []}),
        (Model.parse, {"modelId": 1}),
        (Model.parse, {"modelId": 1, "modelVersionList": [1]}),
        (ModelSummary.parse, {"modelName": "m"}),
        (Applied.parse, {"result": True}),
        (Applied.parse, {"result": False, "serviceId": 1}),
        (Service.parse, {"id": 1}),
        (ServiceItem.parse, {"name": "n"}),
        (TaskItem.parse, {"jobId": "task-1"}),
        (RunItem.parse, {"taskId": "job-1"}),
    ],
)
def test_what_a_reply_must_not_lack(parse, reply):
    """A reply without the ids or the state that it is for is malformed, and so is anything but an object."""
    for result in (reply, None, True, [], "text", 7):
        with pytest.raises(MalformedError):
            parse(result)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (34, 34),
        (34.9, 34),
        ("34%", 34),
        ("34", 34),
        (1e300, 100),
        (-3, 0),
        ("many", None),
        ("", None),
        (None, None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_percentages(value, expected):
    """Progress is a whole number of percent, or nothing."""
    assert fields.percent({"p": value}, "p") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-10-23 20:26:46", "2023-10-23T12:26:46Z"),
        ("2024-03-01T08:00:00Z", "2024-03-01T08:00:00Z"),
        ("2024-01-26T20:26:46.123456789+08:00", "2024-01-26T12:26:46Z"),
        ("0001-01-01T00:00:00+08:00", None),
        (1698067606, "2023-10-23T13:26:46Z"),
        ("0000-00-00 00:00:00", None),
        ("0000-00-00T00:00:00Z", None),
        ("2023-13-45 20:26:46", None),
        ("soon", None),
        ("", None),
        (0, None),
        (None, None),
        (True, None),
    ],
)
def test_times(value, expected):
    """Every form of a time becomes RFC 3339 in UTC, and what is no time becomes none."""
    assert fields.moment({"t": value}, "t") == expected


KEYS = re.findall(r'"(\w+)"', "".join(map(inspect.getsource, (training, repository, serving))))
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["am-1", "amv-1"])
)


def json_of(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)


@given(st.recursive(LEAVES, json_of, max_leaves=20))
def test_no_reply_breaks_a_view(reply):
    """Any JSON at all is either understood or malformed; nothing else is raised."""
    for view in (Task, RunIds, Run, TaskItem, RunItem, Published, ModelVersion, Model, ModelSummary, Applied, Service):
        for parse in (view.parse, getattr(view, "parse_v2", view.parse)):
            try:
                parse(reply)
            except MalformedError:
                continue
