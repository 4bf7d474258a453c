"""`/wenxinworkshop/finetune/`: createTask, createJob, jobDetail, stopJob.

See docs/design/wire.md#v1-calls.
"""

import base64
from dataclasses import dataclass
from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.catalogue import BY_NAME, TrainConfigError, TrainType, find
from qianfan_simulator.dates import NEVER_V1, v1_date
from qianfan_simulator.errors import ConsoleError
from qianfan_simulator.lifecycle import RUN, Life, progress
from qianfan_simulator.things import Run, Task

_WORDS = {"STOPPING": "RUNNING"}


def create_task(account: Account, body: Body) -> dict[str, Any]:
    """Make a named folder. 510201 if the name is taken."""
    name = body.text("name", 2, 20)
    description = body.text("description", default="")
    if account.tasks.named(name):
        raise ConsoleError(510201)
    account.check_task_limit()
    number, uid = account.new_ids("job")
    task = Task(id=number, uid=uid, created=account.now, name=name, description=description)
    account.keep(account.tasks, task)
    return {
        "id": task.id,
        "uuid": task.uid,
        "name": task.name,
        "description": task.description,
        "createTime": v1_date(task.created),
    }


def create_job(account: Account, body: Body) -> dict[str, Any]:
    """Start a training in a task. Nothing in the request makes a repeat recognisable."""
    task = account.tasks.find(body.integer("taskId"))
    kind_of_run = body.integer("jobRunType", 0, 1, default=0)
    description = body.text("description", default="")
    if task is None:
        raise ConsoleError(510202)
    base = _base_of(account, body.section("increConfig")) if kind_of_run == 1 else None
    kind, peft = (kind_of(base), base.peft) if base else _chosen(body)
    _check_config(kind, peft, body.section("trainConfig"))
    _check_dataset(account, body)
    body.number("trainsetRate", 0, 50)
    account.check_run_limit()
    plan = Plan(kind, peft, body.raw("trainConfig"), body.raw("trainset"), description, base)
    run = start_run(account, task, plan)
    return {"id": run.id, "uuid": run.uid}


def job_detail(account: Account, body: Body) -> dict[str, Any]:
    """Tell how a run is."""
    run = find_run(account, body)
    account.look(run)
    life, ended = run.life, not run.life.working
    run_time = int((life.since if ended else account.now) - run.created)
    stopped = life.state in ("STOP", "STOPPING")
    result = {
        "id": run.id,
        "description": run.description,
        "taskId": run.task.id,
        "taskName": run.task.name,
        "version": run.version,
        "jobRunType": int(run.base is not None),
        "trainType": internal_name(run),
        "trainMode": run.task.mode,
        "peftType": run.peft,
        "trainStatus": _WORDS.get(life.state, life.state),
        "progress": progress(run.reached),
        "runTime": run_time,
        # Queueing and loading the data come first; in a real run training proper was 29 % of the time.
        "trainTime": int(run_time * 0.29) if progress(run.reached) >= 34 else 0,
        "startTime": v1_date(run.created),
        "finishTime": v1_date(life.since) if ended and not stopped else NEVER_V1,
        "vdlLink": vdl_link(run),
    }
    if run.base:
        result["increConfig"] = {"taskId": run.base.task.id, "jobId": run.base.id}
    return result


def stop_job(account: Account, body: Body) -> bool:
    """Ask a run to stop; jobDetail tells when it has."""
    run = find_run(account, body)
    account.settle(run)
    if not run.life.working:
        raise ConsoleError(510302)
    stop_run(account, run)
    return True


def find_run(account: Account, body: Body) -> Run:
    """Return the run that integer `taskId` and `jobId` name. 510202, 510301."""
    task_id, job_id = body.integer("taskId"), body.integer("jobId")
    if account.tasks.find(task_id) is None:
        raise ConsoleError(510202)
    run = account.runs.find(job_id)
    if run is None or run.task.id != task_id:
        raise ConsoleError(510301)
    return run


@dataclass(frozen=True)
class Plan:
    """What a run shall do; `config` and `dataset` as they were sent."""

    kind: TrainType
    peft: str
    config: dict[str, Any]
    dataset: object
    description: str = ""
    base: Run | None = None


def start_run(account: Account, task: Task, plan: Plan) -> Run:
    """Add a run that trains from now on."""
    number, uid = account.new_ids("task")
    task.versions += 1
    task.model = task.model or plan.kind.v2
    run = Run(
        id=number,
        uid=uid,
        created=account.now,
        description=plan.description,
        task=task,
        version=task.versions,
        train_type=plan.kind.name,
        peft=plan.peft,
        config=plan.config,
        dataset=plan.dataset,
        base=plan.base,
        token=account.cloud.ids.letters(16),
        life=Life(RUN, "RUNNING", account.now),
    )
    task.runs.add(run)
    return account.keep(account.runs, run)


def stop_run(account: Account, run: Run) -> None:
    """Have a working run stop; asking twice changes nothing."""
    if run.life.state == "RUNNING":
        run.life.enter("STOPPING", account.now)


def internal_name(run: Run) -> str:
    """Return the trainType of replies, which is not the one sent.

    See docs/design/wire.md#train-types.
    """
    return kind_of(run).internal_name(run.peft)


def kind_of(run: Run) -> TrainType:
    """Return the catalogue's entry of a run."""
    return BY_NAME[run.train_type]


def vdl_link(run: Run) -> str:
    """Return the VisualDL page.

    See docs/design/wire.md#links.
    """
    token = base64.b64encode(f'{{"runId":"run-{run.token}"}}'.encode()).decode()
    return f"https://console.bce.baidu.com/qianfan/visualdl/index?displayToken={token}"


def _chosen(body: Body) -> tuple[TrainType, str]:
    kind = find(body.text("baseTrainType"), body.text("trainType"))
    body.choice("trainMode", "SFT")
    peft = body.choice("peftType", "ALL", "LoRA", "P-tuning")
    if kind is None:
        raise body.refuse("trainType")
    return kind, peft


def _check_config(kind: TrainType, peft: str, config: Body) -> None:
    try:
        kind.check(peft, config)
    except TrainConfigError:
        raise ConsoleError(510401) from None


def _base_of(account: Account, config: Body) -> Run:
    """Return the finished, fully trained run of a fitting model that an incremental one starts from. Else 510404."""
    base = find_run(account, config)
    account.settle(base)
    if base.peft != "ALL" or base.life.state != "FINISH" or not kind_of(base).incremental:
        raise ConsoleError(510404)
    return base


def _check_dataset(account: Account, body: Body) -> None:
    for entry in body.sections("trainset"):
        if entry.integer("type", 1, 2) == 1:
            where: int | str = entry.integer("id")
        elif not (where := entry.text("bosPath", 1, 1024)).startswith("bos:/"):
            raise entry.refuse("bosPath")
        if (code := account.bad_datasets.get(where)) is not None:
            raise ConsoleError(code)
