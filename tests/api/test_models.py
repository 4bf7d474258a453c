"""The models read what users, other versions of the operator and the API server write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from qianfan_operator.api import KINDS, QianfanJob, QianfanModel, QianfanService, Resource
from qianfan_operator.api.common import Part
from qianfan_operator.api.mistakes import explain

ROOT = Path(__file__).parents[2]
BY_KIND = {kind.kind: kind for kind in KINDS}


def job(**spec: Any) -> dict[str, Any]:
    """A job's manifest with this spec."""
    return {"metadata": {"name": "j", "namespace": "ns"}, "spec": spec}


def refusal(raw: dict[str, Any]) -> str:
    """What `explain` says of a job that does not parse."""
    with pytest.raises(ValidationError) as caught:
        QianfanJob.parse(raw)
    return explain(caught.value)


def samples() -> Iterator[Any]:
    """Every one of our objects among the samples."""
    for path in sorted((ROOT / "deploy" / "samples").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] in BY_KIND:
                yield pytest.param(document, id=f"{path.stem}-{document['kind']}")


@pytest.mark.parametrize("document", list(samples()))
def test_a_sample_says_nothing_that_the_models_do_not_know(document: dict[str, Any]) -> None:
    """Every field of every sample is read, and reads back as it was written."""
    resource = BY_KIND[document["kind"]].parse(document)

    written = resource.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)

    assert written == document["spec"]


def test_defaults_stand_in_the_models_and_are_told_from_what_was_written() -> None:
    """An empty spec reads as the documented defaults, without claiming that the user wrote them."""
    spec = QianfanJob.parse(job()).spec

    assert (spec.train_mode, spec.trainset_rate, spec.attempt, spec.paused) == ("SFT", 20, 1, False)
    assert (spec.desired_state, spec.concurrency_policy) == ("Running", "Forbid")
    assert spec.credentials_ref.name == "qianfan-credentials"
    assert spec.model_fields_set == set()


def test_service_defaults() -> None:
    """A service without further words is one private replica that may wait a day for its payment."""
    spec = QianfanService.parse({"metadata": {"name": "s"}, "spec": {}}).spec

    assert (spec.replicas, spec.pool_type, spec.payment_deadline_seconds, spec.update_policy) == (
        1,
        "Private",
        86400,
        "Manual",
    )


@pytest.mark.parametrize(
    ("kind", "written", "adopted", "policy"),
    [
        (QianfanJob, None, False, "Delete"),
        (QianfanJob, None, True, "Orphan"),
        (QianfanJob, "Delete", True, "Delete"),
        (QianfanModel, None, False, "Orphan"),
        (QianfanModel, "Delete", False, "Delete"),
        (QianfanService, None, False, "Delete"),
        (QianfanService, None, True, "Orphan"),
        (QianfanService, "Orphan", False, "Orphan"),
    ],
)
def test_what_is_irreplaceable_or_not_ours_is_only_destroyed_when_written_down(
    kind: type[Resource], written: str | None, adopted: bool, policy: str
) -> None:
    """Without a written policy a model and whatever was adopted survive; what is written always counts."""
    resource = kind.parse({"metadata": {"name": "x"}, "spec": {"deletionPolicy": written}})

    assert resource.spec.deletion_policy_for(adopted=adopted) == policy


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_version_s_object_is_read(kind: type[Resource]) -> None:
    """Unknown fields anywhere, and unknown words in a status, do not keep an object from being read."""
    condition = {"type": "Ready", "status": "Perhaps", "reason": "Later", "severity": "High"}
    status = {"conditions": [condition], "trainStatus": "QUEUED", "serviceStatus": "Paused", "poolType": "Edge"}
    raw = {"metadata": {"name": "x", "labels": {}}, "spec": {"novelty": {"a": 1}}, "status": {**status, "novelty": 2}}

    resource = kind.parse(raw)

    assert resource.status.conditions[0].status == "Perhaps"


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_object_was_observed_by_nobody(kind: type[Resource]) -> None:
    """Without a status, the observed generation is -1 and there are no conditions."""
    status = kind.parse({"metadata": {"name": "x"}, "spec": {}}).status

    assert (status.observed_generation, status.conditions) == (-1, ())


def test_null_is_absent() -> None:
    """A field that is null reads like a field that is not there, with or without a default."""
    spec = QianfanJob.parse(job(attempt=None, trainConfig=None, credentialsRef={"name": None})).spec

    assert (spec.attempt, spec.train_config, spec.credentials_ref.name) == (1, None, "qianfan-credentials")


def test_ids_keep_their_type() -> None:
    """The integers of the old console stay integers, the strings of the new one strings, digits or not."""
    adopt = QianfanJob.parse(job(adopt={"taskId": 7, "jobId": "task-7"})).spec.adopt

    assert adopt is not None
    assert (adopt.task_id, adopt.job_id) == (7, "task-7")


