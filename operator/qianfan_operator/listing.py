"""Whether the watch has brought every object that there was when the process began (design 5.11).

What nobody refers to may be deleted, and what nobody holds be taken over; both can be told only then.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from qianfan_operator.keys import Key
from qianfan_operator.store import Store

log = logging.getLogger(__name__)
_PAUSE = 0.5  # seconds between two looks


class Lists(Protocol):
    """The part of `Kube` that is needed here."""

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        """Tell every object of a kind, with its uid; raises KubeError."""


class Listing:
    """Compares what the API server lists with what the watch has brought; that is asked for until they agree once."""

    def __init__(self, kube: Lists, store: Store, plurals: Iterable[str]) -> None:
        self._kube, self._store, self._plurals = kube, store, tuple(plurals)
        self._read = False

    def read(self) -> bool:
        """Say whether all objects have been seen since the start; a later gap of the watch takes nothing back."""
        return self._read

    def look(self) -> bool:
        """List every kind, unless that is done, and compare; raises KubeError."""
        self._read = self._read or all(
            self._seen(key, uid) for plural in self._plurals for key, uid in self._kube.uids(plural)
        )
        return self._read

    async def complete(self) -> None:
        """Look until everything has been seen."""
        while True:
            began = time.monotonic()
            try:
                if await asyncio.to_thread(self.look):
                    return
            except Exception:
                log.exception("The objects could not be listed")
            await asyncio.sleep(max(_PAUSE, time.monotonic() - began))  # large lists are not asked for without a rest

    def _seen(self, key: Key, uid: str) -> bool:
        record = self._store.get(key)
        return record is not None and record.uid == uid and record.signal is not None  # the last that intake sets
