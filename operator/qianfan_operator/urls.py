"""Checks of URLs in settings."""

import ipaddress
import re
from typing import Final
from urllib.parse import unquote, urlsplit

_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_CREDENTIAL: Final = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_LONGEST_HOST: Final = 253


def check(url: str, *, credentials: bool = False) -> None:
    """Raise ValueError, which says what is wrong, unless `url` is `http(s)://host[:port]`.

    `credentials`: whether `user:password@` may stand before the host. The error never repeats the value.
    """
    if url != url.strip():
        raise ValueError("must not begin or end with a space or a line break")
    if url.startswith("socks"):
        raise ValueError("must begin with http:// or https://; SOCKS proxies are not supported")
    if not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("must hold only ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("must have the form http://host:port with a port from 1 to 65535") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("must have a port from 1 to 65535, or none")
    if "@" in parts.netloc:
        _check_credentials(parts.netloc.rpartition("@")[0], credentials)
    if parts.path.strip("/") or "?" in url or "#" in url:
        raise ValueError("must not have a path, a query or a fragment")
    _check_host(parts.hostname or "", bracketed="[" in parts.netloc)


def _check_credentials(text: str, allowed: bool) -> None:
    if not allowed:
        raise ValueError("must not hold a user name or a password")
    user, _, password = text.partition(":")
    if not _CREDENTIAL.fullmatch(user) or (password and not _CREDENTIAL.fullmatch(password)):
        raise ValueError("must have a user name before @, and special characters in it or the password as %XX")
    try:
        f"{unquote(user, errors='strict')}:{unquote(password, errors='strict')}".encode("latin-1")
    except UnicodeError:
        raise ValueError("must have a user name and a password of Latin-1 characters") from None


def _check_host(host: str, *, bracketed: bool) -> None:
    labels = host.removesuffix(".").split(".")
    try:
        if bracketed or labels[-1].isdigit():
            ipaddress.ip_address(host)
            return
    except ValueError:
        raise ValueError("must have a host name or an IP address") from None
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must have a host name or an IP address")
