"""The checkout: what must not be in it, and the contracts between its parts."""

import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).relative_to(ROOT).as_posix()

FOREIGN = {
    "a path of somebody's machine": r"/(?:root|home/\w+|Users/\w+|work)/",
    "the host of a registry": r"\b(?:(?:pypi|pythonhosted|proxy\.golang)\.org|(?:docker|ghcr|quay|k8s\.gcr|gcr)\.io)\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an access key that looks real": r"\bALTAK(?!example)[A-Za-z0-9]{15,}",
    "a note to do something later": r"\b(?:TODO|FIXME|XXX)\b",
}


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name and name != HERE and (ROOT / name).is_file()]


def test_the_source_root_does_not_shadow_the_standard_library() -> None:
    """The folder operator/ holds packages and no Python file, so that `import operator` is the standard library's."""
    assert list((ROOT / "operator").glob("*.py")) == []
    assert operator.itemgetter(1)("ab") == "b"
    argv = [sys.executable, "-c", "import operator; print(operator.__file__)"]
    seen = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not seen.startswith(str(ROOT / "operator"))


@pytest.mark.parametrize("what", FOREIGN)
def test_no_tracked_file_holds_what_belongs_elsewhere(what: str) -> None:
    """Machine paths, registries, keys and notes to oneself stay out of the repository."""
    pattern = re.compile(FOREIGN[what])
    found = []
    for name in tracked():
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        found += [f"{name}: {hit.group()}" for hit in pattern.finditer(text)]
    assert found == []


def test_the_contracts_between_the_modules_are_kept() -> None:
    """Imports point one way and every third-party library has one door, as pyproject.toml declares."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
