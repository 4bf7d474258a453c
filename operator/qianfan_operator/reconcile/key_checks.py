"""Checks of changed Secrets: one cheap read says whether the cloud accepts the keys.

Without it each user of a Secret would find out by itself: a ready model after minutes, and many users by as many
refused calls. A check is work like any other: it has a key in the queue, of a plural that is no kind of ours.
"""

import enum
import logging
from collections.abc import Callable

from qianfan_operator.api.common import SECRET_NAME, Resource
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.kube.client import KubeError
from qianfan_operator.reconcile.backoff import Schedule, staggered
from qianfan_operator.reconcile.credentials import REFUSED_FOR, REREAD, Credentials, Where
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import Store, StoreEntry
from qianfan_operator.telemetry import metrics

log = logging.getLogger(__name__)

Enqueue = Callable[[Key, float, Priority], None]
"""Puts a key into the work queue, to be taken after so many seconds."""

SECRETS = "secrets"
"""The plural in the keys of checks."""
_LOOKED_AT = 0.2  # seconds between two looks whether changed keys see what has ended
_CHECKED = 0.3  # seconds in which a check is mostly answered, so that users of refused keys need not ask
_REPLACED = 5.0  # seconds in which a Secret that went is mostly there again; nobody gains by hearing of it at once
_SAYS_NOTHING = frozenset({Fate.RETRY, Fate.WAIT})  # answers that tell nothing about the keys
_TRIES = 5  # of a check that is answered so


class Refusal(enum.Enum):
    """What the cloud refuses, when it refuses a call as one of wrong keys."""

    KEYS = enum.auto()  # of all users of the Secret; or they were replaced meanwhile
    CALL = enum.auto()  # it takes the keys
    UNKNOWN = enum.auto()


