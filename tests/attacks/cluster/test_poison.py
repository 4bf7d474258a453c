"""Objects that most readers of JSON cannot read: nested thousands of levels deep, beside good ones."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from attacks.cluster.stage import MERGE, NAMESPACE, Stage, deep, managed, path
from e2e.place import JOB, MODEL, SERVICE, job, model, service
from e2e.process import OperatorProcess
from qianfan_simulator import AfterLooks, Never, Options

DEEPEST = 9_990
"""Levels of managed fields; in a list, whose objects are three levels down, that is the most that etcd's JSON takes."""
OPTIONS = Options(training=Never(), publishing=AfterLooks(1), payment=AfterLooks(1), deploying=AfterLooks(1))
SOON = {"LEASE_DURATION_SEC": "6"}
CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(OPTIONS) as stage:
        yield stage


@pytest.fixture(scope="module")
def operator(stage: Stage) -> OperatorProcess:
    """An operator that meets poison of every kind when it starts."""
    stage.namespace("poisoned")
    stage.call("DELETE", path("secrets", "poisoned", "qianfan-credentials"))
    keys = next(iter(stage.cloud.keys.values()))
    data = {"QIANFAN_ACCESS_KEY": keys.access_key, "QIANFAN_SECRET_KEY": keys.secret_key}
    put(stage, "secrets", "poisoned", {"metadata": {"name": "qianfan-credentials"}, "stringData": data}, "v1")
    for plural, body in ((JOB, job("poison")), (MODEL, model("poison")), (SERVICE, service("poison"))):
        put(stage, plural, "poisoned", body)
    put(stage, JOB, NAMESPACE, job("poison"), levels=4_000)
    apply(stage, job("before"))
    operator = stage.operator("first", **SOON)
    operator.start()
    return operator


def put(
    stage: Stage, plural: str, namespace: str, body: dict, api: str = "qianfan.dev/v1alpha1", levels: int = DEEPEST
) -> None:
    body = {**body, "metadata": {**body["metadata"], "managedFields": "(managed)"}}
    text = json.dumps(body, separators=(",", ":")).replace('"(managed)"', managed(deep(levels), api))
    stage.call("POST", path(plural, namespace), text)


def apply(stage: Stage, body: dict, namespace: str = NAMESPACE) -> None:
    plural = f"{body['kind'].lower()}s"
    stage.call("POST", path(plural, namespace), json.dumps(body))


def poison(stage: Stage, plural: str, name: str, namespace: str = NAMESPACE) -> None:
    body = '{"metadata":{"managedFields":' + managed(deep(DEEPEST)) + "}}"
    stage.call("PATCH", path(plural, namespace, name), body, MERGE)


def cure(stage: Stage, plural: str, name: str, namespace: str = NAMESPACE) -> None:
    stage.call("PATCH", path(plural, namespace, name), '{"metadata":{"managedFields":[{}]}}', MERGE)


def unreadable(operator: OperatorProcess, plural: str) -> int:
    (line,) = (one for one in operator.metrics().splitlines() if f'unreadable_objects{{kind="{plural}"}}' in one)
    return int(float(line.split()[-1]))


def test_the_start_survives_poison_of_every_kind(stage: Stage, operator: OperatorProcess) -> None:
    """Good objects are served, poisoned ones too, keys from a poisoned Secret work; all of it is reported."""
    stage.until(JOB, "before", "Training")
    stage.until(JOB, "poison", "Training")
    stage.until(JOB, "poison", "Training", "poisoned")
    stage.until(MODEL, "poison", "DependencyNotReady", "poisoned")
    stage.until(SERVICE, "poison", "DependencyNotReady", "poisoned")
    counts = [unreadable(operator, plural) for plural in (JOB, MODEL, SERVICE, "secrets")]
    assert counts == [2, 1, 1, 1]
    named = {line["object"] for line in operator.log() if line["message"] == "An object cannot be read in full"}
    assert named == {"qianfanjobs/good/poison", *(f"{one}/poisoned/poison" for one in (JOB, MODEL, SERVICE))}
    for plural in (JOB, MODEL, SERVICE):
        assert stage.cluster.kubectl("-n", "poisoned", "get", plural, "poison").returncode == 0
    stage.eyes.wait_for(lambda: "Unreadable" in stage.events(NAMESPACE, "poison"), lambda: "no event")
    apply(stage, job("after"))
    stage.until(JOB, "after", "Training")


