"""What the three resources share: metadata, common fields of spec and status, and parsing.

A field that is `X | None` may be absent and has no default. Every other optional field of a spec carries the operator's
default as its Python default, and nowhere else: reading `spec.attempt` always gives the value to act by, whether the
user wrote it is in `model_fields_set`, and the generated schema mentions the default in words only, because a default
written into objects would show up as a difference in GitOps tools.

See docs/design/api.md#principles.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from qianfan_operator.api import trimming
from qianfan_operator.api.cel import characters
from qianfan_operator.api.dns1123 import ObjectName
from qianfan_operator.api.mistakes import explain

GROUP = "qianfan.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "qianfan"

FINALIZER = f"{GROUP}/cloud-resource"
RECONCILE_ANNOTATION = trimming.RECONCILE_ANNOTATION

SECRET_NAME = "qianfan-credentials"  # noqa: S105 - the name of a Secret, not a secret
ACCESS_KEY = "QIANFAN_ACCESS_KEY"
SECRET_KEY = "QIANFAN_SECRET_KEY"  # noqa: S105 - the name of a key in it

DeletionPolicy = Literal["Delete", "Orphan"]
UpdatePolicy = Literal["Manual", "Follow"]


def _of_bits(bits: int) -> AfterValidator:
    """Hold an integer against the width that its format gives it, for objects that no definition judged."""

    def check(value: int) -> int:
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise PydanticCustomError("int_range", "must be an integer of {bits} bits", {"bits": bits})
        return value

    return AfterValidator(check)


Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"}), _of_bits(32)]
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"}), _of_bits(64)]
Seconds = Annotated[Int64, Field(json_schema_extra={"format": "int64", "maximum": 2**31 - 1})]  # 68 years
OpenObject = Mapping[str, Any]
Need = tuple[Literal["model", "version"], int | str]  # by whichever id is known
Description = Annotated[str, Field(max_length=400), characters(400)]

LIST_MAP = "x-kubernetes-list-map-keys"
LIST_TYPE = "x-kubernetes-list-type"


class Unreadable(Exception):
    """An object whose status cannot be read, so that nobody knows what it holds; the message names what is wrong."""


class Part(BaseModel):
    """A frozen piece of a resource: camelCase outside, snake_case inside, deaf to what it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",  # an older operator must survive a newer CRD
        alias_generator=to_camel,
        populate_by_name=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Read `field: null` as if the field were not there, as kubectl's users mean it."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, Mapping) else data

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, in camelCase; absent fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Metadata(Part):
    """What the operator reads of `metadata`."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    finalizers: tuple[str, ...] = ()
    annotations: Mapping[str, str] = Field(default_factory=dict)


class Condition(Part):
    """One observation about the object, in the form that all Kubernetes tools read."""

    type: str = Field(description="What is observed, for example Ready, Synced, Reconciling or Stalled.")
    status: str = Field("Unknown", description="True, False or Unknown.")
    reason: str = Field("", description="One word for the cause, from a closed list.")
    message: str = Field("", description="A sentence for people; it changes only with the situation.")
    last_transition_time: str = Field("", description="When `status` last changed (RFC 3339).")
    observed_generation: Int64 = Field(0, description="The generation of the spec that this condition judges.")


class Pending(Part):
    """A create that costs money or cannot be repeated blindly, announced before it is sent.

    See docs/design/create-protocol.md#sending.
    """

    operation: str = Field(description="The call that is about to be sent, for example createJob.")
    nonce: str = Field("", description="Distinguishes this intent from every other one.")
    attempt: Int32 | None = Field(None, description="The attempt that it belongs to; jobs only.")
    inputs: OpenObject = Field(default_factory=dict, description="The resolved ids and names that go into the call.")
    account: str | None = Field(None, description="Short hash of the access key id that signs the call.")
    started_at: str | None = Field(None, description="When the intent was written (RFC 3339, the cloud's clock).")


class LastError(Part):
    """The last refusal or failure of the cloud, in its own words."""

    operation: str | None = Field(None, description="The call that failed, for example createTask.")
    code: str | None = Field(None, description="The cloud's error code, or a word for a failure below it.")
    message: str | None = Field(None, description="The cloud's message.")
    request_id: str | None = Field(
        None, description="The cloud's request id (`log_id` or `requestId`) for its support."
    )
    time: str | None = Field(None, description="When this error was first seen (RFC 3339).")
    resolved_at: str | None = Field(
        None, description="Since when this error is over (RFC 3339); absent while it is not known to be over."
    )
    made_nothing: Int32 | None = Field(
        None, description="How often in a row a create was answered so and proven to have made nothing."
    )
    inputs_hash: str | None = Field(None, description="Hash of what that create sent; it is not sent a third time.")


class CredentialsRef(Part):
    """The Secret that holds the access keys."""

    name: ObjectName = Field(
        SECRET_NAME,
        description=f"Name of a Secret in the same namespace with the keys {ACCESS_KEY} and {SECRET_KEY}.",
    )

    @classmethod
    def none(cls) -> "CredentialsRef":
        """Make the reference that names no Secret: no keys are better than those of another Secret."""
        return cls.model_construct(name="")


class CommonSpec(Part):
    """The fields that every spec has."""

    created_policy: ClassVar[DeletionPolicy]

    credentials_ref: CredentialsRef = Field(
        CredentialsRef(),
        description="The Secret with the access key pair to call the cloud with. A Secret of any name but the default"
        " needs a Role that lets the operator read it.",
    )
    deletion_policy: DeletionPolicy | None = Field(
        None,
        description="What deleting this object does in the cloud: Delete stops or removes what it created, Orphan"
        " leaves everything as it is. Default: Delete for a job and a service, Orphan for a model and for whatever was"
        " adopted. May be changed while the object is being deleted.",
    )
    paused: bool = Field(
        False,
        description="While true, nothing is changed in the cloud; observing, adopting and deleting go on. A run that is"
        " training goes on, and goes on costing; to stop it, set `desiredState` of its job.",
    )

    def deletion_policy_for(self, *, adopted: bool) -> DeletionPolicy:
        """Resolve the policy: as written, else by kind; what others made is not destroyed unasked.

        See docs/design/api.md#deletionpolicy.
        """
        return self.deletion_policy or ("Orphan" if adopted else self.created_policy)

    @property
    def wants_stop(self) -> bool:
        """Whether what works is to be stopped."""
        return False

    @property
    def replaces(self) -> bool:
        """Whether what works is stopped for what is to come."""
        return False


SAID = frozenset({"observed_generation", "conditions", "last_handled_reconcile_at", "last_error", "object_uid"})
"""Fields of a status that record nothing of the cloud."""


class CommonStatus(Part):
    """The fields that every status has."""

    observed_generation: Int64 = Field(
        -1,
        description="The generation of the spec that this status is about; -1 until the operator has seen the object.",
    )
    conditions: tuple[Condition, ...] = Field(
        (),
        description="What is true of the object now. Ready answers whether it can be used, Synced whether the cloud is"
        " as written, Reconciling and Stalled whether to wait or to act.",
        json_schema_extra={LIST_TYPE: "map", LIST_MAP: ["type"]},
    )
    inputs_hash: str | None = Field(None, description="Hash of what was sent to the cloud, after its scheme's version.")
    pending: Pending | None = Field(None, description="The create whose outcome is not recorded yet.")
    adopted: bool | None = Field(None, description="True if the cloud resource was taken over instead of created.")
    account: str | None = Field(None, description="Short hash of the access key id in use.")
    last_handled_reconcile_at: str | None = Field(
        None,
        description=f"The value of the annotation {RECONCILE_ANNOTATION} that was last handled. If the request cannot"
        " be handled yet (error or pause), it stays pending. A value that is longer than 128 characters, or not"
        " printable, is recorded as its SHA-256.",
    )
    last_error: LastError | None = Field(
        None, description="The last error of the cloud; kept until another one, also when it is over: see `resolvedAt`."
    )
    sent_description: str | None = Field(
        None, description="The `description` that the cloud resource was created with; absent if that is not known."
    )
    console_url: str | None = Field(None, description="The page of the Qianfan console that shows the cloud resource.")
    object_uid: str | None = Field(
        None,
        description="The uid of the object that this status was written for. With another uid the status is a copy:"
        " nothing is stopped, released or switched by it, and what it records is looked for in the cloud first.",
    )

    @property
    def records(self) -> bool:
        """Whether anything is recorded besides what was said of the object."""
        fields = {name: field for name, field in type(self).model_fields.items() if name not in SAID}
        return any(getattr(self, name) != field.default for name, field in fields.items())

    @property
    def accounts(self) -> frozenset[str]:
        """The access keys, as hashes, under which something is recorded or announced."""
        found = {self.account, self.pending.account if self.pending else None}
        return frozenset(name for name in found if name is not None)

    @property
    def in_doubt(self) -> bool:
        """Whether the outcome of a create is not known yet."""
        return self.pending is not None


class Column(Part):
    """One column of `kubectl get`; `wide` ones need `-o wide`."""

    name: str
    json_path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    wide: bool = False


class Resource(Part):
    """One object as it was read; each kind narrows `spec` and `status`."""

    api_version: ClassVar[str] = API_VERSION
    kind: ClassVar[str]
    plural: ClassVar[str]
    singular: ClassVar[str]
    short_name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    selectable: ClassVar[tuple[str, ...]] = ()

    metadata: Metadata
    spec: CommonSpec
    status: CommonStatus
    _former: CommonStatus | None = PrivateAttr(None)

    @property
    def former(self) -> CommonStatus | None:
        """The status that came with the object and was written for another one; see `own`."""
        return self._former

    @property
    def is_foreign(self) -> bool:
        """Whether the status was written for an object with another uid: copied, or restored from a backup."""
        return self._former is not None or self.status.object_uid not in {None, self.metadata.uid}

    @property
    def marked_metadata(self) -> Metadata:
        """The metadata that marks in the cloud were made of: with the uid of the former life until it is found."""
        uid = self._former.object_uid if self._former else None
        return self.metadata if uid is None else self.metadata.model_copy(update={"uid": uid})

    def own(self) -> Self:
        """Return the object as it may be acted on: a status of another object is as one that was wiped.

        What that recorded stays in `former`: its accounts hold creates back, and its uid tells in the cloud's marks
        what this object made in its former life.
        """
        if self._former is not None or not self.is_foreign:
            return self
        kept = {name: getattr(self.status, name) for name in ("observed_generation", "last_handled_reconcile_at")}
        own = self.model_copy(update={"status": type(self.status)(**kept)})
        own._former = self.status
        return own

    @property
    def reconcile_requested(self) -> bool:
        """Whether somebody asks for a reconcile that has not been made yet, by the annotation."""
        asked = self.metadata.annotations.get(RECONCILE_ANNOTATION)
        handled = self.status.last_handled_reconcile_at
        return asked is not None and (handled is None or asked != trimming.echo(handled))

    @property
    def needs(self) -> tuple[Need, ...]:
        """The things of the cloud, recorded or announced, that must not be removed as long as this object is there."""
        return ()

    @property
    def asks_for(self) -> tuple[Need, ...]:
        """The things of the cloud that the spec names, be anything recorded of them or not."""
        return ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read an object of any version of the operator; raises pydantic.ValidationError (see `mistakes`)."""
        return cls.model_validate(trimming.trimmed(raw))

    @classmethod
    def parse_lenient(cls, raw: Mapping[str, Any]) -> Self:
        """Read what can be read of an object whose spec does not parse: enough to observe it and to delete it.

        Fields of the spec that cannot be read are left out; if one of them decides what deleting destroys, the object
        counts as Orphan. If it is `credentialsRef`, the object has no Secret: not the one that it would have without.
        Raises Unreadable if the status cannot be read: it may hold ids and an intent, and an object without them would
        be paid for again.
        """
        try:
            return cls.parse(raw)
        except ValidationError as error:
            bad = {at[1] for at in (detail["loc"] for detail in error.errors()) if len(at) > 1 and at[0] == "spec"}
        spec = raw.get("spec")
        kept = {name: value for name, value in spec.items() if name not in bad} if isinstance(spec, Mapping) else {}
        if bad & {"adopt", "deletionPolicy"} or not isinstance(spec, Mapping):
            kept["deletionPolicy"] = "Orphan"
        try:
            read = cls.parse({**raw, "spec": kept})
        except ValidationError as error:
            raise Unreadable(explain(error)) from None
        if "credentialsRef" not in bad and isinstance(spec, Mapping):
            return read
        return read.model_copy(update={"spec": read.spec.model_copy(update={"credentials_ref": CredentialsRef.none()})})
