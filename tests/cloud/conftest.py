"""A clock that is set by hand, and a real HTTP server that answers from a script."""

import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.transport import Transport


@dataclass
class HandClock:
    """Boot time and wall time, moved by the test."""

    boot: float = 1000.0
    wall_time: float = 5_000_000_000.0  # far off, so that a use of it shows
    step: float = 0.0  # by which boot time moves whenever it is looked at

    def boottime(self) -> float:
        self.boot += self.step
        return self.boot

    def wall(self) -> float:
        return self.wall_time


@dataclass
class Seen:
    """One request, as the server saw it."""

    path: str
    headers: dict[str, str]
    body: dict
    connection: tuple[str, int]


Action = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ScriptedServer:
    """Answers each request by the next action; keeps what it was asked."""

    port: int = 0
    time: int = 1_709_280_000  # what its Date says: 2024-03-01T08:00:00Z
    script: list[Action] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *documents: dict) -> None:
        """Answer the next requests with these JSON objects, each with HTTP 200."""
        self.script += [self.reply(json.dumps(document)) for document in documents]

    def results(self, *results: object) -> None:
        """Answer the next requests with successes that carry these results."""
        self.answers(*({"log_id": "1", "result": result} for result in results))

    def tell_time(self, client: Client) -> None:
        """Let a client learn the time, and forget that it asked."""
        script, self.script = self.script, []
        self.results({"total": 0, "items": []})
        client.measure_clock()
        self.script = script
        self.seen.clear()

    def reply(
        self, body: str | bytes = b"", status: int = 200, headers: dict | None = None, length: int | None = None
    ) -> Action:
        """Make an action that answers; `length` is what the server claims the body's length to be."""
        server = self
        data = body.encode() if isinstance(body, str) else body

        def act(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response_only(status)
            for name, value in {"Date": formatdate(server.time, usegmt=True), **(headers or {})}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(data) if length is None else length))
            handler.end_headers()
            handler.wfile.write(data)
            handler.close_connection = handler.close_connection or length is not None

        return act

    def hang_up(self, handler: BaseHTTPRequestHandler) -> None:
        """Close the connection without a word."""
        handler.close_connection = True

    def stay_silent(self, handler: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test is over."""
        self.over.wait()
        handler.close_connection = True

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append(Seen(self.path, headers, body, self.client_address))
                try:
                    server.script.pop(0)(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def handle(self) -> None:
                with contextlib.suppress(ConnectionResetError):  # a client that hangs up is part of some scripts
                    super().handle()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), scripted.handler())
    scripted.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    scripted.over.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def keys() -> AccessKey:
    return AccessKey("ALTAKexample00000000", "0123456789abcdef0123456789abcdef")


@pytest.fixture
def calls() -> list[tuple[str, str, float]]:
    """What the transport reported to its observer."""
    return []


@pytest.fixture
def make_transport(server, keys, clock, calls) -> Callable[..., Transport]:
    """Build a transport to the scripted server; keyword arguments replace its settings."""

    def make(**changes: object) -> Transport:
        # The wall clock is far off on purpose, and the server speaks http: its Date counts all the same.
        common = {"base_url": server.url, "read_timeout": 5.0, "unverified_correction_seconds": math.inf}
        settings = CloudSettings(**{**common, **changes})
        return Transport(settings, keys, clock, lambda *call: calls.append(call))

    return make


@pytest.fixture
def client(make_transport, server) -> Client:
    """Supply a client that knows the cloud's time, as one does after its first look; `seen` begins after that."""
    client = Client(make_transport())
    server.tell_time(client)
    return client
