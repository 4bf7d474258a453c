"""The rules of models and versions.

See docs/design/wire.md#modeldetail.
"""

from typing import Any

import pytest

from qianfan_simulator import Simulator
from simulator.console import Console
from simulator.story import Story


def test_a_published_version_is_told_everywhere(console: Console, story: Story) -> None:
    """publish, modelVersionDetail and modelDetail agree on ids, and the version names its run."""
    run = story.finished()
    told = console.ok(
        "publishTrainModel",
        isNewModel=True,
        modelName="model_1",
        tags=["好", "b2"],
        versionMeta={"taskId": run["taskId"], "iterationId": run["jobId"], "description": "mark"},
    )
    assert told["modelIDStr"].startswith("am-")
    assert told["versionIdStr"].startswith("amv-")
    assert told["version"] == "1"
    version = console.ok("modelVersionDetail", modelVersionId=told["versionIdStr"])
    assert version["modelIdStr"] == told["modelIDStr"]
    assert (version["state"], version["description"]) == ("Creating", "mark")
    source = version["sourceExtra"]["trainSourceExtra"]
    assert (source["runId"], source["runIdStr"]) == (run["jobId"], run["uuid"])
    assert (source["taskId"], source["taskIdStr"]) == (run["taskId"], run["taskUuid"])
    model = console.ok("modelDetail", modelId=told["modelId"])
    assert model["createTime"].endswith("+08:00")
    assert [one["modelVersionId"] for one in model["modelVersionList"]] == [told["versionId"]]
    assert "params" not in model["modelVersionList"][0]


def test_versions_are_listed_newest_first(console: Console, story: Story) -> None:
    """The first of modelVersionList is the version published last; the model keeps counting."""
    first = story.ready()
    second = story.publish(story.finished(), modelId=first["modelIDStr"])
    assert (second["modelId"], second["version"]) == (first["modelId"], "2")
    told = console.ok("modelDetail", modelId=first["modelIDStr"])
    assert [one["version"] for one in told["modelVersionList"]] == ["2", "1"]
    item = console.ok("userList", nameFilter="model_1")["items"][0]
    assert (item["versionCount"], item["latestVersionInfo"]["versionId"]) == (2, second["versionId"])


def test_publishing_takes_ids_in_both_forms(console: Console, story: Story) -> None:
    """V2's `job-` and `task-` ids go through V1's publish."""
    run = story.finished()
    meta = {"taskId": run["taskUuid"], "iterationId": run["uuid"]}
    console.ok("publishTrainModel", isNewModel=True, modelName="m", versionMeta=meta)


@pytest.mark.parametrize(
    "change",
    [
        {"isNewModel": "yes"},
        {"isNewModel": False},
        {"modelName": 5},
        {"modelName": "x" * 101},
        {"versionMeta": None},
        {"versionMeta": [1]},
        {"versionMeta": {"taskId": 1}},
        {"versionMeta": {"taskId": True, "iterationId": 1}},
        {"tags": "a"},
        {"tags": ["a"] * 6},
        {"tags": ["x" * 11]},
        {"tags": ["a b"]},
        {"tags": [1]},
    ],
)
def test_a_bad_publish_is_refused(console: Console, story: Story, change: dict[str, Any]) -> None:
    """Missing and mistyped parameters are 500001."""
    run = story.finished()
    meta = {"taskId": run["taskId"], "iterationId": run["jobId"]}
    body = {"isNewModel": True, "modelName": "m", "versionMeta": meta, **change}
    assert console.code("publishTrainModel", **body) == 500001


def test_the_codes_of_publishing(sim: Simulator, console: Console, story: Story) -> None:
    """Every business rule has its own code."""
    version, running = story.ready(), story.run()
    other = story.finished(
        story.task("llama"),
        baseTrainType="Llama-2",
        trainType="Llama-2-7b",
        trainConfig={"epoch": 1, "learningRate": 1e-4},
    )
    run = sim.account().versions.find(version["versionId"])
    assert run is not None
    assert run.run is not None
    meta = {"taskId": run.run.task.id, "iterationId": run.run.id}

    def publish(**body: Any) -> Any:
        return console.code("publishTrainModel", **{"versionMeta": meta, **body})

    assert publish(isNewModel=True) == 70131
    assert publish(isNewModel=True, modelName="") == 70131
    assert publish(isNewModel=True, modelName="model_1") == 70101
    assert publish(modelId=1) == 10001
    assert publish(modelId=version["modelId"]) == 70118
    assert publish(modelId=version["modelId"], versionMeta={"taskId": 1, "iterationId": run.run.id}) == 70114
    assert publish(modelId=version["modelId"], versionMeta={"taskId": 1, "iterationId": 2}) == 70114
    working = {"taskId": running["taskId"], "iterationId": running["jobId"]}
    assert publish(isNewModel=True, modelName="m", versionMeta=working) == 21002
    unlike = {"taskId": other["taskId"], "iterationId": other["jobId"]}
    assert publish(modelId=version["modelId"], versionMeta=unlike) == 70130
    preset = console.ok("presetList")["items"][0]["modelId"]
    assert publish(modelId=preset) == 70128


