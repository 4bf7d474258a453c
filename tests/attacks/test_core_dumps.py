"""Whoever can crash the operator, or read a node's disk, must not find its memory there: it holds access keys."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def dumping() -> Iterator[None]:
    """Let what is started here dump core, as far as the machine allows: containers often have no limit.

    A shell lets what it starts in the background ignore SIGQUIT, and so would all that is started here.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    handler = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGQUIT, handler)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture
def operator(dumping: None, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Supply the real process at work: it has asked an API server something, which does not answer."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": url}}], "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        }  # fmt: skip
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("QIANFAN_", "KUBE"))}
        with subprocess.Popen(
            [sys.executable, "-m", "qianfan_operator"],
            cwd=tmp_path,
            env={**clean, "KUBECONFIG": str(kubeconfig), "NO_PROXY": "127.0.0.1", "QIANFAN_HTTP_PORT": "0"},
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                connection, _ = server.accept()
                with connection:
                    yield process
            finally:
                process.kill()


def test_a_crash_leaves_no_dump(operator: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The real process has given up its right to a core dump, and a crash writes none."""
    limits = Path(f"/proc/{operator.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
    operator.send_signal(signal.SIGQUIT)
    _, status = os.waitpid(operator.pid, 0)
    operator.returncode = os.waitstatus_to_exitcode(status)
    assert operator.returncode == -signal.SIGQUIT
    assert not os.WCOREDUMP(status)
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]


def test_its_memory_is_closed_to_others_of_the_same_user() -> None:
    """The kernel takes the process for one that is not to be dumped, which closes /proc/<pid>/mem as well."""
    code = "import ctypes; from qianfan_operator import core_dumps as c; c.forbid(); print(ctypes.CDLL(None).prctl(3))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "0"
