"""The figures that proofs come to, as a table at the end."""

from collections.abc import Callable
from typing import Any

import pytest

_FIGURE = "figure"
Figures = Callable[[str, object], None]
_rows: dict[str, Any] = {}


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Supply what adds a row to the table: what was counted, and how much of it there is; several tests add up."""
    properties = request.node.user_properties  # they find their way here from a worker of xdist, too

    def add(what: str, value: object) -> None:
        properties.append((_FIGURE, (what, value)))

    return add


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the rows of a test that has ended."""
    if report.when == "call":
        for what, value in (row for name, row in report.user_properties if name == _FIGURE):  # type: ignore[misc]
            _rows[what] = _rows[what] + value if what in _rows and isinstance(value, int) else value


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if _rows:
        terminalreporter.section("figures")
        width = max(len(what) for what in _rows)
        for what, value in _rows.items():
            terminalreporter.write_line(
                f"{what:{width}}  {value:>9}" if isinstance(value, str) else f"{what:{width}}  {value:>9,}"
            )
