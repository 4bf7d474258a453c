"""`make demo`: three manifests become an endpoint, on a real control plane and a simulated cloud, without an account.

The operator runs as it does in production: the same program, its own service account, its own rights. Only the cloud is
a simulator, and only the Deployment is a process of this machine.
"""

import argparse
import re
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.markup import escape

from qianfan_devcluster.binaries import BinariesError, find
from qianfan_devcluster.cluster import Cluster, ClusterError
from qianfan_devcluster.demo_ground import CHAIN, CHECKOUT, NAMESPACE, DemoError, Ground
from qianfan_devcluster.demo_processes import PAY_AFTER_SECONDS, TRAIN_SECONDS, Processes
from qianfan_devcluster.demo_view import Row, View
from qianfan_devcluster.keeper import Keeper

_LOOK_SECONDS = 0.5
_TAIL_LINES = 25
_CALLS_WIDTH = 110
_PAID = {"createJob", "publishTrainModel", "apply"}  # the calls that must never be sent twice


class Demo:
    """One run of the story; `stack` takes away what it puts anywhere."""

    def __init__(self, options: argparse.Namespace, view: View, stack: ExitStack) -> None:
        self._options, self._view, self._stack = options, view, stack
        self._started = time.monotonic()
        self._tick = threading.Event()
        keeper = Keeper()
        stack.callback(keeper.close)
        self._folder = keeper.folder
        self._processes = Processes(keeper)
        self._ground = self._make_ground()

    @property
    def seconds(self) -> float:
        """How long the demo has run."""
        return time.monotonic() - self._started

    def run(self) -> None:
        """Tell the story from the manifests to the endpoint; raises DemoError where it cannot go on."""
        self._set_up()
        shown = CHAIN.relative_to(CHECKOUT)
        self._view.tell(f"\n[bold]$ kubectl apply -f {shown}[/]")
        applied = self._ground.kubectl("apply", "-n", NAMESPACE, "-f", CHAIN)
        self._view.tell(f"[bright_black]{escape(applied.strip())}[/]\n")
        with self._view:
            service = self._follow()
        self._sum_up(service)

    def stay(self) -> None:
        """Say how to go on by hand, and wait for Ctrl-C."""
        url, look = self._processes.simulator_url, f"kubectl -n {NAMESPACE}"
        self._view.tell("\nIt runs until Ctrl-C. In another terminal:\n")
        for command in (
            f"export KUBECONFIG={self._ground.kubeconfig} PATH={self._ground.program.parent}:$PATH",
            f"{look} get qianfan",
            f"{look} describe qfj essay",
            f'{look} patch qfj essay --type=merge -p \'{{"spec": {{"attempt": 2}}}}\'   # train again',
            f"{look} delete qfs essay",
            f"curl {url}/_sim/                    # faults, and all else that the simulator can do",
        ):
            self._view.tell(f"  {escape(command)}")
        self._view.tell(f"\nLogs: {self._processes.log('qianfan_operator')}")
        while not self._tick.wait(_LOOK_SECONDS):
            self._processes.require_alive()

    def _make_ground(self) -> Ground:
        given = self._options.kubeconfig
        if given is None:
            cluster = self._stack.enter_context(Cluster())
            self._view.step(self.seconds, "control plane", cluster.server)
            return Ground(cluster.binaries.kubectl, cluster.kubeconfig, self._folder)
        if not given.is_file():
            raise DemoError(f"{given} is no file: name a kubeconfig, or none for a control plane of the demo's own.")
        ground = Ground(Path(shutil.which("kubectl") or find().kubectl), given.absolute(), self._folder)
        self._view.step(self.seconds, "your cluster", ground.server())
        ground.require_unused()
        return ground

    def _set_up(self) -> None:
        view, processes, ground = self._view, self._processes, self._ground
        processes.start_simulator()
        view.step(self.seconds, "simulated cloud", f"{processes.simulator_url}/_sim/")
        if self._options.kubeconfig is not None:
            self._stack.callback(ground.remove)  # while the operator still runs, which lets its objects go
        ground.install()
        view.step(self.seconds, "definitions, rights", "crds/, deploy/access/")
        processes.start_operator(ground.operator_kubeconfig(self._folder / "operator.kubeconfig"))
        view.step(self.seconds, "operator", "under its own service account")

    def _follow(self) -> Row:
        end = self.seconds + self._options.timeout
        told = False
        while self.seconds < end:
            self._processes.require_alive()
            rows = self._view.show(self.seconds, self._ground.objects())
            if not told and any(row.reason == "PaymentRequired" for row in rows):
                told = True
                self._view.tell(
                    "         [magenta]Here a person pays for the service in the console."
                    f" The simulator does it by itself after {PAY_AFTER_SECONDS} s.[/]"
                )
            for row in rows:
                if row.stalled:
                    raise DemoError(f"{row.name} cannot go on: {row.message}", self._processes.log("qianfan_operator"))
            if rows and all(row.ready == "True" for row in rows):
                return next(row for row in rows if row.name.startswith("service/"))
            self._tick.wait(_LOOK_SECONDS)
        raise DemoError(
            f"The chain is not ready after {self._options.timeout} s (a training takes {TRAIN_SECONDS} s).",
            self._processes.log("qianfan_operator"),
        )

    def _sum_up(self, service: Row) -> None:
        operations = Counter(call["operation"] for call in self._processes.calls())
        calls = textwrap.fill(  # no break between a name and its number
            ", ".join(f"{name}\N{NO-BREAK SPACE}{count}" for name, count in operations.items()),
            width=_CALLS_WIDTH,
            initial_indent="Cloud calls  ",
            subsequent_indent=" " * 13,
        ).replace("\N{NO-BREAK SPACE}", " ")
        for name in _PAID & operations.keys():
            calls = re.sub(rf"\b{name} \d+", r"[bold]\g<0>[/]", calls)
        self._view.tell(f"\nEndpoint     [bold green]{escape(service.url or '')}[/]")
        self._view.tell("             [bright_black]simulated like all of the cloud: nothing listens there[/]")
        self._view.tell(calls)
        self._view.tell(f"Total        {self.seconds:.0f} s")
        if self._options.export_svg:
            self._view.export_svg(self._options.export_svg, "make demo")
        if not self._options.keep:
            self._view.tell("\nKeep it running and go on by hand: make demo KEEP=1")


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m qianfan_devcluster.demo", description="From manifests to an endpoint."
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="PATH", help="use this cluster and not one of the demo's own"
    )
    parser.add_argument("--timeout", type=int, default=180, metavar="SECONDS", help="give the chain so long (180)")
    parser.add_argument("--export-svg", type=Path, metavar="PATH", help="write what was shown as a picture")
    return parser.parse_args(words)


def _fail(view: View, error: Exception) -> int:
    view.tell(f"\n[bold red]{escape(str(error))}[/]")
    log = error.log if isinstance(error, DemoError) else None
    if log and log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        view.tell(f"[bright_black]The last lines of {log.name}:[/]")
        for line in lines[-_TAIL_LINES:]:
            view.tell(f"  {escape(line)}")
    return 1


def _end(number: int, _frame: object) -> None:
    """Let a signal unwind the stack once; from then on the clean-up is not to be interrupted."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main(words: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if the endpoint came up."""
    options, view = _options(words), View()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    try:
        with ExitStack() as stack:
            try:
                demo = Demo(options, view, stack)
                demo.run()
                if options.keep:
                    demo.stay()
            except (DemoError, BinariesError, ClusterError) as error:
                return _fail(view, error)  # while the logs are there
    except DemoError as error:
        return _fail(view, error)  # something could not be taken away
    except SystemExit:
        view.tell("\nStopped; nothing is left behind.")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
