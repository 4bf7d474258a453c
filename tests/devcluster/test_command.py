"""`python -m qianfan_devcluster`: a cluster for a person, or around a command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_ME = [sys.executable, "-m", "qianfan_devcluster"]


def test_a_command_gets_the_cluster_and_gives_its_exit_code(tmp_path: Path) -> None:
    """The command finds kubectl and the cluster by its environment, its exit code is ours, and the cluster is gone."""
    (tmp_path / "kind.yaml").write_text(
        json.dumps(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": "things.devcluster.test"},
                "spec": {
                    "group": "devcluster.test",
                    "scope": "Cluster",
                    "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
                    "versions": [
                        {
                            "name": "v1",
                            "served": True,
                            "storage": True,
                            "schema": {"openAPIV3Schema": {"type": "object"}},
                        }
                    ],
                },
            }
        )
    )
    command = ["sh", "-c", 'kubectl get things; echo "$KUBECONFIG"; exit 7']
    done = subprocess.run(
        [*_ME, "--crds", tmp_path, "--", *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (7, "No resources found\n")
    assert not Path(done.stdout.strip()).parent.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_cluster_in_order(number: signal.Signals, code: int) -> None:
    """Without a command it tells how to use the cluster; Ctrl-C and SIGTERM leave nothing behind."""
    process = subprocess.Popen([*_ME, "--audit"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told: list[str] = []
    while not any(line.startswith("Ctrl-C ends it") for line in told):
        told.append(process.stdout.readline())
        assert told[-1], "it ended by itself"
    assert any(line.startswith("Audit log: /") for line in told)
    kubeconfig = next(line for line in told if "export KUBECONFIG=" in line).strip().partition("=")[2]
    assert "https://127.0.0.1" in Path(kubeconfig).read_text()
    process.send_signal(number)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (code, "")
    assert not Path(kubeconfig).parent.exists()


def test_the_end_of_the_wrapper_is_passed_on_to_the_command() -> None:
    """A SIGTERM ends the command too: it gets the same signal and is waited for."""
    program = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('ended', flush=True))\n"
        "print('started', flush=True)\n"
        "signal.pause()\n"
    )
    process = subprocess.Popen([*_ME, "--", sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (143, "ended\n")


def test_a_command_that_is_not_there_is_named() -> None:
    """An unknown command is exit code 127, as in a shell."""
    done = subprocess.run([*_ME, "no-such-command"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (127, "no-such-command: No such file or directory\n")


def test_programs_that_cannot_be_had_are_one_sentence() -> None:
    """What is wrong is told without a traceback."""
    env = {**os.environ, "KUBEBUILDER_ASSETS": "/nowhere"}
    done = subprocess.run(_ME, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "KUBEBUILDER_ASSETS is /nowhere" in done.stderr
