"""Tools that own fields, and tools that force: who wrote what stays theirs, and nothing is paid for twice."""

import json
import subprocess
from typing import Any

from e2e.history import Object
from e2e.place import JOB, MODEL, SERVICE, TRAINING, Place, is_so, job, manifest, model, service


def applied(place: Place, manager: str, spec: dict[str, Any], *more: str) -> Object:
    """Apply as a manager, on the server's side; the object as the server shows it."""
    words = ("apply", "--server-side", f"--field-manager={manager}", "-f", "-", "-o", "json", "--show-managed-fields")
    text = json.dumps(manifest(JOB, "essay", spec))
    answer: Object = json.loads(place.kubectl(*words, *more, input=text))
    return answer


def refused(place: Place, manager: str, spec: dict[str, Any]) -> str:
    """Apply as a manager what must be refused; the refusal."""
    try:
        applied(place, manager, spec)
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    raise AssertionError(f"{manager} could take {spec}")


def owned(body: Object, manager: str) -> dict[str, Any]:
    """Every field that a manager owns, in the form of managedFields."""
    found: dict[str, Any] = {}
    for entry in body["metadata"]["managedFields"]:
        if entry["manager"] == manager:
            found |= entry["fieldsV1"]
    return found


def test_two_managers_share_an_object_with_the_operator(place: Place) -> None:
    """Each owns what it wrote, a conflict names the other, and the operator owns the status and its finalizer alone."""
    applied(place, "platform", dict(TRAINING))
    place.until_ready(JOB)

    shared = applied(place, "team", {"activeDeadlineSeconds": 3600})
    assert shared["spec"] == {**TRAINING, "activeDeadlineSeconds": 3600}
    assert shared["metadata"]["finalizers"] == ["qianfan.dev/cloud-resource"]
    conflict = refused(place, "team", {"trainset": [{"id": 1234}, {"id": 5}]})
    assert 'conflict with "platform": .spec.trainset' in conflict
    place.until(JOB, lambda body: is_so(body, "Ready", "True") and body["spec"].get("activeDeadlineSeconds"))

    again = applied(place, "platform", dict(TRAINING))
    operators = {entry["manager"] for entry in again["metadata"]["managedFields"]} - {"platform", "team"}
    fields = [owned(again, manager) for manager in operators]
    assert {name for one in fields for name in one} == {"f:metadata", "f:status"}
    assert {name for one in fields for name in one.get("f:metadata", {})} == {"f:finalizers"}
    assert set(owned(again, "team")) == {"f:spec"}
    assert again["spec"]["activeDeadlineSeconds"] == 3600
    assert again["status"]["jobId"]

    taken = applied(place, "team", {"trainset": [{"id": 1234}, {"id": 5}], "attempt": 2}, "--force-conflicts")
    assert "activeDeadlineSeconds" not in taken["spec"]  # the team does not ask for it any more
    assert taken["spec"]["trainset"] == [{"id": 1234}, {"id": 5}]  # as a whole: the list is not merged
    assert "f:trainset" not in owned(taken, "platform")["f:spec"]
    place.until(JOB, lambda body: body["status"].get("attempt") == 2 and is_so(body, "Ready", "True"))
    assert place.paid() == {"createTask": 2, "createJob": 2}


def test_applying_the_same_again_changes_nothing(place: Place) -> None:
    """`kubectl diff` finds nothing, a second apply writes nothing, and the cloud is not asked about the job again."""
    chain = "\n---\n".join(map(json.dumps, (job(), model(), service())))
    place.kubectl("apply", "--server-side", "-f", "-", input=chain)
    for plural in (SERVICE, MODEL, JOB):
        place.until_ready(plural)

    def versions() -> list[str]:
        words = (
            "get",
            "qianfan",
            "-o",
            "jsonpath={range .items[*]}{.metadata.generation} {.metadata.resourceVersion},",
        )
        return place.kubectl(*words).split(",")

    before, asked = versions(), len(place.calls("jobDetail", outcome=""))
    assert place.kubectl("diff", "--server-side", "-f", "-", input=chain) == ""
    told = place.kubectl("apply", "--server-side", "-f", "-", input=chain)
    assert told.count(" serverside-applied") == 3
    place.until_called("serviceDetail", 2)  # the operator goes on looking at what serves
    assert versions() == before
    assert len(place.calls("jobDetail", outcome="")) == asked


def test_a_forced_change_is_paid_once_and_the_way_back_is_free(place: Place) -> None:
    """`kubectl apply --force` deletes and re-creates what is refused: what it asks is trained once, and found again."""

    def forced(**changes: Any) -> Object:
        words = ("apply", "--force", "--timeout=30s", "-f", "-", "-o", "json")  # without it, it does not wait at all
        answer: Object = json.loads(place.kubectl(*words, input=json.dumps(job(**changes))))
        uid = answer["metadata"]["uid"]
        return place.until(JOB, lambda body: body["metadata"]["uid"] == uid and is_so(body, "Ready", "True"))

    first = forced()
    changed = forced(trainConfig={"epoch": 2, "learningRate": "0.00003", "maxSeqLen": 4096})
    assert changed["metadata"]["uid"] != first["metadata"]["uid"]
    assert place.paid()["createJob"] == 2

    back = forced()
    assert back["metadata"]["uid"] != changed["metadata"]["uid"]
    assert back["status"]["jobUuid"] == first["status"]["jobUuid"]
    assert place.paid()["createJob"] == 2
