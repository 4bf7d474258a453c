"""Credentials: from the Secret that an object names to the account that its calls go to (design 9).

Keys live in memory only. A Secret of the default name is watched, so a change is in use at once; another name is read
again every minute and after a refusal.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qianfan_operator.api.common import ACCESS_KEY, SECRET_KEY, SECRET_NAME, Resource
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.keys import AccessKey
from qianfan_operator.decide import Trouble, Why
from qianfan_operator.kube import Forbidden, Kube, NotFound
from qianfan_operator.reasons import Reason

REREAD = 60.0  # seconds that a Secret which is not watched is believed
REFUSALS, REFUSED_FOR = 3, 60.0  # keys are edited in two steps, and the cloud's IAM lags
TRY_AGAIN = 10.0  # seconds after which refused keys are tried again, even if nothing but a create would show them good


@dataclass(eq=False)
class Account:
    """One key pair: its client, and what has been proven with it in this process."""

    keys: AccessKey = field(repr=False)
    client: Client = field(repr=False)
    lists_show_v1: bool = False  # a run made by V1 was seen in a V2 list (design 5.6)

    @property
    def name(self) -> str:
        """A short hash of the access key id, as `status.account` shows it."""
        return self.keys.account


@dataclass(frozen=True)
class Access:
    """An account, or the trouble with getting one."""

    account: Account | None
    trouble: Trouble = Trouble.NONE
    why: Why = Why(Reason.CREDENTIALS_NOT_FOUND)


@dataclass
class _Secret:
    data: Mapping[str, str] | None  # None: the Secret is not there
    read_at: float
    seen_at: float | None  # wall time of the last sight, None if never
    forbidden: bool = False
    refusals: int = 0
    refused_at: float = 0.0  # the first time in a row
    tried_at: float = 0.0  # the last time


class Credentials:
    """The Secrets that objects name. Thread-safe. `boot` is for waits, `wall` (unix seconds) for ages of objects."""

    def __init__(
        self,
        kube: Kube,
        connect: Callable[[AccessKey], Client],
        wait: float,
        boot: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._kube, self._connect, self._wait = kube, connect, wait
        self._boot, self._wall = boot, wall
        self._secrets: dict[tuple[str, str], _Secret] = {}
        self._last: dict[tuple[str, str], Account] = {}
        self._same: set[frozenset[str]] = set()
        self._lock = threading.Lock()

    def changed(self, namespace: str, name: str, data: Mapping[str, str] | None) -> bool:
        """Take over what the watch saw (None: deleted); say whether the keys are other ones than before."""
        where = namespace, name
        with self._lock:
            known = self._secrets.get(where)
            if known and known.data == data:
                return False
            never = known is None and data is None  # what was there until now was seen now
            self._secrets[where] = _Secret(data, self._boot(), None if never else self._wall())
            return True

    def access(self, resource: Resource) -> Access:
        """Resolve the account of an object; raises KubeError if the Secret cannot be read just now."""
        where = resource.metadata.namespace, resource.spec.credentials_ref.name
        secret = self._read(where)
        missing = [name for name in (ACCESS_KEY, SECRET_KEY) if not (secret.data or {}).get(name)]
        if not missing and secret.data:
            account = self._account(where, AccessKey(secret.data[ACCESS_KEY], secret.data[SECRET_KEY]))
            if not secret.refusals or self._boot() - secret.tried_at >= TRY_AGAIN:
                return Access(account)
            lasting = secret.refusals >= REFUSALS and self._boot() - secret.refused_at >= REFUSED_FOR
            message = f"The cloud refuses the keys in Secret {where[1]}."
            why = Why(Reason.CREDENTIALS_INVALID, message)
            return Access(account, Trouble.STALL if lasting else Trouble.WAIT, why)
        if resource.metadata.deletion_timestamp and (kept := self._last.get(where)):
            return Access(kept)
        return Access(None, self._patience(resource, secret), self._absent(where, secret, missing))

    def refused(self, resource: Resource) -> None:
        """Note that the cloud refused the keys of this object."""
        with self._lock:
            if secret := self._secrets.get((resource.metadata.namespace, resource.spec.credentials_ref.name)):
                secret.tried_at = self._boot()
                secret.refused_at = secret.refused_at if secret.refusals else secret.tried_at
                secret.refusals += 1

    def accepted(self, resource: Resource, account: Account) -> None:
        """Note that the cloud answered with these keys; what was recorded under another key is of the same account."""
        with self._lock:
            if secret := self._secrets.get((resource.metadata.namespace, resource.spec.credentials_ref.name)):
                secret.refusals = 0
            if resource.status.account and resource.status.account != account.name:
                self._same.add(frozenset((resource.status.account, account.name)))

    def same_account(self, recorded: str | None, account: Account) -> bool:
        """Say whether what was recorded under one key is known to be seen by this one (design 5.10)."""
        return recorded in {None, account.name} or frozenset((recorded or "", account.name)) in self._same

    def _read(self, where: tuple[str, str]) -> _Secret:
        with self._lock:
            known = self._secrets.get(where)
            if known and known.data and not known.refusals:
                watched = where[1] == SECRET_NAME
                if watched or self._boot() - known.read_at < REREAD:
                    return known
        try:
            data: Mapping[str, str] | None = self._kube.secret(*where)
            forbidden = False
        except (NotFound, Forbidden) as error:
            data, forbidden = None, isinstance(error, Forbidden)
        self.changed(*where, data)
        with self._lock:
            secret = self._secrets[where]
            secret.forbidden, secret.read_at = forbidden, self._boot()
            return secret

    def _account(self, where: tuple[str, str], keys: AccessKey) -> Account:
        with self._lock:
            for account in self._last.values():
                if account.keys == keys:
                    self._last[where] = account
                    return account
            self._last[where] = Account(keys, self._connect(keys))
            return self._last[where]

    def _patience(self, resource: Resource, secret: _Secret) -> Trouble:
        created = resource.metadata.creation_timestamp
        since = max(created.timestamp() if created else 0.0, secret.seen_at or 0.0)
        return Trouble.WAIT if self._wall() - since < self._wait else Trouble.STALL

    @staticmethod
    def _absent(where: tuple[str, str], secret: _Secret, missing: list[str]) -> Why:
        namespace, name = where
        if secret.forbidden:
            message = f"The operator may not read Secret {name}; allow it with a Role in namespace {namespace}."
            return Why(Reason.CREDENTIALS_FORBIDDEN, message)
        if secret.data is None:
            message = f"Secret {name} is missing; create it with the keys {ACCESS_KEY} and {SECRET_KEY}."
            return Why(Reason.CREDENTIALS_NOT_FOUND, message)
        return Why(Reason.CREDENTIALS_NOT_FOUND, f"Secret {name} lacks {' and '.join(missing)}.")
