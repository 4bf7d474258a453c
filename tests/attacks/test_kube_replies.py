"""Replies of the API server to the operator's own calls, with objects in them that most readers cannot read."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from attacks.test_decoder import DEEPEST, nested
from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Kube, KubeError
from qianfan_operator.kube.pages import LARGEST_PAGE

ESSAY = Key("qianfanjobs", "team", "essay")


class Server:
    """Answers every request with what a test has set, and lists objects in pages."""

    def __init__(self) -> None:
        self.reply = ""
        self.sizes: list[int] = []
        self.limits: list[int] = []

    def answer(self, path: str) -> bytes:
        query = parse_qs(urlsplit(path).query)
        if "limit" not in query:
            return self.reply.encode()
        limit, start = int(query["limit"][0]), int(query.get("continue", ["0"])[0])
        self.limits.append(limit)
        end = min(start + limit, len(self.sizes))
        more = str(end) if end < len(self.sizes) else ""
        items = ",".join(meta(f"o{at}", self.sizes[at]) for at in range(start, end))
        return f'{{"metadata":{{"continue":"{more}"}},"items":[{items}]}}'.encode()


def meta(name: str, size: int = 0, levels: int = DEEPEST, **parts: Any) -> str:
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "labels": {"x": "y" * size}}
    body = {"metadata": {**metadata, "managedFields": "(deep)"}, **parts}
    return json.dumps(body).replace('"(deep)"', nested(levels))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    ours = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = ours.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # who asked has read enough
                self.wfile.write(body)

        def do_PATCH(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_PATCH()

        def do_POST(self) -> None:
            self.do_PATCH()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever).start()
        cluster = {"name": "it", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "it", "user": {}}]}
        (tmp_path / "config").write_text(json.dumps({**config, "current-context": "it"}))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        yield ours
        http.shutdown()


def test_a_poisoned_object_is_read_and_written(server: Server) -> None:
    """Its managed fields are left out of every reply."""
    server.reply = meta("essay", spec={"x": 1})
    for read in (Kube(1).get(ESSAY), Kube(1).patch_status(ESSAY, "7", {}), Kube(1).patch_finalizers(ESSAY, "7", [])):
        assert (read["spec"], read["metadata"]["uid"]) == ({"x": 1}, "uid-essay")
        assert "managedFields" not in read["metadata"]


def test_an_object_whose_status_is_cut_is_not_read(server: Server) -> None:
    """A run that it records would be paid for again."""
    server.reply = meta("essay", levels=1, status={"pending": "(status)"}).replace('"(status)"', nested(DEEPEST))
    with pytest.raises(Unreadable, match=r"status\.pending"):
        Kube(1).get(ESSAY)


def test_keys_come_from_a_poisoned_secret(server: Server) -> None:
    """And what is too long to be a key is not kept."""
    keys = {"QIANFAN_ACCESS_KEY": b"access", "QIANFAN_SECRET_KEY": b"s" * 1_000_000, "other": b"x" * 1_000_000}
    data = {name: base64.b64encode(value).decode() for name, value in keys.items()}
    server.reply = meta("qianfan-credentials", kind="Secret", data=data)
    secret = Kube(1).secret("team", "qianfan-credentials")
    assert secret["QIANFAN_ACCESS_KEY"] == "access"
    assert 256 < len(secret["QIANFAN_SECRET_KEY"]) < 10_000


def test_a_poisoned_lease_is_renewed(server: Server) -> None:
    """Written back is what was read, but for the managed fields, which the API server keeps."""
    spec = {"holderIdentity": "it"}
    server.reply = meta("qianfan-operator", spec=spec).replace('"team"', '"qianfan-system"')
    lease = Kube(1).lease("qianfan-operator")
    assert (lease["spec"], "managedFields" in lease["metadata"]) == (spec, False)
    assert lease["metadata"]["labels"] == {"x": ""}
    assert Kube(1).replace_lease(lease)["spec"] == spec


@pytest.mark.parametrize("sizes", [[0] * 250, [700_000] * 12, [2 * LARGEST_PAGE] * 2, []])
def test_all_uids_are_told_whatever_the_sizes(server: Server, sizes: list[int]) -> None:
    """In the metadata-only list, too, each object may be of megabytes, and nested ten thousand levels deep."""
    server.sizes = sizes
    told = [(key.name, uid) for key, uid in Kube(1).uids("qianfanjobs")]
    assert told == [(f"o{at}", f"uid-o{at}") for at in range(len(sizes))]


@pytest.mark.parametrize("reply", ["<html>{", "[" * 5000, "{" + '"a":{' * 5000, "7", '{"metadata":7}'])
def test_what_is_no_object_is_an_error_of_the_call(server: Server, reply: str) -> None:
    """Which every pass survives."""
    server.reply = reply
    with pytest.raises(KubeError, match="no object in JSON"):
        Kube(1).get(ESSAY)


def test_the_labels_of_a_namespace_are_read_whatever_else_is_in_it(server: Server) -> None:
    """Labels decide who may use the default credentials: they are not among what is left out of an object."""
    labels = {"qianfan.dev/default-credentials": "allowed"}
    body = {"metadata": {"name": "team", "uid": "u", "labels": labels, "managedFields": "(deep)"}}
    server.reply = json.dumps(body).replace('"(deep)"', nested(DEEPEST))
    assert Kube(1).namespace_labels("team") == labels


def test_reviews_need_no_metadata(server: Server) -> None:
    """The replies of reviews are about nobody's object."""
    server.reply = json.dumps({"status": {"authenticated": True, "user": {"username": "tenant"}}})
    assert Kube(1).review_token("token") == {"username": "tenant"}
    server.reply = json.dumps({"status": {"allowed": True}})
    assert Kube(1).review_access({"username": "tenant"}, "/metrics", "get")
