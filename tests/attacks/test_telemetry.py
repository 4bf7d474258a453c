"""Attacks on what people and tools believe of the operator: its log, conditions, events, metrics and probes."""

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.clock import SystemClock
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.replies import Answer, read_reply
from qianfan_operator.cloud.transport import Transport
from qianfan_operator.controller.workers import STUCK, Workers
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_operator.telemetry import health, metrics
from qianfan_operator.telemetry.logs import JsonFormatter, TextFormatter
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job
from reconcile.world import DAY, FIRST, World

KEY = Key("qianfanjobs", "secret-project", "merger")
ANY = st.text(st.characters(codec=None, categories=None), max_size=200)
FORGED = "no\n08:00:00 INFO    Deleted everything object=qianfanjobs/team/essay\u202e\u2028\x1b[2J"
PATIENCE = 5.0  # seconds; only a broken server keeps one waiting so long
_PAIR = re.compile(r'([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[A-Za-z0-9_./:@+-]+)(?: |$)')


def record(message: str, *args: object, error: BaseException | None = None, **fields: object) -> logging.LogRecord:
    made = logging.getLogger("kopf").makeRecord("kopf", logging.ERROR, "f.py", 1, message, args, None, extra=fields)
    if error:
        made.exc_info = type(error), error, None
    return made


def logfmt(line: str) -> dict[str, str]:
    """Read a line as a strict parser of logfmt does; fails if anything is left over."""
    found, at = {}, 0
    while at < len(line):
        match = _PAIR.match(line, at)
        assert match, line[at:]
        name, value = match.groups()
        assert name not in found, line
        found[name] = json.loads(value) if value.startswith('"') else value
        at = match.end()
    return found


# The log.


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_text_forges_a_line_or_a_field(formatter: logging.Formatter) -> None:
    """What a tenant or the cloud wrote is one value of one line, be it in a field, an argument or an exception."""
    for made in (
        record("It failed", object=FORGED, error=None),
        record("It failed: %s", FORGED),
        record("It failed", error=ValueError(FORGED)),
        record("It failed", object='x" level=INFO msg="all is well'),
    ):
        line = formatter.format(made)
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        parsed = json.loads(line) if isinstance(formatter, JsonFormatter) else logfmt(line)
        assert parsed["level"] == "ERROR"
        assert set(parsed) <= {"time", "level", "logger", "message", "msg", "object", "exception"}


@given(ANY, ANY, st.one_of(ANY, st.integers(), st.floats(), st.lists(ANY), st.dictionaries(ANY, ANY)), ANY)
def test_any_record_is_one_line_that_can_be_parsed(message: str, argument: str, value: object, words: str) -> None:
    """Whatever it holds, in JSON as in logfmt: one line, of bounded length, from which each field can be read again."""
    for made in (
        record("Of %s", argument, object=value, error=RuntimeError(words)),
        record(message, argument, field=value),
        record(message),
    ):
        for formatter in (JsonFormatter(), TextFormatter()):
            line = formatter.format(made)
            assert len(line.splitlines()) == 1
            assert line.isprintable()
            parsed = json.loads(line) if isinstance(formatter, JsonFormatter) else logfmt(line)
            assert parsed["logger"] == "kopf"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_text_floods_the_log(formatter: logging.Formatter) -> None:
    """A megabyte in each place that can hold one comes to a line of some thousand characters."""
    huge = "x\n" * 500_000
    made = record("It failed: %s", huge, object=huge, more=[huge] * 50, number=10**6000, error=ValueError(huge))
    assert len(formatter.format(made)) < 100_000


def test_a_field_takes_no_place_of_ours() -> None:
    """A field that is named like a part of every line is shown under another name."""
    for formatter, read in ((JsonFormatter(), json.loads), (TextFormatter(), logfmt)):
        parsed = read(
            formatter.format(record("It failed", time="never", level="INFO", logger="nobody", **{"a b=c": 1}))
        )
        assert (parsed["level"], parsed["logger"]) == ("ERROR", "kopf")
        assert (parsed["field_time"], parsed["field_level"]) == ("never", "INFO")
        assert str(parsed["a_b_c"]) == "1"


