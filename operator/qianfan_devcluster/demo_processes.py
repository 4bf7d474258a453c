"""The demo's two processes, the simulated cloud and the operator, and what can be asked of them over HTTP."""

import json
import os
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qianfan_devcluster.demo_ground import DemoError
from qianfan_devcluster.keeper import Keeper

TRAIN_SECONDS = 20
PAY_AFTER_SECONDS = 5

_PATIENCE = 30.0  # seconds for a process to become ready
_LOOK = 0.1
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy leads to the loopback


class Processes:
    """Starts the programs under a keeper: with whatever end of the demo they end too, and their logs go."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._started: list[str] = []
        self._tick = threading.Event()  # never set: waiting for it paces a loop, and a signal ends it at once
        self.simulator_url = ""
        self.operator_url = ""

    def start_simulator(self) -> None:
        """Start the simulated cloud on a free port; returns when it answers."""
        flags = ["--port=0", f"--train-seconds={TRAIN_SECONDS}", f"--pay-after={PAY_AFTER_SECONDS}"]
        self._start("qianfan_simulator", flags, {})
        self._until("qianfan_simulator", self._simulator_tells)

    def start_operator(self, kubeconfig: Path) -> None:
        """Start the operator against the simulator; returns when it says that it is ready."""
        port = _free_port()
        self.operator_url = f"http://127.0.0.1:{port}"
        settings = {
            "KUBECONFIG": str(kubeconfig),
            "QIANFAN_CONSOLE_API_BASE_URL": self.simulator_url,
            "QIANFAN_ALLOW_INSECURE": "true",
            "QIANFAN_HTTP_PORT": str(port),
            "QIANFAN_LOG_FORMAT": "text",
            "QIANFAN_POLL_MIN_SEC": "1",
            "QIANFAN_POLL_MAX_SEC": "2",
        }
        self._start("qianfan_operator", [], settings)
        self._until("qianfan_operator", lambda: _answers(f"{self.operator_url}/readyz"))

    def require_alive(self) -> None:
        """Raise DemoError, naming the log, if one of the processes has ended."""
        for name in self._started:
            code = self._keeper.exit_code(name)
            if code is not None:
                raise DemoError(f"{name} ended with exit code {code}; its last words follow.", self._keeper.log(name))

    def log(self, name: str) -> Path:
        """Where the process writes."""
        return self._keeper.log(name)

    def calls(self) -> list[dict[str, Any]]:
        """Read what the cloud was asked, oldest first."""
        with _OPEN(f"{self.simulator_url}/_sim/calls", timeout=5) as answer:
            calls: list[dict[str, Any]] = json.load(answer)
        return calls

    def _start(self, module: str, flags: list[str], settings: Mapping[str, str]) -> None:
        # The user's own keys and settings of Qianfan stay out of a demo.
        unset = [word for name in os.environ if name.startswith("QIANFAN_") for word in ("-u", name)]
        here = {
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._keeper.folder),
            **settings,
        }
        words = [shutil.which("env") or "/usr/bin/env", *unset, *(f"{key}={value}" for key, value in here.items())]
        self._keeper.start(module, [*words, sys.executable, "-m", module, *flags])
        self._started.append(module)

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while not ready():
            self.require_alive()
            if time.monotonic() > end:
                raise DemoError(f"{name} is not ready after {_PATIENCE:.0f} s.", self._keeper.log(name))
            self._tick.wait(_LOOK)

    def _simulator_tells(self) -> bool:
        for line in self._keeper.log("qianfan_simulator").read_text(encoding="utf-8").splitlines():
            if line.startswith('{"url"'):
                self.simulator_url = json.loads(line)["url"]
                return True
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _answers(url: str) -> bool:
    try:
        with _OPEN(url, timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False
