"""The command lines of the components; paths are relative to the cluster's folder, where the components run.

Flags as measured with v1.36.3 and etcd 3.6.16.
"""

from enum import StrEnum
from pathlib import Path

from qianfan_devcluster.binaries import Binaries

AUDIT_LOG = "audit.log"
AUDIT_POLICY = "audit-policy.json"
CERTIFICATE = "certificates/apiserver.crt"
KUBECONFIG = "kubeconfig"
TOKENS = "tokens.csv"

_ETCD_SOCKET = "unix://etcd.sock"
_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "clusterrole-aggregation-controller",  # without it the cluster roles admin, edit and view are empty
)
_PRIVATE_KEY = "certificates/apiserver.key"


class Component(StrEnum):
    """The processes of a cluster, as tests of faults name them."""

    ETCD = "etcd"
    APISERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"


def command(component: Component, binaries: Binaries, *, port: int, audit: bool) -> list[str | Path]:
    """Spell out the command line of a component; `port` is the API server's."""
    match component:
        case Component.ETCD:
            return _etcd(binaries.etcd)
        case Component.APISERVER:
            return _apiserver(binaries.kube_apiserver, port, audit=audit)
        case Component.CONTROLLER_MANAGER:
            return _controller_manager(binaries.kube_controller_manager)


def _etcd(program: Path) -> list[str | Path]:
    """On sockets in the cluster's private folder: no port to race for, and no door for other users of the machine."""
    return [
        program,
        "--data-dir=etcd",
        f"--listen-client-urls={_ETCD_SOCKET}",
        "--advertise-client-urls=http://localhost:2379",  # must look like host:port; there is no other member to use it
        "--listen-peer-urls=unix://etcd-peer.sock",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(program: Path, port: int, *, audit: bool) -> list[str | Path]:
    """Let it make its own certificate and key; the key, an RSA one, signs service account tokens as well.

    Advertising loopback, and keeping no endpoints of itself, lets it start on a machine without a network.
    """
    arguments: list[str | Path] = [
        program,
        f"--etcd-servers={_ETCD_SOCKET}",
        "--cert-dir=certificates",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--permit-port-sharing",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={_PRIVATE_KEY}",
        f"--service-account-signing-key-file={_PRIVATE_KEY}",
        f"--token-auth-file={TOKENS}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
    ]
    if audit:
        arguments += [f"--audit-policy-file={AUDIT_POLICY}", f"--audit-log-path={AUDIT_LOG}"]
    return arguments


def _controller_manager(program: Path) -> list[str | Path]:
    return [
        program,
        f"--kubeconfig={KUBECONFIG}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
    ]
