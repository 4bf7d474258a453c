"""Connections with a time limit for the whole reply, and not only for each read.

A socket's timeout begins anew with each byte. A server that drips its status line, its headers, or one `100 Continue`
after the other would hold a thread for as long as it likes; so each read gets only what is left of the reply's time.
"""

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Reader(io.RawIOBase):
    """What arrives on a socket until `until`, by a clock in seconds."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float], until: float) -> None:
        self._sock, self._clock, self._until = sock, clock, until
        self._patience = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)  # it keeps the socket open until the reply is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - self._clock()
        if left <= 0:
            raise TimeoutError("the reply took too long")
        self._sock.settimeout(left if self._patience is None else min(left, self._patience))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(self._patience)

    def close(self) -> None:
        self._raw.close()
        super().close()


def pools(clock: Callable[[], float], seconds: float) -> dict[str, Any]:
    """Return urllib3's pools, by scheme, on whose connections a whole reply may take `seconds` on `clock`."""

    def reply(sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        response.fp.close()
        response.fp = io.BufferedReader(_Reader(sock, clock, clock() + seconds))
        return response

    class Plain(HTTPConnection):
        response_class = staticmethod(reply)  # type: ignore[assignment]

    class Encrypted(HTTPSConnection):
        response_class = staticmethod(reply)  # type: ignore[assignment]

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
