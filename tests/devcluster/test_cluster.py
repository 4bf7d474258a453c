"""The control plane behaves as a cluster's does, because it is one."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devcluster.endings import gone
from qianfan_devcluster.binaries import find
from qianfan_devcluster.cluster import Cluster, ClusterError
from qianfan_devcluster.components import Component

_OWNER_KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: owners.devcluster.test}
spec:
  group: devcluster.test
  scope: Namespaced
  names: {kind: Owner, plural: owners, singular: owner}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Supply a cluster that these tests may maltreat."""
    with Cluster() as cluster:
        yield cluster


def test_the_api_serves(cluster: Cluster) -> None:
    """A started cluster is ready, and the default namespace is there to be used."""
    assert cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"
    assert "default" in cluster.kubectl("get", "namespaces", "--output", "name").stdout


def test_a_service_account_has_only_the_rights_it_was_given(cluster: Cluster, namespace: str) -> None:
    """Without a role an account is refused; with one it may do that, and nothing else."""
    cluster.kubectl("create", "serviceaccount", "somebody", "--namespace", namespace)
    kubeconfig = cluster.kubeconfig_for(namespace, "somebody")
    listing = ("get", "configmaps", "--namespace", namespace)
    refused = cluster.kubectl(*listing, kubeconfig=kubeconfig, check=False)
    assert refused.returncode == 1
    assert "Error from server (Forbidden)" in refused.stderr
    account = f"--serviceaccount={namespace}:somebody"
    cluster.kubectl("create", "rolebinding", "view", "--clusterrole=view", account, "--namespace", namespace)
    granted = (cluster.kubectl(*listing, kubeconfig=kubeconfig, check=False) for _ in range(100))
    assert any(done.returncode == 0 for done in granted)  # the API server learns of roles by a watch, so not at once
    write = cluster.kubectl("create", "configmap", "one", "-n", namespace, kubeconfig=kubeconfig, check=False)
    assert "is forbidden" in write.stderr


def test_a_refusal_names_the_complaint(cluster: Cluster, namespace: str) -> None:
    """A failing kubectl raises, and the error carries kubectl's words to whoever reads the traceback."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        cluster.token(namespace, "nobody")
    assert any('serviceaccounts "nobody" not found' in note for note in caught.value.__notes__)


def test_deleting_a_namespace_ends(cluster: Cluster) -> None:
    """The controller manager finishes a namespace and what is in it."""
    cluster.kubectl("create", "namespace", "ends")
    cluster.kubectl("create", "configmap", "one", "--namespace", "ends")
    cluster.kubectl("delete", "namespace", "ends", "--timeout=60s")
    assert "NotFound" in cluster.kubectl("get", "namespace", "ends", check=False).stderr


def test_the_audit_log_tells_who_did_what(cluster: Cluster, namespace: str) -> None:
    """Every request is in the audit log with its user and verb."""
    cluster.kubectl("create", "configmap", "audited", "--namespace", namespace)
    assert cluster.audit_log is not None
    seen: list[tuple[str, str]] = []
    for _ in range(100):
        cluster.kubectl("get", "--raw", "/readyz")  # the line may be written just after the answer: one more round trip
        events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines() if '"audited"' in line]
        seen = [(event["user"]["username"], event["verb"]) for event in events]
        if seen:
            break
    assert ("admin", "create") in seen


def test_dependents_of_a_newly_installed_kind_are_collected(own: Cluster, tmp_path: Path) -> None:
    """An object whose owner is of a kind just installed goes when its owner goes."""
    (tmp_path / "owner.yaml").write_text(_OWNER_KIND)
    own.install_crds(tmp_path)
    owner = {"apiVersion": "devcluster.test/v1", "kind": "Owner", "metadata": {"name": "o"}}
    made = json.loads(own.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(owner)).stdout)
    reference = {**owner, "name": "o", "uid": made["metadata"]["uid"]}
    del reference["metadata"]
    child = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "child", "ownerReferences": [reference]}}
    own.kubectl("create", "-f", "-", input=json.dumps(child))
    own.kubectl("delete", "owner", "o", "--cascade=background")
    own.kubectl("wait", "--for=delete", "secret/child", "--timeout=60s")


def test_a_restarted_api_server_keeps_its_address_and_data(own: Cluster) -> None:
    """After a restart the same kubeconfig finds the same objects."""
    own.kubectl("create", "configmap", "survivor")
    before = own.pids[Component.APISERVER]
    own.restart_apiserver()
    assert own.pids[Component.APISERVER] != before
    assert own.kubectl("get", "configmap", "survivor", "--output", "name").stdout == "configmap/survivor\n"


def test_nobody_takes_the_port_while_the_api_server_is_down(own: Cluster) -> None:
    """The port stays reserved between a kill and a start, and it refuses connections meanwhile."""
    port = int(own.server.rpartition(":")[2])
    own.kill(Component.APISERVER)
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    own.start(Component.APISERVER)
    assert own.kubectl("get", "--raw", "/readyz").stdout == "ok"


def test_a_paused_component_answers_again_after_the_pause(own: Cluster) -> None:
    """While etcd is paused nothing can be written; afterwards it works as before."""
    with own.paused(Component.ETCD):
        write = own.kubectl("create", "configmap", "late", "--request-timeout=1s", check=False)
        assert write.returncode == 1
    own.kubectl("create", "configmap", "later")


def test_two_clusters_do_not_see_each_other(cluster: Cluster, own: Cluster) -> None:
    """Clusters stand side by side with ports, folders and data of their own."""
    assert cluster.server != own.server
    own.kubectl("create", "namespace", "mine")
    assert "NotFound" in cluster.kubectl("get", "namespace", "mine", check=False).stderr


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    """The error of a component that ends at its start holds its last words; the folder is gone."""
    etcd = tmp_path / "etcd"
    etcd.write_text("#!/bin/sh\necho no space left on this planet\nexit 1\n")
    etcd.chmod(0o755)
    cluster = Cluster(binaries=replace(find(), etcd=etcd))
    with pytest.raises(ClusterError, match="etcd has ended; its last words:\nno space left on this planet"):
        cluster.__enter__()
    assert not cluster.folder.exists()


def test_a_killed_parent_leaves_no_component() -> None:
    """SIGKILL of the process that uses a cluster takes etcd, the API server and the controller manager along."""
    program = (
        "import json, signal\n"
        "from qianfan_devcluster.cluster import Cluster\n"
        "with Cluster() as cluster:\n"
        "    print(json.dumps([str(cluster.folder), cluster.pids]), flush=True)\n"
        "    signal.pause()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    folder, pids = json.loads(parent.stdout.readline())
    assert set(pids) == set(Component)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate(timeout=60)  # ends when the keeper, which shares the parent's standard error, has ended
    assert gone(pids.values())
    assert not Path(folder).exists()