def test_a_record_that_cannot_be_written_is_a_line_all_the_same() -> None:
    """Arguments that do not fit and values that cannot be shown cost neither the line nor the process."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    for formatter in (JsonFormatter(), TextFormatter()):
        assert "<Hostile>" in formatter.format(record("It failed", object=Hostile()))
        assert "%d of %s" in formatter.format(record("%d of %s", "one"))


# Conditions and events.


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def said(world: World, key: Key) -> list[str]:
    texts = [one["message"] for one in world.status(key)["conditions"]]
    return [*texts, *(event["note"] for event in world.kube.events)]


@pytest.mark.parametrize("name", ["mine\u202e\nReady: True\x1b[2J", "好" * 5000], ids=["invisible", "long"])
def test_a_tenants_text_in_a_condition_is_clean_and_bounded(world: World, name: str) -> None:
    """A name of a Secret that an object was stored with turns no sentence around, and fits into an event."""
    key = world.kube.apply(job(credentialsRef={"name": name}))
    world.rest(600)
    assert said(world, key)
    for text in said(world, key):
        assert text.isprintable()
        assert len(text) <= 1024
    assert world.kube.events
    assert all(len(event["note"].encode()) <= 1024 for event in world.kube.events)


def test_the_clouds_text_in_a_condition_is_clean(world: World) -> None:
    """The same for what the cloud says, in conditions, in lastError and in the exception that is logged."""

    def hostile(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "createTask":
            reply = {"error_code": 500001, "error_msg": FORGED + "好" * 2000, "log_id": FORGED}
            return read_reply(operation, Answer(200, {}, reply), str)
        return do()

    world.around_cloud = hostile
    key = world.kube.apply(job())
    world.until(key, "Refused", within=DAY)
    texts = [*said(world, key), world.status(key)["lastError"]["message"]]
    assert all(text.isprintable() and len(text) <= 1024 for text in texts)
    assert r"\u202e" in world.status(key)["lastError"]["message"]


# Metrics.


def test_a_hostile_code_makes_no_series(world: World) -> None:
    """Whatever codes the cloud, or who speaks for it, makes up: they are counted as one."""
    before = _series()
    pair = AccessKey(FIRST, FIRST.replace("access", "secret"))
    transport = Transport(CloudSettings(base_url=world.sim.url), pair, SystemClock(), metrics.called)
    client = Client(transport)
    for number in range(50):
        world.sim.faults.add(Fault(Effect.ERROR, "serviceList", count=1, code=f"Made{number}Up", message="no"))
        with pytest.raises(CloudError):
            client.services()
    assert len(_series() - before) <= 1
    assert ("serviceList", "other") in _series()
    transport._adapter.close()


def _series() -> set[tuple[str, str]]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.labels["operation"], sample.labels["code"])
        for family in families
        if family.name == "qianfan_cloud_requests"
        for sample in family.samples
    }


# Probes.


@contextmanager
def served(alive: Callable[[], str] = lambda: "", **more: Any) -> Iterator[int]:
    """Serve as the operator does, in a loop of its own; supplies the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    runner, port = run(health.serve(0, alive, lambda: "", lambda: None, **more))
    try:
        yield port
    finally:
        run(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def get(port: int, path: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=PATIENCE)


def test_no_answer_names_an_object() -> None:
    """Whoever reaches the port learns that a pass hangs, and not over whose object."""
    began, may_end, now = threading.Event(), threading.Event(), [0.0]

    class Slow:
        def reconcile(self, _: Key) -> Any:
            began.set()
            may_end.wait(PATIENCE)
            from qianfan_operator.reconcile.reconciler import Result

            return Result(None)

        def flush(self, seconds: float) -> None:
            pass

        def tell_unwritten(self) -> bool:
            return False

    queue: WorkQueue[Key] = WorkQueue(2, lambda: now[0], lambda _: None)
    workers = Workers(1, queue, cast("Reconciler", Slow()), lambda: now[0])
    workers.start()
    try:
        queue.add(KEY)
        assert began.wait(PATIENCE)
        now[0] += STUCK + 1
        with served(workers.liveness_error) as port:
            answers = [get(port, path) for path in ("/healthz", "/readyz", "/metrics", "/nowhere")]
    finally:
        may_end.set()
        workers.stop()
    assert [answer.status_code for answer in answers] == [503, 200, 200, 404]
    for answer in answers:
        assert not [part for part in KEY[1:] if part in answer.text]


def idle(port: int, words: bytes = b"") -> socket.socket:
    """Open a connection, and send no whole request."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(words)
    return connection


def ended(connection: socket.socket) -> bool:
    """Wait until the other side has ended a connection; raises TimeoutError if it does not."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_connections_that_say_nothing_do_not_keep_a_probe_out() -> None:
    """Thrice as many as there is room for: the probe is answered, and the first ones have made room."""
    with served() as port, ExitStack() as stack:
        held = [stack.enter_context(idle(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")) for _ in range(192)]
        assert get(port, "/healthz").text == "ok\n"
        assert all(ended(connection) for connection in held[:100])


def test_a_slow_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection ends after its time: without a request, in the middle of a header, and with an answer unread."""
    monkeypatch.setattr(health, "LIFETIME", 0.2)
    with served() as port, ExitStack() as stack:
        for words in (
            b"",
            b"GET /metrics HTTP/1.1\r\nX-Slow: ",
            b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
        ):
            assert ended(stack.enter_context(idle(port, words)))


def test_a_connection_is_good_for_one_request() -> None:
    """Keep-alive would let idle scrapers hold what others need."""
    with served() as port, ExitStack() as stack:
        words = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
        assert ended(stack.enter_context(idle(port, words)))


def test_what_is_no_request_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A port scan, or a megabyte of header, costs no line of the log."""
    with served() as port, ExitStack() as stack:
        for words in (b"\x16\x03\x01 tls\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500, b"GET /" + b"a" * 70_000):
            assert ended(stack.enter_context(idle(port, words + b"\r\n\r\n")))
        assert get(port, "/healthz").status_code == 200
    assert [one for one in caplog.records if one.levelno >= logging.INFO] == []


def test_only_reading_is_answered() -> None:
    """Nothing else than GET and HEAD of the three pages."""
    with served() as port, requests.Session() as session:
        session.trust_env = False
        for method, path, status in (("POST", "/metrics", 405), ("HEAD", "/healthz", 200), ("GET", "/metrics/..", 404)):
            answer = session.request(method, f"http://127.0.0.1:{port}{path}", timeout=PATIENCE)
            assert answer.status_code == (status if path != "/metrics/.." else 404)
