"""The operator as a process of its own, with its service account's rights and settings that make waits short."""

import json
import os
import signal
import sys
from pathlib import Path

import requests

from e2e.history import History
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper

SETTINGS = {
    "POLL_MIN_SEC": "0.2",
    "POLL_MAX_SEC": "0.5",
    "PROBE_SEC": "2",
    "RETRY_MAX_SEC": "1",
    "RESYNC_SEC": "3",
    "CONSOLE_API_RETRY_TIMEOUT": "3",
    "CREATE_EXPIRY_SEC": "5",
    "CREATE_GRACE_SEC": "43",  # the least that goes with the two above
    "ALLOW_INSECURE": "true",  # the simulator speaks http
    "HTTP_PORT": "0",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "DEBUG",  # it is searched for keys, so it is made to say all that it can
    "LEASE_DURATION_SEC": "60",  # nobody is late for that, and nobody waits for it: see `kill`
}
LEASE = ("lease", "qianfan-operator", "--namespace", "qianfan-system")


class OperatorProcess:
    """One operator at a time; it can be killed and started again. It ends with its keeper, however that ends."""

    def __init__(
        self, keeper: Keeper, history: History, cluster: Cluster, cloud: str,
        *, name: str = "operator", kubeconfig: Path | None = None, **settings: str,
    ) -> None:  # fmt: skip
        """`name` is for its log; `settings` are in place of SETTINGS, without the prefix."""
        self._keeper, self._history, self._cluster, self.name = keeper, history, cluster, name
        kubeconfig = kubeconfig or cluster.kubeconfig_for("qianfan-system", "qianfan-operator")
        settings = {**SETTINGS, **settings, "CONSOLE_API_BASE_URL": cloud}
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "NO_PROXY": "127.0.0.1",
            **{f"QIANFAN_{name}": value for name, value in settings.items()},
        }
        self._url = ""

    def begin(self) -> None:
        """Start it, and wait for nothing."""
        unset = [word for name in os.environ if name.startswith("QIANFAN_") for word in ("-u", name)]
        words = [f"{name}={value}" for name, value in self._environment.items()]
        self._keeper.start(self.name, ["/usr/bin/env", *unset, *words, sys.executable, "-m", "qianfan_operator"])

    def start(self) -> None:
        """Start it; returns when it says that it is ready."""
        self.listen()
        self._history.wait_for(lambda: self.readiness() == "ok", lambda: f"the operator is not ready: {self.log()}")

    def listen(self) -> None:
        """Start it; returns when it answers, ready or not."""
        before = len(self.log()) if self._url else 0
        self.begin()

        def listens() -> bool:
            assert self.runs(), self._keeper.log(self.name).read_text()
            for line in self.log()[before:]:
                if line["message"] == "Started":
                    self._url = f"http://127.0.0.1:{line['port']}"
                    return bool(self.readiness())
            return False

        self._history.wait_for(listens, lambda: f"the operator does not listen: {self.log()[before:]}")

    def readiness(self) -> str:
        """Say `ok` if it is ready, why it is not, or nothing if it does not listen any more."""
        assert self.runs(), self._keeper.log(self.name).read_text()
        try:
            answer = self._get("/readyz")
        except requests.ConnectionError:  # its log says why
            return ""
        assert (answer.status_code == 200) == (answer.text == "ok\n")
        return answer.text.strip()

    def kill(self) -> None:
        """Kill it as a node's power failure does, and delete its Lease; returns when both are gone."""
        self.die()
        self._cluster.kubectl("delete", *LEASE, "--ignore-not-found")

    def die(self) -> None:
        """Kill it; returns when it is gone, and its Lease is not."""
        self._keeper.kill(self.name)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._keeper.signal(self.name, number)

    def terminate(self) -> int:
        """Ask it to end, as Kubernetes does, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.until_ended()

    def until_ended(self) -> int:
        """Wait for its end, and return its exit code."""
        self._history.wait_for(lambda: not self.runs(), lambda: f"it does not end: {self.log()[-20:]}", 10)
        code = self._keeper.exit_code(self.name)
        assert code is not None
        return code

    def until_leading(self) -> None:
        """Wait until it acts."""
        self._history.wait_for(self.leads, lambda: f"it does not lead: {self.log()[-20:]}")

    def until_told(self, words: str) -> None:
        """Wait until the metrics hold these words: they are rendered once a second at most."""
        self._history.wait_for(lambda: words in self.metrics(), lambda: f"the metrics do not tell {words}")

    def leads(self) -> bool:
        """Whether it acts, by its own account."""
        return "\nqianfan_leader 1.0\n" in self.metrics()

    def log(self) -> list[dict[str, object]]:
        """Every line that it wrote, and that its predecessors wrote; each must be a JSON object."""
        text = self._keeper.log(self.name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def metrics(self) -> str:
        """The metrics as they are scraped."""
        return self._get("/metrics").text

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._keeper.exit_code(self.name) is None

    def healthy(self) -> bool:
        """Whether it would be left alone by the kubelet."""
        return self.runs() and self._get("/healthz").status_code == 200

    def _get(self, path: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self._url + path, timeout=10)
