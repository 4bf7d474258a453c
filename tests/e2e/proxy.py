"""A way between one process and the API server that can be cut, or on which answers stay behind."""

import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Proxy:
    """Passes on what comes to a port of its own on loopback; bytes only, so that TLS goes through it untouched."""

    def __init__(self, port: int) -> None:
        """`port` is the server's, on loopback too."""
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._open, self._answers = threading.Event(), threading.Event()
        self._open.set()
        self._answers.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and every new one, until `mend`."""
        self._open.clear()
        self._answers.set()
        for end in tuple(self._sockets):
            self._shut(end)

    def mend(self) -> None:
        """Let new connections through."""
        self._open.set()

    def hold_answers(self) -> None:
        """Let requests through and keep the answers, until `let_go`; new connections are still agreed on."""
        self._answers.clear()

    def let_go(self) -> None:
        """Hand over the answers."""
        self._answers.set()

    def close(self) -> None:
        """End; the port is free again."""
        self.cut()
        self._shut(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if not self._open.is_set():
            self._shut(client)
            return
        server = socket.create_connection(self._target)
        self._sockets |= {client, server}
        spoken = itertools.count()
        asking = threading.Event()  # what the client says first is TLS' greeting; only after it come requests

        def request(data: bytes) -> None:
            if next(spoken):
                asking.set()
            server.sendall(data)

        def answer(data: bytes) -> None:
            if asking.is_set():
                self._answers.wait()
            client.sendall(data)

        for source, pass_on in ((client, request), (server, answer)):
            threading.Thread(target=self._pump, args=[source, pass_on, (client, server)], daemon=True).start()

    def _pump(
        self, source: socket.socket, pass_on: Callable[[bytes], None], ends: tuple[socket.socket, socket.socket]
    ) -> None:
        with suppress(OSError):  # one of the two has hung up
            while data := source.recv(65536):
                pass_on(data)
        for end in ends:
            self._shut(end)

    def _shut(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
        self._sockets.discard(end)
