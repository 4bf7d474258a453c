"""An HTTP proxy that tunnels, and keeps whom it was asked for and by whom."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress


class ConnectProxy:
    """Answers CONNECT on a port of its own; `names` are hosts that only it resolves, each with a port on loopback."""

    def __init__(self, names: Mapping[str, int]) -> None:
        self._names = names
        self.asked: list[tuple[str, str]] = []
        """The target and the Proxy-Authorization of each tunnel."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End; tunnels end with their clients."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=[client], daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            first, *lines = head.decode().split("\r\n")
            target = first.split()[1]
            fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            self.asked.append((target, fields.get("proxy-authorization", "")))
            with socket.create_connection(("127.0.0.1", self._names[target.rpartition(":")[0]])) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._pump, args=[server, client], daemon=True)
                back.start()
                self._pump(client, server)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
