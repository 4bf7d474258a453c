"""No rule ever stands in the way of an object that has to go."""

import json
import subprocess
import time
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest

from qianfan_devcluster.cluster import Cluster
from qianfan_operator.api import KINDS, Resource
from qianfan_operator.api.common import FINALIZER
from qianfan_operator.api.crds import definition

GROUP = "older.test"
LIMITS = (
    "x-kubernetes-validations",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)
NO_NAME = {"name": "../../tenant-b/secrets/qianfan-credentials"}
LONG = "x" * 3000
INVALID = {
    "QianfanJob": {
        "credentialsRef": NO_NAME,
        "incrementalFrom": {"jobRef": NO_NAME},
        "peftType": "QLoRA",
        "adopt": {"taskId": f"task-{LONG}", "jobId": 0},
        "taskName": LONG,
        "trainset": [{"id": 0}],
        "trainConfig": {
            "epoch": 0,
            "learningRate": "9",
            "extra": {
                "a": reduce(lambda inner, _: {"b": inner}, range(14), [LONG, [1] * 99]),
                **{f"key {number}": 1 for number in range(99)},
            },
        },
        "activeDeadlineSeconds": 2**40,
        "attempt": -1,
    },
    "QianfanModel": {
        "credentialsRef": NO_NAME,
        "source": {"jobRef": NO_NAME, "run": {"taskId": 0, "jobId": 0}},
        "target": {"modelId": f"amv-{LONG}", "modelName": LONG, "modelRef": NO_NAME},
        "updatePolicy": "Sometimes",
        "tags": [LONG],
    },
    "QianfanService": {
        "credentialsRef": NO_NAME,
        "source": {"modelRef": NO_NAME},
        "uri": "UPPER CASE",
        "replicas": 2**30,
        "adopt": {"serviceId": f"svcp-{LONG}"},
        "paymentDeadlineSeconds": 2**40,
    },
}
RECORDED = {"inputsHash": "v1:0123456789abcdef", "modelId": 1, "serviceId": 1}


def older(kind: type[Resource], *, lax: bool) -> dict[str, Any]:
    """The definition of a kind in a group of its own; a lax one knows the fields and no rule about them."""
    made = definition(kind)
    names = {"kind": f"Older{kind.kind}", "plural": f"older{kind.plural}", "singular": f"older{kind.singular}"}
    made["metadata"]["name"] = f"{names['plural']}.{GROUP}"
    made["spec"] |= {"group": GROUP, "names": names}
    if lax:
        (version,) = made["spec"]["versions"]
        version["schema"]["openAPIV3Schema"] = without_limits(version["schema"]["openAPIV3Schema"])
    return made


def without_limits(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with types only; a field is never made required later, so those that are stay so."""
    left = {name: value for name, value in schema.items() if name not in LIMITS}
    if "properties" in left:
        left["properties"] = {name: without_limits(inner) for name, inner in left["properties"].items()}
    if "items" in left:
        left["items"] = without_limits(left["items"])
    if left.pop("additionalProperties", None):
        left["x-kubernetes-preserve-unknown-fields"] = True
    return left


def eventually(holds: Callable[[], bool]) -> None:
    """Ask again until it holds; a definition takes effect a moment after it was written."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_newer_rules_refuse_can_still_leave(cluster: Cluster, place: str, kind: type[Resource]) -> None:
    """An object from before the rules keeps its status up to date, is deleted, and loses its finalizer."""
    crd = f"older{kind.plural}.{GROUP}"
    name = f"{crd}/old"
    body = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": f"Older{kind.kind}",
        "metadata": {"name": "old", "finalizers": [FINALIZER]},
        "spec": INVALID[kind.kind],
    }
    fresh = json.dumps({**body, "metadata": {"name": "new"}})

    def run(*arguments: str, given: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return cluster.kubectl(arguments[0], "-n", place, *arguments[1:], input=given, check=check)

    run("create", "-f", "-", given=json.dumps(older(kind, lax=True)))
    run("wait", f"crd/{crd}", "--for=condition=Established", "--timeout=60s")
    eventually(lambda: run("create", "-f", "-", given=json.dumps(body), check=False).returncode == 0)
    run("replace", "-f", "-", given=json.dumps(older(kind, lax=False)))
    eventually(lambda: run("create", "--dry-run=server", "-f", "-", given=fresh, check=False).returncode != 0)

    run("patch", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": RECORDED}))
    run("patch", name, "--type=merge", "-p", '{"spec":{"paused":true}}')
    run("delete", name, "--wait=false")
    run("patch", name, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Orphan"}}')
    run("patch", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')

    assert run("get", name, "--ignore-not-found").stdout == ""
    run("delete", f"crd/{crd}", "--wait=false")