class KeyChecks:
    """Which Secrets are checked, and who hears of the outcome. Thread-safe."""

    def __init__(self, credentials: Credentials, store: Store, enqueue: Enqueue, schedule: Schedule) -> None:
        self._credentials, self._store, self._enqueue, self._schedule = credentials, store, enqueue, schedule
        credentials.recovered = self._wake_all

    def lead(self) -> None:
        """Have the Secrets checked that changed while another process led, one after the other if they are many."""
        for where, after in staggered(self._credentials.unchecked_secrets()):
            self.changed(where, after=after)

    def changed(self, where: Where, *, gone: bool = False, after: float = 0.0) -> None:
        """Have a changed Secret checked, and wake who waits for its keys; if it has none now, wake all its users."""
        if self._credentials.has_keys(where):
            self._enqueue(_key(where), after, Priority.RETRY)
            self._wake(where, after=after + _CHECKED)
            self.look_at_ended(where)
        else:
            self._wake(where, after=after + (_REPLACED if gone else 0.0), settled=True)

    def follow(self, where: Where, user: StoreEntry) -> None:
        """Have a Secret that is not watched read now and then, as long as an object names it."""
        if where[1] != SECRET_NAME:
            self._enqueue(_key(where), self._reread_after(user), Priority.POLL)

    def check(self, key: Key) -> float | None:
        """Check the keys of a Secret if they have changed; return after how many seconds to come again, if at all."""
        where = key.namespace, key.name
        if not self._store.is_keyed(where):
            return None
        if where[1] == SECRET_NAME:
            return self._ask(where)
        try:
            if self._credentials.reread(where):
                self._wake(where, settled=not self._credentials.has_keys(where))
                self.look_at_ended(where)
        except KubeError as error:
            log.info("A Secret could not be read again", extra={"secret": "/".join(where), "error": str(error)})
            return REREAD
        users = filter(None, map(self._store.get, self._store.users_of(where)))
        again = min(map(self._reread_after, users), default=REREAD)
        return min(again, self._ask(where) or again)

    def _reread_after(self, user: StoreEntry) -> float:
        """Say how long a Secret is believed for one of its users: what is finished needs keys only to show new ones."""
        return self._schedule.resync if user.finished else REREAD

    def judge(self, resource: Resource, account: Account, words: str) -> Refusal:
        """Find out what a refusal is about that one object has met, with the words of the cloud, by a check.

        Its cause may be this object alone: a missing right, or a text in its spec. Others must not suffer from it.
        """
        where = self._credentials.refused(resource, account, words)
        if where is None:
            return Refusal.KEYS
        if self._credentials.takes_keys(where, account) is None:
            again = self._ask_with(where, account)
            if again is not None:
                self._enqueue(_key(where), again, Priority.RETRY)
        taken = self._credentials.takes_keys(where, account)
        return Refusal.UNKNOWN if taken is None else Refusal.CALL if taken else Refusal.KEYS

    def look_at_ended(self, where: Where) -> None:
        """Have users that have ended looked at once if their keys are others than recorded: within a resync."""
        ended = [key for key in self._store.users_of(where) if self.is_unproven(self._store.get(key))]
        pause = min(_LOOKED_AT, self._schedule.resync / max(1, len(ended)))
        for index, key in enumerate(ended):
            self._enqueue(key, self._schedule.poll_min + index * pause, Priority.POLL)

    def is_unproven(self, record: StoreEntry | None) -> bool:
        """Say whether nothing has shown yet that the keys of a settled object belong to the recorded account."""
        if record is None or record.body is not None or record.account is None:
            return False
        return self._credentials.known_account(record.secrets) not in {None, record.account}

    def _ask(self, where: Where) -> float | None:
        """Check the keys of a Secret, if they have not been checked yet."""
        account = self._credentials.unchecked(where)
        return self._ask_with(where, account) if account else None

    def _ask_with(self, where: Where, account: Account) -> float | None:
        try:
            account.client.check_keys()
        except CloudError as error:
            if error.reason is Reason.CREDENTIALS_INVALID:
                return self._refused(where, account, error)
            if error.fate in _SAYS_NOTHING:
                return self._unknown(where, account, error)
        metrics.KEY_CHECKS.labels("valid").inc()
        self._credentials.check_accepted(where, account)
        return None

    def _refused(self, where: Where, account: Account, error: CloudError) -> float | None:
        """Tell the users at the first refusal and when it lasts; in between, the keys may be half edited."""
        metrics.KEY_CHECKS.labels("refused").inc()
        times, lasting = self._credentials.check_refused(where, account, error.words)
        if times == 1 or lasting:
            about = {"secret": "/".join(where), "error": error.words, "request_id": error.request_id}
            log.warning("The cloud refuses the keys of a Secret", extra={**about, "lasting": lasting})
            self._wake(where, settled=True)
        return REFUSED_FOR / 2 if times and not lasting else None

    def _unknown(self, where: Where, account: Account, error: CloudError) -> float | None:
        metrics.KEY_CHECKS.labels("unknown").inc()
        log.info("The keys of a Secret could not be checked", extra={"secret": "/".join(where), "error": str(error)})
        tries = self._credentials.check_failed(where, account)
        return max(self._schedule.retry(tries), error.retry_after or 0.0) if 0 < tries < _TRIES else None

    def _wake_all(self, where: Where) -> None:
        if self._credentials.unchecked(where):  # it was an answer to a user that showed it
            self._enqueue(_key(where), REFUSED_FOR / 2, Priority.RETRY)
        log.info("The cloud accepts the keys of a Secret again", extra={"secret": "/".join(where)})
        self._wake(where, settled=True)
        self.look_at_ended(where)

    def _wake(self, where: Where, *, after: float = 0.0, settled: bool = False) -> None:
        """Wake the users of a Secret that wait for something, one after the other if they are many.

        `settled`: also those that wait for nothing, but not what is finished: it needs no keys.
        """
        records = {key: record for key in self._store.users_of(where) if (record := self._store.get(key))}
        woken = [
            key
            for key, record in records.items()
            if record.body is not None or record.failures or (settled and not record.finished)
        ]
        for key, wait in staggered(woken):
            records[key].failures = 0
            self._enqueue(key, after + wait, Priority.RETRY)


def _key(where: Where) -> Key:
    return Key(SECRETS, *where)
