"""The rules of createTask, createJob, jobDetail and stopJob.

See docs/design/wire.md#v1-calls.
"""

import json
from base64 import b64decode
from typing import Any

import pytest

from qianfan_simulator import AfterSeconds, Simulator
from simulator.console import Console
from simulator.story import JOB, Story


def test_a_task_is_told_back(console: Console) -> None:
    """createTask tells both ids, the description and a date of Beijing."""
    told = console.ok("createTask", name="demo_task")
    assert told["uuid"].startswith("job-")
    assert len(told["uuid"]) == len("job-") + 12
    assert told["description"] == ""
    assert told["createTime"] == "2024-03-01 16:00:00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"name": "x"},
        {"name": "x" * 21},
        {"name": 12},
        {"name": ["ab"]},
        {"name": "abc", "description": "x" * 501},
        {"name": "abc", "description": 1},
    ],
)
def test_a_bad_task_is_refused(console: Console, body: dict[str, Any]) -> None:
    """Missing, mistyped and over-long parameters are 500001."""
    assert console.code("createTask", **body) == 500001


@pytest.mark.parametrize("name", ["ab", "x" * 20, "训练"])
def test_names_of_two_to_twenty_characters_are_good(console: Console, name: str) -> None:
    """Length counts characters, in any script."""
    assert console.ok("createTask", name=name, description=None)["name"] == name


def test_a_taken_name_is_refused(console: Console) -> None:
    """Task names are unique in an account: 510201."""
    console.ok("createTask", name="abc")
    assert console.code("createTask", name="abc") == 510201


def test_limits_of_the_account(sim: Simulator, console: Console, story: Story) -> None:
    """One task or working run too many is 510203 or 510402."""
    run = story.run()
    sim.configure(max_tasks=1, max_running=1)
    assert console.code("createTask", name="another") == 510203
    assert console.code("createJob", **JOB, taskId=run["taskId"]) == 510402
    sim.stop_run(run["uuid"])
    console.ok("createJob", **JOB, taskId=run["taskId"])


@pytest.mark.parametrize(
    "change",
    [
        {"taskId": None},
        {"taskId": "9220"},
        {"taskId": True},
        {"taskId": 9220.0},
        {"taskId": 0},
        {"jobRunType": 2},
        {"jobRunType": "0"},
        {"jobRunType": 1},
        {"baseTrainType": None},
        {"trainType": None},
        {"trainType": "GPT"},
        {"baseTrainType": "Llama-2"},
        {"trainMode": "DPO"},
        {"trainMode": None},
        {"peftType": "lora"},
        {"peftType": None},
        {"trainConfig": None},
        {"trainConfig": []},
        {"trainConfig": {**JOB["trainConfig"], "epoch": None}},
        {"trainConfig": {**JOB["trainConfig"], "epoch": "4"}},
        {"trainConfig": {**JOB["trainConfig"], "learningRate": "2e-5"}},
        {"trainset": None},
        {"trainset": []},
        {"trainset": [1234]},
        {"trainset": [{"type": 1, "id": "ds-1"}]},
        {"trainset": [{"type": 3, "id": 1}]},
        {"trainset": [{"type": 2, "bosPath": "/bucket"}]},
        {"trainsetRate": None},
        {"trainsetRate": 51},
        {"trainsetRate": "20"},
        {"description": 3},
    ],
)
def test_a_bad_run_is_refused(console: Console, story: Story, change: dict[str, Any]) -> None:
    """Missing and mistyped parameters of createJob are 500001, integer ids as strings included."""
    body = {**JOB, "taskId": story.task()["id"], **change}
    assert console.code("createJob", **body) == 500001


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 0},
        {"epoch": 51},
        {"learningRate": 1e-6},
        {"learningRate": 2e-3},
        {"batchSize": 0},
        {"batchSize": 65},
        {"maxSeqLen": 1000},
        {"maxSeqLen": None},
        {"loggingSteps": 101},
        {"warmupRatio": 0.9},
        {"weightDecay": 2},
        {"loraDropout": 0.9},
        {"loraRank": 3},
        {"loraAlpha": 3},
        {"schedulerName": "magic"},
        {"loraAllLinear": "true"},
        {"loraTargetModules": ["x"]},
    ],
)
def test_a_train_config_out_of_range_is_refused(console: Console, story: Story, change: dict[str, Any]) -> None:
    """The limits of the catalogue are 510401."""
    config = {**JOB["trainConfig"], **change}
    assert console.code("createJob", **{**JOB, "taskId": story.task()["id"], "trainConfig": config}) == 510401


