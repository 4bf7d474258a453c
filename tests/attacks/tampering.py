"""A relay between the operator and the cloud that changes replies, as a broken or hostile cloud would write them."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from cloud.tls import https

Tamper = Callable[[str, Any], Any]
"""Takes the call's name and the reply's `result`, and returns another `result`."""

LONG = "x" * 900_000
HOSTILE: Mapping[str, str] = {
    "long": LONG,
    "a lone surrogate": "RUN\ud800NING",
    "control characters": "RUN\x00\x1b[2J\nNING",
    "bidi marks": "RUN\u202eNING",
}
"""Words that no status may carry as they are."""


class Relay:
    """Passes requests on as they are, to a simulator, and replies as `tamper` changes them."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.tamper: Tamper = lambda _, result: result
        self._target = target

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask the target; returns status, headers and body of the reply to pass on."""
        session = requests.Session()
        session.trust_env = False
        with session:
            reply = session.post(self._target + path, data=body, headers=dict(headers), allow_redirects=False)
        document = reply.json() if reply.content else None
        if isinstance(document, dict) and "result" in document:
            name = path.partition("Action=")[2] or path.partition("?")[0].rpartition("/")[2]
            document["result"] = self.tamper(name, document["result"])
        kept = {key: value for key, value in reply.headers.items() if key.lower() in {"date", "content-type"}}
        return reply.status_code, kept, json.dumps(document).encode() if document is not None else b""


@contextmanager
def relay(target: str, *certificate: Path) -> Iterator[Relay]:
    """Run a relay to `target`; over TLS if it has a certificate and its key."""
    it = Relay(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, reply = it.answer(self.path, dict(self.headers.items()), body)
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(reply))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with https(Handler, *certificate) if certificate else http(Handler) as it.url:
        yield it


@contextmanager
def http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve in plain text; supplies the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
