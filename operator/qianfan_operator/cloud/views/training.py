"""Reply types of tasks and runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from qianfan_operator.cloud.fields import (
    MalformedError,
    Object,
    address,
    count,
    description,
    ids,
    integer,
    moment,
    name,
    percent,
    prefixed,
    required,
    usable,
    word,
)

_V1_STATUS: Final[Mapping[str, str]] = {
    "": "Waiting", "Running": "RUNNING", "Done": "FINISH", "Failed": "FAIL", "Stopped": "STOP",
}  # fmt: skip
_V1_PEFT_TYPE: Final[Mapping[str, str]] = {"FullFineTuning": "ALL", "LoRA": "LoRA", "PromptTuning": "P-tuning"}


@dataclass(frozen=True, slots=True)
class Task:
    """What createTask made."""

    id: int
    uuid: str | None
    name: str

    @classmethod
    def parse(cls, result: object) -> "Task":
        """Read createTask's result.

        See docs/design/wire.md#createtask.
        """
        reply = required(result)
        number, uuid = ids(reply, ("id",), "job-", ("uuid",))
        if number is None:
            raise MalformedError("The new task has no id.")
        return cls(id=number, uuid=uuid, name=name(reply, "name"))


@dataclass(frozen=True, slots=True)
class RunIds:
    """What createJob made."""

    job_id: int
    job_uuid: str | None

    @classmethod
    def parse(cls, result: object) -> "RunIds":
        """Read createJob's result.

        See docs/design/wire.md#createjob.
        """
        reply = required(result)
        number, uuid = ids(reply, ("id",), "task-", ("uuid",))
        if number is None:
            raise MalformedError("The new run has no id.")
        return cls(job_id=number, job_uuid=uuid)


@dataclass(frozen=True, slots=True)
class Run:
    """One training run, as it is now. What V2 tells is in V1's words, as far as V1 has one.

    See docs/design/wire.md#v1-and-v2-words.
    """

    task_id: int | None
    job_id: int | None
    task_uuid: str | None
    job_uuid: str | None
    task_name: str
    status: str
    """RUNNING, FINISH, STOP, FAIL; V2's Waiting, for which V1 has no word; or a word that nobody has documented."""
    peft_type: str
    """ALL, LoRA or P-tuning."""
    progress: int | None
    """Percent; coarse, and the last value before the end may be far below 100.

    See docs/design/wire.md#progress.
    """
    start_time: str | None
    finish_time: str | None
    """Absent on a stopped V1 run, too.

    See docs/design/wire.md#jobdetail.
    """
    run_time_seconds: int | None
    train_time_seconds: int | None
    vdl_link: str
    version: int | None
    """The running number of the run within its task, from 1; V2 does not tell it."""
    description: str

    @classmethod
    def parse(cls, result: object) -> "Run":
        """Read jobDetail's result.

        See docs/design/wire.md#jobdetail.
        """
        reply = required(result)
        if "trainStatus" not in reply:
            raise MalformedError("The run has no `trainStatus`.")
        task_id, task_uuid = ids(reply, ("taskId",), "job-", ("taskUuid", "taskIdStr", "taskId"))
        job_id, job_uuid = ids(reply, ("id",), "task-", ("uuid", "id"))
        return cls(
            task_id=task_id,
            job_id=job_id,
            task_uuid=task_uuid,
            job_uuid=job_uuid,
            task_name=name(reply, "taskName"),
            status=word(reply, "trainStatus"),
            peft_type=word(reply, "peftType"),
            progress=percent(reply, "progress"),
            start_time=moment(reply, "startTime"),
            finish_time=moment(reply, "finishTime", "finishtime"),
            run_time_seconds=integer(reply, "runTime"),
            train_time_seconds=integer(reply, "trainTime"),
            vdl_link=address(reply, "vdlLink"),
            version=count(reply, "version"),
            description=description(reply, "description"),
        )

    @classmethod
    def parse_v2(cls, result: object) -> "Run":
        """Read DescribeFineTuningTask's result; its only start is the moment of its creation.

        See docs/design/wire.md#describefinetuningtask.
        """
        reply = required(result)
        if "runStatus" not in reply:
            raise MalformedError("The run has no `runStatus`.")
        return cls(
            task_id=None,
            job_id=None,
            task_uuid=usable(lambda: prefixed(reply, "job-", "jobId")),
            job_uuid=prefixed(reply, "task-", "taskId"),
            task_name=name(reply, "jobName"),
            status=_status(reply),
            peft_type=_V1_PEFT_TYPE.get(word(reply, "parameterScale"), ""),
            progress=percent(reply, "runProgress"),
            start_time=moment(reply, "createDate"),
            finish_time=moment(reply, "finishDate"),
            run_time_seconds=None,
            train_time_seconds=None,
            vdl_link=address(reply, "vdlLink"),
            version=None,
            description="",
        )


@dataclass(frozen=True, slots=True)
class TaskItem:
    """One task in V2's list of them."""

    task_uuid: str | None
    """None if it cannot be an id: one such task does not hide the others. Whoever needs it of this task cannot tell."""
    name: str
    description: str
    create_time: str | None

    @classmethod
    def parse(cls, item: object) -> "TaskItem":
        """Read one element of DescribeFineTuningJobs.

        See docs/design/wire.md#fine-tuning-actions.
        """
        reply = required(item)
        uuid, title = usable(lambda: prefixed(reply, "job-", "jobId")), name(reply, "name")
        if uuid is None and not title:
            raise MalformedError("A listed task has neither an id nor a name.")
        return cls(
            task_uuid=uuid,
            name=title,
            description=description(reply, "description"),
            create_time=moment(reply, "createDate"),
        )


@dataclass(frozen=True, slots=True)
class RunItem:
    """One run in V2's list of a task's runs; its status is in V1's words, as far as V1 has one.

    A run whose id cannot be one makes the list of its task unreadable: nothing can be said of what was made there.
    """

    job_uuid: str
    task_uuid: str | None
    status: str
    create_time: str | None
    finish_time: str | None

    @classmethod
    def parse(cls, item: object) -> "RunItem":
        """Read one element of DescribeFineTuningTasks.

        See docs/design/wire.md#fine-tuning-actions.
        """
        reply = required(item)
        uuid = prefixed(reply, "task-", "taskId")
        if uuid is None:
            raise MalformedError("A listed run has no id.")
        return cls(
            job_uuid=uuid,
            task_uuid=usable(lambda: prefixed(reply, "job-", "jobId")),
            status=_status(reply),
            create_time=moment(reply, "createDate"),
            finish_time=moment(reply, "finishDate"),
        )


def _status(reply: Object) -> str:
    """Return V2's word for a run's state as V1 says it: one run does not change its words with the way it is read."""
    told = word(reply, "runStatus")
    return _V1_STATUS.get(told, told)
