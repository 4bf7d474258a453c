"""Outages: one event per object when the cloud cannot be reached, and one when it can again.

An outage that an earlier process must have told is not told again, so that a restart during an outage is not heard.
"""

import logging
from collections.abc import Callable, Sequence

from qianfan_operator.api.common import Condition, Resource
from qianfan_operator.api.conditions import SYNCED, find
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.deadlines import seconds_between
from qianfan_operator.kube.events import Events
from qianfan_operator.reconcile.store import StoreEntry
from qianfan_operator.telemetry import caller

log = logging.getLogger(__name__)
LASTING = 60.0  # seconds; what is shorter heals before anybody could look
_REASONS = frozenset({Reason.CLOUD_UNAVAILABLE, Reason.THROTTLED})


class Outages:
    """Keeps since when each object is cut off. `boot` gives seconds; an outage is told when it lasts for `lasting`."""

    def __init__(self, events: Events, boot: Callable[[], float], lasting: float = LASTING) -> None:
        self._events, self._boot, self._lasting = events, boot, lasting
        self._started: float | None = None

    def begin(self, record: StoreEntry) -> None:
        """Note a call that failed and is repeated before anything is told of it."""
        if record.outage is None:
            record.outage, record.outage_told = self._boot(), False

    def note(self, record: StoreEntry, resource: Resource, before: Sequence[Condition], now: str) -> None:
        """Tell what has become of an outage, when a reconcile has ended; `before` is what the object said until then.

        `now` is the time as RFC 3339.
        """
        boot = self._boot()
        if self._started is None:
            self._started = boot
        said, known = find(resource.status.conditions, SYNCED), find(before, SYNCED)
        if known is not None and _is_outage(known) and record.outage is None:
            record.outage = boot - _age(known, now)
            record.outage_told = _is_outage(said) and record.outage + self._lasting <= self._started
        if not _is_outage(said):
            if said is not None and said.status != "False":
                self._over(record, resource, said, known)
            record.outage, record.outage_told = None, False
            return
        if record.outage is None:
            record.outage, record.outage_told = boot, False
        if not record.outage_told and said is not None and boot >= record.outage + self._lasting:
            lasts = f"This has lasted for more than {self._lasting:g} seconds. The last known state is kept."
            self._events.post(resource, "Warning", said.reason, f"{said.message} {lasts}")
            record.outage_told = True

    def _over(self, record: StoreEntry, resource: Resource, said: Condition, known: Condition | None) -> None:
        """Tell the end of an outage where its beginning was told: in the log, and in an event if it has lasted."""
        if record.outage is not None and _is_outage(known):
            seconds = round(self._boot() - record.outage)
            log.info("The cloud answers again", extra={**caller.about(), "seconds": seconds})
        if record.outage_told:
            self._events.recovered(resource, said)


def _is_outage(said: Condition | None) -> bool:
    return said is not None and said.status == "Unknown" and said.reason in _REASONS


def _age(condition: Condition, now: str) -> float:
    """Return the seconds since a condition changed; what others wrote there may be no time."""
    try:
        return max(0.0, seconds_between(condition.last_transition_time, now))
    except (ValueError, TypeError):
        return 0.0
