"""References that are paths, stored before admission judged them, on the real API server under the shipped rights."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.history import History, Object
from e2e.place import JOB, MODEL, SERVICE, Place, condition, job, model, service
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_operator.api.common import FINALIZER
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_simulator import Key, Simulator

TESTS = Path(__file__).parents[2]
OLD = TESTS / "upgrade" / "crds" / "v0.1.0"
ATTACKER, VICTIM = "tenant-a", "tenant-b"
OPERATOR = "system:serviceaccount:qianfan-system:qianfan-operator"
SECRET = f"../../{VICTIM}/secrets/qianfan-credentials"
RUN = {"run": {"taskId": 11, "jobId": 12}}
WORDS = "must be a DNS-1123 name: "
DONE = {"status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z", "message": ""}
TRAINED = {
    "observedGeneration": 1, "account": "0a1b2c3d", "attempt": 1, "highestAttempt": 1, "taskId": 11, "jobId": 12,
    "taskUuid": "job-11", "jobUuid": "task-12", "inputsHash": "v1:0123456789abcdef",
}  # fmt: skip
SUCCEEDED = {
    **TRAINED,
    "trainStatus": "FINISH",
    "conditions": [{**DONE, "type": one, "reason": "Succeeded"} for one in ("Ready", "Synced", "Succeeded")],
}
ATTACKS: list[tuple[str, Object]] = [
    (JOB, job("secret", credentialsRef={"name": SECRET})),
    (JOB, job("query", credentialsRef={"name": "qianfan-credentials?watch=true&fieldSelector=metadata.name=x"})),
    (JOB, job("base", incrementalFrom={"jobRef": {"name": f"../../{VICTIM}/qianfanjobs/essay"}})),
    (MODEL, model("source", source={"jobRef": {"name": f"../../{VICTIM}/qianfanjobs/essay"}})),
    (MODEL, model("target", source=RUN, target={"modelRef": {"name": f"../../{VICTIM}/qianfanmodels/essay"}})),
    (SERVICE, service("served", source={"modelRef": {"name": f"../../{VICTIM}/qianfanmodels/essay"}})),
]


@dataclass
class Stage:
    """A cluster whose objects are older than its definitions, and the operator that has judged them."""

    attacker: Place
    victim: Place
    operator: OperatorProcess


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Store the attacks under the definitions of version 0.1.0, install those of today, start the operator."""
    with Cluster(audit=True) as cluster, Simulator() as cloud:
        install(cluster)
        cluster.install_crds(OLD)
        with closing(History(cluster)) as history, closing(Keeper()) as keeper:
            attacker, victim = (
                Place(cluster, history, cloud, name, Key(f"access-of-{name}", f"secret-of-{name}", account=name))
                for name in (ATTACKER, VICTIM)
            )
            for place in (attacker, victim):
                cloud.keys[place.key.access_key] = place.key
                cluster.kubectl("create", "namespace", place.namespace)
                place.kubectl("create", "-f", "-", input=json.dumps(secret_of(place)))
            account = AccessKey(victim.key.access_key, victim.key.secret_key).account
            store(victim, job(), {**SUCCEEDED, "account": account})  # the operator never looks at it again
            store(attacker, job("held", credentialsRef={"name": SECRET}), {**TRAINED, "trainStatus": "RUNNING"})
            attacker.apply(*(attack for _, attack in ATTACKS))
            cluster.install_crds(TESTS.parent / "crds")
            until_refused(attacker)
            operator = OperatorProcess(keeper, history, cluster, cloud.url, RESYNC_SEC="360000")
            operator.start()
            yield Stage(attacker, victim, operator)


def secret_of(place: Place) -> Object:
    """The Secret with the keys of a place."""
    keys = {"QIANFAN_ACCESS_KEY": place.key.access_key, "QIANFAN_SECRET_KEY": place.key.secret_key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "qianfan-credentials"}, "stringData": keys}