def test_a_peft_type_that_the_algorithm_does_not_know_is_refused(console: Console, story: Story) -> None:
    """0725 has no P-tuning: 510401."""
    assert console.code("createJob", **{**JOB, "taskId": story.task()["id"], "peftType": "P-tuning"}) == 510401


@pytest.mark.parametrize(
    ("base", "train_type", "peft", "config"),
    [
        ("ERNIE-Speed", "ERNIE-Speed", "ALL", {"epoch": 1, "learningRate": 3e-5, "maxSeqLen": 4096, "loraRank": 4}),
        ("ERNIE-Bot-turbo", "ERNIE-Bot-turbo-0704", "P-tuning", {"epoch": 1, "learningRate": 0.003}),
        ("ERNIE-Bot-turbo", "ERNIE-Bot-turbo-0516", "ALL", {"epoch": 1, "learningRate": 2e-4, "batchSize": 16}),
        ("Llama-2", "Llama-2-13b", "LoRA", {"epoch": 1, "learningRate": 2e-4, "loraAllLinear": "True", "Packing": 1}),
        ("Llama-2-7b", "Llama-2-7b", "ALL", {"epoch": 1, "learningRate": 2e-4, "schedulerName": "cosine"}),
        ("CodeLlama", "CodeLlama-7B", "LoRA", {"epoch": 1, "learningRate": 1e-9, "loraTargetModules": ["mlp.up_proj"]}),
    ],
)
def test_the_catalogue_is_accepted(story: Story, base: str, train_type: str, peft: str, config: dict[str, Any]) -> None:
    """Each family trains with its own limits; keys that it does not know are ignored."""
    story.run(baseTrainType=base, trainType=train_type, peftType=peft, trainConfig=config)


def test_misspelt_keys_are_understood(console: Console, story: Story) -> None:
    """The vendor's raw sample says `baseTraintype` and `pefttype`; unknown keys do no harm."""
    body = {key: value for key, value in JOB.items() if key not in ("baseTrainType", "peftType")}
    body |= {"taskId": story.task()["id"], "baseTraintype": JOB["baseTrainType"], "pefttype": "LoRA", "ak": "x"}
    assert console.ok("createJob", **body)["uuid"].startswith("task-")


def test_ids_of_one_kind_are_never_right_for_another(console: Console, story: Story) -> None:
    """A run's id is no task: 510202; a task's id, or another task's run, is no run: 510301."""
    run, other = story.run(), story.task("other_task")
    assert console.code("createJob", **{**JOB, "taskId": run["jobId"]}) == 510202
    assert console.code("jobDetail", taskId=run["jobId"], jobId=run["jobId"]) == 510202
    assert console.code("jobDetail", taskId=run["taskId"], jobId=run["taskId"]) == 510301
    assert console.code("jobDetail", taskId=other["id"], jobId=run["jobId"]) == 510301
    assert console.code("stopJob", taskId=run["taskId"], jobId=1) == 510301


@pytest.mark.parametrize("operation", ["jobDetail", "stopJob"])
def test_reading_and_stopping_take_integers_only(console: Console, story: Story, operation: str) -> None:
    """Strings, even the right ones, are 500001."""
    run = story.run()
    assert console.code(operation, taskId=run["taskUuid"], jobId=run["uuid"]) == 500001
    assert console.code(operation, taskId=run["taskId"], jobId=str(run["jobId"])) == 500001
    assert console.code(operation, taskId=run["taskId"]) == 500001


@pytest.mark.parametrize(
    ("code", "entry"), [(510101, {"type": 1, "id": 77}), (510102, {"type": 2, "bosPath": "bos:/b/d/"})]
)
def test_bad_data_sets_are_refused(console: Console, story: Story, code: int, entry: dict[str, Any]) -> None:
    """A data set can be declared too small or unusable, and good again."""
    task = story.task()["id"]
    reference = entry.get("id") or entry["bosPath"]
    console.control("dataset", id=reference, code=code)
    assert console.code("createJob", **{**JOB, "taskId": task, "trainset": [entry]}) == code
    console.control("dataset", id=reference, code=0)
    console.ok("createJob", **{**JOB, "taskId": task, "trainset": [entry]})


