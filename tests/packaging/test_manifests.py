"""deploy/: the least rights, and a pod that restricted namespaces take."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_operator.api.common import Part
from qianfan_operator.api.job import IncrementalFrom
from qianfan_operator.api.model import ModelSource, ModelTarget
from qianfan_operator.api.service import ServiceSource
from qianfan_operator.kube import leader_election
from qianfan_operator.settings import Settings

ROOT = Path(__file__).parents[2]
KINDS = ["qianfanjobs", "qianfanmodels", "qianfanservices"]

# What the operator does with the API server: kube.py writes, watch.py reads. (group, resource, names) -> verbs.
# tests/e2e compares it with the audit log of an API server.
CALLS = {
    **{("qianfan.dev", kind, ()): {"get", "list", "watch", "patch"} for kind in KINDS},
    **{("qianfan.dev", f"{kind}/status", ()): {"patch"} for kind in KINDS},
    ("", "secrets", ("qianfan-credentials",)): {"get", "list", "watch"},
    ("", "namespaces", ("kube-system",)): {"get"},
    ("events.k8s.io", "events", ()): {"create", "patch"},
    ("apiextensions.k8s.io", "customresourcedefinitions", ()): {"list", "watch"},
    ("apiextensions.k8s.io", "customresourcedefinitions", tuple(f"{kind}.qianfan.dev" for kind in KINDS)): {"get"},
}
# And in its own namespace only: `create` cannot be limited to a name.
CALLS_AT_HOME = {
    ("coordination.k8s.io", "leases", ()): {"create"},
    ("coordination.k8s.io", "leases", (leader_election.NAME,)): {"get", "update"},
}


def documents(*paths: str) -> list[dict[str, Any]]:
    return [one for path in paths for one in yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8"))]


def named(resources: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in resources if one["kind"] == kind and one["metadata"]["name"] == name)


def granted(role: dict[str, Any]) -> dict[tuple[str, str, tuple[str, ...]], set[str]]:
    return {
        (group, resource, tuple(rule.get("resourceNames", ()))): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_operator_may_do_what_it_does_and_nothing_else() -> None:
    """Its roles grant exactly the calls of the tables, and only the bindings of these roles name its account."""
    access = documents("deploy/access/rbac.yaml")
    assert granted(named(access, "ClusterRole", "qianfan-operator")) == CALLS
    assert granted(named(access, "Role", "qianfan-operator")) == CALLS_AT_HOME
    bindings = [one for one in access if one["kind"].endswith("Binding")]
    assert [(one["kind"], one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings] == [
        ("ClusterRoleBinding", "ClusterRole", "qianfan-operator"), ("RoleBinding", "Role", "qianfan-operator"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [("deploy/operator/deployment.yaml", "qianfan-operator"), ("deploy/demo/simulator.yaml", "qianfan-simulator")],
)
def test_the_pods_ask_for_no_privilege(path: str, name: str) -> None:
    """Both pods meet the restricted pod security standard, on a root file system that they cannot write."""
    pod = named(documents(path), "Deployment", name)["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False


def test_only_the_operator_gets_the_operator_s_token() -> None:
    """A pod that names the operator's account by mistake, and the simulator, get no token; the operator does."""
    account = named(documents("deploy/access/rbac.yaml"), "ServiceAccount", "qianfan-operator")
    assert account["automountServiceAccountToken"] is False
    for path, wanted in {"deploy/operator/deployment.yaml": True, "deploy/demo/simulator.yaml": False}.items():
        assert documents(path)[0]["spec"]["template"]["spec"]["automountServiceAccountToken"] is wanted


