"""Makefile, image and pins agree with one another."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE = f"qianfan-operator:{PROJECT['version']}"


def make(*words: str, **environ: str) -> str:
    environment = {**os.environ, **environ}
    return subprocess.run(
        ["make", *words], cwd=ROOT, check=True, capture_output=True, text=True, env=environment
    ).stdout


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_make_alone_lists_every_target() -> None:
    """Whoever types `make` sees every target with a sentence."""
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert phony.group(1).split() == targets
    listed = re.findall(r"^  make ([a-z-]+) +(\S.*)$", make(), re.MULTILINE)
    assert [name for name, _ in listed] == targets


def test_the_demo_touches_only_a_cluster_that_is_named_to_it() -> None:
    """A KUBECONFIG of the environment, which most shells have for other work, is not taken for a wish."""
    assert "--kubeconfig" not in make("--dry-run", "demo", KUBECONFIG="/clusters/production")
    assert "--kubeconfig '/clusters/mine'" in make("--dry-run", "demo", "KUBECONFIG=/clusters/mine")


def test_ci_runs_what_everybody_can_run() -> None:
    """The CI script is `make test` and nothing else."""
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert commands[-1] == "exec make test"
    assert all(line.startswith(("set ", "cd ", "exec make test")) for line in commands)


def needed(name: str, extras: frozenset[str], seen: dict[str, frozenset[str]]) -> None:
    """Put a distribution, and all that it needs with these extras on this machine, into `seen`."""
    new = extras - seen.get(name, frozenset())
    if name in seen and not new:
        return
    seen[name] = seen.get(name, frozenset()) | extras
    for text in requires(name) or []:
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            needed(normal(one.name), frozenset(one.extras), seen)


def test_every_pin_is_exact_and_all_that_we_need_is_pinned() -> None:
    """What the operator and its tools need is there in the version that constraints.txt names, and in no other."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {normal(name): exact for name, exact in pins.items()}
    seen: dict[str, frozenset[str]] = {}
    needed("qianfan-operator", frozenset({"dev"}), seen)
    del seen["qianfan-operator"]
    assert {"kopf", "aiohttp", "ruff"} <= set(seen)
    assert {name: pinned.get(name) for name in seen} == {name: version(name) for name in seen}
    assert "hatchling" in pinned


def test_the_manifests_run_the_image_that_make_builds() -> None:
    """One name and one version for the image, the one of pyproject.toml."""
    assert f"docker build --tag {IMAGE} ." in make("--dry-run", "image", "ENGINE=docker")
    names = set()
    for path in (ROOT / "deploy").rglob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if one.get("kind") == "Deployment":
                names |= {container["image"] for container in one["spec"]["template"]["spec"]["containers"]}
    assert names == {IMAGE}


def test_the_image_gets_what_it_copies_and_does_not_run_as_root() -> None:
    """Whatever the Dockerfile copies passes .dockerignore; the user is a number, and has a name for those who ask."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for words in copied for name in words.split()} == let_in
    user = re.search(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert user
    assert int(user.group(1)) > 0
    assert "LOGNAME=" in DOCKERFILE  # kopf ends at once if it finds neither a name nor a line in /etc/passwd


def test_the_quick_tests_start_no_control_plane() -> None:
    """Whatever uses the real control plane lies in a folder that `make test-fast` leaves out."""
    folders = re.search(r"^ON_CONTROL_PLANE := \$\(wildcard (.*)\)$", MAKEFILE, re.MULTILINE)
    assert folders
    left_out = tuple(f"{folder}/" for folder in folders.group(1).split())
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\bcluster: Cluster\b|\bCluster\(", path.read_text(encoding="utf-8"))
    ]
    assert users
    assert [path for path in users if not path.startswith(left_out)] == []
