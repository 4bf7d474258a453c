"""The operator as a process of its own, with its service account's rights and settings that make waits short."""

import json
import os
import signal
import sys
from pathlib import Path

import requests

from e2e.history import History
from qianfan_devcluster.keeper import Keeper

_NAME = "operator"
SETTINGS = {
    "POLL_MIN_SEC": "0.2",
    "POLL_MAX_SEC": "0.5",
    "PROBE_SEC": "2",
    "RETRY_MAX_SEC": "1",
    "RESYNC_SEC": "3",
    "CONSOLE_API_RETRY_TIMEOUT": "3",
    "CREATE_EXPIRY_SEC": "5",
    "CREATE_GRACE_SEC": "43",  # the least that goes with the two above
    "HTTP_PORT": "0",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "DEBUG",  # it is searched for keys, so it is made to say all that it can
}


class OperatorProcess:
    """One operator at a time; it can be killed and started again. It ends with the test run, however that ends."""

    def __init__(self, keeper: Keeper, history: History, kubeconfig: Path, cloud: str) -> None:
        self._keeper, self._history = keeper, history
        settings = {**SETTINGS, "CONSOLE_API_BASE_URL": cloud}
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "NO_PROXY": "127.0.0.1",
            **{f"QIANFAN_{name}": value for name, value in settings.items()},
        }
        self._url = ""

    def start(self) -> None:
        """Start it; returns when it says that it is ready."""
        before = len(self.log()) if self._url else 0
        unset = [word for name in os.environ if name.startswith("QIANFAN_") for word in ("-u", name)]
        words = [f"{name}={value}" for name, value in self._environment.items()]
        self._keeper.start(_NAME, ["/usr/bin/env", *unset, *words, sys.executable, "-m", "qianfan_operator"])

        def started() -> bool:
            assert self._keeper.exit_code(_NAME) is None, self._keeper.log(_NAME).read_text()
            for line in self.log()[before:]:
                if line["message"] == "Started":
                    self._url = f"http://127.0.0.1:{line['port']}"
                    return self._ready()
            return False

        self._history.wait_for(started, lambda: f"the operator is not ready: {self.log()[before:]}")

    def _ready(self) -> bool:
        try:
            return self._get("/readyz").status_code == 200
        except requests.ConnectionError:  # it does not listen any more; its log says why
            return False

    def kill(self) -> None:
        """Kill it as a node's power failure does; returns when it is gone."""
        self._keeper.kill(_NAME)

    def terminate(self) -> int:
        """Ask it to end, as Kubernetes does, and return its exit code."""
        self._keeper.signal(_NAME, signal.SIGTERM)
        self._history.wait_for(
            lambda: self._keeper.exit_code(_NAME) is not None, lambda: f"SIGTERM had no effect: {self.log()[-20:]}", 10
        )
        code = self._keeper.exit_code(_NAME)
        assert code is not None
        return code

    def log(self) -> list[dict[str, object]]:
        """Every line that it wrote, and that its predecessors wrote; each must be a JSON object."""
        text = self._keeper.log(_NAME).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def metrics(self) -> str:
        """The metrics as they are scraped."""
        return self._get("/metrics").text

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._keeper.exit_code(_NAME) is None

    def healthy(self) -> bool:
        """Whether it would be left alone by the kubelet."""
        return self.runs() and self._get("/healthz").status_code == 200

    def _get(self, path: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self._url + path, timeout=10)
