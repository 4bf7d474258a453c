"""What was measured, beside what was to be reached."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number. `goal` is the most that it should be; None for what only explains the others."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Say whether the goal is reached; None if there is none."""
        return None if self.goal is None else self.value <= self.goal


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of the values that at least `share` of them (0 to 1) do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def spread(name: str, seconds: Sequence[float], goals: tuple[float, float] | None = None) -> list[Figure]:
    """Return p50 and p99 of times in seconds as figures in ms; `goals` are those of the two."""
    p50, p99 = goals or (None, None)
    return [
        Figure(f"{name}, p50", percentile(seconds, 0.5) * 1000, "ms", p50),
        Figure(f"{name}, p99", percentile(seconds, 0.99) * 1000, "ms", p99),
    ]


def table(figures: Sequence[Figure]) -> str:
    """Render the figures for people; what falls short is marked."""
    rows = [("", "goal", "here", "", "")]
    for figure in figures:
        goal = "" if figure.goal is None else f"<= {_short(figure.goal)}"
        rows.append(
            (figure.name, goal, _short(figure.value), figure.unit, "falls short" if figure.met is False else "")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for name, goal, value, unit, mark in rows:
        cells = name.ljust(widths[0]), goal.rjust(widths[1]), value.rjust(widths[2]), unit.ljust(widths[3]), mark
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Describe what the figures depend on; `load` is the machine's load average of the last minute."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def as_json(figures: Sequence[Figure], begin: dict[str, Any]) -> dict[str, Any]:
    """Return what a program wants to know: the machine as it was at the beginning, and every figure."""
    return {"machine": begin, "figures": [{**asdict(figure), "met": figure.met} for figure in figures]}


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
