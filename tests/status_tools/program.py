"""The tools' own code as programs: Helm, and `main.go` beside this file for kstatus and Flux.

Both are built of one Go module, so that what they share is fetched and compiled once: once per machine and version of
the sources, kept with the control plane's programs. `python -m status_tools.program` builds them ahead of the tests.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from qianfan_devcluster.binaries import cache_folder
from qianfan_devcluster.build import Say, build_module

_HERE = Path(__file__).parent
_PACKAGES = {"status_tools": ".", "helm": "helm.sh/helm/v4/cmd/helm"}


def programs(say: Say) -> Path:
    """Find the folder that holds both programs; they are built if they are not there. Raises BinariesError."""
    sources = b"".join((_HERE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    folder = cache_folder(os.environ).parent / f"status_tools-{hashlib.sha256(sources).hexdigest()[:12]}"
    if not all((folder / name).exists() for name in _PACKAGES):
        build_module(_HERE, _PACKAGES, folder, os.environ, say)
    return folder


def ask(folder: Path, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have kstatus and Flux judge objects; a verdict for each, in their order (main.go tells its fields)."""
    words = json.dumps(objects)
    done = subprocess.run([folder / "status_tools"], input=words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


if __name__ == "__main__":
    programs(lambda line: print(line, flush=True))
