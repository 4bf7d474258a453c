"""What is read of a Secret, and what is written."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Kube, KubeError, decode_secret


def encoded(**data: bytes) -> dict[str, object]:
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"a", QIANFAN_SECRET_KEY=b"s\n"), ("a", "s"), id="a trailing newline"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b" \r\n", QIANFAN_SECRET_KEY=b"s"), ("", "s"), id="only white space"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"", QIANFAN_SECRET_KEY=b"s"), (None, "s"), id="an empty value"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"\xff", QIANFAN_SECRET_KEY=b"s"), ("\ufffd", "s"), id="binary"),
        pytest.param(encoded(QIANFAN_SECRET_KEY=b"s", note=b"\xff"), (None, "s"), id="other keys"),
        pytest.param({"data": None}, (None, None), id="no data"),
        pytest.param({}, (None, None), id="nothing"),
    ],
)
def test_a_secret_is_read_as_far_as_it_is_needed(raw: dict[str, object], read: tuple[str | None, str | None]) -> None:
    """White space around a key is no part of it, bytes that are no text fail nothing, and the rest is left alone."""
    secret = decode_secret(raw)
    assert (secret.get("QIANFAN_ACCESS_KEY"), secret.get("QIANFAN_SECRET_KEY")) == read
    assert set(secret) <= {"QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"}


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a server stand in for the API server that kubectl's configuration names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        cluster = {"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "it", "user": {}}]}
        (folder / "config").write_text(json.dumps({**config, "current-context": "it"}))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(folder / "config"))
        yield
        server.shutdown()


@pytest.fixture
def patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Stand in for an API server that answers every PATCH of train with what it was sent, and supply all of that."""
    seen: list[dict[str, Any]] = []

    class Echo(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(sent)
            named = {"namespace": "default", "name": "train"}
            body = json.dumps({**sent, "metadata": {**sent["metadata"], **named}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with served(Echo, tmp_path, monkeypatch):
        yield seen


def test_every_write_of_an_object_is_guarded(patches: list[dict[str, Any]]) -> None:
    """Status and finalizers carry the resourceVersion that was read; a merge-PATCH without one always lands."""
    kube, key = Kube(1), Key("qianfanjobs", "default", "train")
    kube.patch_status(key, "7", {"jobId": 1})
    kube.patch_finalizers(key, "8", [])
    assert [patch["metadata"]["resourceVersion"] for patch in patches] == ["7", "8"]


@dataclass
class Throttle:
    """What an API server that wants to be left alone answers, and what it was asked."""

    status: int = 429
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def throttle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Throttle]:
    """Stand in for an API server that refuses whatever it is asked."""
    told = Throttle()

    class Refuse(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.asked.append(self.command)
            self.send_response(told.status)
            for header in told.headers.items():
                self.send_header(*header)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.refuse()

        def do_PATCH(self) -> None:
            self.refuse()

        def do_POST(self) -> None:
            self.refuse()

        def log_message(self, *_: object) -> None: ...

    with served(Refuse, tmp_path, monkeypatch):
        yield told


TRAIN = Key("qianfanjobs", "default", "train")
CALLS: dict[str, Callable[[Kube], object]] = {
    "get": lambda kube: kube.get(TRAIN),
    "list": lambda kube: list(kube.uids("qianfanjobs")),
    "secret": lambda kube: kube.secret("default", "keys"),
    "status": lambda kube: kube.patch_status(TRAIN, "7", {}),
    "finalizers": lambda kube: kube.patch_finalizers(TRAIN, "7", []),
    "event": lambda kube: kube.post_event({"metadata": {"namespace": "default", "name": "it"}}),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("call", CALLS)
def test_no_call_waits_for_an_api_server_that_asks_to_wait(throttle: Throttle, call: str, status: int) -> None:
    """One request, no sleep: the time that is asked for goes with the error, and it is the queue that waits."""
    throttle.status, throttle.headers = status, {"Retry-After": "40"}
    with pytest.raises(KubeError, match=str(status)) as raised:
        CALLS[call](Kube(1))
    assert raised.value.retry_after == 40.0
    assert len(throttle.asked) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("999999999", 3600.0), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("soon", None)],
)
def test_the_time_that_is_asked_for_is_bounded(throttle: Throttle, header: str, seconds: float | None) -> None:
    """An hour is the longest; what is no number of seconds leaves the wait to the queue."""
    throttle.headers = {"Retry-After": header}
    with pytest.raises(KubeError) as raised:
        Kube(1).get(TRAIN)
    assert raised.value.retry_after == seconds
    assert len(throttle.asked) == 1