def test_poison_that_arrives_changes_nothing_and_is_cured(stage: Stage, operator: OperatorProcess) -> None:
    """A run whose object is poisoned trains on, can be deleted, and new objects are served meanwhile."""
    for name in ("runner", "leaver"):
        apply(stage, job(name))
        stage.until(JOB, name, "Training")
    before = unreadable(operator, JOB)
    for name in ("runner", "leaver"):
        poison(stage, JOB, name)
    poison(stage, "secrets", "qianfan-credentials")
    stage.eyes.wait_for(lambda: unreadable(operator, JOB) == before + 2, lambda: "the metric does not tell")
    apply(stage, job("newer"))
    stage.until(JOB, "newer", "Training")
    assert stage.status(JOB, "runner")["conditions"], "it is known as before"
    stage.cluster.kubectl("-n", NAMESPACE, "delete", JOB, "leaver", "--timeout=60s")
    cure(stage, JOB, "runner")
    stage.eyes.wait_for(lambda: unreadable(operator, JOB) == before, lambda: "the metric does not go down")
    stage.call("PATCH", path(JOB, NAMESPACE, "runner"), '{"spec":{"desiredState":"Stopped"}}', MERGE)
    stage.until(JOB, "runner", "Stopped")
    stopped = {call.parameters["jobId"] for call in stage.cloud.calls if call.operation == "stopJob"}
    assert len(stopped) == 2, "the runs of leaver and runner, and no others"


def test_another_replica_takes_over_among_poison(stage: Stage, operator: OperatorProcess) -> None:
    """The one that stands by has read the same; the one that died starts again."""
    second = stage.operator("second", **SOON)
    second.start()
    operator.die()
    second.until_leading()
    apply(stage, job("at-second"))
    stage.until(JOB, "at-second", "Training")
    operator.start()
    poison(stage, JOB, "at-second")
    second.die()
    operator.until_leading()
    apply(stage, job("at-first"))
    stage.until(JOB, "at-first", "Training")
    assert operator.healthy()


def test_a_spec_of_any_depth_is_told_in_its_own_status(stage: Stage, operator: OperatorProcess) -> None:
    """With the definitions of v0.1.0, whose `trainConfig.extra` had no bounds: what was stored then is stored still."""
    definition = yaml.safe_load((CRDS / "qianfanjobs.yaml").read_text())
    fields = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["trainConfig"]["properties"]["extra"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    stage.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(definition))
    body = job("deep")
    body["spec"] = {**body["spec"], "trainConfig": {**body["spec"]["trainConfig"], "extra": "(deep)"}}
    for levels in (900, DEEPEST):
        body["metadata"] = {"name": f"deep-{levels}"}
        text = json.dumps(body).replace('"(deep)"', '{"a":' * levels + "1" + "}" * levels)
        stage.eyes.wait_for(lambda text=text: stage.offered(JOB, text), lambda: "the definition is not served")
    stage.cluster.install_crds(CRDS)
    for levels in (900, DEEPEST):
        stage.until(JOB, f"deep-{levels}", "InvalidSpec")
        assert "Unreadable" in stage.events(NAMESPACE, f"deep-{levels}")
    operator.kill()
    operator.start()
    apply(stage, job("beside"))
    stage.until(JOB, "beside", "Training")
    stage.call("PATCH", path(JOB, NAMESPACE, "deep-900"), '{"spec":{"trainConfig":{"extra":null}}}', MERGE)
    stage.until(JOB, "deep-900", "Training")
    stage.cluster.kubectl("-n", NAMESPACE, "delete", JOB, f"deep-{DEEPEST}", "--timeout=60s")
    told = stage.cluster.kubectl("get", "events", "-A", "--field-selector", "reason=Unreadable", "-o", "name").stdout
    assert len(told.split()) >= 2, "as docs/operations.md says how to find them"
    assert operator.terminate() == 0
