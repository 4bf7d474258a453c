"""Every sentence that a user can meet, collected from the code for docs/messages.md.

A sentence that is put together at run time is shown with its parts in braces.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qianfan_operator.api import KINDS
from qianfan_operator.api.crds import definition

ROOT = Path(__file__).parents[1] / "operator" / "qianfan_operator"
_LOGS = ("debug", "info", "warning", "error", "exception", "critical")
_METRICS = {"Counter", "Gauge", "Histogram"}
_NOT_SHOWN = {"Field", "Column", "AssertionError", "TypeError", "compile", "join", "dumps", "add_argument", *_METRICS}
_ADMISSION = {"cel.py", "crds.py"}  # their sentences are those of `admission`
_ROOMS = ("api", "cloud", "kinds", "kube", "reconcile")
_WORDS = 3  # what has fewer is a part of a sentence, or no sentence


def log_lines() -> str:
    """Make the table of log messages: level, message, module."""
    logged = {(text_of(node.args[0]), node.func.attr, where) for node, where in _calls() if _is_log(node)}
    found = sorted(each for each in logged if each[0])
    rows = [f"| {_cell(text)} | {level.replace('exception', 'error')} | `{where}` |" for text, level, where in found]
    return "\n".join(["| message | level | module |", "| --- | --- | --- |", *rows]) + "\n"


def admission() -> str:
    """Make the list of the messages of all validation rules."""
    rules = {rule for kind in KINDS for rule in _rules(definition(kind))}
    return "\n".join(f"- {_cell(rule)}" for rule in sorted(rules)) + "\n"


def start_up() -> str:
    """Make the list of what the process says when it refuses its settings."""
    return "\n".join(f"- {_cell(text)}" for text in sorted(_sentences(ROOT / "settings.py"))) + "\n"


def conditions() -> str:
    """Make a table of the sentences of conditions and events, and their parts, for each module."""
    parts = []
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.name not in _ADMISSION and (found := sorted(_sentences(path))):
                rows = "\n".join(f"- {_cell(text)}" for text in found)
                parts.append(f"**`{path.relative_to(ROOT)}`**\n\n{rows}\n")
    return "\n".join(parts)


def text_of(node: ast.expr) -> str:
    """Return a string literal, or an f-string with its expressions in braces; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else f"{{{_name(part)}}}" for part in node.values)
        return "".join(map(str, parts))
    return ""


def _name(part: ast.expr) -> str:
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return ast.unparse(value) if isinstance(value, ast.Name | ast.Attribute) else "..."


def _sentences(path: Path) -> set[str]:
    """Find the texts of a module that are shown: no docstrings, no log messages, no descriptions of fields."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (_is_log(node) or _called(node) in _NOT_SHOWN):
            left_out |= {id(inner) for inner in ast.walk(node)}
        elif isinstance(node, ast.Expr):  # docstrings
            left_out.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            left_out |= {id(inner) for part in node.values for inner in ast.walk(part)}
    texts = (text_of(node) for node in ast.walk(tree) if isinstance(node, ast.expr) and id(node) not in left_out)
    return {text.strip() for text in texts if len(text.split()) >= _WORDS and not _is_code(text)}


def _is_code(text: str) -> bool:
    """Say whether a text is an expression of CEL, or Markdown."""
    return any(sign in text for sign in ("&&", "||", " == ", "has(", "| ---", "| variable", "`QIANFAN_{"))


def _calls() -> Iterator[tuple[Any, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                yield node, str(path.relative_to(ROOT))


def _is_log(node: ast.Call) -> bool:
    function = node.func
    return isinstance(function, ast.Attribute) and function.attr in _LOGS and ast.unparse(function.value) == "log"


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _rules(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (rule["message"] for rule in part.get("x-kubernetes-validations", ()) if "message" in rule)
        for value in part.values():
            yield from _rules(value)
    elif isinstance(part, list):
        for value in part:
            yield from _rules(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
