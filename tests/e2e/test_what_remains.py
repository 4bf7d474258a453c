"""What the operator leaves in the cluster, in the audit log and in its own log: checked over all stories before."""

import base64
import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from conformance import check, kstatus
from e2e.history import PATHS, Object
from e2e.place import JOB, MODEL, SERVICE, Place, is_so, job, model, service
from e2e.process import OperatorProcess
from plugins.side_by_side import FIRST, SECOND
from status_tools.program import ask

USER = "system:serviceaccount:qianfan-system:qianfan-operator"
OURS = {"qianfanjobs", "qianfanmodels", "qianfanservices"}
RIGHTS = Path(__file__).parents[2] / "deploy/access/rbac.yaml"
READS = {"get", "list", "watch"}


@pytest.fixture(autouse=True, params=[FIRST, SECOND])
def stage() -> None:
    """Have every stage judged; side by side, each test has one of its own."""


def requests_of_the_operator(place: Place) -> list[dict[str, Any]]:
    """Every request that the operator has made to the API server, as the audit log tells them."""
    assert place.cluster.audit_log is not None
    lines = place.cluster.audit_log.read_text(encoding="utf-8").splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [entry for entry in entries if entry["user"].get("username") == USER]


def served_chain(place: Place) -> None:
    """Have at least one whole story behind us, also when this file is run alone."""
    place.apply(job(), model(), service())
    place.until_ready(SERVICE)
    place.until_ready(MODEL)


def told_again(place: Place) -> None:
    """Have an object come back to where it was: that is counted up in the event that told it first."""
    place.apply(job("held", paused=True))
    place.until(JOB, lambda body: is_so(body, "Ready", "False", "Paused"), "held")
    place.patch(JOB, "held", {"spec": {"desiredState": "Stopped"}})
    place.until(JOB, lambda body: is_so(body, "Ready", "True", "Stopped"), "held")
    place.patch(JOB, "held", {"spec": {"desiredState": "Running"}})
    about = {"name": "held", "namespace": place.namespace}

    def counts() -> list[int]:
        events = [event for event in place.history.told("events") if about.items() <= event["regarding"].items()]
        return [event["series"]["count"] for event in events if event.get("series")]

    place.history.wait_for(lambda: counts() == [2], lambda: f"it was counted {counts()}")


def test_nothing_of_the_informer_is_on_any_object(place: Place) -> None:
    """No version of any object ever bore a trace of kopf, and the only finalizer is the operator's own."""
    served_chain(place)
    told = [body for plural in OURS for body in place.history.told(plural)]
    assert {body["kind"] for body in told} == {"QianfanJob", "QianfanModel", "QianfanService"}
    assert not [body for body in told if "kopf" in json.dumps(body).lower()]
    finalizers = {name for body in told for name in body["metadata"].get("finalizers", [])}
    assert finalizers == {"qianfan.dev/cloud-resource"}


def test_every_status_could_be_read_by_the_tools_that_wait(place: Place, tools: Path) -> None:
    """Every status that the operator ever wrote keeps to our rules, and Flux's own code finds no fault in it."""
    served_chain(place)
    told = [body for plural in OURS for body in place.history.told(plural) if not _written_by_others(body)]
    assert told
    broken = {f"{body['kind']} {words}: {json.dumps(body['status'])}" for body in told for words in check(body, False)}
    assert not broken, "\n".join(sorted(broken))
    for body, verdict in zip(told, ask(tools, told), strict=True):
        assert verdict["kstatus"] == kstatus(body), body
        if body["status"]["observedGeneration"] == body["metadata"]["generation"]:  # else it has not judged this spec
            assert verdict["midway"] == [], body


def test_the_rights_suffice_and_only_the_status_is_written(place: Place) -> None:
    """Only Secrets that objects name were forbidden; writes are of statuses, finalizers, events and the Lease."""
    served_chain(place)
    made = requests_of_the_operator(place)
    refused = [entry for entry in made if entry["responseStatus"]["code"] == 403]
    unexpected = [entry for entry in refused if not (_terminating(entry) or _named_secret(entry) or _by_policy(entry))]
    assert [(entry["verb"], entry["requestURI"], entry["responseStatus"]) for entry in unexpected] == []
    writes = Counter(
        (entry["verb"], entry["objectRef"]["resource"], entry["objectRef"].get("subresource", ""))
        for entry in made
        if entry["verb"] not in READS
    )
    allowed = {("patch", plural, sub) for plural in OURS for sub in ("", "status")} | {("create", "events", "")}
    now_and_then = {("patch", "events", "")} | {(verb, "leases", "") for verb in ("create", "update")}
    assert allowed <= set(writes) <= allowed | now_and_then


