"""Credentials: from the Secret that an object names to the account of its calls.

Keys live in memory only. A Secret of the default name is watched, so a change is in use at once; another name is read
again every minute and after a refusal.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qianfan_operator.api.common import ACCESS_KEY, SECRET_KEY, SECRET_NAME, Resource
from qianfan_operator.api.conditions import READY, STALLED, find
from qianfan_operator.api.dns1123 import IN_WORDS, is_subdomain
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.access_key import AccessKey, may_be_access_key, may_be_key
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.client import Client
from qianfan_operator.kinds.interface import Cause
from qianfan_operator.kube.client import Forbidden, Kube, NotFound
from qianfan_operator.reconcile.policy import Blocker
from qianfan_operator.selector import Selector
from qianfan_operator.telemetry.redacted import RedactedDict

Where = tuple[str, str]
"""Namespace and name of a Secret."""

REREAD = 60.0  # seconds that a Secret which is not watched is believed
LABELS_FOR = 30.0  # seconds that the labels of a namespace are believed
_REMEMBERED = 4096  # namespaces whose labels were read, and pairs of keys of one account; more are only asked for again
_SWEPT = 256  # Secrets that need no sweep
REFUSALS, REFUSED_FOR = 3, 60.0  # keys are edited in two steps, and the cloud's IAM lags
_NO_SECRET = Cause(Reason.INVALID_SPEC, f"spec.credentialsRef.name {IN_WORDS}.")
_NO_KEYS = frozenset({Reason.CREDENTIALS_NOT_FOUND, Reason.CREDENTIALS_FORBIDDEN, Reason.CREDENTIALS_INVALID})
TRY_AGAIN = 10.0  # seconds after which refused keys are tried again, even if nothing but a create would show them good


@dataclass(frozen=True)
class Access:
    """An account, or the trouble with getting one."""

    account: Account | None
    blocker: Blocker = Blocker.NONE
    why: Cause = Cause(Reason.CREDENTIALS_NOT_FOUND)
    again: float | None = None
    """Seconds after which to ask again, if nothing tells when that is worth it."""
    own: bool = True
    """Whether the keys are the namespace's own, and not the default credentials."""


@dataclass(frozen=True)
class Default:
    """The Secret that serves namespaces which have none: where it is, and the namespaces that it serves."""

    namespace: str
    selector: Selector


@dataclass(frozen=True)
class _Labels:
    selected: bool
    read_at: float
    forbidden: bool = False  # the operator may not read them


@dataclass
class _Secret:
    data: RedactedDict | None  # None: the Secret is not there
    read_at: float
    seen_at: float | None  # when it was last seen, None if never
    told: bool = True  # whether the users of these keys were told that they are other ones
    forbidden: bool = False
    refusals: int = 0
    refused_at: float = 0.0  # the first time in a row
    tried_at: float = 0.0  # the last time
    words: str = ""  # of the cloud, when it refused them first: one text for all users, whatever each has called
    unchecked: bool = False  # whether the cloud is still to be asked about these keys
    tries: int = 0  # of that
    checked_at: float | None = None  # when a check was accepted last
    contradicted: bool = False  # whether calls of users were accepted while the check was refused: it proves nothing
    doubted: bool = False  # whether users may have been told that the keys are missing or refused

    @property
    def keys(self) -> AccessKey | None:
        """The key pair, if it may be one."""
        data = self.data or RedactedDict()
        pair = data.get(ACCESS_KEY, ""), data.get(SECRET_KEY, "")
        return AccessKey(*pair) if may_be_access_key(pair[0]) and may_be_key(pair[1]) else None


