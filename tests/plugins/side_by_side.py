"""Which tests may run side by side (`pytest -n`): all, but that the stories of tests/e2e share two stages.

The proofs, which take minutes, begin first, and of them the storm, so that no worker ends with one of them alone.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FIRST, SECOND = "first stage", "second stage"
_SECOND = tuple(f"tests/e2e/test_{what}.py" for what in ("leader", "definitions", "trouble"))  # half of the time


class Stages(LoadScopeScheduling):
    """Gives the tests of one scope to one worker, the largest scope first."""

    def _split_scope(self, nodeid: str) -> str:
        """Name the scope of a test: the last stories judge what all of a stage left, every other test is on its own."""
        if not nodeid.startswith("tests/e2e/"):
            return nodeid
        return SECOND if nodeid.endswith(f"[{SECOND}]") or nodeid.startswith(_SECOND) else FIRST


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; all others stay in their order."""
    items.sort(key=lambda item: (item.get_closest_marker("proof") is None, "test_storm" not in item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Stages:
    """Have xdist schedule by these scopes."""
    return Stages(config, log)
