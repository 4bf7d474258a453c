"""The initial sync: whether the informer has brought every object that existed at the start.

What nobody refers to may be deleted, and what nobody holds be taken over; both can be told only then.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import KubeError
from qianfan_operator.reconcile.store import Store

log = logging.getLogger(__name__)
_PAUSE = 0.5  # seconds between two looks


class Lists(Protocol):
    """The part of `Kube` that is needed here."""

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        """Tell every object of a kind, with its uid; raises KubeError."""


class InitialSync:
    """Compares what the API server listed once with what the watch has brought since, until nothing of it is missing.

    What was listed then is only ever crossed off: objects that come and go without end cannot hold anybody up.
    """

    def __init__(self, kube: Lists, store: Store, plurals: Iterable[str]) -> None:
        self._kube, self._store, self._plurals = kube, store, tuple(plurals)
        self._left: dict[Key, str] | None = None  # what is still to be seen, by its uid; None: nothing is listed yet
        self._read = False

    def has_synced(self) -> bool:
        """Say whether all objects have been seen since the start; a later gap of the watch takes nothing back."""
        return self._read

    def look(self) -> bool:
        """List every kind once, and cross off what was seen since, or is gone by now; raises KubeError."""
        if self._read:
            return True
        first = self._left is None
        listed = self._listed(self._plurals) if self._left is None else self._left
        left = self._left = self._not_seen(listed)
        if left and not first:
            there = self._listed(sorted({key.plural for key in left}))
            self._left = self._not_seen({key: uid for key, uid in left.items() if there.get(key) == uid})
        self._read = not self._left
        return self._read

    async def complete(self) -> None:
        """Look until everything has been seen."""
        told = ""
        while True:
            began = time.monotonic()
            try:
                if await asyncio.to_thread(self.look):
                    return
            except KubeError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("The objects could not be listed", extra={"error": told})
            except Exception:
                log.exception("The objects could not be listed")
            await asyncio.sleep(max(_PAUSE, time.monotonic() - began))  # large lists are not asked for without a rest

    def _listed(self, plurals: Iterable[str]) -> dict[Key, str]:
        return dict(pair for plural in plurals for pair in self._kube.uids(plural))

    def _not_seen(self, listed: Mapping[Key, str]) -> dict[Key, str]:
        return {key: uid for key, uid in listed.items() if not self._seen(key, uid)}

    def _seen(self, key: Key, uid: str) -> bool:
        record = self._store.get(key)
        return (
            record is not None and record.uid == uid and record.signal is not None
        )  # the last that the event handler sets
