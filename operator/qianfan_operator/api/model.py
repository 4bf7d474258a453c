"""QianfanModel: one model version, published from a finished run."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from qianfan_operator.api.cel import VALIDATIONS, characters, exactly_one, fixed, needed, recorded, rule
from qianfan_operator.api.common import (
    LIST_MAP,
    LIST_TYPE,
    Column,
    CommonSpec,
    CommonStatus,
    DeletionPolicy,
    Int32,
    Int64,
    Need,
    Part,
    Resource,
    UpdatePolicy,
)
from qianfan_operator.api.references import KnownRun, ModelId, ModelRef, ModelVersionId, RunSource

Tag = Annotated[str, Field(min_length=1, max_length=10), characters(10, least=1)]


class ModelSource(RunSource):
    """The finished run that is published."""


class ModelTarget(Part):
    """Where the version goes in the model repository."""

    model_config = ConfigDict(json_schema_extra={VALIDATIONS: [exactly_one("modelName", "modelId", "modelRef")]})

    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="Create a model of this name, unique in the cloud account, with this version in it.",
    )
    model_id: ModelId | None = Field(None, description="Add a version to this existing model of the cloud.")
    model_ref: ModelRef | None = Field(None, description="Add a version to the model of another QianfanModel.")


class ModelAdopt(Part):
    """A model version that exists in the cloud."""

    model_config = ConfigDict(
        json_schema_extra={
            VALIDATIONS: [
                rule("has(self.modelId) || has(self.modelVersionId)", "must set `modelId`, `modelVersionId` or both")
            ]
        }
    )

    model_id: ModelId | None = Field(
        None,
        description="The model, by the integer or the `am-...` string; alone, its newest version is taken and kept.",
    )
    model_version_id: ModelVersionId | None = Field(
        None, description="The model version, by the integer or the `amv-...` string."
    )


class ModelSpec(CommonSpec):
    """Which run to publish, and where to. A changed source is published as the next version."""

    model_config = ConfigDict(json_schema_extra={VALIDATIONS: [needed("source"), needed("target")]})
    created_policy: ClassVar[DeletionPolicy] = "Orphan"

    source: ModelSource | None = Field(
        None, description="The finished run to publish. Another one is published as the next version of the same model."
    )
    target: ModelTarget | None = Field(
        None, description="The model that the version belongs to; fixed once it is published."
    )
    update_policy: UpdatePolicy = Field(
        "Manual",
        description="With a `source.jobRef` without `attempt`: Manual keeps the run that it first resolved to, Follow"
        " publishes every new successful attempt as the next version.",
    )
    tags: tuple[Tag, ...] | None = Field(
        None,
        fail_fast=True,
        max_length=5,
        description="Tags of the model: letters, digits or Chinese. On an existing model they replace its tags. A"
        " change is used by the next version only.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    description: Annotated[str, Field(max_length=240), characters(240)] | None = Field(
        None,
        description="Description of the version in the cloud, after the operator's mark. A change is used by the next"
        " version only.",
    )
    adopt: ModelAdopt | None = Field(
        None, description="Take over a model version that exists in the cloud instead of publishing one."
    )


class PublishedFrom(KnownRun):
    """The run that the version was published from."""


class ModelVersion(Part):
    """One version of the model, as modelDetail lists it."""

    model_version_id: Int64 = Field(description="Integer id of the version.")
    model_version_id_str: str | None = Field(None, description="String id of the version (`amv-...`).")
    version: str | None = Field(None, description="The version as the cloud counts it, for example 1.")
    description: str | None = Field(None, description="Description of the version.")
    state: str | None = Field(None, description="The cloud's word: Creating, Ready or Fail when this was written.")
    source_type: str | None = Field(None, description="Where the version comes from, for example Train.")
    train_type: str | None = Field(None, description="The cloud's internal name of the base model.")
    task_id: Int64 | None = Field(None, description="Integer id of the task that it was trained in.")
    job_id: Int64 | None = Field(None, description="Integer id of the run that it was trained by.")
    create_time: str | None = Field(None, description="When the version was published (RFC 3339).")


class ModelStatus(CommonStatus):
    """The current version as the cloud shows it, and its model."""

    model_name: str | None = Field(None, description="Name of the model in the cloud.")
    model_id: Int64 | None = Field(None, description="Integer id of the model.")
    model_id_str: str | None = Field(None, description="String id of the model (`am-...`).")
    model_version_id: Int64 | None = Field(None, description="Integer id of the current version.")
    model_version_id_str: str | None = Field(None, description="String id of the current version (`amv-...`).")
    version: str | None = Field(None, description="The current version as the cloud counts it, for example 1.")
    state: str | None = Field(
        None, description="The cloud's word for the version's state: Creating, Ready or Fail when this was written."
    )
    train_type: str | None = Field(None, description="The cloud's internal name of the base model.")
    preset: bool | None = Field(
        None, description="True if the version is one of the platform's own, which belongs to nobody's account."
    )
    source: PublishedFrom | None = Field(None, description="The run that the current version was published from.")
    published: tuple[Int64, ...] = Field(
        (),
        description="Integer ids of the versions that this object published, at most twenty, newest last.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    sent_tags: tuple[str, ...] | None = Field(
        None,
        description="The `tags` that the current version was published with; absent if that is not known.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )
    version_count: Int32 | None = Field(None, description="Number of versions that the model has.")
    versions: tuple[ModelVersion, ...] = Field(
        (),
        description="The versions of the model, newest first, at most ten.",
        json_schema_extra={LIST_TYPE: "map", LIST_MAP: ["modelVersionId"]},
    )
    create_time: str | None = Field(None, description="When the current version was published (RFC 3339).")


class QianfanModel(Resource):
    """One model version in the Qianfan model repository, published from a finished run."""

    model_config = ConfigDict(
        json_schema_extra={
            VALIDATIONS: [
                fixed(
                    "target",
                    f"!({recorded('modelId')})",
                    "`target` may not change after the model is published; create another QianfanModel",
                )
            ]
        }
    )
    kind: ClassVar[str] = "QianfanModel"
    plural: ClassVar[str] = "qianfanmodels"
    singular: ClassVar[str] = "qianfanmodel"
    short_name: ClassVar[str] = "qfm"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Version", json_path=".status.version"),
        Column(name="State", json_path=".status.state"),
        Column(name="Model", json_path=".status.modelName", wide=True),
        Column(name="Model-ID", json_path=".status.modelId", type="integer", wide=True),
        Column(name="Version-ID", json_path=".status.modelVersionId", type="integer", wide=True),
        Column(name="Job", json_path=".spec.source.jobRef.name", wide=True),
    )
    selectable: ClassVar[tuple[str, ...]] = (".spec.source.jobRef.name",)

    spec: ModelSpec
    status: ModelStatus = ModelStatus()

    @property
    def needs(self) -> tuple[Need, ...]:
        """See Resource: the model that its version is in, or goes into."""
        status = self.status
        announced = status.pending.inputs.get("modelId") if status.pending else None
        ids = (status.model_id, status.model_id_str, announced)
        return tuple(("model", number) for number in ids if number is not None)

    @property
    def asks_for(self) -> tuple[Need, ...]:
        """See Resource: the model that its version is to go into."""
        target = self.spec.target
        return (("model", target.model_id),) if target and target.model_id is not None else ()
