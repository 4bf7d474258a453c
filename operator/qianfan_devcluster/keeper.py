"""The process that owns a cluster's processes and its folder, so that nothing outlives whoever asked for them.

A parent that is killed with SIGKILL cannot clean up, so somebody else must. PR_SET_PDEATHSIG alone would not do: it
fires when the *thread* that forked ends (a worker thread of a test runner), Linux alone has it, and nobody would be
left to remove the folder. Hence one small child: it starts the components, makes the folder, and waits on a pipe whose
other end only the parent holds. However the parent ends, the kernel closes that end; the keeper then kills, reaps and
removes everything. An orderly end closes the pipe too, so there is one way to end, and every run exercises it. Should
the keeper itself be killed, PR_SET_PDEATHSIG takes the components along (the keeper has one thread only).

Protocol: one JSON object per line, {"do": verb, "number": n, ...}, each answered by one line with the same number.
This file is run as a script.
"""

import ctypes
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOOK_FOR_PARENT_SECONDS = 1.0
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """The parent's end: starts and signals named processes whose lives, with `folder`, end at `close` or with us."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(  # noqa: S603  # its own session: a Ctrl-C is for us, who then end in order
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.folder = Path(self._ask(do="hello")["folder"])

    @property
    def pid(self) -> int:
        """The keeper's own process id; its children are the components."""
        return self._process.pid

    def start(self, name: str, argv: Sequence[str | Path]) -> int:
        """Start a process in `folder` with its output appended to `log(name)`; returns its pid.

        Raises RuntimeError if the program cannot be run or a process of that name is still there.
        """
        return int(self._ask(do="start", name=name, argv=[str(word) for word in argv])["pid"])

    def exit_code(self, name: str) -> int | None:
        """Exit code of the process, negative for a signal; None while it runs. RuntimeError if never started."""
        code: int | None = self._ask(do="poll", name=name)["code"]
        return code

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; one that has ended is left alone."""
        self._ask(do="signal", name=name, signal=int(number))

    def kill(self, name: str) -> None:
        """Kill a process and return when it is gone."""
        self._ask(do="kill", name=name)

    def log(self, name: str) -> Path:
        """Where a process's standard output and error go."""
        return self.folder / f"{name}.log"

    def close(self) -> None:
        """End all processes, remove the folder; returns when both are gone. May be called twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()
        self._process.wait()

    def _ask(self, **request: object) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise RuntimeError("the cluster is closed")
        with self._turn, suppress(BrokenPipeError):
            number = next(self._numbers)
            stdin.write(json.dumps({"number": number, **request}).encode() + b"\n")
            # An answer is one small write, so a read gets whole lines. A Ctrl-C between question and answer leaves an
            # answer behind; its number tells it from ours.
            while lines := os.read(stdout.fileno(), 65536).splitlines():
                for answer in map(json.loads, lines):
                    if answer["number"] != number:
                        continue
                    if "error" in answer:
                        raise RuntimeError(answer["error"])
                    return dict(answer)
        raise RuntimeError("the keeper of the cluster's processes has ended; the cluster is gone")


class _Household:
    """The keeper's end: the folder and the children, by name."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="qianfan-devcluster-"))
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def obey(self, request: dict[str, Any]) -> dict[str, object]:
        match request:
            case {"do": "hello"}:
                return {"folder": str(self.folder)}
            case {"do": "start", "name": name, "argv": argv}:
                return self._start(name, argv)
            case {"do": _, "name": name} if name not in self.children:
                return {"error": f"{name} was never started"}
            case {"do": "poll", "name": name}:
                return {"code": self.children[name].poll()}
            case {"do": "signal", "name": name, "signal": number}:
                self.children[name].send_signal(number)
            case {"do": "kill", "name": name}:
                self.children[name].kill()
                self.children[name].wait()
        return {}

    def _start(self, name: str, argv: list[str]) -> dict[str, object]:
        before = self.children.get(name)
        if before is not None and before.poll() is None:
            return {"error": f"{name} is still running"}
        try:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.children[name] = subprocess.Popen(  # noqa: S603  # the argv is ours
                    argv,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=_die_with_keeper,  # noqa: PLW1509  # safe: this process has no other thread
                )
        except OSError as error:
            return {"error": f"{name} cannot be run: {error}"}
        return {"pid": self.children[name].pid}

    def end(self) -> None:
        for ending in _ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for child in self.children.values():
            child.kill()
        for child in self.children.values():
            child.wait()
        for _ in range(10):  # an orphaned kubectl may still be filling its cache in there
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return


def _die_with_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(parent: int) -> None:
    """Obey until the pipe closes, or the parent is gone though a fork of it still holds the pipe's other end."""
    household = _Household()
    try:
        pending = b""
        while os.getppid() == parent:
            ready, _, _ = select.select([sys.stdin.fileno()], [], [], _LOOK_FOR_PARENT_SECONDS)
            if not ready:
                continue
            chunk = os.read(sys.stdin.fileno(), 65536)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                request = json.loads(line)
                sys.stdout.write(json.dumps({"number": request["number"], **household.obey(request)}) + "\n")
                sys.stdout.flush()
    except BrokenPipeError:
        return
    finally:
        household.end()


def _end_in_order(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    for ending in _ENDINGS:
        signal.signal(ending, _end_in_order)
    _serve(os.getppid())
