"""Watching processes that are not our children, or no longer: until they have ended, without asking twice."""

import os
import select
from collections.abc import Iterable


def gone(pids: Iterable[int], seconds: float = 60) -> bool:
    """Whether all these processes end before the time is up (the answer comes as soon as they have)."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], seconds)
        finally:
            os.close(handle)
        if not ended:
            return False
    return True
