"""Somebody on the way between the operator and the cloud, where the way is not encrypted: he listens, and may lie."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Captured:
    """One request, as it came by."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Eavesdropper:
    """Passes on to the cloud what comes to `url`; keeps it, and adds `ahead` seconds to the cloud's `Date`."""

    cloud: str
    url: str = ""
    ahead: float = 0.0
    captured: list[Captured] = field(default_factory=list)

    def last(self, path: str) -> Captured:
        """Return the latest request whose path ends so."""
        return next(one for one in reversed(self.captured) if one.path.endswith(path))

    def replay(self, request: Captured, **body: object) -> dict[str, Any]:
        """Send a request again, with other values in its body; return the cloud's answer."""
        _, _, answer = self.forward(request.path, request.headers, json.dumps({**request.body, **body}).encode())
        document: dict[str, Any] = json.loads(answer)
        return document

    def forward(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Have the cloud answer a request."""
        connection = http.client.HTTPConnection(urlsplit(self.cloud).netloc, timeout=20)
        try:
            connection.request("POST", path, body, {**headers, "Content-Length": str(len(body)), "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@contextmanager
def listening(cloud: str) -> Iterator[Eavesdropper]:
    """Listen in front of a cloud until the end of the block."""
    ear = Eavesdropper(cloud)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = dict(self.headers.items())
            ear.captured.append(Captured(self.path, headers, json.loads(body)))
            status, told, answer = ear.forward(self.path, headers, body)
            date = parsedate_to_datetime(told["Date"]).timestamp() + ear.ahead
            self.send_response_only(status)
            for name, value in {**told, "Date": formatdate(date, usegmt=True)}.items():
                if name.lower() not in {"connection", "server"}:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # a client keeps its connection for as long as it likes
    ear.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
