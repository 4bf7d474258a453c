"""A control plane on this machine: etcd, kube-apiserver and kube-controller-manager, ready in about three seconds.

    with Cluster() as cluster:
        cluster.kubectl("get", "namespaces")

It is real: RBAC is on, CRDs are validated, namespaces terminate and owners' dependents are collected. There are no
nodes, so no pod ever runs. When the block ends, however it ends, the processes and the folder with all their data are
gone (see `keeper`).
"""

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qianfan_devcluster.access import write_kubeconfig, write_private
from qianfan_devcluster.binaries import Binaries, find
from qianfan_devcluster.components import AUDIT_LOG, AUDIT_POLICY, CERTIFICATE, KUBECONFIG, TOKENS, Component, command
from qianfan_devcluster.keeper import Keeper

_START_TIMEOUT_SECONDS = 60
_LOOK_AGAIN_SECONDS = 0.05
_AUDIT_RULES = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ClusterError(Exception):
    """The control plane did not start, or ended; the message holds the end of the component's log."""


class Cluster:
    """A throw-away control plane; a context manager. Safe to use from several threads."""

    def __init__(self, *, audit: bool = False, binaries: Binaries | None = None) -> None:
        """With `audit`, the API server notes every request at level Metadata in `audit_log`.

        Without `binaries`, `binaries.find` supplies them, which may take minutes once. Raises BinariesError.
        """
        self.binaries = binaries or find()
        # Held for the cluster's life, never listened on: with SO_REUSEPORT on both sides the API server listens beside
        # it, nobody else can take the port in between, and a restarted API server gets the same one.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port.bind(("127.0.0.1", 0))
        self._keeper = Keeper()
        self._token = secrets.token_urlsafe(24)
        self.folder = self._keeper.folder
        self.server = f"https://127.0.0.1:{self._port.getsockname()[1]}"
        self.certificate_authority = self.folder / CERTIFICATE
        self.kubeconfig = self.folder / KUBECONFIG
        self.audit_log = self.folder / AUDIT_LOG if audit else None
        self.pids: dict[Component, int] = {}

    def __enter__(self) -> Self:
        """Start the components and wait until the API serves. Raises ClusterError."""
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and remove the folder; returns when they are gone. May be called twice."""
        self._keeper.close()
        self._port.close()

    @property
    def environment(self) -> dict[str, str]:
        """For programs that shall use this cluster: KUBECONFIG, the administrator's, and PATH, our kubectl first."""
        path = os.pathsep.join([str(self.binaries.kubectl.parent), os.environ.get("PATH", os.defpath)])
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,  # noqa: A002  # as in subprocess.run
        kubeconfig: Path | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the administrator unless another kubeconfig is given.

        Raises subprocess.CalledProcessError, with kubectl's complaint as a note, if it fails and `check` is true.
        """
        done = subprocess.run(  # noqa: S603
            [self.binaries.kubectl, *arguments],
            input=input,
            env=self._kubectl_environment(kubeconfig or self.kubeconfig),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
            error.add_note(done.stderr.strip())
            raise error
        return done

    def token(self, namespace: str, service_account: str) -> str:
        """Ask the TokenRequest API for a bearer token, valid for an hour, of an existing service account.

        Raises subprocess.CalledProcessError if there is no such account.
        """
        return self.kubectl("create", "token", service_account, "--namespace", namespace).stdout.strip()

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """Write a kubeconfig that gives a program the rights of an existing service account and no others."""
        return write_kubeconfig(
            self.folder / f"kubeconfig-{namespace}-{service_account}",
            server=self.server,
            certificate_authority=self.certificate_authority,
            user=f"system:serviceaccount:{namespace}:{service_account}",
            token=self.token(namespace, service_account),
        )

    def install_crds(self, *manifests: Path) -> None:
        """Apply CRDs, files or folders, and return when the API serves them; ClusterError if it never does.

        CRDs applied in other ways are served as well, but the garbage collector learns of their kinds up to 30 s later:
        it looks for new ones at its start and then twice a minute. That is why it is started again here.
        """
        files = [argument for manifest in manifests for argument in ("--filename", str(manifest))]
        self.kubectl("apply", "--server-side", *files)
        for path in _collections(json.loads(self.kubectl("get", "--output=json", *files).stdout)):
            self._wait_for(path)
        self.kill(Component.CONTROLLER_MANAGER)
        self.start(Component.CONTROLLER_MANAGER)

    def restart_apiserver(self) -> None:
        """Kill the API server and start it on the same port and data; returns when it serves.

        Every watch breaks without a word and requests in flight are lost, as when a node dies.
        """
        self.kill(Component.APISERVER)
        self.start(Component.APISERVER)

    def kill(self, component: Component) -> None:
        """Kill a component; returns when it is gone. `start` brings it back with its data."""
        self._keeper.kill(component)

    def start(self, component: Component) -> None:
        """Start a component that was killed; for the API server, wait until it serves. Raises ClusterError."""
        port = int(self._port.getsockname()[1])
        argv = command(component, self.binaries, port=port, audit=self.audit_log is not None)
        self.pids[component] = self._keeper.start(component, argv)
        if component is Component.APISERVER:
            self._wait_for("/readyz")
            self._wait_for("/api/v1/namespaces/default")  # made just after; without it nothing can be applied

    @contextmanager
    def paused(self, component: Component) -> Iterator[None]:
        """Stop a component in its tracks for the length of a block: connections stay open and nobody answers."""
        self._keeper.signal(component, signal.SIGSTOP)
        try:
            yield
        finally:
            self._keeper.signal(component, signal.SIGCONT)

    def log(self, component: Component) -> Path:
        """Where a component's output goes."""
        return self._keeper.log(component)

    def _start_all(self) -> None:
        write_private(self.folder / TOKENS, f"{self._token},admin,admin,system:masters\n")
        (self.folder / AUDIT_POLICY).write_text(json.dumps(_AUDIT_RULES))
        self.start(Component.ETCD)
        self.start(Component.APISERVER)
        write_kubeconfig(
            self.kubeconfig,
            server=self.server,
            certificate_authority=self.certificate_authority,
            user="admin",
            token=self._token,
        )
        self.start(Component.CONTROLLER_MANAGER)

    def _kubectl_environment(self, kubeconfig: Path) -> Mapping[str, str]:
        return {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(self.folder / "kubectl-cache")}

    def _wait_for(self, path: str) -> None:
        """Until the API server answers a GET of this path with success."""
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not self._answers(path):
            for component in (Component.ETCD, Component.APISERVER):
                if self._keeper.exit_code(component) is not None:
                    raise ClusterError(f"{component} has ended; its last words:\n{self._tail(component)}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the API server does not serve {path} after {_START_TIMEOUT_SECONDS} s; its last words:\n"
                    + self._tail(Component.APISERVER)
                )
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _answers(self, path: str) -> bool:
        if not self.certificate_authority.exists():
            return False
        request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {self._token}"})  # noqa: S310
        try:
            trust = ssl.create_default_context(cafile=self.certificate_authority)
            no_proxy = urllib.request.ProxyHandler({})
            opener = urllib.request.build_opener(no_proxy, urllib.request.HTTPSHandler(context=trust))
            with opener.open(request, timeout=5):
                return True
        except OSError:  # not listening yet, half a certificate, 403, 404, 500: all of them are "not yet"
            return False

    def _tail(self, component: Component) -> str:
        return "\n".join(self.log(component).read_text(errors="replace").splitlines()[-15:])


def _collections(found: Mapping[str, Any]) -> Iterator[str]:
    """List the paths that CRDs, one or a List of them, promise to serve.

    The condition Established is no proof: for a tenth of a second more the path answers 404.
    """
    for definition in found.get("items", [found]):
        spec = definition["spec"]
        for version in spec["versions"]:
            if version["served"]:
                yield f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
