"""What the demo shows can be read, whatever happens in it."""

import io
import re

import pytest
from rich.console import Console

from qianfan_devcluster.demo_view import View
from qianfan_operator.api.reasons import Reason

MESSAGE = "QianfanModel essay is not ready yet."


def shown(reason: str, progress: int | None, width: int) -> list[str]:
    """The lines about an object with this reason, on what is no terminal."""
    out = io.StringIO()
    condition = {"type": "Ready", "status": "False", "reason": reason, "message": MESSAGE}
    status = {"progress": progress, "conditions": [condition]}
    view = View(Console(file=out, width=width, highlight=False))
    with view:
        view.show(1.0, [{"kind": "QianfanService", "metadata": {"name": "essay"}, "status": status}])
    return [line.rstrip() for line in out.getvalue().splitlines() if "service/essay" in line]


@pytest.mark.parametrize("progress", [None, 0, 99])
@pytest.mark.parametrize("reason", Reason)
def test_no_two_columns_touch(reason: Reason, progress: int | None) -> None:
    """Every reason stands apart from the message, which is whole and begins at one place for all of them."""
    line, row = shown(reason, progress, 80)
    assert re.search(rf"essay +{reason}  ", line)
    assert re.search(rf"  {reason}  +{MESSAGE}$", row)
    assert line.index(MESSAGE) == shown(Reason.GONE, None, 80)[0].index(MESSAGE)
    assert f"  {MESSAGE}" in line
