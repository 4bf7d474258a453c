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
CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(OPTIONS) as stage:
        yield stage


@pytest.fixture(scope="module")
def operator(stage: Stage) -> Iterator[OperatorProcess]:
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
    operator = stage.operator("first")
    operator.start()
    yield operator


def put(stage: Stage, plural: str, namespace: str, body: dict, api: str = "qianfan.dev/v1alpha1", levels: int = DEEPEST) -> None:
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
