"""What people and tools see of the three kinds through a real API server."""

import json
from typing import Any

import pytest

from qianfan_devcluster.cluster import Cluster
from qianfan_operator.api import KINDS, QianfanJob, Resource
from qianfan_operator.api.reasons import Reason

ADOPTING = {
    "QianfanJob": {"adopt": {"taskId": 1, "jobId": 2}},
    "QianfanModel": {"adopt": {"modelId": 1}},
    "QianfanService": {"adopt": {"serviceId": 1}},
}


def create(cluster: Cluster, place: str, kind: type[Resource], name: str, **metadata: Any) -> dict[str, Any]:
    """Create an object of a kind and return it as the API server shows it."""
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, **metadata},
        "spec": ADOPTING[kind.kind],
    }
    made = cluster.kubectl("create", "-n", place, "-f", "-", "-o", "json", input=json.dumps(manifest))
    shown: dict[str, Any] = json.loads(made.stdout)
    return shown


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_object_looks_observed_by_nobody(cluster: Cluster, place: str, kind: type[Resource]) -> None:
    """A new object shows observedGeneration -1 and its spec as it was written, without defaults."""
    shown = create(cluster, place, kind, "fresh")

    assert shown["status"] == {"observedGeneration": -1}
    assert shown["spec"] == ADOPTING[kind.kind]
    assert kind.parse(shown).metadata.generation == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_careless_status_does_not_look_observed(cluster: Cluster, place: str, kind: type[Resource]) -> None:
    """A status that is replaced without its observedGeneration gets -1 again."""
    shown = create(cluster, place, kind, "careless")
    body = {**shown, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}

    cluster.kubectl("replace", "-n", place, "--subresource=status", "-f", "-", input=json.dumps(body))
    after = json.loads(cluster.kubectl("get", "-n", place, kind.plural, "careless", "-o", "json").stdout)

    assert after["status"]["observedGeneration"] == -1


def test_surprising_words_of_the_cloud_are_recorded(cluster: Cluster, place: str) -> None:
    """Whatever the cloud says fits into a status, down to an empty word and an enormous id."""
    create(cluster, place, QianfanJob, "surprised")
    status = {
        "trainStatus": "",
        "taskId": 2**53 + 1,
        "progress": -3,
        "runs": [{"attempt": 1, "inputs": {"trainConfig": {"learningRate": 2e-5, "loraTargetModules": ["a"]}}}],
        "pending": {"operation": "createJob", "inputs": {"taskId": 4, "target": None}},
    }
    patch = json.dumps({"status": status})

    cluster.kubectl("patch", "-n", place, "qfj", "surprised", "--subresource=status", "--type=merge", "-p", patch)
    after = json.loads(cluster.kubectl("get", "-n", place, "qfj", "surprised", "-o", "json").stdout)["status"]

    assert (after["trainStatus"], after["taskId"], after["progress"]) == ("", 2**53 + 1, -3)
    assert after["runs"] == status["runs"]


def test_the_tables_of_get(cluster: Cluster, place: str) -> None:
    """The short names and the category work, and a row answers Ready, Reason and what matters of the kind."""
    for kind in KINDS:
        create(cluster, place, kind, "shown")
    trouble = "serviceDetail: The cloud did not answer in time. (Timeout)"
    ready = {"type": "Ready", "status": "True", "reason": "Available", "message": "Serves."}
    synced = {"type": "Synced", "status": "Unknown", "reason": "CloudUnavailable", "message": trouble}
    status = {"conditions": [ready, synced], "url": "https://example.test/chat/x", "serviceStatus": "Done"}
    patch = json.dumps({"status": status})
    cluster.kubectl("patch", "-n", place, "qfs", "shown", "--subresource=status", "--type=merge", "-p", patch)

    short = cluster.kubectl("get", "-n", place, "qfj,qfm,qfs").stdout
    category = cluster.kubectl("get", "-n", place, "qianfan").stdout
    table = cluster.kubectl("get", "-n", place, "qfs", "shown").stdout.splitlines()
    wide = cluster.kubectl("get", "-n", place, "qfs", "shown", "-o", "wide").stdout.splitlines()

    for kind in KINDS:
        assert f"{kind.singular}.qianfan.dev/shown" in short
        assert f"{kind.singular}.qianfan.dev/shown" in category
    assert table[0].split() == ["NAME", "READY", "REASON", "SYNCED", "STATE", "URL", "AGE"]
    assert table[1].split()[:6] == ["shown", "True", "Available", "Unknown", "Done", "https://example.test/chat/x"]
    assert "MESSAGE" in wide[0]
    assert trouble in wide[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_fits_into_a_terminal(cluster: Cluster, place: str, kind: type[Resource]) -> None:
    """80 characters hold a name of usual length, the longest reason and the cloud's longest words, besides a URL."""
    create(cluster, place, kind, "essay-a")
    reason = max(Reason, key=len)
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "Long. " * 50}
    synced = {**ready, "type": "Synced", "status": "Unknown"}
    words = {"trainStatus": "RUNNING", "serviceStatus": "Deploying", "state": "Creating", "version": "12"}
    numbers = {"attempt": 12, "progress": 100, "jobId": 2**31, "serviceId": 2**31, "url": "https://u"}
    known = {name: value for name, value in (words | numbers).items() if name in _status_fields(kind)}
    patch = json.dumps({"status": {"conditions": [ready, synced], **known}})
    cluster.kubectl("patch", "-n", place, kind.plural, "essay-a", "--subresource=status", "--type=merge", "-p", patch)

    table = cluster.kubectl("get", "-n", place, kind.plural, "essay-a").stdout.splitlines()

    assert all(str(known[name]) in table[1] for name in ("progress", "serviceStatus", "state") if name in known)
    assert max(len(line.rstrip()) for line in table) <= 80


def _status_fields(kind: type[Resource]) -> set[str]:
    return {field.alias or "" for field in kind.model_fields["status"].annotation.model_fields.values()}  # type: ignore[union-attr]


def test_explain_reads_like_documentation(cluster: Cluster, place: str) -> None:
    """`kubectl explain` describes a field with its meaning and the operator's default."""
    config = cluster.kubectl("explain", "qianfanjob.spec.trainConfig").stdout
    rate = " ".join(cluster.kubectl("explain", "qfj.spec.trainsetRate").stdout.split())

    assert "Number of passes over the training data." in config
    assert "learningRate\t<string> -required-" in config
    assert "split off for evaluation instead of training. Default: 20." in rate


def test_objects_are_found_by_what_they_refer_to(cluster: Cluster, place: str) -> None:
    """A field selector finds the services of a model."""
    spec = {"source": {"modelRef": {"name": "sought"}}, "serviceName": "essay", "uri": "essay"}
    body = {"apiVersion": QianfanJob.api_version, "kind": "QianfanService", "metadata": {"name": "found"}, "spec": spec}
    cluster.kubectl("create", "-n", place, "-f", "-", input=json.dumps(body))

    found = cluster.kubectl(
        "get", "-n", place, "qfs", "--field-selector=spec.source.modelRef.name=sought", "-o", "name"
    )

    assert found.stdout == "qianfanservice.qianfan.dev/found\n"
