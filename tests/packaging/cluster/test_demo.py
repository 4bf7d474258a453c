"""`make demo`: what it promises to show, and that it leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qianfan_devcluster.cluster import Cluster

ROOT = Path(__file__).parents[3]
DEMO = [sys.executable, "-m", "qianfan_devcluster.demo"]
OURS = "customresourcedefinitions,namespaces,clusterroles,clusterrolebindings"


@contextmanager
def demo(folder: Path, *words: str | Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with its temporary files under `folder`, and make sure that they and their processes are gone."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment |= {"TMPDIR": str(folder), "COLUMNS": "150", **environ}
    folder.mkdir(exist_ok=True)
    with subprocess.Popen([*DEMO, *words], env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
    assert list(folder.iterdir()) == []
    assert [pid for pid in Path("/proc").glob("[0-9]*") if str(folder) in home(pid)] == []


def home(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:  # it has just ended
        return ""


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read what the demo prints up to the line with these words."""
    assert process.stdout
    told = ""
    for line in process.stdout:
        told += line
        if words in line:
            return told
    raise AssertionError(f"{words!r} was never printed:\n{told}")


def remains(cluster: Cluster) -> list[str]:
    """Name what of ours the cluster holds; a namespace that is on its way out does not count."""
    lines = cluster.kubectl(
        "get", OURS, "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.status.phase}{'\\n'}{end}"
    ).stdout.splitlines()
    return [line for line in lines if "qianfan" in line and "Terminating" not in line]


def test_the_demo_ends_with_an_endpoint_and_one_paid_call_of_each_kind(tmp_path: Path) -> None:
    """Three manifests become a URL; a run, a version and a service were each created once; the picture shows it."""
    picture = tmp_path / "demo.svg"
    with demo(tmp_path / "run", "--export-svg", picture) as process:
        told, _ = process.communicate()
    assert process.returncode == 0, told
    assert re.search(r"^Endpoint +https?://\S+_essay$", told, re.MULTILINE), told
    for call in ("createTask", "createJob", "publishTrainModel"):
        assert re.search(rf"\b{call} 1\b", told), told
    assert "a person pays for the service in the console" in told
    assert [told.index(word) for word in ("Training", "Publishing", "PaymentRequired", "Endpoint")] == sorted(
        told.index(word) for word in ("Training", "Publishing", "PaymentRequired", "Endpoint")
    )
    assert "Endpoint" in picture.read_text(encoding="utf-8")


def test_a_cluster_that_is_given_is_left_as_it_was(tmp_path: Path) -> None:
    """On SIGTERM the demo takes its objects, definitions and rights out of somebody's cluster, and only those."""
    with Cluster() as cluster:
        cluster.kubectl("create", "namespace", "qianfan-of-somebody")
        before = remains(cluster)
        with demo(tmp_path / "run", "--kubeconfig", cluster.kubeconfig) as process:
            until(process, "qianfanservice.qianfan.dev/essay created")
            assert set(before) < set(remains(cluster))
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate()
        assert process.returncode == 128 + signal.SIGTERM, told
        assert remains(cluster) == before


def test_objects_of_others_are_not_shown_to_the_simulated_cloud(
    tmp_path: Path, cluster: Cluster, namespace: str
) -> None:
    """A cluster that holds Qianfan objects is refused: the demo's operator would look for them in the wrong cloud."""
    cluster.kubectl("apply", "-n", namespace, "-f", ROOT / "deploy/samples/job.yaml")
    with demo(tmp_path / "run", "--kubeconfig", cluster.kubeconfig) as process:
        told, _ = process.communicate()
    assert process.returncode == 1
    assert "This cluster holds Qianfan objects" in told


@pytest.mark.parametrize(
    ("program", "words"),
    [("qianfan_operator", "qianfan_operator ended with exit code 3"), ("qianfan_simulator", "qianfan_simulator ended")],
)
def test_what_dies_is_named_with_its_last_words(tmp_path: Path, program: str, words: str) -> None:
    """If the operator or the simulator ends, the demo says so, shows the end of its log, and cleans up."""
    package = tmp_path / "broken" / program
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit(print('these are my last words') or 3)\n")
    with demo(tmp_path / "run", PYTHONPATH=str(package.parent)) as process:
        told, _ = process.communicate()
    assert process.returncode == 1
    assert words in told
    assert "these are my last words" in told


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong kubeconfig ends the demo with its name and what to do, before anything is started."""
    with demo(tmp_path / "run", "--kubeconfig", tmp_path / "missing") as process:
        told, _ = process.communicate()
    assert process.returncode == 1
    assert str(tmp_path / "missing") in told.replace("\n", "")
