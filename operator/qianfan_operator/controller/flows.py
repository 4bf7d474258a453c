"""The flow (namespace) and the account of a key, for fair queuing."""

from qianfan_operator.api.keys import Key
from qianfan_operator.reconcile.credentials import Credentials
from qianfan_operator.reconcile.key_checks import SECRETS
from qianfan_operator.reconcile.store import Store


class Flows:
    """The flow and the account of each key, from memory. Thread-safe.

    A flow is a namespace, whatever its objects and Secrets are called. The account is that of the keys which the next
    call will be signed with, as far as they are known, else the one that the object records.
    """

    def __init__(self, store: Store, credentials: Credentials) -> None:
        self._store, self._credentials = store, credentials

    def flow(self, key: Key) -> str:
        """Name the flow of a key."""
        return key.namespace

    def account(self, key: Key) -> str | None:
        """Name the account of a key as `status.account` does; None if it is not known."""
        if key.plural == SECRETS:
            return self._credentials.known_account([(key.namespace, key.name)])
        record = self._store.get(key)
        if record is None:
            return None
        return self._credentials.known_account(record.secrets) or record.account
