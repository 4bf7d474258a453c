"""What the API server accepts and refuses: one manifest per case, in `accepted/` and `refused/`.

A file with two documents is an update: the first is created and gets its status, the second replaces it. A refused file
begins with all that the API server must answer, line by line: whoever adds a rule reads here how it speaks.
"""

from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from admission.conftest import Server
from admission.rules import rules

HERE = Path(__file__).parent
EXPECT = "# expect: "
RULES = rules()


def examples(folder: str) -> list[Any]:
    """The files of a folder as parameters."""
    return [pytest.param(path, id=path.stem) for path in sorted((HERE / folder).glob("*.yaml"))]


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects in a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def expected(path: Path) -> list[str]:
    """The lines that a refused file expects."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted(line.removeprefix(EXPECT) for line in lines if line.startswith(EXPECT))


def told(answer: requests.Response) -> list[str]:
    """The lines of a refusal, as kubectl shows them, but for the remark that nothing more was checked."""
    status = answer.json()
    causes = status.get("details", {}).get("causes", [])
    lines = [f"{cause['field']}: {cause['message']}" for cause in causes] or [status["message"]]
    return sorted(line for line in lines if "some validation rules were not checked" not in line)


def last_request(server: Server, path: Path) -> requests.Response:
    """Send the documents of a file; return the answer to the last one."""
    *before, last = documents(path)
    for document in before:
        made = server.send("POST", document).json()
        if "status" in document:
            made = server.send("PUT", {**made, "status": document["status"]}, "/status").json()
        last["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    return server.send("PUT" if before else "POST", last)


@pytest.mark.parametrize("path", examples("accepted"))
def test_accepted(server: Server, path: Path) -> None:
    """The API server takes the manifest, and warns of nothing."""
    answer = last_request(server, path)

    assert answer.ok, answer.text
    assert "Warning" not in answer.headers


@pytest.mark.parametrize("path", examples("refused"))
def test_refused(server: Server, path: Path) -> None:
    """The API server refuses the manifest with just the lines that the file begins with."""
    answer = last_request(server, path)

    assert not answer.ok
    assert told(answer) == expected(path)


def test_every_rule_has_an_example_that_it_refuses() -> None:
    """Each rule of the definitions, however it is written, is what refuses one of the examples."""
    refused = [(documents(path)[-1]["kind"], line) for path in HERE.glob("refused/*.yaml") for line in expected(path)]

    assert [str(rule) for rule in RULES if not any(rule.refuses(kind, line) for kind, line in refused)] == []


def test_every_rule_has_examples_up_to_its_edges() -> None:
    """Each rule accepts an example at each of its edges: the last value, each word, each branch, each way out."""
    accepted = [documents(path) for path in HERE.glob("accepted/*.yaml")]
    missing = {
        f"{rule}: {edge}"
        for rule in RULES
        for edge in rule.edges.keys()
        - {edge for *old, new in accepted for edge in rule.reached(old[-1] if old else None, new)}
    }

    assert sorted(missing) == []


def test_every_example_says_what_it_is_about() -> None:
    """An accepted file opens with its reason, a refused one with the lines that it expects."""
    openings = {path: path.read_text(encoding="utf-8") for path in HERE.glob("*/*.yaml")}

    assert [path for path, text in openings.items() if text.startswith(EXPECT) != (path.parent.name == "refused")] == []
    assert [path for path, text in openings.items() if not text.startswith("# ")] == []
