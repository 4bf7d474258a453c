"""Looking at processes and at the API server's audit log from outside, so that what is measured need not help."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qianfan_operator.api.common import GROUP

_TICKS = os.sysconf("SC_CLK_TCK")
_WRITES = {"create", "update", "patch", "delete"}


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kib) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in user and kernel, with all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Write:
    """One write to one of our objects, as the API server saw it."""

    user: str
    verb: str
    resource: str
    subresource: str
    name: str
    code: int


class AuditLog:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""

    def skip(self) -> None:
        """Leave out what is there by now."""
        self._at, self._rest = self._path.stat().st_size, b""

    def writes(self, user: str) -> Iterator[Write]:
        """Read the writes to our objects by users whose name ends so, since the last reading."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            *lines, self._rest = (self._rest + log.read()).split(b"\n")
            self._at = log.tell()
        for line in lines:
            event = json.loads(line)
            about = event.get("objectRef", {})
            if about.get("apiGroup") != GROUP or event["verb"] not in _WRITES:
                continue
            if event["user"]["username"].endswith(user):
                yield Write(
                    event["user"]["username"],
                    event["verb"],
                    about["resource"],
                    about.get("subresource", ""),
                    about.get("name", ""),
                    event.get("responseStatus", {}).get("code", 0),
                )
