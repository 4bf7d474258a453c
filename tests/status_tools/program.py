"""The Go program beside this file: built once per machine and version of its sources, kept with the control plane's.

`python -m status_tools.program` builds it ahead of the tests: a minute or two on two cores.
"""

import hashlib
import os
from pathlib import Path

from qianfan_devcluster.binaries import cache_folder
from qianfan_devcluster.build import build_module

_HERE = Path(__file__).parent
_NAME = "status_tools"


def program() -> Path:
    """Find the program, or build it. Raises BinariesError."""
    sources = b"".join((_HERE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    folder = cache_folder(os.environ).parent / f"{_NAME}-{hashlib.sha256(sources).hexdigest()[:12]}"
    if not (folder / _NAME).exists():
        build_module(_HERE, {_NAME: "."}, folder, os.environ, lambda line: print(line, flush=True))
    return folder / _NAME


if __name__ == "__main__":
    program()
