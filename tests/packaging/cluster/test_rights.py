"""What the operator may do, by the word of the real authorizer."""

import json
from collections.abc import Iterable

import pytest

from qianfan_devcluster.cluster import Cluster

GROUPS = ["system:serviceaccounts", "system:serviceaccounts:qianfan-system", "system:authenticated"]
READS, WRITES = ("get", "list", "watch"), ("create", "update", "patch", "delete", "deletecollection")


def allowed(cluster: Cluster, asked: Iterable[tuple[str, str, str]]) -> list[bool]:
    """Ask in one go whether the operator's account may do each of these: verb, resource, name."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": "system:serviceaccount:qianfan-system:qianfan-operator",
                "groups": GROUPS,
                "resourceAttributes": {"namespace": "team", "verb": verb, "resource": resource, "name": name},
            },
        }
        for verb, resource, name in asked
    ]
    text = "\n---\n".join(map(json.dumps, reviews))
    answer = cluster.kubectl("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}', input=text)
    return [word == "true" for word in answer.stdout.split()]


def test_the_secrets_of_the_one_name_may_be_read(cluster: Cluster) -> None:
    """In any namespace: that is all that the operator needs to know of Secrets."""
    assert allowed(cluster, [(verb, "secrets", "qianfan-credentials") for verb in READS]) == [True] * 3


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param([(verb, "secrets", "") for verb in READS], id="all secrets"),
        pytest.param([(verb, "secrets", "team-key") for verb in READS], id="another secret"),
        pytest.param([(verb, "secrets", "qianfan-credentials") for verb in WRITES], id="writing the secret"),
        pytest.param([(verb, kind, "") for verb in READS for kind in ("configmaps", "pods")], id="other objects"),
        pytest.param([("create", "serviceaccounts/token", "qianfan-operator")], id="tokens"),
        pytest.param([("impersonate", "users", "admin"), ("create", "pods/exec", "any")], id="being somebody else"),
    ],
)
def test_nothing_else_may_be_read_or_taken(cluster: Cluster, asked: list[tuple[str, str, str]]) -> None:
    """No other Secret, by any way that leads to one."""
    assert allowed(cluster, asked) == [False] * len(asked)
