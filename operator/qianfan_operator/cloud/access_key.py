"""An access key pair that cannot be logged by accident."""

import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn

_KEY = re.compile(r"[!-~]{1,256}")
_AUTHORIZATION = re.compile(r"bce-auth-v1/\S+")


def may_be_key(text: str) -> bool:
    """Tell what can stand in a header, as a key must, from what was pasted or decoded wrongly."""
    return _KEY.fullmatch(text) is not None


def may_be_access_key(text: str) -> bool:
    """Tell also what would end the field of the header in which an access key stands, and begin the next one."""
    return may_be_key(text) and "/" not in text


@dataclass(frozen=True, slots=True, repr=False)
class AccessKey:
    """The IAM access key pair of one account; the app keys of the inference API do not work here.

    Neither half leaves through `repr`, `str`, `format` or pickle, so that no log line, event or traceback holds one.

    See docs/design/wire.md#base-url-and-headers.
    """

    access_key: str
    secret_key: str

    def __post_init__(self) -> None:
        if not self.access_key or not self.secret_key:
            raise ValueError("an access key and a secret key must both be given")
        if not may_be_access_key(self.access_key) or not may_be_key(self.secret_key):
            raise ValueError(
                "a key must be at most 256 printable ASCII characters without spaces, an access key no `/`"
            )

    @property
    def account(self) -> str:
        """The first 8 hex digits of the access key id's SHA-256: stable, and tells nothing about the key."""
        return hashlib.sha256(self.access_key.encode()).hexdigest()[:8]

    def redact(self, text: str) -> str:
        """Return `text` without either key and without anything that looks like an Authorization header."""
        text = _AUTHORIZATION.sub("***", text)
        return text.replace(self.secret_key, "***").replace(self.access_key, "***")

    def __repr__(self) -> str:
        return f"AccessKey(account={self.account!r})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an access key pair may not be pickled or copied")
