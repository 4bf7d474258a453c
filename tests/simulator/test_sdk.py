"""The vendor's own SDK, pointed at the simulator, does not notice."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from qianfan_simulator import Simulator

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """A Python with the pinned SDK, kept outside the checkout and built when the pins change."""
    requirements = HERE / "sdk-requirements.txt"
    mark = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qianfan-operator"
    home = cache / f"sdk-{mark}"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements)]
        subprocess.run([str(home / "bin/python"), *install], check=True, timeout=280)
        (home / "complete").touch()
    return home / "bin/python"


@pytest.mark.parametrize("trailing", ["", "/"])
def test_the_vendors_documentation_runs_verbatim(sdk_python: Path, trailing: str) -> None:
    """All nine calls of the documentation work with SDK 0.2.1, and its errors are the cloud's."""
    with Simulator() as sim, tempfile.TemporaryDirectory() as empty:
        told = json.loads(
            subprocess.run(
                [str(sdk_python), str(HERE / "sdk_story.py")],
                env={
                    "QIANFAN_CONSOLE_API_BASE_URL": sim.url + trailing,
                    "QIANFAN_ACCESS_KEY": "demo-access-key",
                    "QIANFAN_SECRET_KEY": "demo-secret-key",
                },
                cwd=empty,
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
        )
        assert (told["first"], told["last"]) == ("RUNNING", "FINISH")
        assert told["model"] == told["listed"] == "sdk_test_1"
        assert told["state"] == "Ready"
        assert told["same"] is True
        assert told["service"] == "Done"
        assert told["stopped"] is True
        assert "510201" in told["error"]
        assert told["denied"]
        (task,) = sim.account().tasks
        assert (task.name, task.description, len(task.runs)) == ("task_name", "task_desc", 2)
        assert {call.outcome for call in sim.calls} == {"ok", "510201", "SignatureDoesNotMatch"}
