"""References in specs: to other objects by name, to cloud resources by id.

The old console shows ids as integers, the new one as prefixed strings; a spec takes both. V1 and V2 swap the words task
and job, so a string is also checked for its prefix: here, as everywhere in the API, *task* is the named
folder (`job-...`) and *job* the run in it (`task-...`).

See docs/design/wire.md#v1-and-v2-words.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from qianfan_operator.api.cel import VALIDATIONS, characters, exactly_one, rule
from qianfan_operator.api.common import Int32, Int64, Part
from qianfan_operator.api.dns1123 import ObjectName

_ID_LENGTH = 128  # characters; those that the cloud makes have up to 20
_ID_LARGEST = 2**63 - 1  # the API server takes no larger integer


def _bounded(number: int | str) -> int | str:
    """Hold an id against the limits of the definition, for objects that no definition judged."""
    if isinstance(number, str) and len(number) > _ID_LENGTH:
        raise PydanticCustomError("id_length", "must have at most {most} characters", {"most": _ID_LENGTH})
    if isinstance(number, int) and abs(number) > _ID_LARGEST:
        raise PydanticCustomError("id_range", "must be an integer of 64 bits")
    return number


def _id(prefix: str) -> WithJsonSchema:
    """Write the schema of an id of the cloud: a positive integer, or a string with this prefix."""
    schema: dict[str, Any] = {
        "x-kubernetes-int-or-string": True,
        "maxLength": _ID_LENGTH,
        VALIDATIONS: [
            rule(
                f"type(self) == int ? int(self) > 0 : string(self).startsWith('{prefix}')",
                f"must be a positive integer, without quotes, or a string that begins with `{prefix}`",
            )
        ],
    }
    return WithJsonSchema(schema)


TaskId = Annotated[int | str, AfterValidator(_bounded), _id("job-")]
JobId = Annotated[int | str, AfterValidator(_bounded), _id("task-")]
ModelId = Annotated[int | str, AfterValidator(_bounded), _id("am-")]
ModelVersionId = Annotated[int | str, AfterValidator(_bounded), _id("amv-")]
ServiceId = Annotated[int | str, AfterValidator(_bounded), _id("svco-")]

ShortName = Annotated[str, Field(min_length=2, max_length=20), characters(20, least=2)]
"""What a task or a service may be called.

See docs/design/wire.md#createtask.
"""


class JobRef(Part):
    """A QianfanJob of the same namespace."""

    name: ObjectName = Field(description="Name of the QianfanJob.")
    attempt: Int32 | None = Field(
        None, ge=1, description="The attempt whose run is meant; left out, the one that the job has selected."
    )


class RunRef(Part):
    """One training run in the cloud, by its ids."""

    task_id: TaskId = Field(description="Id of the task: the integer, or the `job-...` string of the new console.")
    job_id: JobId = Field(description="Id of the run in it: the integer, or the `task-...` string of the new console.")


class KnownRun(Part):
    """A run by all of its ids that are known."""

    task_id: Int64 | None = Field(None, description="Integer id of the task.")
    task_uuid: str | None = Field(None, description="String id of the task (`job-...`).")
    job_id: Int64 | None = Field(None, description="Integer id of the run (the cloud's iterationId).")
    job_uuid: str | None = Field(None, description="String id of the run (`task-...`).")


class RunSource(Part):
    """A finished run: of a QianfanJob, or one that the cloud already has."""

    model_config = ConfigDict(json_schema_extra={VALIDATIONS: [exactly_one("jobRef", "run")]})

    job_ref: JobRef | None = Field(None, description="The QianfanJob of the same namespace that trains it.")
    run: RunRef | None = Field(None, description="A run that exists in the cloud, by its ids.")


class ModelRef(Part):
    """A QianfanModel of the same namespace."""

    name: ObjectName = Field(description="Name of the QianfanModel.")


class ModelVersionRef(Part):
    """One model version in the cloud, by its ids."""

    model_id: ModelId = Field(description="Id of the model: the integer, or the `am-...` string.")
    model_version_id: ModelVersionId = Field(
        description="Id of the model version: the integer, or the `amv-...` string."
    )
