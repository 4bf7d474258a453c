"""Reply types of models and model versions."""

from dataclasses import dataclass

from qianfan_operator.cloud.fields import (
    MalformedError,
    Object,
    count,
    description,
    ids,
    integer_id,
    listed,
    mapping,
    moment,
    name,
    prefixed,
    required,
    usable,
    whole,
    word,
)

_VERSION_STRINGS = ("modelVersionIdStr", "versionIdStr", "modelVersionId", "versionId")


@dataclass(frozen=True, slots=True)
class Published:
    """What publishTrainModel made; the version is not usable yet.

    See docs/design/wire.md#publishtrainmodel.
    """

    model_id: int | None
    model_id_str: str | None
    version_id: int | None
    version_id_str: str | None
    version: str

    @classmethod
    def parse(cls, result: object) -> "Published":
        """Read publishTrainModel's result; only here the key is spelt `modelIDStr`.

        See docs/design/wire.md#key-spellings.
        """
        reply = required(result)
        published = cls(
            model_id=usable(lambda: integer_id(reply, "modelId")),
            model_id_str=usable(lambda: prefixed(reply, "am-", "modelIDStr", "modelIdStr", "modelId")),
            version_id=usable(lambda: integer_id(reply, "versionId")),
            version_id_str=usable(lambda: prefixed(reply, "amv-", "versionIdStr", "versionId")),
            version=word(reply, "version"),
        )
        if published.version_id is None and published.version_id_str is None:
            raise MalformedError("The published version has no id.")
        return published


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, and the run that it was made of."""

    model_id: int | None
    model_id_str: str | None
    model_name: str
    version_id: int | None
    version_id_str: str | None
    version: str
    state: str
    """Creating, Ready or Fail; a comment of the vendor's also knows Failed. "" where it is not told.

    See docs/design/wire.md#modelversiondetail.
    """
    description: str
    source_type: str
    """Train or PlatformPreset; other words exist and are not documented.

    See docs/design/wire.md#modelversiondetail.
    """
    train_type: str
    """The cloud's internal name of the algorithm, not the one that was asked for.

    See docs/design/wire.md#train-types.
    """
    task_id: int | None
    task_uuid: str | None
    job_id: int | None
    job_uuid: str | None
    create_time: str | None

    @classmethod
    def parse(cls, result: object) -> "ModelVersion":
        """Read modelVersionDetail's result, or one version of modelDetail or of user/list.

        See docs/design/wire.md#modelversiondetail.
        """
        reply = required(result)
        source = mapping(mapping(reply.get("sourceExtra")).get("trainSourceExtra"))
        model_id, model_id_str = _model_ids(reply)
        version_id, version_id_str = ids(reply, ("modelVersionId", "versionId"), "amv-", _VERSION_STRINGS)
        task_id, task_uuid = ids(source, ("taskId",), "job-", ("taskIdStr", "taskId"))
        job_id, job_uuid = ids(source, ("runId",), "task-", ("runIdStr", "runId"))
        version = cls(
            model_id=model_id,
            model_id_str=model_id_str,
            model_name=name(reply, "modelName"),
            version_id=version_id,
            version_id_str=version_id_str,
            version=word(reply, "version"),
            state=word(reply, "state"),
            description=description(reply, "description"),
            source_type=word(reply, "sourceType"),
            train_type=word(reply, "trainType"),
            task_id=task_id,
            task_uuid=task_uuid,
            job_id=job_id,
            job_uuid=job_uuid,
            create_time=moment(reply, "createTime"),
        )
        if version.version_id is None and version.version_id_str is None:
            raise MalformedError("A model version has no id.")
        return version


@dataclass(frozen=True, slots=True)
class Model:
    """A model with its versions, the newest first."""

    model_id: int | None
    model_id_str: str | None
    model_name: str
    source: str
    train_type: str
    description: str
    create_time: str | None
    versions: tuple[ModelVersion, ...]

    @classmethod
    def parse(cls, result: object) -> "Model":
        """Read modelDetail's result; that the cloud lists the newest first is inferred, so it is sorted.

        See docs/design/wire.md#modeldetail.
        """
        reply = required(result)
        model_id, model_id_str = _model_ids(reply)
        model = cls(
            model_id=model_id,
            model_id_str=model_id_str,
            model_name=name(reply, "modelName"),
            source=word(reply, "source"),
            train_type=word(reply, "trainType"),
            description=description(reply, "description"),
            create_time=moment(reply, "createTime"),
            versions=_newest_first(tuple(map(ModelVersion.parse, listed(reply, "modelVersionList")))),
        )
        if model.model_id is None and model.model_id_str is None:
            raise MalformedError("The model has no id.")
        return model


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One of the account's own models in a list, with its latest version, None if there is none or it is odd."""

    model_id: int | None
    model_id_str: str | None
    model_name: str
    train_type: str
    create_time: str | None
    version_count: int | None
    latest: ModelVersion | None

    @classmethod
    def parse(cls, item: object) -> "ModelSummary":
        """Read one element of user/list.

        See docs/design/wire.md#model-lists-and-deletes.
        """
        reply = required(item)
        model_id, model_id_str = _model_ids(reply)
        latest = mapping(reply.get("latestVersionInfo"))
        model = cls(
            model_id=model_id,
            model_id_str=model_id_str,
            model_name=name(reply, "modelName"),
            train_type=word(reply, "trainType"),
            create_time=moment(reply, "createTime"),
            version_count=count(reply, "versionCount"),
            latest=usable(lambda: ModelVersion.parse(latest)) if latest else None,
        )
        if model.model_id is None and model.model_id_str is None:
            raise MalformedError("A listed model has no id.")
        return model


def _model_ids(reply: Object) -> tuple[int | None, str | None]:
    return ids(reply, ("modelId",), "am-", ("modelIdStr", "modelId"))


def _newest_first(versions: tuple[ModelVersion, ...]) -> tuple[ModelVersion, ...]:
    """Sort by number where every version has one; otherwise leave them in the cloud's order."""
    numbered = [(number, version) for version in versions if (number := whole(version.version)) is not None]
    if len(numbered) < len(versions):
        return versions
    return tuple(version for _, version in sorted(numbered, key=lambda pair: pair[0], reverse=True))