class Credentials:
    """The Secrets that objects name. Thread-safe. `boot` counts the seconds of all waits.

    `default` serves objects that name no Secret, where their own namespace has none and is selected; None: nobody.
    """

    def __init__(
        self,
        kube: Kube,
        connect: Callable[[AccessKey], Client],
        wait: float,
        boot: Callable[[], float],
        default: Default | None = None,
    ) -> None:
        self._kube, self._connect, self._wait = kube, connect, wait
        self._boot, self._default = boot, default
        self._secrets: dict[Where, _Secret] = {}
        self._last: dict[Where, Account] = {}
        self._sweep_at = _SWEPT
        self._same: dict[frozenset[str], None] = {}  # the newest last
        self._labels: dict[str, _Labels] = {}  # by namespace
        self._lent: set[tuple[str, str]] = set()  # namespaces that used the default, each with the account of its keys
        self.used: Callable[[Where], bool] = lambda _: True
        """Whether an object names a Secret: of others only what the watch tells is remembered. It may take no lock."""
        self.recovered: Callable[[Where], None] = lambda _: None
        """Called with each Secret whose keys the cloud takes after users were told otherwise."""
        self.first_missed: Callable[[Resource, Where], float] = lambda *_: boot()
        """When this process first missed the Secret of an object. Timestamps of the API server are of another clock."""
        self._lock = threading.Lock()

    def sources(self, resource: Resource) -> tuple[Where, ...]:
        """Name the Secrets that the keys of an object may come from: the first that is there counts.

        None, if what the object names cannot be the name of a Secret.
        """
        ref, namespace = resource.spec.credentials_ref, resource.metadata.namespace
        if not is_subdomain(ref.name):
            return ()
        if "name" in ref.model_fields_set or self._default is None or self._default.namespace == namespace:
            return ((namespace, ref.name),)
        return (namespace, ref.name), (self._default.namespace, SECRET_NAME)

    def known_account(self, sources: Iterable[Where]) -> str | None:
        """Name the account whose keys these Secrets give, from memory; None if none of them is known to give any."""
        secrets = filter(None, map(self._secrets.get, sources))
        return next((secret.keys.account for secret in secrets if secret.keys), None)

    def changed(self, namespace: str, name: str, data: RedactedDict | None, *, listed: bool = False) -> bool:
        """Take over what the watch saw (None: deleted); say whether the users must be told of other keys.

        `listed`: it was seen in a listing. Nobody has waited for what is in the first one.
        """
        with self._lock:
            first = (namespace, name) not in self._secrets
            secret = self._take((namespace, name), data)
            news, secret.told = not secret.told or (first and not listed), True
            secret.unchecked |= news
            if data is None and not self.used((namespace, name)):
                self._drop((namespace, name))
            return news

    def has_keys(self, where: Where) -> bool:
        """Say whether a Secret is known to hold what may be a key pair."""
        secret = self._secrets.get(where)
        return secret is not None and secret.keys is not None

    def reread(self, where: Where) -> bool:
        """Read a Secret that is not watched; say whether its users must be told of other keys. Raises KubeError."""
        with self._lock:
            if where not in self._secrets:
                return False  # whoever needs it reads it
        secret = self._fetched(where)
        with self._lock:
            news, secret.told = not secret.told, True
            return news

    def unchecked(self, where: Where) -> Account | None:
        """Return the keys of a Secret if the cloud is still to be asked about them."""
        with self._lock:
            secret = self._secrets.get(where)
            keys = secret.keys if secret and secret.unchecked else None
        return self._account(where, keys) if keys else None

    def unchecked_secrets(self) -> list[Where]:
        """List the Secrets in use that have changed without a check since."""
        with self._lock:
            return [where for where, secret in self._secrets.items() if secret.unchecked and self.used(where)]

    def check_accepted(self, where: Where, account: Account) -> None:
        """Note that the cloud takes the keys of a Secret."""
        with self._lock:
            if secret := self._still(where, account):
                secret.unchecked = secret.contradicted = False
                secret.tries, secret.checked_at = 0, self._boot()
        if secret:
            self._take_back(where, secret)

    def check_refused(self, where: Where, account: Account, words: str) -> tuple[int, bool]:
        """Note that the cloud refuses them, with its words; return how often it has in a row, and whether that lasts.

        0 if there are other keys by now, or if users were answered with these. Of what lasts no further check is made.
        """
        with self._lock:
            secret = self._still(where, account)
            if secret is None:
                return 0, False
            if secret.contradicted:
                secret.unchecked = False
                return 0, False
            self._refuse(secret, words)
            lasting = self._lasts(secret)
            secret.unchecked = not lasting
            return secret.refusals, lasting

    def takes_keys(self, where: Where, account: Account) -> bool | None:
        """Say whether the cloud takes the keys of a Secret, as a check has found just now; None if that is not known.

        False also if there are other keys by now.
        """
        with self._lock:
            secret = self._still(where, account)
            if secret is None or secret.refusals:
                return False
            known = secret.checked_at is not None and self._boot() - secret.checked_at < TRY_AGAIN
            return True if known else None

    def check_failed(self, where: Where, account: Account) -> int:
        """Note that a check told nothing; return how many did, 0 if there are other keys by now."""
        with self._lock:
            secret = self._still(where, account)
            if secret is None:
                return 0
            secret.tries += 1
            return secret.tries

    def refused_secrets(self) -> int:
        """Count the Secrets in use whose keys the cloud refused last."""
        with self._lock:
            return sum(secret.refusals > 0 for where, secret in self._secrets.items() if self.used(where))

    def _still(self, where: Where, account: Account) -> _Secret | None:
        """Return what is known of a Secret if it still holds these keys. The caller holds the lock."""
        secret = self._secrets.get(where)
        return secret if secret and secret.keys == account.keys else None

    def _refuse(self, secret: _Secret, words: str) -> None:
        """Count a refusal. The caller holds the lock."""
        secret.words = secret.words if secret.refusals else words
        secret.tried_at, secret.doubted = self._boot(), True
        secret.refused_at = secret.refused_at if secret.refusals else secret.tried_at
        secret.refusals += 1

    def _lasts(self, secret: _Secret) -> bool:
        return secret.refusals >= REFUSALS and self._boot() - secret.refused_at >= REFUSED_FOR

    def _take_back(self, where: Where, secret: _Secret) -> None:
        """Take back what users were told of refused or missing keys. Must not have the lock: it wakes them."""
        with self._lock:
            doubted, secret.doubted, secret.refusals = secret.doubted, False, 0
        if doubted:
            self.recovered(where)

    def forget(self, where: Where) -> None:
        """Forget a Secret that no object names any more; of what the watch tells, only what it was used for."""
        with self._lock:
            self._drop(where)
            if where[1] == SECRET_NAME:
                self._lent = {lent for lent in self._lent if lent[0] != where[0]}

    def _drop(self, where: Where) -> None:
        """Forget a Secret. The caller holds the lock."""
        known = self._secrets.get(where)
        if where[1] != SECRET_NAME or known is None or known.data is None:
            self._secrets.pop(where, None)
        self._replace(where, None)

    def _replace(self, where: Where, account: Account | None) -> None:
        """Set the account of a Secret, or none; close unused connections. The caller holds the lock."""
        last = self._last.pop(where, None)
        if account is not None:
            self._last[where] = account
        if last is not None and not any(last is other for other in self._last.values()):
            last.client.close()

    def _sweep(self) -> None:
        """Forget Secrets that no object names any more. The caller holds the lock."""
        if max(len(self._secrets), len(self._last)) > self._sweep_at:
            for where in [one for one in {**self._secrets, **self._last} if not self.used(one)]:
                self._drop(where)
            self._sweep_at = _SWEPT + 2 * max(len(self._secrets), len(self._last))

    def access(self, resource: Resource) -> Access:
        """Resolve the account of an object; raises KubeError if the API server cannot be asked just now."""
        if not self.sources(resource):
            return Access(None, Blocker.STALL, _NO_SECRET)
        where, secret, labels = self._find(resource)
        own = where[0] == resource.metadata.namespace
        if (keys := secret.keys) and (labels is None or labels.selected):
            account = self._account(where, keys)
            if not own:
                self._lent.add((resource.metadata.namespace, account.name))
            if not secret.refusals or self._boot() - secret.tried_at >= TRY_AGAIN:
                return Access(account, own=own)
            lasting = self._lasts(secret)
            whose = f"keys in Secret {where[1]}" if own else "operator's own keys"
            words = f" {secret.words}" if secret.words else ""
            why = Cause(Reason.CREDENTIALS_INVALID, f"The cloud refuses the {whose}; correct them.{words}")
            return Access(account, Blocker.STALL if lasting else Blocker.WAIT, why, own=own)
        if resource.metadata.deletion_timestamp and (kept := self._kept(resource)):
            return kept
        if labels is not None and not labels.selected:
            return Access(None, Blocker.STALL, self._not_selected(resource, labels), REREAD, own=False)
        secret.doubted = True
        blocker = self._patience(resource, where, secret)
        return Access(None, blocker, _absent(where, secret), own=own)

    def _kept(self, resource: Resource) -> Access | None:
        """Find the keys that were in use last, so that what they made can be ended without a Secret.

        The default's only for what was made with them, by a namespace that this process has seen it serve.
        """
        own, *default = self.sources(resource)
        if account := self._last.get(own):
            return Access(account)
        for where in default:
            account = self._last.get(where)
            made = resource.status.account
            if account and made == account.name and (resource.metadata.namespace, made) in self._lent:
                return Access(account, own=False)
        return None

    def known(self, resource: Resource) -> Account | None:
        """Return the keys that an object may use now, None if there are none; raises KubeError."""
        return self.access(resource).account

    def refused(self, resource: Resource, account: Account, words: str = "") -> Where | None:
        """Note that the cloud refused a call of this object, with its words; name the Secret that is to be checked.

        It may be this call that is refused, and not the keys: only a check shows that to all who use them. None: the
        keys are known to be refused, or no Secret holds them any more.
        """
        with self._lock:
            if found := self._source_of(resource, account):
                where, secret = found
                if not secret.refusals:
                    return where
                self._refuse(secret, words)
                return None
            for source in self.sources(resource):  # keys that no Secret holds any more are kept only while they work
                if self._last.get(source) is account:
                    self._replace(source, None)
        return None

    def accepted(self, resource: Resource, account: Account) -> None:
        """Note that the cloud answered with these keys; what was recorded under another key is of the same account."""
        with self._lock:
            found = self._source_of(resource, account)
            if resource.status.account and resource.status.account != account.name:
                same = frozenset((resource.status.account, account.name))
                self._same.pop(same, None)
                self._same[same] = None
                if len(self._same) > _REMEMBERED:
                    del self._same[next(iter(self._same))]
            if found and found[1].refusals:
                if self._boot() - found[1].tried_at < TRY_AGAIN:
                    return  # it was under way when they were refused
                found[1].contradicted = found[1].unchecked = True
        if found and found[1].doubted:
            self._take_back(*found)

    def same_account(self, recorded: str | None, account: Account) -> bool:
        """Say whether what was recorded under one key is known to be seen by this one.

        See docs/design/create-protocol.md#other-accounts.
        """
        return recorded in {None, account.name} or frozenset((recorded or "", account.name)) in self._same

    def _source_of(self, resource: Resource, account: Account) -> tuple[Where, _Secret] | None:
        """Find the Secret that holds these keys now; None if it has got others since the reconcile began."""
        secrets = ((where, self._still(where, account)) for where in self.sources(resource))
        return next(((where, secret) for where, secret in secrets if secret), None)

    def _find(self, resource: Resource) -> tuple[Where, _Secret, _Labels | None]:
        """Find the Secret that counts; if that is the default, with what the labels of the namespace say."""
        own, *default = self.sources(resource)
        secret = self._read(own)
        absent = secret.data is None and not secret.forbidden
        # What was there may be about to be replaced, and what comes with a new object may come a moment later.
        fresh = resource.status.account is None and not resource.metadata.deletion_timestamp
        new = fresh and (resource.status.observed_generation < 0 or _misses_keys(resource))
        if absent and not self._lately(secret.seen_at, self.first_missed(resource, own) if new else None):
            for where in default:
                labels = self._labels_of(resource.metadata.namespace)
                if not labels.selected:
                    return own, secret, labels
                if (other := self._read(where)).data is not None:
                    return where, other, labels
        return own, secret, None

    def _labels_of(self, namespace: str) -> _Labels:
        """Say whether an administrator has let a namespace use the default; raises KubeError if that cannot be read.

        What was read before is never used in place of what cannot be read: a label may have been taken away.
        """
        known = self._labels.get(namespace)
        if known and self._boot() - known.read_at < LABELS_FOR:
            return known
        began, forbidden, labels = self._boot(), False, dict[str, str]()
        try:
            labels = self._kube.namespace_labels(namespace)
        except NotFound:
            pass
        except Forbidden:
            forbidden = True
        selected = self._default is not None and not forbidden and self._default.selector.matches(labels)
        found = _Labels(selected, began, forbidden)
        with self._lock:
            self._labels[namespace] = found
            if len(self._labels) > _REMEMBERED:
                self._labels = {name: one for name, one in self._labels.items() if began - one.read_at < LABELS_FOR}
        return found

    def _not_selected(self, resource: Resource, labels: _Labels) -> Cause:
        """Say what the namespace lacks to use the default credentials, and who can mend it."""
        namespace, selector = resource.metadata.namespace, self._default.selector.text if self._default else ""
        if labels.forbidden:
            way = "let the operator get namespaces (deploy/default-credentials)"
        else:
            way = f"label the namespace (selector: {selector})"
        message = _not_found((namespace, resource.spec.credentials_ref.name))
        return Cause(Reason.CREDENTIALS_FORBIDDEN, f"{message}, or ask an administrator to {way}.")

    def _read(self, where: Where) -> _Secret:
        with self._lock:
            known = self._secrets.get(where)
            if known and known.data and not known.refusals:
                watched = where[1] == SECRET_NAME
                if watched or self._boot() - known.read_at < REREAD:
                    return known
        return self._fetched(where)

    def _fetched(self, where: Where) -> _Secret:
        """Read a Secret from the API server; raises KubeError."""
        try:
            data: RedactedDict | None = self._kube.secret(*where)
            forbidden = False
        except (NotFound, Forbidden) as error:
            data, forbidden = None, isinstance(error, Forbidden)
        with self._lock:
            secret = self._take(where, data)
            secret.forbidden, secret.read_at = forbidden, self._boot()
            self._sweep()
            return secret

    def _take(self, where: Where, data: RedactedDict | None) -> _Secret:
        """Take over a Secret as it is now; other keys begin with a clean record. The caller holds the lock."""
        known = self._secrets.get(where)
        if known and known.data == data:
            return known
        never = known is None and data is None  # what was there until now was seen now
        secret = _Secret(data, self._boot(), None if never else self._boot(), told=known is None)
        if known is not None:
            secret.unchecked, secret.doubted = True, known.doubted or known.refusals > 0
        self._secrets[where] = secret
        return secret

    def _account(self, where: Where, keys: AccessKey) -> Account:
        with self._lock:
            last = self._last.get(where)
            if last is None or last.keys != keys:
                known = (account for account in self._last.values() if account.keys == keys)
                last = next(known, None) or Account(keys, self._connect(keys))
                self._replace(where, last)
            return last

    def _patience(self, resource: Resource, where: Where, secret: _Secret) -> Blocker:
        if resource.metadata.deletion_timestamp:  # whoever waits for the end is told the way out at once
            return Blocker.STALL
        missed = None if _misses_keys(resource, STALLED) else self.first_missed(resource, where)
        return Blocker.WAIT if self._lately(secret.seen_at, missed) else Blocker.STALL

    def _lately(self, *moments: float | None) -> bool:
        return any(moment is not None and self._boot() - moment < self._wait for moment in moments)


