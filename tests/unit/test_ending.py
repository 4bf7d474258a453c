"""How the process ends: what its exit code says, and what becomes of the Lease."""

import asyncio
import logging
from dataclasses import dataclass
from typing import cast

import pytest

from qianfan_operator.__main__ import LOST, UNFINISHED, _end, _warn
from qianfan_operator.cloud.config import INSECURITIES, CloudSettings
from qianfan_operator.controller.workers import Workers
from qianfan_operator.kube.leader_election import Election
from qianfan_operator.telemetry import metrics


@dataclass
class End:
    """Workers that end, or do not, and an election; each notes what it was asked for."""

    finished: bool
    released: bool = False

    def stop(self) -> bool:
        """End the workers."""
        return self.finished

    def release(self) -> bool:
        """Give the Lease back."""
        self.released = True
        return True


def ended(end: End, code: int) -> int:
    return asyncio.run(_end(cast("Workers", end), cast("Election", end), code))


@pytest.mark.parametrize("code", [0, LOST])
def test_a_finished_end_gives_the_lease_back(code: int) -> None:
    """Nobody has to wait for a Lease to run out, and the code says why it ended."""
    end = End(finished=True)
    assert ended(end, code) == code
    assert end.released


@pytest.mark.parametrize(("finished", "code", "told"), [(True, 0, (0, True)), (False, 0, (UNFINISHED, False))])
def test_the_last_line_says_that_the_process_has_ended(
    finished: bool, code: int, told: tuple[int, bool], caplog: pytest.LogCaptureFixture
) -> None:
    """After `Stopping` comes what the exit code is, and whether somebody else can lead at once."""
    with caplog.at_level(logging.INFO):
        ended(End(finished=finished), code)
    assert [record.getMessage() for record in caplog.records] == ["Stopping", "Ended"]
    assert (vars(caplog.records[-1])["exit_code"], vars(caplog.records[-1])["released"]) == told


def test_an_unfinished_end_keeps_the_lease_and_says_so() -> None:
    """What still hangs in a call is over with the process; until the Lease has run out nobody else begins."""
    end = End(finished=False)
    assert ended(end, 0) == UNFINISHED
    assert not end.released


@pytest.mark.parametrize(
    ("settings", "causes"),
    [({}, set()), ({"base_url": "http://cloud"}, {"http"}), ({"verify_tls": False}, {"unverified"})],
)
def test_an_insecure_way_is_told(settings, causes: set[str], caplog: pytest.LogCaptureFixture) -> None:
    """Once in the log, and in a metric that has both causes, so that an alert can be written before it happens."""
    with caplog.at_level(logging.WARNING):
        _warn(CloudSettings(**settings))
    assert len(caplog.records) == len(causes)
    for cause in INSECURITIES:
        shown = metrics.REGISTRY.get_sample_value("qianfan_insecure_transport", {"cause": cause})
        assert shown == float(cause in causes)