def store(place: Place, manifest: Object, status: Mapping[str, Any]) -> None:
    """Store an object as an operator has left it."""
    held = {**manifest, "metadata": {**manifest["metadata"], "finalizers": [FINALIZER]}}
    place.apply(held)
    plural, name = f"{manifest['kind'].lower()}s", manifest["metadata"]["name"]
    place.patch(plural, name, {"status": status}, "--subresource=status")


def refusal(place: Place, manifest: Object) -> str:
    """What kubectl says when an object is refused; empty if it is not."""
    text = json.dumps(manifest)
    done = place.cluster.kubectl(
        "-n", place.namespace, "create", "--dry-run=server", "-f", "-", input=text, check=False
    )
    return done.stderr if done.returncode else ""


def until_refused(place: Place) -> None:
    """Wait until the definitions of today are in force: a moment after they were written."""
    deadline = time.monotonic() + 60
    while not refusal(place, job("new", credentialsRef={"name": "."})):
        assert time.monotonic() < deadline, "the definitions of today refuse nothing"


def requests(stage: Stage) -> list[dict[str, Any]]:
    """Everything that the operator has asked of the API server about resources."""
    log = stage.attacker.cluster.audit_log
    assert log
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry for entry in entries if entry["user"].get("username") == OPERATOR and "objectRef" in entry]


@pytest.mark.parametrize(("plural", "attack"), [pytest.param(*one, id=one[1]["metadata"]["name"]) for one in ATTACKS])
def test_a_new_object_is_refused_in_words(stage: Stage, plural: str, attack: Object) -> None:
    """Whoever writes such a name today is told which field is wrong, and what a name is."""
    told = refusal(stage.attacker, {**attack, "metadata": {"name": f"new-{attack['metadata']['name']}"}})
    assert ".name: Invalid value: " in told
    assert WORDS in told


@pytest.mark.parametrize(("plural", "attack"), [pytest.param(*one, id=one[1]["metadata"]["name"]) for one in ATTACKS])
def test_a_stored_object_is_judged(stage: Stage, plural: str, attack: Object) -> None:
    """The status says that the spec is invalid, although the API server would refuse the object today."""
    body = stage.attacker.until_stalled(plural, "InvalidSpec", attack["metadata"]["name"])
    assert WORDS in condition(body, "Ready")["message"]


def test_an_object_that_was_held_leaves_by_the_command_that_it_tells(stage: Stage) -> None:
    """Its deletion is blocked for want of keys; the command in the message ends that, as it stands, in a shell."""
    place = stage.attacker
    place.kubectl("delete", JOB, "held", "--wait=false")
    place.history.wait_for(
        lambda: condition(place.get(JOB, "held"), "Stalled").get("reason") == "DeletionBlocked",
        lambda: f"the deletion is not blocked: {place.get(JOB, 'held')}",
    )
    message = condition(place.get(JOB, "held"), "Ready")["message"]
    assert WORDS in message
    command = message[message.index("kubectl -n ") :]
    subprocess.run(command, shell=True, check=True, env={**os.environ, **place.cluster.environment})
    place.kubectl("wait", JOB, "held", "--for=delete", "--timeout=30s")


def test_nothing_of_another_namespace_was_asked_for(stage: Stage) -> None:
    """By the audit log nothing was asked for in the victim's namespace, and by the cloud none of its keys was used."""
    for plural, attack in ATTACKS:
        stage.attacker.until_stalled(plural, "InvalidSpec", attack["metadata"]["name"])
    asked = requests(stage)
    names = {"qianfan-credentials", "held", *(attack["metadata"]["name"] for _, attack in ATTACKS)}
    inside = [one for one in asked if one["objectRef"].get("namespace") == ATTACKER]
    assert {one["objectRef"]["resource"] for one in inside} >= {JOB, MODEL, SERVICE, "events"}
    assert {one["objectRef"].get("name") for one in inside if one["objectRef"]["resource"] != "events"} <= names
    assert [one["requestURI"] for one in asked if one["objectRef"].get("namespace") == VICTIM] == []
    assert [one["requestURI"] for one in asked if VICTIM in one["requestURI"] or ".." in one["requestURI"]] == []
    assert stage.victim.calls(outcome="") == []
    assert stage.attacker.paid() == {}
