"""A person's terminal: kubectl, Helm and git as they are typed, in a folder of its own, with a place as the context."""

import json
import os
import signal
import subprocess
from pathlib import Path

from e2e.place import Place

HOURS = "8h"
"""A timeout that no test lives to see: what ends before `Shell.ended` gives up has ended for another reason."""
_PATIENCE = 90  # seconds


class Shell:
    """Runs programs as a person does; what is still running at the end of a test is ended with it."""

    def __init__(self, place: Place, folder: Path, tools: Path) -> None:
        """`tools` is where Helm lies."""
        self.folder, home = folder / "work", folder / "home"
        self.folder.mkdir()
        home.mkdir()
        config = json.loads(place.cluster.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = place.namespace
        (home / "kubeconfig").write_text(json.dumps(config))
        path = os.pathsep.join([str(place.cluster.binaries.kubectl.parent), str(tools), os.environ["PATH"]])
        author = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **author}
        self._environment = {"HOME": str(home), "PATH": path, "KUBECONFIG": str(home / "kubeconfig"), **git}
        self._started: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """End what is still running, and what that has started."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a program and go on; `ended` waits for it."""
        process = subprocess.Popen(
            words, cwd=self.folder, env=self._environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str], code: int = 0) -> str:
        """Wait for the end of a program, which must be with this exit code; returns all that it printed."""
        told, _ = process.communicate(timeout=_PATIENCE)
        assert process.returncode == code, told
        return told

    def run(self, *words: str, code: int = 0) -> str:
        """Run a program to its end, which must be with this exit code; returns all that it printed."""
        return self.ended(self.start(*words), code)

    def write(self, name: str, *manifests: dict) -> None:
        """Write manifests into a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n---\n".join(map(json.dumps, manifests)), encoding="utf-8")
