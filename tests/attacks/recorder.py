"""A server that keeps what it is asked, in place of the API server or the cloud."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest


@dataclass
class Recorder:
    """Stands in for an API server: keeps each request, and answers for the object that the path names."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method, and path with query as it came."""
    url: str = ""
    answer: Mapping[str, Any] | None = None
    """What is answered instead."""

    def reply(self, path: str, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer as an API server that has every object."""
        if self.answer is not None:
            return self.answer
        found = re.search(r"/namespaces/([^/]+)(?:/[^/]+/([^/]+))?", urlsplit(path).path)
        named = {"namespace": unquote(found[1]), "name": unquote(found[2] or "")} if found else {}
        return {"metadata": {**named, **sent.get("metadata", {}), "uid": "u", "resourceVersion": "1"}}


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """Supply the API server that kubectl's configuration names."""
    recorder, config = Recorder(), tmp_path_factory.mktemp("kube") / "config"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer leaves in one piece

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            recorder.requests.append((self.command, self.path))
            body = json.dumps(recorder.reply(self.path, json.loads(sent or b"{}"))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PATCH = do_POST = do_PUT = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http, pytest.MonkeyPatch.context() as patch:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever).start()
        recorder.url = f"http://127.0.0.1:{http.server_port}"
        cluster = {"name": "it", "cluster": {"server": recorder.url}}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        told = {"clusters": [cluster], "contexts": [context], "users": [{"name": "it", "user": {}}]}
        config.write_text(json.dumps({**told, "current-context": "it"}))
        patch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        yield recorder
        http.shutdown()
