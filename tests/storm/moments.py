"""The moments at which a process is killed: dealt by chance, and counted in what it does, so that none needs a clock.

The worst are those in which a create is under way: just after its intent was written, while its request is on the way,
just after the cloud executed it and before the reply goes out, just after the reply. All others are as good as any.
"""

import logging
import random
import threading
from collections import Counter
from enum import StrEnum

from e2e.history import Object
from e2e.place import Place
from paid import PAID
from qianfan_simulator import Effect

_PAID = "|".join(PAID.values())
_CREATES = frozenset({"createTask", *PAID.values(), "ModifyService"})
_LATE = 10.0  # seconds that a request is on its way: its process is dead by then, and another one looks around
_LONGEST_HOLD = 10  # seconds
_START, _PATIENCE = 15, 4  # seconds for a process to make its first call, and then for the moment to come


class Kind(StrEnum):
    """What is counted until the kill."""

    CALL = "after a call"
    STATUS = "after a status"
    INTENT = "after an intent"
    REQUEST = "before a create arrives"
    NO_REPLY = "before a create's reply"
    REPLY = "after a create"


_UP_TO = {Kind.CALL: 20, Kind.STATUS: 8, Kind.INTENT: 2, Kind.REQUEST: 1, Kind.NO_REPLY: 3, Kind.REPLY: 3}
_CARDS = (*Kind, Kind.REQUEST, Kind.NO_REPLY)


class Moments(logging.Handler):
    """Deals moments and waits for them; listens to the cloud's access log and to what the API server tells.

    `dealt` counts all, `met` those that came; the process was killed at some other moment when one did not.
    """

    def __init__(self, place: Place, chance: random.Random) -> None:
        super().__init__(logging.INFO)
        self._place, self._chance = place, chance
        self._cards: list[Kind] = []
        self._left, self._kind = 0, Kind.CALL
        self._begun, self._reached, self._over = threading.Event(), threading.Event(), threading.Event()
        self._counting = threading.Lock()
        self.dealt: Counter[Kind] = Counter()
        self.met: Counter[Kind] = Counter()
        self._intents: set[str] = set()
        place.history.on_told.append(self._told)

    def deal(self) -> None:
        """Choose the next moment, and begin to count; what the dead process had sent is executed by now."""
        if not self._cards:
            self._cards = self._chance.sample(_CARDS, len(_CARDS))
        for event in (self._begun, self._reached, self._over):
            event.clear()
        kind = self._cards.pop()
        if kind is Kind.REQUEST:
            self._place.spoil(Effect.DELIVER_LATE, _PAID, seconds=_LATE)
        with self._counting:
            self._kind, self._left = kind, self._chance.randint(1, _UP_TO[kind])
        self.dealt[kind] += 1

    def wait(self) -> None:
        """Return when the moment has come; what waits for the kill waits until `over`. Or when patience ends."""
        self._begun.wait(_START)
        if self._reached.wait(_PATIENCE):
            self.met[self._kind] += 1

    def over(self) -> None:
        """Let the cloud go on: the process is dead."""
        with self._counting:
            self._left = 0
        self._over.set()

    def close(self) -> None:
        """Listen no more."""
        self._place.history.on_told.remove(self._told)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a call: one that is held on its way, or one that the cloud has executed and not answered yet."""
        if not isinstance(record.args, tuple):
            return
        _, _, operation, _, outcome, trouble = record.args
        late = Effect.DELIVER_LATE in str(trouble)
        if late and outcome != "held":
            return  # it is from another life
        self._begun.set()
        self._counted(Kind.REQUEST if late else Kind.CALL)
        if operation in _CREATES and not late:
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
