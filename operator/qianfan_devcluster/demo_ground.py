"""The cluster under the demo: what the demo puts there, and nothing else of it, is taken away again."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from qianfan_devcluster.access import write_private

CHECKOUT = Path(__file__).resolve().parents[2]
CHAIN = CHECKOUT / "deploy/samples/chain.yaml"
NAMESPACE = "qianfan-demo"

_KINDS = "qianfanjobs,qianfanmodels,qianfanservices"
_SYSTEM = "qianfan-system"
_ACCOUNT = "qianfan-operator"
_TOKEN_HOURS = 24
_SECONDS = 60  # longest wait for one kubectl


class DemoError(Exception):
    """The demo cannot go on. The text says what happened and what to do; `log` is the one to look into."""

    def __init__(self, text: str, log: Path | None = None) -> None:
        super().__init__(text)
        self.log = log


class Ground:
    """One cluster, reached by kubectl with an administrator's kubeconfig.

    Every method raises DemoError with kubectl's words if the cluster refuses or cannot be reached.
    """

    def __init__(self, kubectl: Path, kubeconfig: Path, folder: Path) -> None:
        """Use `folder` for what kubectl remembers between calls."""
        self.kubeconfig = kubeconfig
        self.program = kubectl
        self._environment = {**os.environ, "KUBECACHEDIR": str(folder / "kubectl-cache")}
        self._made: list[dict[str, Any]] = []

    def kubectl(self, *words: str | Path, text: str | None = None) -> str:
        """Run kubectl; returns what it prints."""
        argv = [str(self.program), f"--kubeconfig={self.kubeconfig}", *map(str, words)]
        try:
            done = subprocess.run(  # noqa: S603
                argv,
                input=text,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoError(
                f"kubectl {words[0]} got no answer within {_SECONDS} s: is the cluster reachable?"
            ) from None
        if done.returncode:
            raise DemoError(f"kubectl {words[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def server(self) -> str:
        """Name the API server that the kubeconfig leads to."""
        return self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    def require_unused(self) -> None:
        """Make sure that the demo's operator meets nobody's objects: it would look for them in the wrong cloud."""
        if self._present([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]):
            raise DemoError(f"The namespace {NAMESPACE} exists already: kubectl delete namespace {NAMESPACE}")
        if "qianfanjobs.qianfan.dev" not in self.kubectl("get", "customresourcedefinitions", "-o", "name"):
            return
        if self.kubectl("get", _KINDS, "-A", "-o", "name").strip():
            raise DemoError(
                "This cluster holds Qianfan objects; the demo's simulated cloud is not theirs. Use another one."
            )
        if self.kubectl("get", "deployment", _ACCOUNT, "-n", _SYSTEM, "--ignore-not-found", "-o", "name").strip():
            raise DemoError("This cluster runs the operator already; two would fight. Use another one.")

    def install(self) -> None:
        """Create the definitions, the namespaces, the operator's rights and the simulator's access key."""
        for folder in ("crds", "deploy/access"):
            self._create(list(yaml.safe_load_all(self.kubectl("kustomize", CHECKOUT / folder))))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", *self._definitions())
        self._create([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
        self.kubectl("apply", "-n", NAMESPACE, "-f", CHECKOUT / "deploy/demo/credentials.yaml")

    def operator_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig of the operator's own service account, so that the demo tests its rights as well."""
        token = self.kubectl("create", "token", _ACCOUNT, "-n", _SYSTEM, f"--duration={_TOKEN_HOURS}h").strip()
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        config["users"] = [{"name": _ACCOUNT, "user": {"token": token}}]
        config["contexts"][0]["context"]["user"] = _ACCOUNT
        return write_private(path, json.dumps(config))

    def objects(self) -> list[dict[str, Any]]:
        """Read the demo's objects, in the order of the chain."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", _KINDS, "-n", NAMESPACE, "-o", "json"))["items"]
        return items

    def remove(self) -> None:
        """Delete the demo's objects, while the operator runs to let them go, and then what `install` created."""
        if ("Namespace", NAMESPACE) in map(_identity, self._made):
            self._release()
        if self._made:
            self.kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", text=_as_list(self._made))
        self._made = []

    def _release(self) -> None:
        try:
            self.kubectl("delete", _KINDS, "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=20s")
        except DemoError:  # no operator is left to let them go; its finalizer guards nothing in a simulated cloud
            for name in self.kubectl("get", _KINDS, "-n", NAMESPACE, "-o", "name").split():
                self.kubectl("patch", name, "-n", NAMESPACE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')

    def _definitions(self) -> Sequence[str]:
        return [f"{plural}.qianfan.dev" for plural in _KINDS.split(",")]

    def _create(self, wanted: Sequence[dict[str, Any]]) -> None:
        present = self._present(wanted)
        missing = [one for one in wanted if _identity(one) not in present]
        if missing:
            self._made += missing
            self.kubectl("create", "-f", "-", text=_as_list(missing))

    def _present(self, wanted: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
        found = self.kubectl("get", "-f", "-", "--ignore-not-found", "-o", "json", text=_as_list(wanted))
        if not found.strip():
            return set()
        answer = json.loads(found)
        return {_identity(one) for one in answer.get("items", [answer])}


def _identity(resource: dict[str, Any]) -> tuple[str, str]:
    return resource["kind"], resource["metadata"]["name"]


def _as_list(resources: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(resources)})
