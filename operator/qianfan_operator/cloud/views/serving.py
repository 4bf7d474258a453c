"""Reply types of services."""

from dataclasses import dataclass

from qianfan_operator.cloud.fields import (
    MalformedError,
    Object,
    address,
    as_told,
    count,
    description,
    ids,
    listed,
    mapping,
    moment,
    name,
    required,
    word,
)

# One thing under the keys of three years; which of them holds it, the type or the prefix tells.
_MODEL_NUMBERS = ("aiModelId", "modelId")
_VERSION_NUMBERS = ("aiModelVersionId", "modelVersionId", "iterationId")
_MODEL_STRINGS = ("modelIdStr", "modelSetId", "modelId", "aiModelId")
_VERSION_STRINGS = ("modelVersionIdStr", "modelVersionId", "modelId", "aiModelVersionId")


@dataclass(frozen=True, slots=True)
class Applied:
    """What service/apply made."""

    service_id: int
    service_uuid: str | None

    @classmethod
    def parse(cls, result: object) -> "Applied":
        """Read service/apply's result.

        See docs/design/wire.md#apply.
        """
        reply = required(result)
        number, uuid = ids(reply, ("serviceId",), "svco-", ("serviceUuid",))
        if number is None or reply.get("result") is False:
            raise MalformedError("The new service has no id.")
        return cls(service_id=number, service_uuid=uuid)


@dataclass(frozen=True, slots=True)
class Service:
    """One service, as it is now. Where V1 says Done, V2 says Serving.

    See docs/design/wire.md#states.
    """

    service_id: int | None
    service_uuid: str | None
    name: str
    uri: str
    """As the cloud assigned it: 8 characters and `_` before the one that was asked for.

    See docs/design/wire.md#servicedetail.
    """
    url: str
    status: str
    model_id: int | None
    model_version_id: int | None
    model_id_str: str | None
    model_version_id_str: str | None
    description: str
    replicas: int | None
    pool_type: int | None
    """1 public, 2 private; no reply is documented to tell it.

    See docs/design/wire.md#apply.
    """
    update_status: str
    """V2 only: "None" while no update is under way; other words are not documented.

    See docs/design/wire.md#service-actions.
    """
    charge_status: str
    online_time: str | None
    create_time: str | None

    @classmethod
    def parse(cls, result: object) -> "Service":
        """Read service/detail's result of either generation, or V2 DescribeService's.

        See docs/design/wire.md#servicedetail.
        """
        reply = required(result)
        if "serviceStatus" not in reply and "runStatus" not in reply:
            raise MalformedError("The service has no status.")
        service_id, service_uuid = ids(reply, ("id", "serviceId"), "svco-", ("serviceUuid", "serviceId"))
        model_id, model_id_str = ids(reply, _MODEL_NUMBERS, "am-", _MODEL_STRINGS)
        version_id, version_id_str = ids(reply, _VERSION_NUMBERS, "amv-", _VERSION_STRINGS)
        return cls(
            service_id=service_id,
            service_uuid=service_uuid,
            name=name(reply, "name"),
            uri=name(reply, "uri", "endpoint") or _last_segment(reply),
            url=address(reply, "url"),
            status=word(reply, "serviceStatus", "runStatus"),
            model_id=model_id,
            model_version_id=version_id,
            model_id_str=model_id_str,
            model_version_id_str=version_id_str,
            description=description(reply, "description"),
            replicas=count(reply, "replicas")
            or count(mapping(reply.get("resourceConfig")), "replicasCount")
            or count(mapping(reply.get("vmConfig")), "instanceCount"),
            pool_type=count(reply, "poolType"),
            update_status=word(reply, "updateStatus"),
            charge_status=word(reply, "chargeStatus"),
            online_time=moment(reply, "onlineTime"),
            create_time=moment(reply, "createTime"),
        )


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One model version behind a listed service."""

    model_id: int | None
    model_version_id: int | None
    model_id_str: str | None
    model_version_id_str: str | None
    status: str

    @classmethod
    def parse(cls, item: object) -> "ServedVersion":
        """Read one element of a listed service's `versionList`.

        See docs/design/wire.md#servicelist.
        """
        reply = required(item)
        model_id, model_id_str = ids(reply, _MODEL_NUMBERS, "am-", _MODEL_STRINGS)
        version_id, version_id_str = ids(reply, _VERSION_NUMBERS, "amv-", _VERSION_STRINGS)
        return cls(
            model_id=model_id,
            model_version_id=version_id,
            model_id_str=model_id_str,
            model_version_id_str=version_id_str,
            status=word(reply, "serviceStatus"),
        )


@dataclass(frozen=True, slots=True)
class ServiceItem:
    """One of the account's own services in V1's list of them."""

    service_id: int | None
    service_uuid: str | None
    name: str
    uri: str
    """The last part of the URL."""
    url: str
    charge_status: str
    versions: tuple[ServedVersion, ...]

    @classmethod
    def parse(cls, item: object) -> "ServiceItem":
        """Read one element of service/list's `custom`.

        See docs/design/wire.md#servicelist.
        """
        reply = required(item)
        service_id, service_uuid = ids(reply, ("serviceId",), "svco-", ("serviceUuid", "serviceId"))
        service = cls(
            service_id=service_id,
            service_uuid=service_uuid,
            name=name(reply, "name"),
            uri=_last_segment(reply),
            url=address(reply, "url"),
            charge_status=word(reply, "chargeStatus"),
            versions=tuple(map(ServedVersion.parse, listed({"versionList": None, **reply}, "versionList"))),
        )
        if service.service_id is None and service.service_uuid is None:
            raise MalformedError("A listed service has no id.")
        return service


def _last_segment(reply: Object) -> str:
    """Return what follows the last slash of the URL, the endpoint's name, also of a URL that is not shown.

    It tells a service of ours from another one, so it is read of every URL.

    See docs/design/wire.md#service-actions.
    """
    url = reply.get("url")
    return as_told(url.partition("?")[0].rstrip("/").rpartition("/")[2]) if isinstance(url, str) else ""
