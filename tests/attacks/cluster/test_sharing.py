"""Default credentials and the gate of the metrics on a real API server: labels, reviews, rights, and its audit log."""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from e2e.history import History
from e2e.place import JOB, Place, condition, job
from e2e.process import OperatorProcess
from plugins.cluster import install
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_operator.selector import Selector
from qianfan_operator.settings import SUGGESTED_LABEL
from qianfan_simulator import AfterLooks, Key, Options, Simulator

ROOT = Path(__file__).parents[3]
OVERLAYS = ("deploy/default-credentials", "deploy/metrics-auth")
USER = "system:serviceaccount:qianfan-system:qianfan-operator"
POOL, LABELLED, UNLABELLED = "pool", "labelled", "unlabelled"
PAID = ("createTask", "createJob")


@dataclass
class Stage:
    cluster: Cluster
    cloud: Simulator
    operator: OperatorProcess
    history: History
    key: Key

    def place(self, namespace: str) -> Place:
        return Place(self.cluster, self.history, self.cloud, namespace, self.key)

    def asked(self) -> set[tuple[str, str, str]]:
        """What the operator has asked of the API server and was let: group, resource with subresource, verb."""
        return {
            (what.get("apiGroup", ""), "/".join(filter(None, (what["resource"], what.get("subresource")))), one["verb"])
            for one in self.entries()
            if one["responseStatus"]["code"] < 400
            for what in [one["objectRef"]]
        }

    def entries(self) -> list[dict[str, Any]]:
        assert self.cluster.audit_log
        lines = self.cluster.audit_log.read_text(encoding="utf-8").splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["user"].get("username") == USER and "objectRef" in entry]

    def metrics(self, token: str = "") -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return session.get(f"{self.operator._url}/metrics", headers=headers, timeout=10)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A cluster with both overlays, and an operator that lends the keys of the pool and guards its metrics."""
    with Cluster(audit=True) as cluster, Simulator(Options(training=AfterLooks(1))) as cloud:
        install(cluster)
        for overlay in OVERLAYS:
            cluster.kubectl("apply", "--server-side", "--kustomize", ROOT / overlay)
        for namespace in (POOL, LABELLED, UNLABELLED, "monitoring"):
            cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("label", "namespace", LABELLED, SUGGESTED_LABEL)
        with closing(History(cluster)) as history, closing(Keeper()) as keeper:
            key = Key(f"access-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(16)}", account=POOL)
            cloud.keys[key.access_key] = key
            Place(cluster, history, cloud, POOL, key).give_keys()
            operator = OperatorProcess(
                keeper, history, cluster, cloud.url, DEFAULT_CREDENTIALS_NAMESPACE=POOL, CREDENTIALS_WAIT_SEC="0",
                DEFAULT_CREDENTIALS_SELECTOR=SUGGESTED_LABEL, METRICS_AUTH="tokenreview",
            )  # fmt: skip
            operator.start()
            yield Stage(cluster, cloud, operator, history, key)


def test_shared_keys_and_metrics_are_guarded(stage: Stage) -> None:
    """One stage for four stories, each of which would need it for some seconds."""
    only_a_labelled_namespace_spends_the_default_keys(stage)
    nobody_without_the_right_gets_the_metrics(stage)
    a_flood_of_made_up_tokens_reaches_the_api_server_drop_by_drop(stage)
    the_overlays_grant_what_is_used_and_no_more(stage)


def only_a_labelled_namespace_spends_the_default_keys(stage: Stage) -> None:
    """Side by side: one trains, the other is told what an administrator must do, and no call is made for it."""
    poor, rich = stage.place(UNLABELLED), stage.place(LABELLED)
    poor.apply(job("poor"))
    told = condition(poor.until_stalled(JOB, "CredentialsForbidden", "poor"), "Ready")["message"]
    assert SUGGESTED_LABEL in told
    assert poor.calls("") == []
    rich.apply(job("rich"))
    rich.until_ready(JOB, "rich")
    assert rich.paid() == dict.fromkeys(PAID, 1)


def nobody_without_the_right_gets_the_metrics(stage: Stage) -> None:
    """No token, one that is made up, one of an account without the right; with the right bound it is let in."""
    for name in ("prometheus", "tenant"):
        stage.cluster.kubectl("create", "serviceaccount", name, "-n", "monitoring")
    stage.cluster.kubectl(
        "create", "clusterrolebinding", "scrape", "--clusterrole=qianfan-metrics-reader",
        "--serviceaccount=monitoring:prometheus",
    )  # fmt: skip
    good, other = (stage.cluster.token("monitoring", name) for name in ("prometheus", "tenant"))
    answers = [stage.metrics(), stage.metrics("made-up"), stage.metrics(other), stage.metrics(good)]
    assert [answer.status_code for answer in answers] == [401, 401, 403, 200]
    assert [("qianfan_build_info" in answer.text) for answer in answers] == [False, False, False, True]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert stage.operator.healthy()  # probes carry no token
    log = json.dumps(stage.operator.log())
    assert not [token for token in (good, other, "made-up") if token in log]


def a_flood_of_made_up_tokens_reaches_the_api_server_drop_by_drop(stage: Stage) -> None:
    """A hundred tokens at once cost some reviews; the rest is told to come again."""

    def reviews() -> int:
        return sum(one["objectRef"]["resource"] == "tokenreviews" for one in stage.entries())

    before = reviews()
    told = [stage.metrics(secrets.token_hex(20)).status_code for _ in range(100)]
    assert set(told) <= {401, 429}
    assert 429 in told
    assert reviews() - before < 50


def the_overlays_grant_what_is_used_and_no_more(stage: Stage) -> None:
    """Each right of the two overlays was used by now, and nothing was refused but Secrets that are not there."""
    granted: set[tuple[str, str, str]] = set()
    for overlay in OVERLAYS:
        for role in yaml.safe_load_all((ROOT / overlay / "rbac.yaml").read_text(encoding="utf-8")):
            if role["kind"] == "ClusterRole" and role["metadata"]["name"].startswith("qianfan-operator-"):
                for rule in role["rules"]:
                    granted |= set(product(rule["apiGroups"], rule["resources"], rule["verbs"]))
    assert granted == {
        ("", "namespaces", "get"), ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }  # fmt: skip
    stage.history.wait_for(lambda: granted <= stage.asked(), lambda: f"{granted - stage.asked()} was never used")
    assert [one for one in stage.entries() if one["responseStatus"]["code"] == 403] == []
    read = {one["objectRef"]["name"] for one in stage.entries() if one["objectRef"]["resource"] == "namespaces"}
    assert read <= {"kube-system", LABELLED, UNLABELLED}


def test_without_the_overlay_no_labels_can_be_read(cluster: Cluster) -> None:
    """The rights of deploy/access alone allow neither to read namespaces nor to review tokens."""
    for verb, resource in (
        ("get", "namespaces"), ("create", "tokenreviews.authentication.k8s.io"),
        ("create", "subjectaccessreviews.authorization.k8s.io"),
    ):  # fmt: skip
        answer = cluster.kubectl("auth", "can-i", verb, resource, f"--as={USER}", check=False)
        assert answer.stdout.strip() == "no", (verb, resource)


SELECTORS = [
    "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b)", "a,d", "!a", "!e", "d=", "a in(b)", "a=b,x.io/y in (z)",
    " a = b ", "a=b,!d", "a=b,,d", "a=b,", "a b", "a=-b", "A/b/c", "a===b", "a in ()", "!",
]  # fmt: skip


def test_a_selector_means_what_it_means_to_the_api_server(cluster: Cluster, namespace: str) -> None:
    """What we read selects the same; what the API server refuses is refused. We may refuse more: `a in ()`."""
    labels = {"a": "b", "d": "", "x.io/y": "z"}
    cluster.kubectl("label", "namespace", namespace, *(f"{name}={value}" for name, value in labels.items()))
    for text in SELECTORS:
        query = ("get", "namespaces", "-o", "name", "--field-selector", f"metadata.name={namespace}", "-l", text)
        theirs = cluster.kubectl(*query, check=False)
        try:
            ours = Selector.parse(text)
        except ValueError:
            assert theirs.returncode != 0 or text == "a in ()", text
            continue
        assert theirs.returncode == 0, text
        assert ours.matches(labels) is (f"namespace/{namespace}" in theirs.stdout.split()), text


def test_the_note_of_an_event_is_limited_in_bytes(cluster: Cluster, namespace: str) -> None:
    """Which is why notes are cut by bytes: a note of Chinese characters as long as one of letters is refused."""

    def accepted(note: str) -> bool:
        event = {
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "n-"}, "note": note,
            "eventTime": "2024-03-01T08:00:00.000000Z", "reportingController": "x.dev/y", "reportingInstance": "z",
            "action": "Try", "reason": "Try", "type": "Normal",
            "regarding": {"kind": "ConfigMap", "namespace": namespace, "name": "any"},
        }  # fmt: skip
        done = cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(event), check=False)
        return done.returncode == 0

    assert accepted("x" * 1024)
    assert accepted("好" * 341)
    assert not accepted("好" * 342)
