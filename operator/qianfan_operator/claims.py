"""The one door through which an object comes to hold a thing of the cloud: two must never act on one (design 5.11)."""

from collections.abc import Callable
from typing import Any

from qianfan_operator.api.common import Resource
from qianfan_operator.conditions import Synced, Verdict
from qianfan_operator.external import Hold, Kind, Record, Updates, confirming
from qianfan_operator.keys import Key, Thing
from qianfan_operator.reasons import Reason
from qianfan_operator.store import Store
from qianfan_operator.subject import Subject

_SOON = 1.0  # seconds; the first listing is read by then, mostly
_UNLISTED = "Waiting until all objects have been listed since the start: another one may hold what was found."


class Claims:
    """Reserves what is about to be recorded; what is recorded is held from the status on."""

    def __init__(self, store: Store, fetch: Callable[[Key], Resource | None], listed: Callable[[], bool]) -> None:
        self._store, self._fetch, self._listed = store, fetch, listed

    def claim(self, subject: Subject, updates: Updates) -> Updates | Hold:
        """Return what of `updates` the object may record, without what others hold; a Hold if that leaves no sense."""
        wanted = _new(subject, updates)
        if wanted and not self._listed():
            return confirming(_SOON, _UNLISTED)
        lost = {thing: holder for thing in wanted if (holder := self._holder(subject.key, thing))}
        if not lost:
            return updates
        mine = subject.kind.without(subject.resource, updates, lost)
        still = [lost[thing] for thing in _new(subject, mine) if thing in lost]
        return self._managed(subject, min(still)) if still else mine

    def record(self, subject: Subject, step: Record) -> Record | Hold:
        """Turn a step into what of it the object may record."""
        mine = self.claim(subject, step.updates)
        if not isinstance(mine, Hold):
            return Record(mine)
        if mine.verdict.reason is Reason.ALREADY_MANAGED and subject.resource.metadata.deletion_timestamp:
            return Record({"pending": None})  # what was found is not ours to release
        return mine

    def _holder(self, key: Key, thing: Thing) -> Key | None:
        holder = self._store.claim(key, thing)
        if holder is not None and self._fetch(holder) is None:
            self._store.forget(holder)  # it went during a gap of the watch
            holder = self._store.claim(key, thing)
        return holder

    def _managed(self, subject: Subject, holder: Key) -> Hold:
        self._store.wait_for(subject.key, [holder])
        kind = subject.resource.kind  # a thing is held by objects of one kind only
        held = f"What was found in the cloud is held by {kind} {holder.name} in namespace {holder.namespace}."
        message = f"{held} Delete this object; to have it here, delete that one, with deletionPolicy: Orphan."
        return Hold(Verdict(False, Reason.ALREADY_MANAGED, message, stalled=True, synced=Synced("False")))


def _new(subject: Subject, updates: Updates) -> frozenset[Thing]:
    kind: Kind[Any] = subject.kind
    status = subject.resource.status
    return kind.holds(status.model_copy(update=dict(updates))) - kind.holds(status)
