"""Fill the generated blocks of the documents: `make docs`. A test runs it with --check, which only says what is stale.

The folder tests/ must be on the path: what the tools make of our statuses is known there.

A block stands between `<!-- NAME -->` and `<!-- end of NAME -->`; the names are the keys of BLOCKS.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import messages

import matrix
from qianfan_operator import settings
from qianfan_operator.api.common import Part
from qianfan_operator.api.job import JobSpec, JobStatus
from qianfan_operator.api.model import ModelSpec, ModelStatus
from qianfan_operator.api.service import ServiceSpec, ServiceStatus

ROOT = Path(__file__).parents[1]


def parts(annotation: Any) -> Iterator[tuple[type[Part], str]]:
    """Find the models inside a field's type, each with `[]` if it is the item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation, ""
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        suffix = "[]" if get_origin(annotation) is tuple else ""
        for inner in get_args(annotation):
            yield from ((part, suffix + more) for part, more in parts(inner))


def rows(model: type[Part], path: str = "") -> Iterator[str]:
    """Describe the fields of a model and of the models inside it, a row of a table each."""
    for field in model.model_fields.values():
        name = f"{path}{field.alias}"
        default = field.default
        plain = isinstance(default, str | int) and default != ""
        words = (
            "required" if field.is_required() else f"`{str(default).lower() if default in (True, False) else default}`"
        )
        text = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {words if plain or field.is_required() else ''} | {text} |"
        for part, suffix in parts(field.annotation):
            if part.__name__ not in {"Condition", "Pending", "LastError"}:  # docs/reasons.md tells of these
                yield from rows(part, f"{name}{suffix}.")


def fields(model: type[Part]) -> str:
    """Make the table of a spec or a status."""
    return "\n".join(["| field | default | meaning |", "| --- | --- | --- |", *rows(model)]) + "\n"


def modules(package: str) -> str:
    """Make the map of a package: every module with the summary of its docstring, a table for each room."""
    root = ROOT / "operator" / package
    by_room: dict[Path, list[Path]] = {}
    for path in sorted(root.rglob("*.py")):
        by_room.setdefault(path.parent, []).append(path)
    return "\n\n".join(_room(root, room, paths) for room, paths in sorted(by_room.items())) + "\n"


def _room(root: Path, room: Path, paths: list[Path]) -> str:
    summary = {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0] for path in paths}
    rows = [f"| `{stem}.py` | {' '.join(text.split())} |" for stem, text in summary.items() if stem != "__init__"]
    name = room.relative_to(root.parent)
    return "\n".join([f"### `{name}/`", "", summary.get("__init__", ""), "", "| module | is |", "| --- | --- |", *rows])


def metrics() -> str:
    """Make the table of all metrics, as telemetry/metrics.py declares them."""
    tree = ast.parse((ROOT / "operator/qianfan_operator/telemetry/metrics.py").read_text(encoding="utf-8"))
    declared = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    lines = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for call in declared:
        sort = ast.unparse(call.func).lower()
        if sort in {"counter", "gauge", "histogram"}:
            name, meaning, *labels = (ast.literal_eval(argument) for argument in call.args)
            names = ", ".join(f"`{label}`" for label in (labels[0] if labels else []))
            lines.append(f"| `{name}` | {sort} | {names} | {meaning} |")
    return "\n".join(lines) + "\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "start-up messages": messages.start_up,
    "admission messages": messages.admission,
    "condition messages": messages.conditions,
    "log messages": messages.log_lines,
    "metrics": metrics,
    "modules": partial(modules, "qianfan_operator"),
    "settings": settings.table,
    "situations": matrix.table,
    "job spec": partial(fields, JobSpec),
    "job status": partial(fields, JobStatus),
    "model spec": partial(fields, ModelSpec),
    "model status": partial(fields, ModelStatus),
    "service spec": partial(fields, ServiceSpec),
    "service status": partial(fields, ServiceStatus),
}


def fill(text: str) -> str:
    """Put the present content into every block of a page."""
    for name, content in BLOCKS.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        if opening:
            _, ending, after = rest.partition(f"<!-- end of {name} -->")
            text = f"{before}{opening}\n{content()}\n{ending}{after}"
    return text


def main(words: list[str]) -> int:
    """Fill all pages; with --check change nothing, and return 1 if a page is stale."""
    stale = [
        page
        for page in [ROOT / "README.md", ROOT / "operator/README.md", *sorted((ROOT / "docs").glob("*.md"))]
        if fill(page.read_text()) != page.read_text()
    ]
    for page in stale:
        if "--check" in words:
            sys.stderr.write(f"{page.relative_to(ROOT)} is stale: make docs\n")
        else:
            page.write_text(fill(page.read_text()))
    return 1 if stale and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
