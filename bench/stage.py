"""Where everything takes place: a real control plane, the simulated cloud and the operator, each its own process."""

import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from apiserver import Api
from probes import AuditLog, Write

from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper

NAMESPACES = tuple(f"bench-{number}" for number in range(5))
OPERATOR = "qianfan-operator"

_CHECKOUT = Path(__file__).resolve().parents[1]
_SYSTEM = "qianfan-system"
_LOOK_SECONDS = 0.02
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy leads to the loopback


class BenchError(Exception):
    """The measuring cannot go on; the text says why."""


class Stage:
    """A context manager; with whatever end of the process its processes and folders are gone.

    Every namespace has a Secret with the keys of an account of its own.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._calls_read = self._runs = 0
        self._requests: dict[str, float] = {}
        self.simulator_url = ""
        self.pid = 0
        """The operator's process id."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cluster = stack.enter_context(Cluster(audit=True))
            self._keeper = Keeper()
            stack.callback(self._keeper.close)
            self._prepare()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _prepare(self) -> None:
        self.cluster.install_crds(_CHECKOUT / "crds")
        self.cluster.kubectl("apply", "--kustomize", _CHECKOUT / "deploy/access")
        items: list[dict[str, Any]] = []
        for name in NAMESPACES:
            items.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            keys = {"QIANFAN_ACCESS_KEY": f"access-{name}", "QIANFAN_SECRET_KEY": f"secret-{name}"}
            metadata = {"name": "qianfan-credentials", "namespace": name}
            items.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
        self.cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        self._kubeconfig = self.cluster.kubeconfig_for(_SYSTEM, OPERATOR)
        log = self.cluster.audit_log
        if log is None:
            raise AssertionError("the cluster was started with its audit log")
        self.audit = AuditLog(log)
        keys_of = [f"--key=access-{name}:secret-{name}:{name}" for name in NAMESPACES]
        self._start("qianfan_simulator", ["--quiet", *keys_of], {})
        self.until(self._simulator_tells, "the simulator's address")

    # The operator

    def start_operator(self, poll_min: float, poll_max: float, **settings: str) -> float:
        """Start the operator; returns the unix time just before. `settings` are further ones, without the prefix."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._ready = f"http://127.0.0.1:{port}/readyz"
        environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "QIANFAN_CONSOLE_API_BASE_URL": self.simulator_url,
            "QIANFAN_ALLOW_INSECURE": "true",
            "QIANFAN_HTTP_PORT": str(port),
            "QIANFAN_POLL_MIN_SEC": f"{poll_min:g}",
            "QIANFAN_POLL_MAX_SEC": f"{poll_max:g}",
            **{f"QIANFAN_{name.upper()}": value for name, value in settings.items()},
        }
        started = time.time()
        self.pid = self._start("qianfan_operator", [], environment)
        return started

    def await_ready(self) -> None:
        """Return when the operator says that it is ready."""
        self.until(lambda: _answers(self._ready), "the operator's readiness")

    def reconciles(self) -> int:
        """Count the reconciles of this process so far, by its metrics."""
        with _OPEN(self._ready.replace("/readyz", "/metrics"), timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        counts = (line.rsplit(" ", 1)[1] for line in lines if line.startswith("qianfan_reconcile_total{"))
        return int(sum(map(float, counts)))

    def stop_operator(self) -> float:
        """End the operator in order; returns the seconds that it took."""
        begin = time.monotonic()
        self._keeper.signal("qianfan_operator", signal.SIGTERM)
        self.until(lambda: self._keeper.exit_code("qianfan_operator") is not None, "the operator's end", alive=False)
        return time.monotonic() - begin

    def kill_operator(self) -> None:
        """Kill the operator; returns when it is gone."""
        self._keeper.kill("qianfan_operator")

    # The cloud

    def pace(self, training: str) -> None:
        """Have trainings take so long: `seconds:20`."""
        self._simulator("options", {"training": training})

    def fault(self, *faults: Mapping[str, Any]) -> None:
        """Have the cloud misbehave so; without a word, have it behave again."""
        self._simulator("faults", list(faults))

    def fail_run(self, run_id: int) -> float:
        """Have a run fail now; returns the unix time just after."""
        self._simulator(f"fail?id={run_id}", {})
        return time.time()

    def calls(self) -> int:
        """Count the calls that the cloud has had."""
        self.first_requests()
        return self._calls_read

    def runs(self) -> int:
        """Count the runs that the cloud has started."""
        self.first_requests()
        return self._runs

    def first_requests(self) -> Mapping[str, float]:
        """Return the unix time of the first request that spoke of each task, by its name."""
        new: list[dict[str, Any]] = self._simulator(f"calls?since={self._calls_read}")
        self._calls_read += len(new)
        for call in new:
            self._runs += call["operation"] == "createJob" and call["outcome"] == "ok"
            if name := call["parameters"].get("name"):
                self._requests.setdefault(str(name), float(call["time"]))
        return self._requests

    # Everybody

    def api(self) -> Api:
        """Open a connection to the API server."""
        return Api(self.cluster.kubeconfig)

    def until(self, reached: Callable[[], bool], what: str, seconds: float = 120, *, alive: bool = True) -> None:
        """Wait for something; raises BenchError if it does not come or, unless told otherwise, the operator ends."""
        end = time.monotonic() + seconds
        while not reached():
            if alive and self.pid and self._keeper.exit_code("qianfan_operator") is not None:
                raise BenchError(f"The operator has ended:\n{self._tail()}")
            if time.monotonic() > end:
                raise BenchError(f"Waited {seconds:.0f} s for {what}:\n{self._tail()}")
            time.sleep(_LOOK_SECONDS)

    def until_quiet(self, seconds: float = 3) -> list[Write]:
        """Wait until the operator has written nothing to our objects for so long; returns what it wrote before."""
        written: list[Write] = []
        last = time.monotonic()

        def quiet() -> bool:
            nonlocal last
            if new := list(self.audit.writes(OPERATOR)):
                written.extend(new)
                last = time.monotonic()
            return time.monotonic() - last > seconds

        self.until(quiet, "the operator to have nothing to write")
        return written

    def _simulator(self, what: str, body: object | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with _OPEN(f"{self.simulator_url}/_sim/{what}", data, timeout=30) as answer:
            return json.load(answer)

    def _start(self, module: str, flags: list[str], settings: Mapping[str, str]) -> int:
        # The user's own keys and settings of Qianfan stay out of it.
        unset = [word for name in os.environ if name.startswith("QIANFAN_") for word in ("-u", name)]
        here = {"NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1", **settings}
        words = [shutil.which("env") or "/usr/bin/env", *unset, *(f"{key}={value}" for key, value in here.items())]
        return self._keeper.start(module, [*words, sys.executable, "-m", module, *flags])

    def _simulator_tells(self) -> bool:
        lines = self._keeper.log("qianfan_simulator").read_text().splitlines()
        self.simulator_url = next((json.loads(line)["url"] for line in lines if line.startswith('{"url"')), "")
        return bool(self.simulator_url)

    def _tail(self) -> str:
        log = self._keeper.log("qianfan_operator")
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


def _answers(url: str) -> bool:
    try:
        with _OPEN(url, timeout=1):
            return True
    except OSError:
        return False
