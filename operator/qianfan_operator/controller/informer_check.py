"""The liveness of the informer: compares periodic lists with what the watches have brought.

From time to time the kinds are listed, metadata only, and compared with what the watch has brought. What it has missed
for a while is listed anew by the watch; what is missed for longer makes `/healthz` fail, and in the end the process
ends. An API server that is away is not the watch's fault: while it lists nothing, nobody's time runs.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from qianfan_operator.api.keys import Key
from qianfan_operator.reconcile.store import Store
from qianfan_operator.telemetry import metrics

log = logging.getLogger(__name__)

INTERVAL, PATIENCE = 20.0, 60.0  # seconds, if nobody says otherwise
_SHARE = 10  # times the length of a look lie between two: a large list takes little of the whole
_ANEW, _ENDS = 1 / 3, 3.0  # times the patience after which a kind is listed anew, and after which nothing helps
_GONE = -1  # the version of what is not there any more


class Deaf(Exception):
    """The watch has missed something for too long."""


class Lists(Protocol):
    """The part of `Kube` that is needed here."""

    def versions(self, plural: str) -> Iterator[tuple[Key, str, int]]:
        """Tell every object of a kind, with its uid and version; raises KubeError."""


class Hearing(Protocol):
    """The part of `Watch` that is needed here."""

    def begin_anew(self, plural: str) -> None:
        """Have a kind listed anew."""

    def fail(self, error: Exception) -> None:
        """End the watch: it cannot go on."""


class Missed(NamedTuple):
    """What the watch has not brought, and for how many seconds in which lists could be read."""

    uid: str
    version: int
    seconds: float

    def later(self, passed: float) -> "Missed":
        """Say the same after some time."""
        return self._replace(seconds=self.seconds + passed)


class InformerCheck:
    """Compares lists with the store, kind by kind; `look` is called from one thread at a time."""

    def __init__(
        self, kube: Lists, store: Store, plurals: Iterable[str], hearing: Hearing, clock: Callable[[], float],
        deleted: Callable[[str, str, Mapping[str, Any]], object], *, interval: float = INTERVAL,
        patience: float = PATIENCE,
    ) -> None:  # fmt: skip
        self._kube, self._store, self._plurals, self._hearing = kube, store, tuple(plurals), hearing
        """`deleted` takes an event; the watch tells nothing of what went while it was being opened anew."""
        self._deleted = deleted
        self._clock, self._interval, self._patience = clock, interval, patience
        self._missed: dict[str, dict[Key, Missed]] = {plural: {} for plural in self._plurals}
        self._looked: dict[str, float | None] = dict.fromkeys(self._plurals)
        self._anew: set[str] = set()

    def liveness_error(self) -> str:
        """Say which kind's watch has missed something for too long; empty if none has."""
        deaf = [plural for plural in self._plurals if self._worst(plural) >= self._patience]
        return f"the watch of {', '.join(deaf)} has missed something for {self._patience:g} s" if deaf else ""

    def look(self, plural: str) -> float:
        """List a kind and compare; returns for how many seconds the watch has missed something of it."""
        before, now = self._looked[plural], self._clock()
        self._looked[plural] = None  # unless it can be listed, no time passes
        missed = self._find_missed(plural, 0.0 if before is None else min(now - before, self._patience / 2))
        self._missed[plural], self._looked[plural] = missed, now
        metrics.MISSED.labels(plural).set(len(missed))
        return self._worst(plural)

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            began = self._clock()
            for plural in self._plurals:
                try:
                    self.act(plural, await asyncio.to_thread(self.look, plural))
                except Exception as error:  # of whatever kind, it says nothing of the watch
                    log.warning("The informer cannot be checked", extra={"kind": plural, "error": str(error)[:300]})
            await asyncio.sleep(max(self._interval, _SHARE * (self._clock() - began)))

    def act(self, plural: str, missed: float) -> None:
        """Do what helps a kind that missed something for so many seconds; called from the watch's thread."""
        if missed < _ANEW * self._patience:
            self._anew.discard(plural)
        elif plural not in self._anew:
            self._anew.add(plural)
            log.warning("The watch has missed something; it is listed anew", extra=self._words(plural))
            self._hearing.begin_anew(plural)
            for key, missed_object in self._missed[plural].items():
                if missed_object.version == _GONE:
                    named = {"namespace": key.namespace, "name": key.name, "uid": missed_object.uid}
                    self._deleted(plural, "DELETED", {"metadata": named})
        if missed >= _ENDS * self._patience:
            self._hearing.fail(Deaf(f"the watch of {plural} has missed something for {missed:.0f} s"))

    def _words(self, plural: str) -> Mapping[str, object]:
        keys = sorted(map(str, self._missed[plural]))
        return {"kind": plural, "count": len(keys), "objects": keys[:3]}

    def _worst(self, plural: str) -> float:
        return max((seconds for _, _, seconds in tuple(self._missed[plural].values())), default=0.0)

    def _find_missed(self, plural: str, passed: float) -> dict[Key, Missed]:
        before, found = self._missed[plural], {}
        unlisted = {key for key in self._store.known() if key.plural == plural}
        for key, uid, version in self._kube.versions(plural):
            unlisted.discard(key)
            was = before.get(key)
            if was and was.uid == uid and was.version != _GONE and not self._has(key, uid, was.version):
                found[key] = was.later(passed)  # counted from the first version that was missed
            elif not self._has(key, uid, version):
                found[key] = Missed(uid, version, 0.0)
        for key in unlisted:
            if record := self._store.get(key):
                was = before.get(key)
                same = was and was[:2] == (record.uid, _GONE)
                found[key] = was.later(passed) if was and same else Missed(record.uid, _GONE, 0.0)
        return found

    def _has(self, key: Key, uid: str, version: int) -> bool:
        """Say whether the watch, or a write of ours, has brought an object in this version or a later one."""
        record = self._store.get(key)
        return record is not None and record.uid == uid and record.version >= version and record.signal is not None
