"""QianfanService: one endpoint that serves a model version."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from qianfan_operator.api.cel import VALIDATIONS, exactly_one, fixed, needed, recorded, text
from qianfan_operator.api.common import (
    Column,
    CommonSpec,
    CommonStatus,
    DeletionPolicy,
    Description,
    Int32,
    Int64,
    Need,
    Part,
    Resource,
    Seconds,
    UpdatePolicy,
)
from qianfan_operator.api.references import ModelRef, ModelVersionRef, ServiceId, ShortName

_FIXED = "Fixed once the service is applied for."
_URI = "^[a-z0-9]([a-z0-9_-]*[a-z0-9])$"

Uri = Annotated[
    str,
    Field(min_length=2, max_length=20, pattern=_URI),
    text(
        f"self.matches('{_URI}')",
        "must have 2 to 20 lower-case letters, digits, `_` and `-`, and begin and end with a letter or a digit",
        maxLength=20,
    ),
]


class ServiceSource(Part):
    """The model version that is served."""

    model_config = ConfigDict(json_schema_extra={VALIDATIONS: [exactly_one("modelRef", "modelVersion")]})

    model_ref: ModelRef | None = Field(None, description="The QianfanModel of the same namespace that publishes it.")
    model_version: ModelVersionRef | None = Field(None, description="A version that exists in the cloud, by its ids.")


class ServiceAdopt(Part):
    """A service that exists in the cloud."""

    service_id: ServiceId = Field(description="Id of the service: the integer, or the `svco-...` string.")


class ServiceSpec(CommonSpec):
    """Which model version to serve, and how. A changed source switches the endpoint; its URL stays."""

    model_config = ConfigDict(
        json_schema_extra={VALIDATIONS: [needed(name) for name in ("source", "serviceName", "uri")]}
    )
    created_policy: ClassVar[DeletionPolicy] = "Delete"

    source: ServiceSource | None = Field(
        None, description="The model version to serve. Another one is switched to behind the same URL."
    )
    update_policy: UpdatePolicy = Field(
        "Manual",
        description="With a `source.modelRef`: Manual keeps the version that it first resolved to, Follow switches to"
        " every new version of that QianfanModel.",
    )
    service_name: ShortName | None = Field(
        None,
        description=f"Name of the service in the cloud (`name` of service/apply). {_FIXED}",
    )
    uri: Uri | None = Field(
        None,
        description="Last part of the endpoint's address: lower-case letters, digits, `_` and `-`. The cloud puts eight"
        f" characters and `_` in front of it. {_FIXED}",
    )
    replicas: Annotated[Int32, Field(json_schema_extra={"format": "int32", "maximum": 1000})] = Field(
        1, ge=1, description=f"Number of replicas. {_FIXED}"
    )
    pool_type: Literal["Public", "Private"] = Field(
        "Private",
        description=f"The resource pool: Public is shared, Private is the account's own and must be paid for"
        f" (1 and 2 in the cloud's API). {_FIXED}",
    )
    description: Description | None = Field(
        None,
        description="Description of the service in the cloud, after the operator's mark. A change is not sent to a"
        " service that exists.",
    )
    payment_deadline_seconds: Seconds = Field(
        86400,
        ge=1,
        description="Seconds that a service may wait for its payment in the console before it counts as stalled.",
    )
    adopt: ServiceAdopt | None = Field(
        None, description="Take over a service that exists in the cloud instead of applying for one."
    )


class SwitchTarget(Part):
    """The ids of the model version that an endpoint is switched to."""

    model_id: Int64 | None = Field(None, description="Integer id of the model.")
    model_id_str: str | None = Field(None, description="String id of the model (`am-...`).")
    model_version_id: Int64 | None = Field(None, description="Integer id of the model version.")
    model_version_id_str: str | None = Field(None, description="String id of the model version (`amv-...`).")


class Switch(Part):
    """A switch to another model version, recorded before it is asked for."""

    to: SwitchTarget = Field(SwitchTarget(), description="The model version that is switched to.")
    since: str | None = Field(None, description="When the cloud was asked to switch (RFC 3339); not set before.")


class ServiceStatus(CommonStatus):
    """The endpoint as the cloud shows it."""

    service_name: str | None = Field(None, description="Name of the service in the cloud.")
    uri: str | None = Field(None, description="The last part of the address, as the cloud assigned it.")
    service_id: Int64 | None = Field(None, description="Integer id of the service.")
    service_uuid: str | None = Field(None, description="String id of the service (`svco-...`).")
    service_status: str | None = Field(
        None,
        description="The cloud's word for the state: New, Deploying, Done, Failed or Stopped when this was written.",
    )
    url: str | None = Field(None, description="The address to send inference requests to.")
    model_id: Int64 | None = Field(None, description="Integer id of the model that is served.")
    model_version_id: Int64 | None = Field(None, description="Integer id of the model version that is served.")
    replicas: Int32 | None = Field(None, description="Number of replicas that was applied for.")
    pool_type: str | None = Field(None, description="The resource pool: Public or Private.")
    online_time: str | None = Field(None, description="When the endpoint went online (RFC 3339).")
    unpaid_since: str | None = Field(None, description="Since when the service waits for payment (RFC 3339).")
    switch: Switch | None = Field(None, description="The switch to another model version that is under way.")


_FIXED_FIELDS = {"serviceName": None, "uri": None, "replicas": "1", "poolType": "'Private'"}


class QianfanService(Resource):
    """One endpoint that serves a model version."""

    model_config = ConfigDict(
        json_schema_extra={
            VALIDATIONS: [
                fixed(
                    name,
                    f"!({recorded('serviceId')})",
                    f"`{name}` may not change after the service was applied for; create another QianfanService",
                    default,
                )
                for name, default in _FIXED_FIELDS.items()
            ]
        }
    )
    kind: ClassVar[str] = "QianfanService"
    plural: ClassVar[str] = "qianfanservices"
    singular: ClassVar[str] = "qianfanservice"
    short_name: ClassVar[str] = "qfs"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="State", json_path=".status.serviceStatus"),
        Column(name="URL", json_path=".status.url"),
        Column(name="Service", json_path=".status.serviceId", type="integer", wide=True),
        Column(name="Pool", json_path=".status.poolType", wide=True),
        Column(name="Model", json_path=".spec.source.modelRef.name", wide=True),
        Column(name="Version-ID", json_path=".status.modelVersionId", type="integer", wide=True),
    )
    selectable: ClassVar[tuple[str, ...]] = (".spec.source.modelRef.name",)

    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()

    @property
    def needs(self) -> tuple[Need, ...]:
        """See Resource: the version that it serves, and those that it was announced to serve."""
        status = self.status
        ids: list[int | str | None] = [status.model_version_id]
        if status.switch:
            ids += [status.switch.to.model_version_id, status.switch.to.model_version_id_str]
        if status.pending:
            ids.append(status.pending.inputs.get("modelVersionId"))
        return tuple(("version", number) for number in ids if number is not None)

    @property
    def asks_for(self) -> tuple[Need, ...]:
        """See Resource: the version that the spec names by its ids."""
        source = self.spec.source
        return (("version", source.model_version.model_version_id),) if source and source.model_version else ()