def test_no_secret_was_asked_for_that_nobody_named(place: Place) -> None:
    """Secrets were listed and watched by the one name alone, and got by that name and those in a credentialsRef."""
    served_chain(place)
    named = {
        (body["metadata"]["namespace"], body["spec"].get("credentialsRef", {}).get("name", "qianfan-credentials"))
        for plural in OURS
        for body in place.history.told(plural)
    }
    made = requests_of_the_operator(place)
    asked = [entry for entry in made if entry.get("objectRef", {}).get("resource") == "secrets"]
    lists = [unquote(entry["requestURI"]) for entry in asked if entry["verb"] in {"list", "watch"}]
    assert lists
    assert not [uri for uri in lists if "fieldSelector=metadata.name=qianfan-credentials" not in uri]
    got = {(entry["objectRef"]["namespace"], entry["objectRef"]["name"]) for entry in asked if entry["verb"] == "get"}
    assert got <= named


def test_no_right_is_left_over(bare_place: Place) -> None:
    """Each verb on each resource that deploy/access grants was used, whether by ourselves or by the informer."""
    bare_place.apply(job())
    bare_place.until_waiting(JOB, "CredentialsNotFound")  # here the Secret is asked for by its name
    bare_place.give_keys()
    served_chain(bare_place)
    told_again(bare_place)
    roles = [one for one in yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8")) if _is_ours(one)]
    granted = {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    used = {
        (what.get("apiGroup", ""), "/".join(filter(None, (what["resource"], what.get("subresource")))), entry["verb"])
        for entry in requests_of_the_operator(bare_place)
        if (what := entry.get("objectRef")) and entry["responseStatus"]["code"] != 403
    }
    assert granted - used == set()
    assert used - granted == set()


def test_nothing_is_written_while_nothing_changes(place: Place) -> None:
    """Applying the same again changes nothing, and while the cloud is looked at again and again nothing is written."""
    served_chain(place)
    again = place.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, (job(), model(), service()))))
    assert again.count("unchanged") == 3

    def writes() -> list[dict[str, Any]]:
        made = [entry for entry in requests_of_the_operator(place) if entry["verb"] not in READS]
        return [entry for entry in made if entry["objectRef"]["namespace"] == place.namespace]

    before = writes()
    place.until_called("serviceDetail", 2)
    place.until_called("modelVersionDetail", 1)
    assert writes() == before
    assert [place.get(plural)["metadata"]["generation"] for plural in (JOB, MODEL, SERVICE)] == [1, 1, 1]


def test_no_key_is_told_to_anybody(place: Place, operator: OperatorProcess) -> None:
    """No key, plain or in base64, and no signature is in the log, the metrics, an event, or a version of any object."""
    served_chain(place)
    assert set(PATHS) == {*OURS, "events"}
    told = json.dumps([operator.log(), operator.metrics(), place.history.told()])
    keys = place.cloud.keys.values()
    assert place.key in keys
    halves = [half for key in keys for half in (key.access_key, key.secret_key)]
    assert not [half for half in halves if half in told or base64.b64encode(half.encode()).decode() in told]
    assert "managedFields" in told
    assert "bce-auth-v1" not in told


def test_no_pass_has_failed_for_a_reason_of_our_own(place: Place, operator: OperatorProcess) -> None:
    """In all stories no pass ended with an exception that nobody expected, and the operator is well."""
    served_chain(place)
    assert not [line for line in operator.log() if "exception" in line]
    assert operator.healthy()


def _terminating(entry: dict[str, Any]) -> bool:
    """Whether it is an event for a namespace that was on its way out, where nothing may be made any more."""
    reason = entry["responseStatus"].get("message", "")
    return entry["verb"] == "create" and "is being terminated" in reason


def _by_policy(entry: dict[str, Any]) -> bool:
    """Whether it is a finalizer that the policy of a test refused, which the object is told."""
    return "no-finalizers.example.org" in entry["responseStatus"].get("message", "")


def _named_secret(entry: dict[str, Any]) -> bool:
    """Whether it is a Secret that an object names and no Role allows, which that object is told."""
    what = entry["objectRef"]
    return (entry["verb"], what["resource"]) == ("get", "secrets") and what["name"] != "qianfan-credentials"


def _is_ours(manifest: dict[str, Any]) -> bool:
    return manifest["kind"] in {"ClusterRole", "Role"} and manifest["metadata"]["name"] == "qianfan-operator"


def _written_by_others(body: Object) -> bool:
    """Whether a person has written into the status, as some stories have it."""
    writers = {(one["manager"], one.get("subresource")) for one in body["metadata"].get("managedFields", [])}
    emptied = (
        not body["status"].get("conditions") and "observedGeneration" in body["status"]
    )  # leaves no field to manage
    return emptied or ("kubectl-patch", "status") in writers
