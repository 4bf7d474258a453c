"""Makefile, image and pins agree with one another."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE, SIMULATOR_IMAGE = (f"qianfan-{name}:{PROJECT['version']}" for name in ("operator", "simulator"))
DISTRIBUTIONS = {
    "qianfan-operator": ".",
    "qianfan-simulator": "operator/qianfan_simulator",
    "qianfan-devcluster": "operator/qianfan_devcluster",
}


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
    pinned = {name: exact for name, exact, _, _ in pins()}
    seen: dict[str, frozenset[str]] = {}
    needed("qianfan-operator", frozenset({"dev"}), seen)
    del seen["qianfan-operator"]
    assert {"kopf", "aiohttp", "ruff"} <= set(seen)
    assert {name: pinned.get(name) for name in seen} == {name: version(name) for name in seen}
    assert {"hatchling", "pip"} <= set(pinned)


def pins() -> list[tuple[str, str, str, list[str]]]:
    """What constraints.txt holds: name, version, marker, hashes."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    found = []
    for line in joined.splitlines():
        if not line.startswith("#"):
            one = re.fullmatch(r"([\w.-]+)==(\S+)( ; [^-]+?)?((?: --hash=sha256:[0-9a-f]{64})+)", line)
            assert one, line
            found.append((normal(one[1]), one[2], one[3] or "", one[4].split()))
    return found


def test_every_pin_has_hashes_and_no_address() -> None:
    """pip checks whatever it downloads, for the tests as for the image, and takes it from the index of the machine."""
    assert all(hashes for *_, hashes in pins())
    assert len({name for name, *_ in pins()}) == len(pins())
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    installs = re.findall(r"pip install (?:--(?!tag)[\w-]+ )*.*$", MAKEFILE, re.MULTILINE)
    assert all("--require-hashes" in one or "--no-deps" in one or one.endswith("uv; \\") for one in installs), installs
    image = re.findall(r"install [^&]*", DOCKERFILE.replace("\\\n", ""))
    assert len(image) == 6
    assert all("--require-hashes" in one or "--no-deps" in one for one in image), image


def test_the_base_of_the_image_is_a_digest_and_its_end_is_nothing_but_ours() -> None:
    """A tag can be moved, a digest cannot; the last stage begins empty, so that no shell and no pip comes with it."""
    digest = r"\S+@sha256:[0-9a-f]{64}"
    assert re.findall(r"^ARG BASE=(.*)$", DOCKERFILE, re.MULTILINE)[0]
    assert re.search(rf"^ARG BASE={digest}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "build", "scratch", "scratch"]
    copied = re.findall(r"^COPY --from.*$", DOCKERFILE, re.MULTILINE)
    assert copied == ["COPY --from=build-simulator /root-fs-simulator /", "COPY --from=build /root-fs /"]
    assert DOCKERFILE.rindex("RUN ") < DOCKERFILE.index("FROM scratch")
    other = f"base@sha256:{'0' * 64}"
    assert f"--build-arg BASE={other} " in make("--dry-run", "image", "ENGINE=docker", f"BASE={other}")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("image", "ENGINE=true", "BASE=python:3.13-slim")
    assert "by its digest" in refused.value.stderr


def test_the_manifests_run_the_image_that_make_builds() -> None:
    """One name and one version for each image, the one of pyproject.toml."""
    built = make("--dry-run", "image", "ENGINE=docker")
    assert f"docker build --tag {IMAGE} ." in built
    assert f"docker build --target simulator --tag {SIMULATOR_IMAGE} ." in built
    names = set()
    for path in (ROOT / "deploy").rglob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if one.get("kind") == "Deployment":
                names |= {container.get("image") for container in one["spec"]["template"]["spec"]["containers"]}
    assert names - {None} == {IMAGE, SIMULATOR_IMAGE}  # a patch names no image


def test_each_distribution_holds_its_own_package_only(tmp_path: Path) -> None:
    """No wheel contains a package of another distribution, so the operator's image has no simulator in it."""
    for name, folder in DISTRIBUTIONS.items():
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert (project["name"], project["version"]) == (name, PROJECT["version"])
        assert set(project["dependencies"]) <= {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]}
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*command, "--wheel-dir", tmp_path, ROOT / folder], check=True)
        [wheel] = tmp_path.glob(f"{name.replace('-', '_')}-*.whl")
        packages = {Path(one).parts[0] for one in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in one}
        assert packages == {name.replace("-", "_")}
    simulator = tomllib.loads(
        (ROOT / DISTRIBUTIONS["qianfan-simulator"] / "pyproject.toml").read_text(encoding="utf-8")
    )
    needed_by_image = re.findall(r"requirements\.py (\w+) > simulator\.txt", DOCKERFILE)
    assert [re.split("[<>=]", one)[0] for one in simulator["project"]["dependencies"]] == needed_by_image


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


def test_the_image_holds_all_that_python_loads_and_no_shell(tmp_path: Path) -> None:
    """The interpreter runs on the libraries of the new root alone, and there is nothing to install or to type into."""
    environment, root = tmp_path / "environment", tmp_path / "root"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    program = "import root, sys, pathlib; root.main(*map(pathlib.Path, sys.argv[1:]))"  # without the bytecode
    subprocess.run([sys.executable, "-c", program, environment, root], cwd=ROOT / "image", check=True)

    files = [path for path in root.rglob("*") if not path.is_dir()]
    names = {path.name for path in files}
    assert names.isdisjoint({"sh", "bash", "dash", "busybox", "pip", "pip3", "apt-get", "dpkg", "activate"})
    assert not [path for path in files if {"ensurepip", "pip"} & set(path.relative_to(root).parts)]

    (loader,) = (path for path in files if re.fullmatch(r"ld-linux.*\.so\.\d", path.name) and not path.is_symlink())
    libraries = ":".join(
        {str(path.parent) for path in files if ".so" in path.name and "python" not in str(path.parent)}
    )
    interpreter = root / Path(sys.executable).resolve().relative_to("/")
    home = root / Path(sys.base_prefix).resolve().relative_to("/")
    code = "import asyncio, ctypes, hashlib, ssl, uuid, zlib; print(open('/proc/self/maps').read())"
    argv = [loader, "--inhibit-cache", "--library-path", libraries, interpreter, "-S", "-c", code]
    maps = subprocess.run(
        argv, env={"PYTHONHOME": str(home), "LC_ALL": "C"}, check=True, capture_output=True, text=True
    ).stdout
    mapped = set(re.findall(r" (/\S+)$", maps, re.MULTILINE))
    assert any("libssl" in path or "_ssl" in path for path in mapped)
    assert {path for path in mapped if ".so" in path and not path.startswith(str(root))} == set()


def test_every_long_proof_is_run_by_release_check() -> None:
    """A file that has a test with the marker `proof` is among those that `make release-check` runs in full."""
    run = re.search(r"pytest -n 2 -m \"\" (.*)$", make("--dry-run", "release-check"), re.MULTILINE)
    assert run
    folders = [ROOT / word for word in run[1].split()]
    proofs = {path for path in (ROOT / "tests").rglob("test_*.py") if "mark.proof" in path.read_text(encoding="utf-8")}
    proofs.discard(Path(__file__))
    assert proofs
    assert [path for path in proofs if not any(path.is_relative_to(folder) for folder in folders)] == []