def _misses_keys(resource: Resource, kind: str = READY) -> bool:
    """Say whether a condition of an object tells, for its present spec, that its Secret gives no keys.

    So a restart does not begin the wait again for what has been Stalled.
    """
    told, generation = find(resource.status.conditions, kind), resource.metadata.generation
    return told is not None and told.reason in _NO_KEYS and told.observed_generation == generation


def _not_found(where: Where) -> str:
    """Say that a Secret is not there, and what to do; without the full stop."""
    namespace, name = where
    return f"Secret {name} not found in namespace {namespace}. Create it with {ACCESS_KEY} and {SECRET_KEY}"


def _absent(where: Where, secret: _Secret) -> Cause:
    """Say why a Secret gives no keys, and what to do."""
    namespace, name = where
    if secret.forbidden:
        message = (
            f"The operator may not read Secret {name}. In namespace {namespace}, bind its service account to a Role"
            f" that allows `get` on secrets with resourceNames [{name}]."
        )
        return Cause(Reason.CREDENTIALS_FORBIDDEN, message)
    if secret.data is None:
        return Cause(Reason.CREDENTIALS_NOT_FOUND, f"{_not_found(where)}.")
    if missing := [key for key in (ACCESS_KEY, SECRET_KEY) if not secret.data.get(key)]:
        return Cause(Reason.CREDENTIALS_NOT_FOUND, f"Secret {name} lacks {' and '.join(missing)}.")
    fits = {ACCESS_KEY: may_be_access_key, SECRET_KEY: may_be_key}
    wrong = [key for key, may_be in fits.items() if not may_be(secret.data[key])]
    verb = "is not a valid key" if len(wrong) == 1 else "are not valid keys"
    rules = "A key has at most 256 printable ASCII characters without spaces; an access key has no `/`"
    message = f"{' and '.join(wrong)} in Secret {name} {verb}. {rules}."
    return Cause(Reason.CREDENTIALS_INVALID, message)