@pytest.mark.parametrize("end", ["fail", "stop"])
def test_only_a_finished_run_can_be_published(sim: Simulator, console: Console, story: Story, end: str) -> None:
    """A failed or stopped run is 21002."""
    run = story.run()
    console.control(end, id=run["uuid"])
    meta = {"taskId": run["taskId"], "iterationId": run["jobId"]}
    assert console.code("publishTrainModel", isNewModel=True, modelName="m", versionMeta=meta) == 21002


def test_unknown_models_and_versions(console: Console) -> None:
    """Either id form of something that is not there is 10001, anything else 500001."""
    assert console.code("modelDetail", modelId=1) == 10001
    assert console.code("modelDetail", modelId="am-nothing") == 10001
    assert console.code("modelVersionDetail", modelVersionId="amv-nothing") == 10001
    assert console.code("modelDetail", modelId=1.5) == 500001
    assert console.code("modelVersionDetail") == 500001


def test_the_user_list_is_paged_filtered_and_ordered(console: Console, story: Story) -> None:
    """Pages cover the list once; the filter is part of the name; presets are elsewhere."""
    run = story.finished()
    for number in range(5):
        story.publish(run, f"model_{number}")
    pages = [console.ok("userList", pageNo=page, pageSize=2) for page in (1, 2, 3)]
    names = [item["modelName"] for page in pages for item in page["items"]]
    assert names == [f"model_{number}" for number in (4, 3, 2, 1, 0)]
    assert {page["total"] for page in pages} == {5}
    assert console.ok("userList", order="asc", orderBy="create_time", pageSize=1)["items"][0]["modelName"] == "model_0"
    assert [item["modelName"] for item in console.ok("userList", nameFilter="_3")["items"]] == ["model_3"]
    assert console.ok("userList", modelType=[1])["total"] == 0
    preset = console.ok("presetList")["items"][0]
    assert console.ok("modelDetail", modelId=preset["modelIdStr"])["source"] == "PlatformPreset"


@pytest.mark.parametrize(
    "body", [{"pageNo": 0}, {"pageSize": 0}, {"pageNo": "1"}, {"orderBy": "name"}, {"order": "up"}]
)
def test_a_bad_page_is_refused(console: Console, body: dict[str, Any]) -> None:
    """Page numbers start at 1 and are integers."""
    assert console.code("userList", **body) == 500001


def test_deleting_versions_and_models(console: Console, story: Story) -> None:
    """Ids of one call have one form; what is deleted is gone, and its name is free again."""
    first = story.ready()
    second = story.publish(story.finished(), modelId=first["modelId"])
    mixed = [first["versionId"], second["versionIdStr"]]
    assert console.code("versionBatchDelete", modelVersionIds=mixed) == 500001
    assert console.code("versionBatchDelete", modelVersionIds=[]) == 500001
    assert console.code("versionBatchDelete", modelVersionIds=[first["versionId"], 1]) == 10001
    assert console.ok("versionBatchDelete", modelVersionIds=[first["versionId"]]) is True
    assert console.code("modelVersionDetail", modelVersionId=first["versionIdStr"]) == 10001
    told = console.ok("modelDetail", modelId=first["modelId"])
    assert [one["version"] for one in told["modelVersionList"]] == ["2"]
    assert console.ok("modelBatchDelete", modelIDs=[first["modelIDStr"]]) is True
    assert console.code("modelDetail", modelId=first["modelId"]) == 10001
    assert console.code("modelVersionDetail", modelVersionId=second["versionId"]) == 10001
    story.publish(story.finished(story.task("again")), "model_1")


def test_presets_cannot_be_deleted(console: Console) -> None:
    """The platform's models are not the user's."""
    preset = console.ok("presetList")["items"][0]["modelId"]
    assert console.code("modelBatchDelete", modelIDs=[preset]) == 500001
