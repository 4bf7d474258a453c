"""docs/logging.md lists every message of the operator's own code, with its level, and each field; no more."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
METHODS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR",
           "critical": "CRITICAL"}  # fmt: skip
AT_CHOSEN_LEVELS = {"cloud call": {"INFO", "DEBUG"}, "cloud call failed": {"INFO", "WARNING"}}
ALWAYS = {"time", "level", "logger", "message", "exception", "stack"}


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the first table under a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in the operator's code, by its method."""
    for path in sorted((ROOT / "operator" / "qianfan_operator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                if isinstance(of, ast.Name) and of.id == "log" and node.func.attr in {*METHODS, "log"}:
                    yield node.func.attr, node


def told() -> dict[str, set[str]]:
    """The levels of each message."""
    found = defaultdict(set)
    for method, node in calls():
        text = node.args[1 if method == "log" else 0]
        assert isinstance(text, ast.Constant), f"line {node.lineno}: a message is a fixed text"
        message = str(text.value)
        found[message] |= AT_CHOSEN_LEVELS[message] if method == "log" else {METHODS[method]}
    return found


def test_every_message_is_documented_with_its_level() -> None:
    """And what is documented is said somewhere."""
    documented = {row[0].strip("`"): set(row[1].split(", ")) for row in rows("Messages")}
    assert documented == told()


def test_every_field_is_documented() -> None:
    """Fields are named where they are made: in dict literals of the modules that log."""
    documented = {name for row in rows("Fields") for name in re.findall(r"`(\w+)`", row[0])}
    named = set()
    for _, node in calls():
        for keyword in node.keywords:
            if keyword.arg == "extra":
                literals = [one for one in ast.walk(keyword.value) if isinstance(one, ast.Dict)]
                keys = [key.value for one in literals for key in one.keys if isinstance(key, ast.Constant)]
                named |= set(keys)
    assert {"object", "error", "ids"} <= named
    assert named - documented == set()


def test_the_documented_causes_are_those_that_there_are() -> None:
    """The list of causes is closed."""
    from qianfan_operator.telemetry.caller import ChangeCause

    section = PAGE.partition("| `cause` | why |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [cause.value for cause in ChangeCause]
