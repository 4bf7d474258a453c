"""`/v2/finetuning`: jobs (V1: tasks) and tasks (V1: runs). Descriptions of runs are not told here.

See docs/design/wire.md#fine-tuning-actions.
"""

from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.catalogue import (
    BY_V2_NAME,
    PEFT_TO_SCALE,
    SCALE_TO_PEFT,
    TRAIN_TYPES,
    TrainConfigError,
    describe_for_v2,
)
from qianfan_simulator.dates import NEVER_V2, v2_date
from qianfan_simulator.errors import ActionError, inappropriate
from qianfan_simulator.lifecycle import progress
from qianfan_simulator.things import Run, Task
from qianfan_simulator.v1.finetune import Plan, kind_of, start_run, stop_run, vdl_link
from qianfan_simulator.v2.paging import page

_MODES = ("SFT", "PostPretrain", "DPO", "KTO")
_WORDS = {"RUNNING": "Running", "STOPPING": "Running", "FINISH": "Done", "FAIL": "Failed", "STOP": "Stopped"}
# V2 tells the first plateau's begin as a queue; V1 has no such word.
_QUEUED_SHARE = 0.01


def create_job(account: Account, body: Body) -> dict[str, Any]:
    """Make a named folder; the code for a taken name is UNKNOWN."""
    name, description = body.text("name", 2, 20), body.text("description", default="")
    model, mode = body.text("model", 1, 100), body.choice("trainMode", *_MODES)
    if model not in BY_V2_NAME:
        raise body.refuse("model")
    if account.tasks.named(name):
        raise inappropriate("name", "already exists")
    account.check_task_limit(_over_limit)
    number, uid = account.new_ids("job")
    task = Task(
        id=number,
        uid=uid,
        created=account.now,
        name=name,
        description=description,
        model=model,
        mode=mode,
        by_v1=False,
    )
    return {"jobId": account.keep(account.tasks, task).uid}


def create_task(account: Account, body: Body) -> dict[str, Any]:
    """Start a training in a job."""
    task = _job(account, body)
    config, dataset = body.section("hyperParameterConfig"), body.section("datasetConfig")
    peft = SCALE_TO_PEFT[body.choice("parameterScale", *SCALE_TO_PEFT, default="FullFineTuning")]
    dataset.choice("sourceType", "Platform", "Bos", "Afs")
    _check_versions(account, dataset)
    dataset.number("splitRatio", 0, 100)
    base = _task(account, body, "incrementTaskId") if body.has("incrementTaskId") else None
    if task.model not in BY_V2_NAME:
        raise body.refuse("jobId")
    kind = BY_V2_NAME[task.model]
    if base and kind_of(base) is not kind:
        raise body.refuse("incrementTaskId")
    try:
        kind.check(peft, config)
    except TrainConfigError:
        raise body.refuse("hyperParameterConfig") from None
    account.check_run_limit(_over_limit)
    plan = Plan(kind, peft, body.raw("hyperParameterConfig"), body.raw("datasetConfig"), base=base)
    run = start_run(account, task, plan)
    return {"jobId": task.uid, "taskId": run.uid}


def _check_versions(account: Account, dataset: Body) -> None:
    """Refuse a version that names nothing or two things, or that was declared bad; the code for that is UNKNOWN."""
    for version in dataset.sections("versions"):
        named = [key for key in ("versionId", "versionBosUri") if version.has(key)]
        if len(named) != 1:
            raise dataset.refuse("versions")
        if version.has("samplingRate"):
            version.number("samplingRate", 0.01, 10)
        if version.text(named[0], 1, 1024) in account.bad_datasets:
            raise dataset.refuse("versions")


def describe_jobs(account: Account, body: Body) -> dict[str, Any]:
    """List the folders."""
    model, mode = body.text("model", default=""), body.text("trainMode", default="")

    def wanted(task: Task) -> bool:
        known = account.options.v2_shows_v1 or not task.by_v1
        return known and model in ("", task.model) and mode in ("", task.mode)

    tasks, info = page(account, account.tasks, Task, body, wanted)
    jobs = [
        {
            "jobId": task.uid,
            "name": task.name,
            "description": task.description,
            "model": task.model,
            "trainMode": task.mode,
            "createDate": v2_date(task.created),
        }
        for task in tasks
    ]
    return {"jobList": jobs, "pageInfo": info}


def describe_tasks(account: Account, body: Body) -> dict[str, Any]:
    """List the trainings of one folder."""
    task = _job(account, body)
    runs, info = page(account, task.runs, Run, body, lambda _run: True)
    return {"taskList": [_told(account, run) for run in runs], "pageInfo": info}


def describe_task(account: Account, body: Body) -> dict[str, Any]:
    """Tell how a training is."""
    run = _task(account, body, "taskId")
    told = _told(account, run)
    if told["runStatus"] == "Running":
        told["runProgress"] = f"{progress(run.reached)}%"
    done = told["runStatus"] == "Done"
    told["vdlLink"] = vdl_link(run)
    told["metrics"] = (
        {"BLEU-4": "16.56%", "ROUGE-1": "27.84%", "ROUGE-2": "11.96%", "ROUGE-L": "26.02%"} if done else {}
    )
    told["checkpointList"] = []
    return told


def stop_task(account: Account, body: Body) -> bool:
    """Ask a training to stop; false when there is nothing to stop.

    See docs/design/wire.md#stopping.
    """
    run = account.runs.find(body.text("taskId", 1))
    if run is None:
        return False
    account.settle(run)
    working = run.life.working
    if working:
        stop_run(account, run)
    return working


def delete_task(account: Account, body: Body) -> bool:
    """Delete a training, unless it works (INFERRED)."""
    run = account.runs.find(body.text("taskId", 1))
    if run is None or _works(account, run):
        return False
    account.drop(run)
    return True


def delete_job(account: Account, body: Body) -> bool:
    """Delete a folder with its trainings, unless one of them works (INFERRED)."""
    task = account.tasks.find(body.text("jobId", 1))
    if task is None or any(_works(account, run) for run in task.runs):
        return False
    account.drop(task)
    return True


def support_models(_account: Account, _body: Body) -> list[dict[str, Any]]:
    """Return what can be trained."""
    return [describe_for_v2(kind) for kind in TRAIN_TYPES if kind.v2]


def _over_limit(_code: int) -> ActionError:
    return inappropriate("jobId", "count over limit")


def _works(account: Account, run: Run) -> bool:
    account.settle(run)
    return run.life.working


def _job(account: Account, body: Body) -> Task:
    task = account.tasks.find(body.text("jobId", 1))
    if task is None or (task.by_v1 and not account.options.v2_shows_v1):
        raise body.refuse("jobId")
    return task


def _task(account: Account, body: Body, key: str) -> Run:
    run = account.runs.find(body.text(key, 1))
    if run is None or (run.task.by_v1 and not account.options.v2_shows_v1):
        raise body.refuse(key)
    return run


def _told(account: Account, run: Run) -> dict[str, Any]:
    account.look(run)
    state = run.life.state
    queued = state == "RUNNING" and run.reached < _QUEUED_SHARE
    return {
        "taskId": run.uid,
        "jobId": run.task.uid,
        "jobName": run.task.name,
        "jobDescription": run.task.description,
        "model": kind_of(run).v2,
        "trainMode": run.task.mode,
        "parameterScale": PEFT_TO_SCALE[run.peft],
        "runStatus": "Waiting" if queued else _WORDS[state],
        "createDate": v2_date(run.created),
        "finishDate": v2_date(run.life.since) if not run.life.working and state != "STOP" else NEVER_V2,
    }
