"""The moments at which a process is killed: drawn by chance, and counted in what it does, so that none needs a clock.

The worst are those in which a create is under way: just after its intent was written, just after the cloud executed it
and before the reply goes out, just after the reply. All others are as good as any.
"""

import logging
import random
import threading
from collections import Counter
from enum import StrEnum

from e2e.history import History, Object

_CREATES = frozenset({"createTask", "createJob", "publishTrainModel", "apply", "ModifyService"})
_LONGEST_HOLD = 10  # seconds
_START, _PATIENCE = 15, 2  # seconds for a process to make its first call, and then for the moment to come


class Kind(StrEnum):
    """What is counted until the kill."""

    CALL = "after a call"
    REPLY = "after a create"
    NO_REPLY = "before a create's reply"
    INTENT = "after an intent"
    STATUS = "after a status"


_UP_TO = {Kind.CALL: 60, Kind.REPLY: 3, Kind.NO_REPLY: 3, Kind.INTENT: 3, Kind.STATUS: 15}


class Moments(logging.Handler):
    """Draws moments and waits for them; listens to the cloud's access log and to what the API server tells.

    `met` counts the moments that came, `missed` those that did not come in time.
    """

    def __init__(self, history: History, chance: random.Random) -> None:
        super().__init__(logging.INFO)
        self._history, self._chance = history, chance
        self._left, self._kind = 0, Kind.CALL
        self._begun, self._reached, self._over = threading.Event(), threading.Event(), threading.Event()
        self._counting = threading.Lock()
        self.met: Counter[Kind] = Counter()
        self.missed = 0
        self._intents: set[str] = set()
        history.on_told.append(self._told)

    def draw(self) -> None:
        """Choose the next moment, and begin to count."""
        for event in (self._begun, self._reached, self._over):
            event.clear()
        with self._counting:
            self._kind = self._chance.choice(list(Kind))
            self._left = self._chance.randint(1, _UP_TO[self._kind])

    def wait(self) -> None:
        """Return when the moment has come; what waits for the kill waits until `over`. Or when patience ends."""
        self._begun.wait(_START)
        if self._reached.wait(_PATIENCE):
            self.met[self._kind] += 1
        else:
            self.missed += 1

    def over(self) -> None:
        """Let the cloud go on: the process is dead."""
        with self._counting:
            self._left = 0
        self._over.set()

    def close(self) -> None:
        """Listen no more."""
        self._history.on_told.remove(self._told)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a call that the cloud has executed and not answered yet."""
        self._begun.set()
        self._counted(Kind.CALL)
        if isinstance(record.args, tuple) and record.args[2] in _CREATES:
            self._counted(Kind.REPLY)
            if self._counted(Kind.NO_REPLY):
                self._over.wait(_LONGEST_HOLD)

    def _told(self, plural: str, body: Object) -> None:
        status = body.get("status", {})
        nonce = (status.get("pending") or {}).get("nonce")
        if nonce and nonce not in self._intents:
            self._intents.add(nonce)
            self._counted(Kind.INTENT)
        if plural != "events":
            self._counted(Kind.STATUS)

    def _counted(self, kind: Kind) -> bool:
        """Count one of a kind; True if it is the one that is waited for."""
        with self._counting:
            if kind is not self._kind or self._left == 0:
                return False
            self._left -= 1
            if self._left == 0:
                self._reached.set()
            return self._left == 0
