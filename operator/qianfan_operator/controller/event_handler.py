"""The event handler: from watch events to keys in the work queue.

The operator's own writes come back as events and must not cause a reconcile; a restart must not make a herd. As long as
another process leads, what is seen is only remembered.
"""

import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.keys import Key
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.kinds.interface import Kind
from qianfan_operator.kube.decoder import UNREADABLE, readable
from qianfan_operator.reconcile.backoff import LONG_WATCHED, Schedule, staggered
from qianfan_operator.reconcile.credentials import Credentials
from qianfan_operator.reconcile.key_checks import KeyChecks
from qianfan_operator.reconcile.predicates import (
    dependency_state,
    is_in_between,
    is_settled,
    needs_reconcile,
    update_index,
)
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import Source, Store, StoreEntry
from qianfan_operator.telemetry.redacted import RedactedDict

log = logging.getLogger(__name__)


class EventHandler:
    """Takes events of our kinds and of Secrets; called from the watch's thread only."""

    def __init__(
        self,
        kinds: Mapping[str, Kind[Any]],
        store: Store,
        queue: WorkQueue[Key],
        schedule: Schedule,
        credentials: Credentials,
        checks: KeyChecks,
        unwritten: Callable[[], Collection[Key]],
    ) -> None:
        self._kinds, self._store, self._queue, self._schedule = kinds, store, queue, schedule
        self._credentials, self._checks, self._unwritten = credentials, checks, unwritten
        self._leading = False
        self._unreadable_secrets: set[tuple[str, str]] = set()

    def lead(self) -> None:
        """Ask for a reconcile over all that is known and not finished, and from now on for what is seen."""
        self._leading = True
        for key in self._store.known():
            if record := self._store.get(key):
                self._resume(key, record)
                for where in record.secrets:
                    self._checks.follow(where, record)
                if record.body is not None and record.refers:  # what it waits for may have come meanwhile
                    self._queue.add(key, 0.0, Priority.RETRY)
        self._checks.lead()

    def unreadable_objects(self) -> Mapping[str, int]:
        """Count the objects and Secrets of which something cannot be read, by plural."""
        counts = self._store.unreadable()
        return {plural: counts[plural] for plural in self._kinds} | {"secrets": len(self._unreadable_secrets)}

    def handle(self, plural: str, event: str | None, raw: Mapping[str, Any]) -> None:
        """Take an event of one of our objects; `event` is None for the first listing, else ADDED, MODIFIED, DELETED."""
        metadata = raw["metadata"]
        key = Key(plural, metadata["namespace"], metadata["name"])
        if event == "DELETED":
            known = self._store.get(key)
            if known and known.uid == metadata["uid"]:
                self._store.forget(key)
                self._queue.forget(key)
                if key in self._unwritten():  # what was made for it is known to this process only, and goes on costing
                    self._queue.add(key, 0.0, Priority.DELETION)
                self._wake(key, known=True)
            return
        kind = self._kinds[plural]
        first = (known := self._store.get(key)) is None or known.uid != metadata["uid"]
        try:
            resource = kind.resource.parse_lenient(readable(raw))
        except Unreadable as error:
            self.unreadable(plural, raw, str(error))
            return
        wishes, resource = needs_reconcile(resource), resource.own()
        settled = is_settled(kind, resource)
        record = self._store.put(key, raw, not settled, Source.EVENT if event else Source.LISTED)
        if record is None:
            return
        if not self._leading:
            record.altered = 0  # it is the leader that writes
        cured = self._note(key, record, raw.get(UNREADABLE, ""))
        self._store.refer(key, kind.references(resource))
        sources = self._credentials.sources(resource)
        self._store.keyed_by(key, sources)
        update_index(self._store, record, kind, resource)
        signal = dependency_state(kind, resource)
        if signal != record.signal:
            record.signal = signal
            self._wake(key, known=not is_in_between(resource))
        anew, record.handled = set(wishes) - set(record.handled), wishes
        if not self._leading:
            return
        for where in sources:
            self._checks.follow(where, record)
        if first:
            self._resume(key, record)
        elif anew or cured:
            record.failures = record.looks = 0
            self._queue.add(key, 0.0, _priority(wishes))
        elif record.altered:
            again = self._schedule.in_a_row(self._queue.now() - record.altered_at)
            self._queue.add(key, self._schedule.altered(record.altered_again if again else 0), Priority.RETRY)

    def unreadable(self, plural: str, raw: Mapping[str, Any], what: str) -> None:
        """Take an object that cannot be used as it is. What is known of it stays known, and it counts as seen."""
        metadata = raw["metadata"]
        key = Key(plural, metadata["namespace"], metadata["name"])
        record = self._store.put(key, raw, keep_body=False, source=Source.LISTED)
        if record is None:
            return
        if record.signal is None:
            record.signal = UNREADABLE
        if self._note(key, record, what) and self._leading:
            self._queue.add(key, 0.0, Priority.URGENT)

    def _note(self, key: Key, record: StoreEntry, what: str) -> bool:
        """Note what cannot be read of an object, log it once, and say whether that is news."""
        if what == record.unreadable:
            return False
        if what:
            log.warning("An object cannot be read in full", extra={"object": str(key), "unreadable": what})
        else:
            log.info("An object can be read in full again", extra={"object": str(key)})
        record.unreadable, record.reported = what, record.reported if what else ""
        return True

    def _resume(self, key: Key, record: StoreEntry) -> None:
        """Ask for the first reconcile of this process over an object; what has no body is settled."""
        if record.handled or record.unreadable != record.reported:
            self._queue.add(key, 0.0, _priority(record.handled))
        elif record.body is not None and record.following:
            self._queue.add(key, self._schedule.after_restart(self._schedule.poll_min), Priority.RETRY)
        elif record.body is not None:
            record.looks = LONG_WATCHED  # else every restart would be followed by minutes of close looks at everything
            self._queue.add(key, self._schedule.after_restart(self._schedule.poll_max), Priority.POLL)
        elif not record.finished or self._checks.is_unproven(record):
            self._queue.add(key, self._schedule.after_restart(self._schedule.resync), Priority.POLL)

    def secret_seen(self, event: str | None, raw: Mapping[str, Any], data: RedactedDict) -> None:
        """Take an event of a Secret: when its keys changed they are checked, and who uses them is woken."""
        where = raw["metadata"]["namespace"], raw["metadata"]["name"]
        gone = event == "DELETED"
        self._note_secret(where, "" if gone else raw.get(UNREADABLE, ""))
        changed = self._credentials.changed(*where, None if gone else data, listed=event is None)
        if changed and self._leading:
            self._checks.changed(where, gone=gone)
        elif event is None and self._leading:
            self._checks.look_at_ended(where)

    def _note_secret(self, where: tuple[str, str], what: str) -> None:
        if what and where not in self._unreadable_secrets:
            words = {"secret": "/".join(where), "unreadable": what}
            log.warning("A Secret cannot be read in full; its keys can", extra=words)
            self._unreadable_secrets.add(where)
        elif not what:
            self._unreadable_secrets.discard(where)

    def _wake(self, key: Key, *, known: bool) -> None:
        """Wake who has waited for any change of an object, and, if it is known how it is now, who saw it otherwise.

        They come after what was asked of them, and one after the other if they are many.
        """
        if not self._leading:
            return
        users = dict.fromkeys((*self._store.waited(key), *(self._store.outdated(key) if known else ())))
        for user, after in staggered(users):
            self._queue.add(user, after, Priority.RETRY)


def _priority(wishes: Iterable[Hashable]) -> Priority:
    deleting = any(isinstance(wish, tuple) and wish[0] == "deleting" for wish in wishes)
    return Priority.DELETION if deleting else Priority.URGENT
