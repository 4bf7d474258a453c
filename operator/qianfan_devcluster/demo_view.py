"""What the demo shows: a live table on a terminal, one line per change elsewhere, and the picture in the README."""

import html
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

_WIDTH = 112  # columns of the picture
_BAR = 20
_REASON = 22  # the longest reason that the operator gives
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TEXT = re.compile(r'<text class="(demo-r\d+)" x="([\d.]+)" (y="[\d.]+") textLength="([\d.]+)" ([^>]*)>([^<]*)</text>')


def _without_edges(found: re.Match[str]) -> str:
    """Begin and end a piece of text where something can be seen: some viewers drop the spaces at its edges."""
    style, x, y, length, more, text = found.groups()
    words = html.unescape(text)
    if not (seen := words.strip()):
        return ""
    cell = float(length) / len(words)
    begin = float(x) + cell * (len(words) - len(words.lstrip()))
    shown = html.escape(seen).replace("\N{NO-BREAK SPACE}", "&#160;")
    return f'<text class="{style}" x="{begin:.1f}" {y} textLength="{cell * len(seen):.1f}" {more}>{shown}</text>'


@dataclass(frozen=True)
class Row:
    """One custom resource as the demo shows it; two equal rows are no news."""

    name: str  # "job/essay"
    ready: str  # True, False or "" before the operator has seen it
    reason: str
    message: str
    stalled: bool
    progress: int | None  # per cent of a training
    url: str | None

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> Self:
        """Read the row from an object of the API server, however little its status has yet."""
        status = resource.get("status", {})
        conditions = {one["type"]: one for one in status.get("conditions", [])}
        ready = conditions.get("Ready", {})
        kind = str(resource["kind"]).removeprefix("Qianfan").lower()
        return cls(
            name=f"{kind}/{resource['metadata']['name']}",
            ready=ready.get("status", ""),
            reason=ready.get("reason", ""),
            message=ready.get("message", ""),
            stalled=conditions.get("Stalled", {}).get("status") == "True",
            progress=status.get("progress"),
            url=status.get("url"),
        )

    @property
    def style(self) -> str:
        """Green when it can be used, red when a person must act, yellow on the way."""
        return "green" if self.ready == "True" else "red" if self.stalled else "yellow"

    def bar(self) -> Text:
        """Draw how far it is: a training by its progress, everything else by whether it is ready."""
        percent = 100 if self.ready == "True" else self.progress or 0
        full = round(_BAR * percent / 100)
        return Text.assemble(("━" * full, self.style), ("━" * (_BAR - full), "bright_black"), f" {percent:3d}%")


class View:
    """Tells the story to people; keeps it for the picture.

    A context manager: inside it a terminal shows the table live, under the lines told so far; at its end the last state
    stays, on the terminal and in the picture.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:  # a file or a pipe has no width; rich would cut at 80
            self._console.width = max(self._console.width, _WIDTH)
        self._record = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._rows: dict[str, Row] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for console in (self._console, self._record):
            console.print()
            console.print(self._table())

    def tell(self, line: str = "") -> None:
        """Print a line (rich markup), and keep it for the picture."""
        self._console.print(line, soft_wrap=True)
        self._record.print(line)

    def step(self, seconds: float, what: str, detail: str = "") -> None:
        """Print that something was reached `seconds` after the start."""
        self.tell(f"[bright_black]{seconds:5.1f} s[/]  {what:<20} [bright_black]{escape(detail)}[/]")

    def show(self, seconds: float, resources: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Show the objects as they are now; only what changed makes a line. Returns all rows."""
        rows = [Row.of(resource) for resource in resources]
        for row in rows:
            if row != self._rows.get(row.name) and row.reason:
                self._line(seconds, row)
            self._rows[row.name] = row
        if self._console.is_terminal:
            self._live.update(self._table(), refresh=True)
        return rows

    def _line(self, seconds: float, row: Row) -> None:
        percent = f"{row.progress}%" if row.progress is not None and row.ready != "True" else ""
        line = (
            f"[bright_black]{seconds:5.1f} s[/]  {row.name:<20} [{row.style}]{row.reason:<{_REASON}}[/]"
            f" {percent:>4}  {escape(row.message)}"
        )
        if not self._console.is_terminal:
            self._console.print(line, soft_wrap=True)
        self._record.print(line, overflow="ellipsis", no_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading, width in (("object", 13), ("progress", _BAR + 5), ("ready", _REASON), ("message", None)):
            table.add_column(heading, header_style="bright_black", no_wrap=True, min_width=width)
        for row in self._rows.values():
            table.add_row(row.name, row.bar(), Text(row.reason or "-", row.style), escape(row.message))
        return table

    def export_svg(self, path: Path, title: str) -> None:
        """Write all that was told as a picture that needs no font or file from elsewhere."""
        picture = self._record.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id="demo")
        picture = _TEXT.sub(_without_edges, _FONT.sub("", picture)).replace(
            "Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas"
        )
        path.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")