def test_the_network_policy_lets_through_what_the_operator_needs() -> None:
    """It holds for the operator's pods, opens their port to labelled namespaces alone, and the ports that they call."""
    (policy,) = documents("deploy/network/policy.yaml")
    pod = named(documents("deploy/operator/deployment.yaml"), "Deployment", "qianfan-operator")["spec"]["template"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (way_in,) = policy["spec"]["ingress"]
    assert way_in["from"] == [{"namespaceSelector": {"matchLabels": {"qianfan.dev/metrics": "true"}}}]
    assert [port["port"] for port in way_in["ports"]] == [
        port["name"] for port in pod["spec"]["containers"][0]["ports"]
    ]
    ways_out = {(port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ways_out == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443)}
    assert Settings.model_fields["console_api_base_url"].default.startswith("https://")


def test_no_service_comes_in_as_a_setting() -> None:
    """Pods that read QIANFAN_ variables switch off the ones that Kubernetes makes of Services named qianfan-..."""
    deployments = [
        one
        for one in documents("deploy/operator/deployment.yaml", "deploy/demo/simulator.yaml")
        if one["kind"] == "Deployment"
    ]
    assert all(one["spec"]["template"]["spec"]["enableServiceLinks"] is False for one in deployments)


def test_one_replica_stands_by() -> None:
    """Of two replicas one is always there, as far as rollouts, drains and the choice of nodes go."""
    spec = named(documents("deploy/operator/deployment.yaml"), "Deployment", "qianfan-operator")["spec"]
    assert spec["replicas"] == 2
    assert Settings.model_fields["leader_election"].default is True
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    labels = spec["template"]["metadata"]["labels"].items()
    (apart,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"].popitem()[1]
    assert apart["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels
    (budget,) = documents("deploy/operator/disruption.yaml")
    assert (budget["kind"], budget["spec"]["maxUnavailable"]) == ("PodDisruptionBudget", 1)
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels


def test_the_operator_is_probed_where_it_listens() -> None:
    """Probes and metrics lead to the default port, and the end has time for the slowest call."""
    spec = named(documents("deploy/operator/deployment.yaml"), "Deployment", "qianfan-operator")["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": Settings.model_fields["http_port"].default}]
    probes = {probe: container[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }
    fields = Settings.model_fields
    assert fields["shutdown_sec"].default > fields["console_api_retry_timeout"].default
    assert pod["terminationGracePeriodSeconds"] >= fields["shutdown_sec"].default + 10
    (service,) = documents("deploy/operator/service.yaml")
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_demo_only_uses_settings_that_exist() -> None:
    """Every name in the demo's ConfigMap is a setting of the operator, and only the demo's Deployment reads it."""
    (config,) = documents("deploy/demo/settings.yaml")
    known = {f"QIANFAN_{name.upper()}" for name in Settings.model_fields}
    assert set(config["data"]) <= known
    read = {}
    for path in ("deploy/demo/operator.yaml", "deploy/operator/deployment.yaml"):
        (container,) = documents(path)[0]["spec"]["template"]["spec"]["containers"]
        (source,) = container["envFrom"]
        read[path] = source["configMapRef"]["name"]
    assert config["metadata"]["name"] == read["deploy/demo/operator.yaml"]
    assert config["metadata"]["name"] != read["deploy/operator/deployment.yaml"]


PEOPLE = {
    "qianfan-edit": {"create", "delete", "deletecollection", "patch", "update"},
    "qianfan-view": {"get", "list", "watch"},
}


def test_nobody_gets_rights_on_the_kinds_by_default() -> None:
    """No role of an installation is aggregated into another one; the optional roles grant the same as those to bind."""
    default = [one for one in documents("deploy/access/rbac.yaml") if one["kind"] == "ClusterRole"]
    assert [label for one in default for label in one["metadata"]["labels"] if "aggregate" in label] == []
    optional = documents("deploy/aggregate-roles/roles.yaml")
    for role, verbs in PEOPLE.items():
        right = {("qianfan.dev", kind, ()): verbs for kind in KINDS}
        assert granted(named(default, "ClusterRole", role)) == right
        aggregated = named(optional, "ClusterRole", role.replace("qianfan-", "qianfan-aggregate-to-"))
        assert granted(aggregated) == right
    assert "../aggregate-roles" not in documents("deploy/kustomization.yaml")[0]["resources"]


def test_the_samples_hold_no_secret() -> None:
    """The credentials among the samples are words that nobody can take for a key."""
    (secret,) = documents("deploy/samples/credentials.yaml")
    assert secret["stringData"] == {"QIANFAN_ACCESS_KEY": "your-access-key", "QIANFAN_SECRET_KEY": "your-secret-key"}


def aliases(model: type[Part]) -> set[str]:
    return {str(field.alias) for field in model.model_fields.values()}


def written(value: Any, path: str = "") -> set[str]:
    """The fields that are written in a manifest, those inside others with dots."""
    if not isinstance(value, dict):
        return set()
    inside = (written(inner, f"{path}{name}.") for name, inner in value.items())
    return {f"{path}{name}" for name in value}.union(*inside)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("QianfanJob", {"trainType", "adopt", *(f"incrementalFrom.{way}" for way in aliases(IncrementalFrom))}),
        ("QianfanModel", {"adopt", *(f"source.{way}" for way in aliases(ModelSource))}),
        ("QianfanModel", {f"target.{way}" for way in aliases(ModelTarget)}),
        ("QianfanService", {"adopt", *(f"source.{way}" for way in aliases(ServiceSource))}),
    ],
)
def test_there_is_a_sample_for_every_case(kind: str, expected: set[str]) -> None:
    """Whatever an object can be made from, go to, or take over is shown in a sample, as the README says."""
    paths = [str(path.relative_to(ROOT)) for path in (ROOT / "deploy/samples").glob("*.yaml")]
    shown = {way for one in documents(*paths) if one["kind"] == kind for way in written(one["spec"])}
    assert expected <= shown


@pytest.mark.parametrize("path", sorted(ROOT.glob("deploy/**/kustomization.yaml")), ids=lambda path: path.parent.name)
def test_nothing_of_deploy_takes_the_crds_along(path: Path) -> None:
    """No kustomization under deploy/ leads out of it or holds a CRD, so that deleting one of them keeps all objects."""
    (wanted,) = documents(str(path.relative_to(ROOT)))
    for name in wanted["resources"]:
        resource = (path.parent / name).resolve()
        assert resource.is_relative_to(ROOT / "deploy"), name
        if resource.is_file():
            found = documents(str(resource.relative_to(ROOT)))
            assert "CustomResourceDefinition" not in [one["kind"] for one in found], name


@pytest.mark.parametrize("kind", KINDS)
def test_flux_argo_cd_and_helm_keep_the_crds(kind: str) -> None:
    """Deleting a CRD deletes every object of its kind; these are the annotations by which each tool leaves it alone."""
    (crd,) = documents(f"crds/{kind}.yaml")
    assert crd["metadata"]["annotations"] == {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "helm.sh/resource-policy": "keep",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