def test_a_repeated_create_makes_a_second_run(console: Console, story: Story) -> None:
    """Nothing in createJob makes a repeat recognisable; `version` counts the runs of the task."""
    task = story.task()
    story.run(task)
    second = story.run(task)
    assert console.ok("jobDetail", taskId=task["id"], jobId=second["jobId"])["version"] == 2


def test_incremental_training_needs_a_finished_full_run(console: Console, story: Story) -> None:
    """A base with LoRA, or one that has not finished, is 510404; a good one hands its algorithm down."""
    full = {"peftType": "ALL", "trainConfig": {"epoch": 1, "learningRate": 3e-5, "maxSeqLen": 4096}}
    lora, running = story.finished(), story.run(story.task("running"), **full)
    base = story.finished(story.task("full"), **full)
    task = story.task("incremental")
    body = {key: JOB[key] for key in ("trainset", "trainsetRate")}
    body |= {"taskId": task["id"], "jobRunType": 1, "trainConfig": full["trainConfig"]}

    def base_of(run: dict[str, Any]) -> dict[str, Any]:
        return {"increConfig": {"taskId": run["taskId"], "jobId": run["jobId"]}}

    assert console.code("createJob", **body, **base_of(lora)) == 510404
    assert console.code("createJob", **body, **base_of(running)) == 510404
    assert console.code("createJob", **body, **base_of({"taskId": base["taskId"], "jobId": 1})) == 510301
    assert console.code("createJob", **body, **base_of({"taskId": base["taskUuid"], "jobId": 1})) == 500001
    job = console.ok("createJob", **body, **base_of(base))
    told = console.ok("jobDetail", taskId=task["id"], jobId=job["id"])
    assert (told["jobRunType"], told["peftType"]) == (1, "ALL")
    assert told["increConfig"] == {"taskId": base["taskId"], "jobId": base["jobId"]}


def test_training_goes_in_plateaus(sim: Simulator, console: Console, story: Story) -> None:
    """1, 3, 34, 65, 96, 99, then FINISH with whatever was told last; times come from the simulator's clock."""
    sim.configure(training=AfterSeconds(2100))
    run = story.run(description="mark")
    ids = {"taskId": run["taskId"], "jobId": run["jobId"]}
    told = []
    for _ in range(36):
        told.append(console.ok("jobDetail", **ids))
        sim.advance(60)
    assert list(dict.fromkeys(one["progress"] for one in told)) == [1, 3, 34, 65, 96, 99]
    first, last = told[0], told[-1]
    assert (first["trainStatus"], first["runTime"], first["trainTime"]) == ("RUNNING", 0, 0)
    assert first["finishTime"] == "0000-00-00 00:00:00"
    assert first["description"] == "mark"
    assert first["trainType"] == "ernieBotLite-v201-8k"
    assert (last["trainStatus"], last["runTime"], last["finishTime"]) == ("FINISH", 2100, "2024-03-01 16:35:00")
    assert 0 < last["trainTime"] < last["runTime"]
    token = json.loads(b64decode(last["vdlLink"].partition("displayToken=")[2]))
    assert token["runId"].startswith("run-")


def test_a_stopped_run_has_no_finish_time(console: Console, story: Story) -> None:
    """stopJob is true at once, the state follows; a second stop is 510302 then."""
    run = story.run()
    ids = {"taskId": run["taskId"], "jobId": run["jobId"]}
    assert console.ok("stopJob", **ids) is True
    assert console.ok("stopJob", **ids) is True
    assert story.see("jobDetail", "trainStatus", "STOP", **ids) == ["RUNNING"]
    assert console.ok("jobDetail", **ids)["finishTime"] == "0000-00-00 00:00:00"
    assert console.code("stopJob", **ids) == 510302


def test_a_finished_run_cannot_be_stopped(console: Console, story: Story) -> None:
    """510302: the state of a finished run stays."""
    run = story.finished()
    assert console.code("stopJob", taskId=run["taskId"], jobId=run["jobId"]) == 510302
