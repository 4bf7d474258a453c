"""The CA bundle for the cloud: which file is trusted, and whether it can be read.

The bundle is a file that others may renew in place. Every new connection reads it, so that no restart is needed; what
is read is checked first, because a connection that fails for an unreadable file would count as one that broke.
"""

import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Where other programs look for a bundle, in the order in which they count where QIANFAN_CA_BUNDLE is not set."""


def of_environment(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first of VARIABLES that is set, and the path in it; None if there is none."""
    return next(((name, path) for name in VARIABLES if (path := environment.get(name, ""))), None)


def check(path: str) -> None:
    """Read a bundle; raises ValueError, which says what is wrong with it."""
    try:
        if Path(path).is_dir():
            raise ValueError("must name a file with certificates in PEM form, not a directory")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError("names a file that holds no certificate in PEM form") from None
    except OSError as error:
        raise ValueError(f"names a file that cannot be read ({os.strerror(error.errno or 0).lower()})") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError("names a file that holds no certificate in PEM form")


class CaBundle:
    """A bundle that is checked again whenever its file has changed. Safe for many threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._checked: tuple[int, int, int] | None = None

    def check(self) -> None:
        """Raise ValueError if the bundle cannot be used now."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return check(self.path)
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        with self._lock:
            if version == self._checked:
                return None
            check(self.path)
            self._checked = version
        return None
