"""The causes of network errors in plain words: name resolution, refused, certificate, proxy.

The libraries wrap these words many times over, each in another way, and name themselves instead of the cause.
"""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import urllib3
from urllib3.exceptions import ProxyError

from qianfan_operator.text import clean

LIMIT: Final = 160
"""Characters of a cause."""

_DEPTH: Final = 20
_WRAPPED: Final = ("reason", "os_error", "original_error", "certificate_error", "__cause__")
_PROXY: Final = (ProxyError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
_PORTS: Final = {"http": 80, "https": 443}


def wrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps, the outer ones first."""
    level, seen = [error], set[int]()
    for _ in range(_DEPTH):
        level = [one for one in level if id(one) not in seen]
        seen |= {id(one) for one in level}
        yield from level
        parts = [part for one in level for part in (*one.args, *(getattr(one, name, None) for name in _WRAPPED))]
        level = [part for part in parts if isinstance(part, BaseException)]


def untrusted(error: BaseException) -> bool:
    """Tell whether the certificate of the other side was not accepted, which is before anything is sent to it."""
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in wrapped(error))


def cause(error: BaseException) -> str:
    """Say in a few words what went wrong; the innermost error that says something counts."""
    words = next((said for one in reversed(list(wrapped(error))) if (said := _said(one))), type(error).__name__)
    return clean(words, LIMIT)


def described(error: BaseException) -> str:
    """Say what failed, and why: the certificate, DNS, the proxy, or the connection; and where, if the error knows."""
    words, inner = cause(error), list(wrapped(error))
    kinds = (
        (any(isinstance(one, _PROXY) for one in inner), "the proxy failed: "),
        (untrusted(error), "the certificate is not trusted: "),
        (any(isinstance(one, socket.gaierror) for one in inner), "the host name cannot be resolved: "),
    )
    where = next((f"{one.host}:{one.port}: " for one in inner if isinstance(one, aiohttp.ClientConnectorError)), "")
    return f"{where}{next((kind for applies, kind in kinds if applies), '')}{words}"


def address(url: str) -> str:
    """Name the server of a URL by host and port, without credentials."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    return f"{host}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def _said(error: BaseException) -> str:
    """Return what an error itself says of the cause; "" if it only wraps another."""
    return next((words(error) for kind, words in _WORDS if isinstance(error, kind)), "")


def _of_system(error: OSError) -> str:
    if error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    only = error.args[0] if len(error.args) == 1 else None
    return only if isinstance(only, str) else ""  # such as: Tunnel connection failed: 407


_WORDS: Final[tuple[tuple[type[BaseException], Callable[[Any], str]], ...]] = (
    (ssl.SSLCertVerificationError, lambda error: error.verify_message or "certificate verify failed"),
    (ssl.SSLError, lambda error: (error.reason or "").replace("_", " ").lower()),
    (socket.gaierror, lambda error: (error.strerror or "").lower()),
    (aiohttp.ClientHttpProxyError, lambda error: f"HTTP {error.status} {error.message}"),
    (TimeoutError, lambda _: "timed out"),
    (urllib3.exceptions.TimeoutError, lambda _: "timed out"),
    (OSError, _of_system),
)