def test_metadata_is_read_with_its_times() -> None:
    """The times of the API server become moments that can be compared."""
    raw = job() | {"metadata": {"name": "j", "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": None}}

    metadata = QianfanJob.parse(raw).metadata

    assert metadata.creation_timestamp is not None
    assert metadata.creation_timestamp.isoformat() == "2026-01-02T03:04:05+00:00"
    assert metadata.deletion_timestamp is None


def test_a_status_reads_back_as_it_was_written() -> None:
    """What `to_dict` writes into a status, `parse` reads as the same status."""
    status = {
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 3}],
        "pending": {"operation": "createJob", "nonce": "n", "attempt": 2, "inputs": {"taskId": 5}},
        "runs": [{"attempt": 1, "jobId": 8, "inputs": {"trainConfig": {"epoch": 1}}}],
    }
    once = QianfanJob.parse({**job(), "status": status})

    again = QianfanJob.parse({**job(), "status": once.status.to_dict()})

    assert again.status == once.status
    assert again.status.runs[0].inputs == {"trainConfig": {"epoch": 1}}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (job(trainConfig={"epoch": 1}), "spec.trainConfig.learningRate must be set"),
        (job(peftType="QLoRA"), "spec.peftType must be 'ALL', 'LoRA' or 'P-tuning'"),
        (job(trainset=[{"id": 1}, {"id": 0}]), "spec.trainset[1].id must be greater than or equal to 1"),
        (job(trainset=[]), "spec.trainset must have at least 1 item after validation, not 0"),
        (job(adopt={"taskId": [], "jobId": 1}), "spec.adopt.taskId must be an integer or a string"),
        (job(taskName="x", attempt=0), "spec.attempt must be greater than or equal to 1; spec.taskName must have at"),
        ({"metadata": {"name": "j"}}, "spec must be set"),
    ],
)
def test_what_cannot_be_read_is_explained_in_the_users_words(raw: dict[str, Any], sentence: str) -> None:
    """The explanation names the field as the user wrote it, says what must be, and is one line."""
    explanation = refusal(raw)

    assert explanation.startswith(sentence)
    assert "\n" not in explanation


def test_the_explanation_does_not_depend_on_the_order_of_the_manifest() -> None:
    """Two manifests with the same mistakes are explained alike; a changing message would make a write loop."""
    one = job(attempt=0, peftType="x", trainset=[])
    other = job(trainset=[], peftType="x", attempt=0)

    assert refusal(one) == refusal(other)


def test_an_explanation_quotes_no_value() -> None:
    """What stands in a field may be a misplaced key; it does not end up in a status."""
    assert "s3cr3t" not in refusal(job(peftType="s3cr3t", adopt="s3cr3t", credentialsRef={"name": ["s3cr3t"]}))


def test_a_spec_that_cannot_be_read_still_yields_what_deleting_needs() -> None:
    """`parse_lenient` keeps what it can read of the spec, and the whole status."""
    raw = {**job(paused=True, deletionPolicy="Delete", attempt="many"), "status": {"taskId": 4}}

    salvaged = QianfanJob.parse_lenient(raw)

    assert (salvaged.spec.paused, salvaged.spec.attempt, salvaged.status.task_id) == (True, 1, 4)
    assert salvaged.spec.deletion_policy_for(adopted=False) == "Delete"


@pytest.mark.parametrize("spec", [{"adopt": {"attempt": 1}}, {"deletionPolicy": "Retain"}, None, "words"])
def test_what_cannot_be_read_destroys_nothing(spec: Any) -> None:
    """If the words that decide about destroying cannot be read, the cloud resource is left alone."""
    salvaged = QianfanJob.parse_lenient({"metadata": {"name": "j"}, "spec": spec})

    assert salvaged.spec.deletion_policy_for(adopted=False) == "Orphan"


@pytest.mark.parametrize("ref", [{"name": "../other"}, {"name": ""}, {"name": 5}, "other", ["other"]], ids=str)
def test_salvage_names_no_secret_where_it_cannot_read_which(ref: object) -> None:
    """An object whose credentialsRef is wrong has no keys, instead of those that it would have without one."""
    salvaged = QianfanJob.parse_lenient({"metadata": {"name": "j"}, "spec": {"paused": True, "credentialsRef": ref}})

    assert (salvaged.spec.paused, salvaged.spec.credentials_ref.name) == (True, "")


def test_salvage_changes_nothing_that_can_be_read() -> None:
    """A spec that parses is salvaged whole."""
    raw = job(attempt=3, adopt={"taskId": 1, "jobId": 2})

    assert QianfanJob.parse_lenient(raw) == QianfanJob.parse(raw)


def test_parts_are_frozen() -> None:
    """A resource that was read cannot be changed in place: workers share it."""
    spec: Part = QianfanJob.parse(job()).spec

    with pytest.raises(ValidationError, match="frozen"):
        spec.paused = True  # type: ignore[attr-defined]
