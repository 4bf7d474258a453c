"""QianfanJob: one fine-tuning; each attempt is a named *task* of the cloud with one *run* in it."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from qianfan_operator.api.cel import VALIDATIONS, fixed, needed, recorded, unchanged
from qianfan_operator.api.common import (
    LIST_MAP,
    LIST_TYPE,
    Column,
    CommonSpec,
    CommonStatus,
    DeletionPolicy,
    Description,
    Int32,
    Int64,
    OpenObject,
    Part,
    Pending,
    Resource,
    Seconds,
)
from qianfan_operator.api.references import KnownRun, RunRef, RunSource, ShortName
from qianfan_operator.api.train_config import TrainConfig, TrainsetItem

_FROM_BASE = "Not sent with `incrementalFrom`: the base run decides."
_TRAIN_TYPE = Annotated[str, Field(min_length=1, max_length=64)]


class IncrementalFrom(RunSource):
    """The run that training goes on from; it must have been trained with peftType ALL."""


class JobAdopt(RunRef):
    """A run that exists in the cloud and stands for one attempt."""

    attempt: Int32 = Field(1, ge=1, description="The attempt that this run stands for.")


class BaseRun(KnownRun):
    """The run that an incremental training goes on from, as `incrementalFrom` was resolved."""


class JobSpec(CommonSpec):
    """What to train, and which attempt is wanted. What is trained changes only together with `attempt`."""

    model_config = ConfigDict(
        json_schema_extra={
            VALIDATIONS: [
                needed("trainConfig"),
                needed("trainset"),
                *(needed(name, "incrementalFrom") for name in ("baseTrainType", "trainType", "peftType")),
            ]
        }
    )
    created_policy: ClassVar[DeletionPolicy] = "Delete"

    task_name: ShortName | None = Field(
        None,
        description="Name of the task (`name` of createTask) that the first attempt creates, unique in the account;"
        " later attempts take its beginning and a hash. Default: made from the object's name. Changes only together"
        " with `attempt`.",
    )
    description: Description | None = Field(
        None,
        description="Description of the run in the cloud, and of its task, where the operator's mark stands before it."
        " A change is used by the next attempt only.",
    )
    base_train_type: _TRAIN_TYPE | None = Field(
        None, description=f"The family of the base model, for example ERNIE-Bot-turbo. {_FROM_BASE}"
    )
    train_type: _TRAIN_TYPE | None = Field(
        None, description=f"The version of the base model, for example ERNIE-Bot-turbo-0725. {_FROM_BASE}"
    )
    train_mode: Literal["SFT"] = Field("SFT", description="The kind of training: supervised fine-tuning.")
    peft_type: Literal["ALL", "LoRA", "P-tuning"] | None = Field(
        None,
        description=f"Which parameters are trained: ALL of them, LoRA matrices, or a prompt (P-tuning). {_FROM_BASE}",
    )
    train_config: TrainConfig | None = Field(None, description="The hyper-parameters, as the cloud names them.")
    trainset: tuple[TrainsetItem, ...] | None = Field(
        None,
        fail_fast=True,
        min_length=1,
        max_length=64,
        description="The data sets to train on.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    trainset_rate: Int32 = Field(
        20, ge=0, le=50, description="Percentage of the data that is split off for evaluation instead of training."
    )
    incremental_from: IncrementalFrom | None = Field(
        None, description="Go on from an earlier run instead of a base model (the cloud's incremental training)."
    )
    attempt: Int32 = Field(
        1,
        ge=1,
        description="Selects an attempt. A number above `status.highestAttempt` trains again, which is paid for; a"
        " recorded number with the same inputs makes that run current again, without any call to the cloud.",
    )
    adopt: JobAdopt | None = Field(
        None, description="Take over a run that exists in the cloud instead of creating one; it stands for one attempt."
    )
    desired_state: Literal["Running", "Stopped"] = Field(
        "Running",
        description="Stopped stops the run. A stopped run cannot go on; raise `attempt` to train again.",
    )
    active_deadline_seconds: Seconds | None = Field(
        None, ge=60, description="Seconds that a run may take, by the cloud's own count, before it is stopped."
    )
    concurrency_policy: Literal["Forbid", "Replace"] = Field(
        "Forbid",
        description="What happens when `attempt` changes while a run works: Forbid waits for its end, Replace stops it"
        " first.",
    )

    @property
    def wants_stop(self) -> bool:
        """See CommonSpec."""
        return self.desired_state == "Stopped"

    @property
    def replaces(self) -> bool:
        """See CommonSpec."""
        return self.concurrency_policy == "Replace"


class RunRecord(Part):
    """An earlier attempt: its run as it was last seen, and what it was trained with."""

    attempt: Int32 = Field(
        description="Number of the attempt; below 1: a run that was made besides the one of its attempt."
    )
    task_name: str | None = Field(None, description="Name of its task in the cloud.")
    task_id: Int64 | None = Field(None, description="Integer id of its task.")
    task_uuid: str | None = Field(None, description="String id of its task (`job-...`).")
    job_id: Int64 | None = Field(None, description="Integer id of its run.")
    job_uuid: str | None = Field(None, description="String id of its run (`task-...`).")
    train_status: str | None = Field(None, description="The cloud's word for the run's state when last seen.")
    progress: Int32 | None = Field(None, description="Percent done when last seen.")
    start_time: str | None = Field(None, description="When the run started (RFC 3339).")
    finish_time: str | None = Field(None, description="When the run ended (RFC 3339).")
    run_time_seconds: Int64 | None = Field(None, description="Seconds from start to end.")
    train_time_seconds: Int64 | None = Field(None, description="Seconds of training proper.")
    vdl_link: str | None = Field(None, description="Page with the training curves (VisualDL).")
    inputs_hash: str | None = Field(None, description="Hash of what it was trained with, after its scheme's version.")
    inputs: OpenObject | None = Field(
        None,
        description="What it was trained with, in normal form; without trainConfig and trainset where those of all"
        " earlier attempts are too large for a status.",
    )
    pending: Pending | None = Field(
        None, description="The announced create, if it is still unknown whether the run exists."
    )
    adopted: bool | None = Field(None, description="True if the run was taken over instead of created.")
    base: BaseRun | None = Field(None, description="The run that it goes on from.")
    sent_description: str | None = Field(
        None, description="The `description` that it was created with; absent if that is not known."
    )
    stop_reason: str | None = Field(
        None, description="Why this object stopped the run: Stopped or DeadlineExceeded; absent if it did not."
    )


class JobStatus(CommonStatus):
    """The current attempt as the cloud shows it, and the earlier ones."""

    attempt: Int32 | None = Field(None, description="The attempt that this status shows.")
    highest_attempt: Int32 | None = Field(None, description="The highest attempt that was ever begun.")
    task_name: str | None = Field(None, description="Name of the task in the cloud.")
    task_id: Int64 | None = Field(None, description="Integer id of the task.")
    task_uuid: str | None = Field(None, description="String id of the task (`job-...`).")
    job_id: Int64 | None = Field(None, description="Integer id of the run.")
    job_uuid: str | None = Field(None, description="String id of the run (`task-...`).")
    train_status: str | None = Field(
        None,
        description="The cloud's word for the run's state: RUNNING, FINISH, FAIL or STOP when this was written, or"
        " Waiting for a run in the queue that is known by its strings only.",
    )
    progress: Int32 | None = Field(
        None, description="Percent done as the cloud says, in steps of ten; not a measure of time."
    )
    start_time: str | None = Field(None, description="When the run started (RFC 3339).")
    finish_time: str | None = Field(None, description="When the run ended (RFC 3339).")
    run_time_seconds: Int64 | None = Field(None, description="Seconds from start to end; written at the end.")
    train_time_seconds: Int64 | None = Field(None, description="Seconds of training proper; written at the end.")
    vdl_link: str | None = Field(None, description="Page with the training curves (VisualDL); needs a console login.")
    inputs: OpenObject | None = Field(
        None, description="What this attempt is trained with, in normal form; of an adopted run, what the cloud tells."
    )
    base: BaseRun | None = Field(None, description="The run that this attempt goes on from, if it is incremental.")
    stop_reason: str | None = Field(
        None, description="Why this object stopped the run: Stopped or DeadlineExceeded; absent if it did not."
    )
    runs: tuple[RunRecord, ...] = Field(
        (),
        description="Earlier attempts, at most ten; one that may work, or whose outcome is unknown, is never dropped.",
        json_schema_extra={LIST_TYPE: "map", LIST_MAP: ["attempt"]},
    )

    @property
    def accounts(self) -> frozenset[str]:
        """See CommonStatus; also of earlier attempts."""
        pending = (run.pending for run in self.runs if run.pending)
        return super().accounts | {intent.account for intent in pending if intent.account is not None}

    @property
    def in_doubt(self) -> bool:
        """See CommonStatus; also of an earlier attempt."""
        return self.pending is not None or any(run.pending for run in self.runs)


_SENT_NOTHING = f"!({recorded('inputsHash')})"
_NEW_ATTEMPT = f"!({unchanged('attempt', '1')})"
# The way out of an attempt that was selected without its inputs. A number up to `status.highestAttempt` is never paid
# for again, so what is trained may be put right as long as that number is not current, or is known not to fit.
_SELECTED = "(has(oldSelf.spec.attempt) ? oldSelf.spec.attempt : 1)"
_NOT_CURRENT = (
    f"{recorded('attempt')} && {_SELECTED} != oldSelf.status.attempt"
    f" && {recorded('highestAttempt')} && {_SELECTED} <= oldSelf.status.highestAttempt"
)
_MISMATCHED = (
    f"{recorded('conditions')} && oldSelf.status.conditions.exists(c, has(c.reason) && c.reason == 'AttemptMismatch')"
)
_MAY_CHANGE = f"{_SENT_NOTHING} || {_NEW_ATTEMPT} || ({_NOT_CURRENT}) || ({_MISMATCHED})"
_TRAINED = {
    "baseTrainType": None,
    "trainType": None,
    "peftType": None,
    "trainConfig": None,
    "trainset": None,
    "trainsetRate": "20",
    "incrementalFrom": None,
    "taskName": None,
}


class QianfanJob(Resource):
    """One fine-tuning of a Qianfan model: a task in the cloud with one run, per attempt."""

    model_config = ConfigDict(
        json_schema_extra={
            VALIDATIONS: [
                fixed(
                    name,
                    _MAY_CHANGE,
                    f"`{name}` may change only together with `attempt` once the run was requested:"
                    " raise `attempt` to train again, which is paid for; to go back, set `attempt` to the earlier"
                    " number first, then apply again",
                    default,
                )
                for name, default in _TRAINED.items()
            ]
        }
    )
    kind: ClassVar[str] = "QianfanJob"
    plural: ClassVar[str] = "qianfanjobs"
    singular: ClassVar[str] = "qianfanjob"
    short_name: ClassVar[str] = "qfj"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Attempt", json_path=".status.attempt", type="integer"),
        Column(name="Progress", json_path=".status.progress", type="integer"),
        Column(name="Run", json_path=".status.jobUuid", wide=True),
        Column(name="Run-ID", json_path=".status.jobId", type="integer", wide=True),
        Column(name="State", json_path=".status.trainStatus", wide=True),
        Column(name="Task", json_path=".status.taskName", wide=True),
        Column(name="Base", json_path=".spec.trainType", wide=True),
    )

    spec: JobSpec
    status: JobStatus = JobStatus()
