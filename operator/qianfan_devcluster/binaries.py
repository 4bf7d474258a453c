"""Where the control plane's programs come from: given by the user, kept from before, or built.

In this order, each program for itself: the folder that KUBEBUILDER_ASSETS names (setup-envtest fills one, but without
kube-controller-manager); the cache; a build (`build`), which fills the cache. The cache lies outside any checkout:
QIANFAN_DEVCLUSTER_CACHE, else XDG_CACHE_HOME/qianfan-devcluster, else ~/.cache/qianfan-devcluster.

`python -m qianfan_devcluster.binaries` does no more than that.
"""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from qianfan_devcluster.build import KEY, PACKAGES, BinariesError, Say, build, check

__all__ = ["Binaries", "BinariesError", "cache_folder", "find"]


@dataclass(frozen=True)
class Binaries:
    """The four programs, each found and run once."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def find(environ: Mapping[str, str] = os.environ, say: Say | None = None) -> Binaries:
    """Find the programs, or build what is missing (minutes; `say` gets the progress, by default standard error does).

    Raises BinariesError if one cannot be had or does not run.
    """
    cache = cache_folder(environ)
    folders = [*_assets(environ), cache]
    missing = [name for name in PACKAGES if _first(name, folders) is None]
    if missing:
        build(missing, cache, environ, say or _to_stderr)
    found = {name: _first(name, folders) or cache / name for name in PACKAGES}
    with ThreadPoolExecutor() as pool:
        list(pool.map(check, found.keys(), found.values()))
    return Binaries(**{name.replace("-", "_"): path for name, path in found.items()})


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where built programs are kept; another folder for every set of pinned versions."""
    own, xdg = environ.get("QIANFAN_DEVCLUSTER_CACHE"), environ.get("XDG_CACHE_HOME")
    root = Path(own) if own else Path(xdg or Path.home() / ".cache") / "qianfan-devcluster"
    return root.absolute() / KEY


def _assets(environ: Mapping[str, str]) -> list[Path]:
    given = environ.get("KUBEBUILDER_ASSETS")
    if not given:
        return []
    if not Path(given).is_dir():
        raise BinariesError(f"KUBEBUILDER_ASSETS is {given}, which is no folder: correct it or unset it")
    return [Path(given).absolute()]


def _first(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        find()
    except BinariesError as error:
        raise SystemExit(str(error)) from None
