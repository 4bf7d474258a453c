"""What is read of a Secret, and what is written."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qianfan_operator.keys import Key
from qianfan_operator.kube import Kube, decode_secret


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

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        cluster = {"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "it", "user": {}}]}
        (tmp_path / "config").write_text(json.dumps({**config, "current-context": "it"}))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        yield seen
        server.shutdown()


def test_every_write_of_an_object_is_guarded(patches: list[dict[str, Any]]) -> None:
    """Status and finalizers carry the resourceVersion that was read; a merge-PATCH without one always lands."""
    kube, key = Kube(1), Key("qianfanjobs", "default", "train")
    kube.patch_status(key, "7", {"jobId": 1})
    kube.patch_finalizers(key, "8", [])
    assert [patch["metadata"]["resourceVersion"] for patch in patches] == ["7", "8"]
