"""deploy/policies: what people can do with nothing but rights on the kinds, and what the policies leave of it.

Every attack is a request that the API server takes without the policies, and refuses with them.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from plugins.policies import DELETION, POLICIES, install_policies, judge
from qianfan_devcluster.cluster import Cluster

JOB, MODEL, SERVICE = "qianfanjobs", "qianfanmodels", "qianfanservices"
KINDS = {JOB: "QianfanJob", MODEL: "QianfanModel", SERVICE: "QianfanService"}
OPERATOR = "system:serviceaccount:qianfan-system:qianfan-operator"
FINALIZER = "qianfan.dev/cloud-resource"
TRAINING: Mapping[str, Any] = {
    "baseTrainType": "ERNIE-Bot-turbo", "trainType": "ERNIE-Bot-turbo-0725", "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": "0.00003"}, "trainset": [{"id": 1234}],
}  # fmt: skip
PUBLISHING: Mapping[str, Any] = {"source": {"jobRef": {"name": "essay"}}, "target": {"modelName": "essay_model"}}
SERVING: Mapping[str, Any] = {"source": {"modelRef": {"name": "essay"}}, "serviceName": "essay", "uri": "essay"}
SPECS = {JOB: TRAINING, MODEL: PUBLISHING, SERVICE: SERVING}
RUN = {"taskId": 9220, "jobId": 5235}
VERSION = {"modelId": 123, "modelVersionId": 456}
_EFFECTIVE_SECONDS = 30  # the API server learns of policies and of labels by its informers


def manifest(plural: str, spec: Mapping[str, Any], name: str = "new") -> dict[str, Any]:
    """An object as a person writes it."""
    return {"apiVersion": "qianfan.dev/v1alpha1", "kind": KINDS[plural], "metadata": {"name": name}, "spec": dict(spec)}


class Api:
    """The API server, asked by anybody: the administrator speaks for them."""

    def __init__(self, cluster: Cluster, session: requests.Session) -> None:
        config = json.loads(cluster.kubeconfig.read_text())
        session.trust_env, session.verify = False, str(cluster.certificate_authority)
        session.headers["Authorization"] = f"Bearer {config['users'][0]['user']['token']}"
        self._session, self._root = session, f"{cluster.server}/apis/qianfan.dev/v1alpha1/namespaces"

    def create(self, person: str, namespace: str, body: Mapping[str, Any], *, really: bool = False) -> str:
        """Create an object, or have the API server judge it; empty if it is taken, else the refusal."""
        plural = next(plural for plural, kind in KINDS.items() if kind == body["kind"])
        return self._ask("POST", person, f"{namespace}/{plural}", body, "application/json", really=really)

    def patch(self, person: str, namespace: str, path: str, change: Mapping[str, Any], *, really: bool = False) -> str:
        """Merge into an object; empty if it is taken, else the refusal."""
        return self._ask("PATCH", person, f"{namespace}/{path}", change, "application/merge-patch+json", really=really)

    def delete(self, person: str, namespace: str, path: str, *, really: bool = False) -> str:
        """Delete an object, or all of a kind; empty if it is taken, else the refusal."""
        options = {} if really else {"dryRun": ["All"]}  # with a body the query does not count
        return self._ask("DELETE", person, f"{namespace}/{path}", options, "application/json", really=really)

    def _ask(self, method: str, person: str, path: str, body: Mapping[str, Any], kind: str, *, really: bool) -> str:
        headers = {"Content-Type": kind} | ({"Impersonate-User": person} if person else {})
        reply = self._session.request(
            method,
            f"{self._root}/{path}",
            params={} if really else {"dryRun": "All"},
            data=json.dumps(body),
            headers=headers,
            timeout=10,
        )
        return "" if reply.ok else str(reply.json()["message"])


@dataclass(frozen=True)
class Attack:
    """What somebody sends, and the words that refuse it."""

    what: str
    person: str
    words: str
    plural: str
    spec: Mapping[str, Any] | None = None
    change: Mapping[str, Any] | None = None
    subresource: str = ""

    def send(self, api: Api, namespace: str) -> str:
        """Send it for judgement only; empty if it is taken, else the refusal."""
        if self.spec is not None:
            return api.create(self.person, namespace, manifest(self.plural, _without_nulls(self.spec)))
        return api.patch(self.person, namespace, f"{self.plural}/there{self.subresource}", self.change or {})


def _ids(plural: str, words: str, **fields: Any) -> list[Attack]:
    """Name a cloud resource in a new object, and in one that exists."""
    return [
        Attack(f"{words} in a new object", "tenant", f"{words}: this names a cloud resource", plural, spec=fields),
        Attack(f"{words} later", "tenant", f"{words}: this names a cloud resource", plural, change={"spec": fields}),
    ]


ATTACKS = [
    Attack("keys unnamed", "outsider", "uses the Secret qianfan-credentials, which you", JOB, spec=TRAINING),
    Attack("keys unnamed, model", "outsider", "uses the Secret qianfan-credentials,", MODEL, spec=PUBLISHING),
    Attack("keys unnamed, service", "outsider", "uses the Secret qianfan-credentials,", SERVICE, spec=SERVING),
    Attack(
        "keys by name", "outsider", "uses the Secret root-key, which you", JOB,
        spec={**TRAINING, "credentialsRef": {"name": "root-key"}},
    ),
    Attack(
        "other keys by name", "tenant", "uses the Secret root-key, which you", JOB,
        spec={**TRAINING, "credentialsRef": {"name": "root-key"}},
    ),
    Attack(
        "other keys later", "tenant", "uses the Secret root-key, which you", JOB,
        change={"spec": {"credentialsRef": {"name": "root-key"}}},
    ),
    Attack(
        "default keys later", "outsider", "uses the Secret qianfan-credentials, which you", JOB,
        change={"spec": {"credentialsRef": None}},
    ),
    *_ids(JOB, "spec.adopt", **TRAINING, adopt=RUN),
    *_ids(MODEL, "spec.adopt", adopt={"modelVersionId": 456}),
    *_ids(SERVICE, "spec.adopt", adopt={"serviceId": 2047}),
    *_ids(
        JOB, "spec.incrementalFrom.run",
        trainConfig={"epoch": 1, "learningRate": "0.00003"}, trainset=[{"id": 1}], incrementalFrom={"run": RUN},
    ),
    *_ids(MODEL, "spec.source.run", source={"jobRef": None, "run": RUN}, target={"modelName": "mine"}),
    *_ids(MODEL, "spec.target.modelId", source={"jobRef": {"name": "essay"}}, target={"modelName": None, "modelId": 7}),
    *_ids(SERVICE, "spec.source.modelVersion", **{**SERVING, "source": {"modelRef": None, "modelVersion": VERSION}}),
    Attack("many replicas", "tenant", "100 is more than the 4", SERVICE, spec={**SERVING, "replicas": 100}),
    Attack("more replicas later", "tenant", "5 is more than the 4", SERVICE, change={"spec": {"replicas": 5}}),
    *(
        Attack(
            f"a status, {plural}", "wild", f"status: only {OPERATOR} may write it", plural,
            change={"status": {"account": "0123456789ab"}}, subresource="/status",
        )
        for plural in KINDS
    ),
    *(
        Attack(
            f"no finalizer, {plural}", "tenant", f"{FINALIZER} keeps this object", plural,
            change={"metadata": {"finalizers": None}},
        )
        for plural in KINDS
    ),
]  # fmt: skip


def _without_nulls(value: Any) -> Any:
    """Leave out what a merge-patch takes away: a new object does not have it."""
    if not isinstance(value, Mapping):
        return value
    return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}


def prepare(cluster: Cluster, api: Api, namespace: str) -> None:
    """Give people their rights in a namespace, and put objects there that an administrator made."""
    rights = {
        "outsider": [],
        "tenant": ["role/keys"],
        "adopter": ["role/keys", "clusterrole/qianfan-adopt"],
        "rescuer": ["clusterrole/qianfan-remove-finalizer"],
        "wild": ["role/everything"],
    }
    rules = {
        "keys": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["qianfan-credentials"]}],
        "everything": [{"apiGroups": ["qianfan.dev"], "resources": ["*"]}],
    }
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [rule | {"verbs": ["get"] if name == "keys" else ["*"]} for rule in rules[name]],
        }
        for name in rules
    ]  # fmt: skip
    for person, roles in rights.items():
        for number, role in enumerate(["clusterrole/qianfan-edit", "clusterrole/qianfan-view", *roles]):
            kind, _, name = role.partition("/")
            objects.append({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": f"{person}-{number}"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "name": name,
                    "kind": "Role" if kind == "role" else "ClusterRole",
                },
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
            })  # fmt: skip
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=_listed(objects))
    for plural, spec in SPECS.items():
        there = manifest(plural, {**spec, "credentialsRef": {"name": "team-key"}}, "there")
        there["metadata"]["finalizers"] = [FINALIZER]
        assert api.create("", namespace, there, really=True) == ""


def _listed(objects: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    """Supply the API server, which knows the policies."""
    install_policies(cluster)
    with requests.Session() as session:
        yield Api(cluster, session)


@pytest.fixture
def place(cluster: Cluster, api: Api, namespace: str) -> Iterator[str]:
    """Supply a namespace with people and objects, which no policy judges yet."""
    prepare(cluster, api, namespace)
    yield namespace
    for plural in KINDS:
        api.patch("", namespace, f"{plural}/there", {"metadata": {"finalizers": None}}, really=True)


def refusal(api: Api, namespace: str, attack: Attack) -> str:
    """Send an attack until it is refused, for as long as a policy may take to be known."""
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while not (words := attack.send(api, namespace)) and time.monotonic() < deadline:
        pass
    return words


def test_every_attack_succeeds_without_the_policies_and_is_refused_with_them(
    cluster: Cluster, api: Api, place: str
) -> None:
    """Rights on the kinds alone are enough for each attack; the policies refuse each one, and say what to ask for."""
    assert {attack.what: attack.send(api, place) for attack in ATTACKS} == {attack.what: "" for attack in ATTACKS}
    judge(cluster, place)
    refused = {attack.what: refusal(api, place, attack) for attack in ATTACKS}
    assert {attack.what for attack in ATTACKS if attack.words not in refused[attack.what]} == set(), refused
    asked = [words for what, words in refused.items() if "Ask for" not in words and "Ask those" not in words]
    assert [words for words in asked if "status: only" not in words and "ask for the verb" not in words] == []


def test_whoever_has_the_right_may_go_on(cluster: Cluster, api: Api, place: str) -> None:
    """Those with the right, the operator at its own work, and whoever leaves the field alone pass all policies."""
    judge(cluster, place)
    for attack in ATTACKS:
        assert attack.words in refusal(api, place, attack)

    def adopts(plural: str, **spec: Any) -> str:
        return api.create("adopter", place, manifest(plural, spec))

    attempt = {"spec": {"attempt": 2}}
    gone, status = {"metadata": {"finalizers": None}}, {"status": {"account": "0123456789ab"}}
    keys = {"spec": {"credentialsRef": {"name": "qianfan-credentials"}}}
    taken = {
        "own keys": api.create("tenant", place, manifest(JOB, TRAINING)),
        "own keys later": api.patch("tenant", place, f"{JOB}/there", keys),
        "another field": api.patch("outsider", place, f"{JOB}/there", attempt),
        "an annotation": api.patch("outsider", place, f"{JOB}/there", {"metadata": {"annotations": {"a": "b"}}}),
        "adopting a run": adopts(JOB, adopt=RUN),
        "adopting a version": adopts(MODEL, adopt={"modelId": 123}),
        "adopting a service": adopts(SERVICE, adopt={"serviceId": "svco-1"}),
        "a run": adopts(MODEL, source={"run": RUN}, target={"modelId": 7}),
        "a version": adopts(SERVICE, **{**SERVING, "source": {"modelVersion": VERSION}}),
        "few replicas": api.create("tenant", place, manifest(SERVICE, {**SERVING, "replicas": 4})),
        "the operator's status": api.patch(OPERATOR, place, f"{JOB}/there/status", status),
        "the operator's finalizer": api.patch(OPERATOR, place, f"{JOB}/there", gone),
        "an emergency": api.patch("rescuer", place, f"{MODEL}/there", gone),
        "the administrator": api.patch("", place, f"{SERVICE}/there", gone),
    }
    assert taken == dict.fromkeys(taken, "")

    assert adopts(JOB, **TRAINING, adopt=RUN) == ""
    assert api.patch("adopter", place, f"{JOB}/there", {"spec": {"adopt": RUN, **keys["spec"]}}, really=True) == ""
    assert api.patch("outsider", place, f"{JOB}/there", attempt) == ""  # adopted by somebody who may
    assert "spec.adopt" in api.patch("tenant", place, f"{JOB}/there", {"spec": {"adopt": {"jobId": 5236}}})
    assert api.patch("tenant", place, f"{JOB}/there", {"spec": {"adopt": None}}) == ""


def test_the_limit_of_replicas_is_the_namespace_s(cluster: Cluster, api: Api, place: str) -> None:
    """The label of the namespace decides; a label that is no number is named, and stops nothing but replicas."""
    many = Attack("", "tenant", "", SERVICE, spec={**SERVING, "replicas": 9})
    cluster.kubectl("label", "namespace", place, "qianfan.dev/max-replicas=8")
    judge(cluster, place)
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while "9 is more than the 8" not in (words := many.send(api, place)):
        assert time.monotonic() < deadline, words
    assert api.create("tenant", place, manifest(SERVICE, {**SERVING, "replicas": 8})) == ""

    cluster.kubectl("label", "namespace", place, "--overwrite", "qianfan.dev/max-replicas=many")
    while "must be a whole number" not in (words := many.send(api, place)):
        assert time.monotonic() < deadline, words
    assert api.patch(OPERATOR, place, f"{SERVICE}/there", {"metadata": {"finalizers": None}}) == ""


def test_an_administrator_of_a_namespace_cannot_grant_what_is_not_theirs(
    cluster: Cluster, api: Api, place: str
) -> None:
    """The standard role `admin` may write Roles, but none with `adopt` or `remove-finalizer`, by no way."""
    cluster.kubectl("create", "rolebinding", "chief", "-n", place, "--clusterrole=admin", "--user=chief")
    words = ("-n", place, "--as=chief", "--dry-run=server")
    for verb in ("adopt", "remove-finalizer"):
        role = ("create", "role", verb, f"--verb={verb}", "--resource=qianfanjobs.qianfan.dev")
        binding = ("create", "rolebinding", verb, f"--clusterrole=qianfan-{verb}", "--user=chief")
        for attempt in (role, binding):
            refused = cluster.kubectl(*attempt, *words, check=False).stderr
            assert "attempting to grant RBAC permissions not currently held" in refused


@pytest.mark.parametrize("folder", [POLICIES, DELETION], ids=["policies", "deletion"])
def test_the_shipped_bindings_leave_nothing_out(cluster: Cluster, folder: Path) -> None:
    """As shipped, each policy is bound once, for all namespaces, refuses, and fails closed."""
    items = json.loads(
        cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "json", "-k", folder
        ).stdout
    )["items"]
    policies = {one["metadata"]["name"]: one["spec"] for one in items if one["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [one["spec"] for one in items if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert sorted(one["policyName"] for one in bindings) == sorted(policies)
    assert all(one["validationActions"] == ["Deny"] for one in bindings)
    assert all("paramRef" not in one for one in bindings)
    assert all(spec["failurePolicy"] == "Fail" and "matchConditions" not in spec for spec in policies.values())


RUNNING = {"jobId": 5235, "trainStatus": "RUNNING"}
PAID: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("a run", JOB, {}, RUNNING),
    ("a run that waits", JOB, {}, {"jobUuid": "task-1", "trainStatus": "Waiting"}),
    ("a run in an unknown state", JOB, {}, {"jobId": 5235, "trainStatus": "QUEUEING"}),
    ("a create", JOB, {}, {"pending": {"operation": "createJob"}}),
    ("another attempt", JOB, {}, {"jobId": 1, "trainStatus": "FINISH", "runs": [{"attempt": 1, **RUNNING}]}),
    ("an adopted run and Delete", JOB, {"deletionPolicy": "Delete"}, {**RUNNING, "adopted": True}),
    ("a service", SERVICE, {}, {"serviceId": 1, "conditions": [{"type": "Available", "status": "True"}]}),
    ("a deployment", SERVICE, {}, {"serviceId": 1, "conditions": [{"type": "Ready", "reason": "Deploying"}]}),
]
FREE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("nothing", JOB, {}, {}),
    ("a finished run", JOB, {}, {"jobId": 1, "trainStatus": "FINISH"}),
    ("a stopped run", JOB, {}, {"jobId": 1, "trainStatus": "STOP", "runs": [{"attempt": 1, "trainStatus": "FAIL"}]}),
    ("Orphan", JOB, {"deletionPolicy": "Orphan"}, RUNNING),
    ("an adopted run", JOB, {}, {**RUNNING, "adopted": True}),
    ("a model", MODEL, {}, {"modelVersionId": 1}),
    ("a service that is off", SERVICE, {}, {"serviceId": 1, "conditions": [{"type": "Available", "status": "False"}]}),
    ("an adopted service", SERVICE, {}, {"adopted": True, "conditions": [{"type": "Available", "status": "True"}]}),
    ("no service", SERVICE, {}, {}),
]


def test_what_is_paid_for_is_not_deleted_unless_it_is_meant(cluster: Cluster, api: Api, place: str) -> None:
    """With the policy of deploy/policies/deletion a paid object goes after an annotation, and everything else goes."""
    install_policies(cluster, DELETION)
    paths = {}
    for number, (what, plural, spec, status) in enumerate([*PAID, *FREE]):
        paths[what] = f"{plural}/one-{number}"
        one = manifest(plural, {**SPECS[plural], **spec}, f"one-{number}")
        assert api.create("", place, one, really=True) == ""
        assert api.patch("", place, f"{paths[what]}/status", {"status": _whole(status)}, really=True) == ""
    assert {what: api.delete("tenant", place, path) for what, path in paths.items()} == dict.fromkeys(paths, "")

    judge(cluster, place, DELETION)
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while not api.delete("tenant", place, paths["a run"]):
        assert time.monotonic() < deadline
    told = {what: api.delete("tenant", place, path) for what, path in paths.items()}
    assert [what for what, words in told.items() if words] == [what for what, *_ in PAID], told
    assert all("qianfan.dev/allow-deletion=true" in told[what] for what, *_ in PAID)
    assert f"kubectl -n {place} annotate qianfanjobs one-0 " in told["a run"]
    assert "this object has a run that works" in told["another attempt"]
    assert "a service that serves" in told["a service"]
    assert "allow-deletion" in api.delete("", place, JOB)  # of all jobs at once, by an administrator

    meant = {"metadata": {"annotations": {"qianfan.dev/allow-deletion": "true"}}}
    for what, *_ in PAID:
        assert api.patch("", place, paths[what], meant, really=True) == ""
    assert {what: api.delete("tenant", place, path) for what, path in paths.items()} == dict.fromkeys(paths, "")


def _whole(status: dict[str, Any]) -> dict[str, Any]:
    """Complete the conditions by what the definition asks of each."""
    blank = {"status": "False", "reason": "Any", "message": "", "lastTransitionTime": "2024-03-01T08:00:00Z"}
    return {**status, "conditions": [{**blank, **one} for one in status.get("conditions", [])]}
