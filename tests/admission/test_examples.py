"""What the API server accepts and refuses: one manifest per case, in `accepted/` and `refused/`.

A file with two documents is an update: the first is created and gets its status, the second replaces it. A refused file
says in its first line what the API server must answer.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from qianfan_devcluster.cluster import Cluster

HERE = Path(__file__).parent
EXPECT = "# expect: "


def examples(folder: str) -> list[Any]:
    """The files of a folder as parameters."""
    return [pytest.param(path, id=path.stem) for path in sorted((HERE / folder).glob("*.yaml"))]


def last_request(cluster: Cluster, place: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Send the documents of a file; return the answer to the last one."""
    *before, last = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    for document in before:
        cluster.kubectl("create", "-n", place, "-f", "-", input=json.dumps(document))
        if "status" in document:
            patch = json.dumps({"status": document["status"]})
            named = f"{document['kind']}/{document['metadata']['name']}"
            cluster.kubectl("patch", "-n", place, named, "--subresource=status", "--type=merge", "-p", patch)
    verb = "replace" if before else "create"
    return cluster.kubectl(verb, "-n", place, "-f", "-", input=json.dumps(last), check=False)


@pytest.mark.parametrize("path", examples("accepted"))
def test_accepted(cluster: Cluster, place: str, path: Path) -> None:
    """The API server takes the manifest, and warns of nothing."""
    answer = last_request(cluster, place, path)

    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("path", examples("refused"))
def test_refused(cluster: Cluster, place: str, path: Path) -> None:
    """The API server refuses the manifest with the sentence that its first line expects."""
    first, _, _ = path.read_text(encoding="utf-8").partition("\n")

    answer = last_request(cluster, place, path)

    assert answer.returncode == 1
    assert first.removeprefix(EXPECT) in answer.stderr


def test_every_example_says_what_it_is_about() -> None:
    """An accepted file opens with its reason, a refused one with the sentence that it expects."""
    openings = {path: path.read_text(encoding="utf-8") for path in HERE.glob("*/*.yaml")}

    assert len(openings) > 90
    assert [path for path, text in openings.items() if text.startswith(EXPECT) != (path.parent.name == "refused")] == []
    assert [path for path, text in openings.items() if not text.startswith("# ")] == []
