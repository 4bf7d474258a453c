"""Print lines of constraints.txt, with their hashes, for `pip install --require-hashes`.

    python3 image/requirements.py              what the operator needs at run time
    python3 image/requirements.py hatchling    the distributions that are named

pip wants the hashes beside what it is asked for, and takes those of everything else from the constraints.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pins(text: str) -> dict[str, str]:
    """Split constraints into one entry per distribution: by normal name, its line with all hashes."""
    entries = re.split(r"^(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    return {normal(entry): entry for entry in entries if entry.strip()}


def normal(requirement: str) -> str:
    """Return the name in a requirement, as the index compares names; ValueError if there is none."""
    name = _NAME.match(requirement)
    if name is None:
        raise ValueError(f"no requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def chosen(names: Iterable[str]) -> str:
    """Return the entries of these distributions; KeyError if one is not pinned."""
    pinned = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    return "".join(pinned[normal(name)] for name in names)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sys.stdout.write(chosen(sys.argv[1:] or project["dependencies"]))
