"""Put together the root file system of the image: a Python, the shared libraries that it loads, and nothing else.

    python3 image/root.py /opt/qianfan /root-fs

takes the virtual environment at its path, the interpreter that it was made with, that one's standard library, and every
shared library that these name. No shell, no pip, no package database and no setuid program comes along.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

# Parts of the standard library that install packages, that nobody imports in a server, or that only tests need.
_LEFT_OUT = {
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests",
    "tkinter", "turtledemo", "venv",
}  # fmt: skip
# What the C library and OpenSSL read, where it is there.
_FILES = ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/openssl.cnf")
_LOADED = re.compile(r"(?:=> |^\s*)(/\S+) \(0x", re.MULTILINE)  # a line of ldd


def main(environment: Path, root: Path) -> None:
    """Fill `root`, which must not exist. Raises OSError or CalledProcessError if something is missing."""
    root.mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    for top in (Path("/lib"), Path("/lib64")):  # links into /usr: the programs name their loader by them
        if top.is_symlink():
            (root / top.name).symlink_to(top.readlink())
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    _tree(library, root, _LEFT_OUT)
    _tree(environment, root, {"__pycache__"})
    for program in _links(environment / "bin" / "python"):
        _file(program, root)
    for path in map(Path, _FILES):
        if path.exists():
            _file(path, root)
    for path in sorted(_needed([Path(sys.executable).resolve(), *library.rglob("*.so"), *environment.rglob("*.so*")])):
        _file(path, root)


def precompile(root: Path) -> None:
    """Write the bytecode, which nobody can write later: the file system of a pod is read-only."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(root, quiet=1, stripdir=str(root), prependdir="/", invalidation_mode=mode)


def _tree(source: Path, root: Path, left_out: set[str]) -> None:
    """Copy a folder to its place under `root`; of its `bin`, only Python."""

    def unwanted(folder: str, names: list[str]) -> set[str]:
        scripts = {name for name in names if Path(folder) == source / "bin" and not name.startswith("python")}
        return scripts | left_out.intersection(names)

    shutil.copytree(source, _place(source, root), symlinks=True, ignore=unwanted)


def _file(source: Path, root: Path) -> None:
    """Copy a file, or a link as a link, to its place under `root`."""
    place = _place(source.parent, root) / source.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists() and not place.is_symlink():
        shutil.copy2(source, place, follow_symlinks=False)


def _place(source: Path, root: Path) -> Path:
    """Say where a folder goes: to its real path, so that /lib and /usr/lib stay one."""
    return root / source.resolve().relative_to("/")


def _links(path: Path) -> Iterator[Path]:
    """Follow a link from one to the next, down to the file."""
    while path.is_symlink():
        yield path
        path = path.parent / path.readlink()
    yield path


def _needed(programs: list[Path]) -> set[Path]:
    """Name every shared library that one of these programs or libraries loads, with the links that lead to it."""
    found: set[Path] = set()
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, env={})  # noqa: S603, S607
        found |= {link for name in _LOADED.findall(told.stdout) for link in _links(Path(name))}
        if "not found" in told.stdout:
            raise OSError(f"{program} needs a library that is not there:\n{told.stdout}")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    precompile(Path(sys.argv[2]))
