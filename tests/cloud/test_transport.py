"""Against a real HTTP server: what is sent, what is never repeated, and what every kind of trouble is called."""

import gzip
import json
import logging
import socket
import threading
from email.utils import formatdate

import pytest

from qianfan_operator.cloud import operations
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import ClockUnknown, CloudError, Fate, StaleRequest, SwitchedOff
from qianfan_operator.cloud.fields import MalformedError
from qianfan_operator.cloud.signing import authorization, timestamp

OK = {"log_id": "1", "result": {"id": 7}}


def result_of(result):
    return result


def read(transport, endpoint=operations.JOB_DETAIL):
    return transport.call(endpoint, {"taskId": 1}, result_of)


def failure(transport, endpoint=operations.JOB_DETAIL) -> CloudError:
    with pytest.raises(CloudError) as caught:
        read(transport, endpoint)
    return caught.value


@pytest.fixture
def transport(make_transport):
    return make_transport()


@pytest.fixture
def measured(transport, server):
    """A transport that has heard the cloud's time once."""
    server.answers(OK)
    read(transport)
    return transport


def test_a_call_is_signed_as_it_is_sent(make_transport, server, keys, clock):
    """The server can recompute the signature from the request that arrives, port and content type included."""
    server.answers(OK)
    clock.wall_time = server.time
    assert read(make_transport(base_url=server.url + "/"), operations.DESCRIBE_SERVICE) == {"id": 7}
    seen = server.seen[0]
    assert seen.path == "/v2/service?Action=DescribeService"
    assert seen.body == {"taskId": 1}
    assert seen.headers["host"] == f"127.0.0.1:{server.port}"
    assert seen.headers["authorization"] == authorization(
        keys,
        method="POST",
        path="/v2/service",
        query={"Action": "DescribeService"},
        headers={name: seen.headers[name] for name in ("host", "content-type", "x-bce-date")},
        signed_at=server.time,
        expires_in=300,
    )
    assert seen.headers["request-source"] == seen.headers["user-agent"] == "qianfan-operator"


def test_the_second_signature_uses_the_clouds_time(measured, server, clock):
    """After the first answer the wall clock is not looked at any more."""
    clock.boot += 60
    server.answers(OK)
    read(measured)
    first, second = (seen.headers["x-bce-date"] for seen in server.seen)
    assert first == timestamp(clock.wall_time)
    assert second == timestamp(server.time + 60)
    assert f"/{second}/300/" in server.seen[1].headers["authorization"]


def test_reads_share_a_connection_and_creates_do_not(measured, server):
    """A read reuses the pooled connection; a create, also the free one, opens its own and closes it."""
    server.answers(OK, OK, OK, OK)
    read(measured)
    read(measured, operations.CREATE_TASK)
    measured.prepare(operations.CREATE_JOB, {}, result_of).send()
    read(measured)
    connections = [seen.connection for seen in server.seen]
    assert connections[0] == connections[1] == connections[4]
    assert len(set(connections)) == 3
    assert server.seen[2].headers["connection"] == server.seen[3].headers["connection"] == "close"


def test_a_gzipped_reply_is_unpacked(transport, server):
    """Compression, which the client offers, is undone."""
    server.script.append(server.reply(gzip.compress(json.dumps(OK).encode()), headers={"Content-Encoding": "gzip"}))
    assert read(transport) == {"id": 7}


def test_a_broken_gzip_is_a_bad_reply(transport, server):
    """What claims to be compressed and is not cannot be read."""
    server.script.append(server.reply(b"not gzip at all", headers={"Content-Encoding": "gzip"}))
    assert failure(transport).code == "BadReply"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("endpoint", [operations.JOB_DETAIL, operations.SERVICE_LIST], ids=lambda one: one.operation)
def test_an_oversized_reply_is_cut_off(transport, server, endpoint, compressed):
    """No reply, packed or not, may fill the memory; what is as large as it may be is read."""
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    for body in (json.dumps(OK).encode().ljust(endpoint.reply_limit), b" " * (endpoint.reply_limit + 1)):
        server.script.append(server.reply(gzip.compress(body) if compressed else body, headers=headers))
    assert read(transport, endpoint) == {"id": 7}
    assert failure(transport, endpoint).code == "ReplyTooLarge"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        pytest.param(lambda s: s.hang_up, "ConnectionLost", id="closed after the request"),
        pytest.param(lambda s: s.reply(b'{"log_id"', length=1000), "ConnectionLost", id="body cut"),
        pytest.param(lambda s: s.stay_silent, "Timeout", id="silent"),
        pytest.param(lambda s: s.reply("<html>busy</html>"), "BadReply", id="HTML with 200"),
        pytest.param(lambda s: s.reply("<html>busy</html>", 500), "HTTP 500", id="HTML with 500"),
        pytest.param(lambda s: s.reply("", 502), "HTTP 502", id="empty 502"),
        pytest.param(lambda s: s.reply("", 302, {"Location": s.url}), "HTTP 302", id="redirect"),
        pytest.param(lambda s: s.reply('{"log_id": "1", "error_code": 500000}'), "500000", id="V1 server fault"),
    ],
)
def test_trouble_after_the_request_is_never_repeated_and_never_a_refusal(make_transport, server, trouble, code):
    """Whatever goes wrong after the request left, it is sent once, and a create's outcome is unknown."""
    server.script += [trouble(server), trouble(server)]
    transport = make_transport(read_timeout=0.2)
    server.tell_time(Client(transport))
    assert failure(transport).code == code
    create = failure(transport, operations.CREATE_TASK)
    assert create.code == code
    assert create.fate is Fate.UNKNOWN
    assert len(server.seen) == 2


def test_a_dribbling_reply_is_given_up(make_transport, server, clock):
    """A body that does not end in time is given up, although every single read is quick."""

    server.script.append(server.reply(b" " * 2_000_000))
    clock.step = 10
    assert failure(make_transport(read_timeout=30.0)).code == "Timeout"


def test_a_refused_connection_proves_that_nothing_happened(make_transport):
    """Where nobody listens, nothing was executed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        transport = make_transport(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = failure(transport, operations.CREATE_TASK)
    assert error.code == "ConnectionRefused"
    assert error.refused
    assert error.fate is Fate.RETRY


def test_an_unknown_host_proves_that_nothing_happened(make_transport, monkeypatch):
    """Without an address nothing was sent."""

    def unknown(*_args):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(make_transport(base_url="http://no-such-host.invalid"), operations.CREATE_TASK)
    assert error.code == "NameResolution"
    assert error.refused


def test_a_connection_that_is_not_accepted_proves_that_nothing_happened(make_transport):
    """A full backlog times out before anything is sent."""
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        address = full.getsockname()
        transport = make_transport(base_url=f"http://127.0.0.1:{address[1]}", connect_timeout=0.1)
        error = failure(transport, operations.CREATE_TASK)
    assert error.code == "ConnectTimeout"
    assert error.refused


def test_a_refusing_proxy_proves_nothing(make_transport, server, clock):
    """What a proxy did before it failed cannot be known; and the environment's proxies are not used."""
    transport = make_transport(proxy="http://127.0.0.1:1")
    transport.cloud_clock.learn(formatdate(server.time, usegmt=True), clock.boot)
    error = failure(transport, operations.CREATE_TASK)
    assert error.code == "ProxyFailed"
    assert error.fate is Fate.UNKNOWN
    assert server.seen == []


def test_the_environment_is_not_asked(transport, server, monkeypatch):
    """Proxy variables and netrc of the pod do not change where requests go or who signs them."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answers(OK)
    assert read(transport) == {"id": 7}


def test_no_encrypted_talk_with_a_plain_server(make_transport, server):
    """A failed handshake has a name of its own and proves nothing."""
    server.script.append(server.hang_up)
    error = failure(make_transport(base_url=server.url.replace("http:", "https:")), operations.CREATE_TASK)
    assert error.code == "TLSFailed"
    assert not error.refused


def test_iam_headers_with_an_empty_body(transport, server):
    """A refused signature is understood from the headers alone, and its Date still sets the clock."""
    message = "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"
    server.script.append(server.reply(b"", 403, {"X-Bce-Error-Message": message}))
    assert failure(transport).code == "SignatureDoesNotMatch"
    assert transport.cloud_clock.known()


def test_a_proxys_date_does_not_set_the_clock(transport, server):
    """A gateway's error page carries a Date that says nothing about the cloud."""
    server.script.append(server.reply("<html></html>", 502))
    assert failure(transport).code == "HTTP 502"
    assert not transport.cloud_clock.known()


def test_a_v2_error(transport, server):
    """A V2 error status with a code is understood."""
    server.script.append(server.reply('{"requestId": "r", "code": "InappropriateJSON", "message": "param"}', 400))
    error = failure(transport, operations.DESCRIBE_SERVICE)
    assert (error.code, error.request_id) == ("InappropriateJSON", "r")


def test_a_paid_create_needs_the_clouds_time(transport, server):
    """Before the clock is known a create can be neither signed nor sent."""
    with pytest.raises(ClockUnknown):
        transport.prepare(operations.CREATE_JOB, {}, result_of)
    assert server.seen == []


def test_a_paid_create_has_its_own_expiry(measured, server):
    """A create lives for seconds, by the cloud's clock."""
    server.answers(OK)
    assert measured.prepare(operations.CREATE_JOB, {"taskId": 1}, result_of).send() == {"id": 7}
    assert f"/{timestamp(server.time)}/15/" in server.seen[1].headers["authorization"]


def test_a_paid_create_is_signed_when_it_is_prepared(measured, server, clock):
    """What happens between preparing and sending does not lengthen the signature's life."""
    prepared = measured.prepare(operations.CREATE_JOB, {}, result_of)
    clock.boot += 14
    server.answers(OK)
    prepared.send()
    assert server.seen[1].headers["x-bce-date"] == timestamp(server.time)


def test_a_stale_create_is_not_sent(measured, server, clock):
    """Once its signature has expired, a create stays here."""
    prepared = measured.prepare(operations.CREATE_JOB, {}, result_of)
    clock.boot += 15
    with pytest.raises(StaleRequest):
        prepared.send()
    assert len(server.seen) == 1


@pytest.mark.parametrize("first_fails", [False, True])
def test_a_create_is_sent_once(measured, server, first_fails):
    """The same signed create cannot be sent again, whatever became of it."""
    prepared = measured.prepare(operations.CREATE_JOB, {}, result_of)
    if first_fails:
        server.script.append(server.hang_up)
        with pytest.raises(CloudError):
            prepared.send()
    else:
        server.answers(OK)
        prepared.send()
    with pytest.raises(RuntimeError, match="only once"):
        prepared.send()
    assert len(server.seen) == 2


def test_v2_can_be_switched_off(make_transport, server):
    """With V2 switched off, a V2 call fails without a request."""
    error = failure(make_transport(use_v2=False), operations.DESCRIBE_SERVICE)
    assert isinstance(error, SwitchedOff)
    assert error.unsupported
    assert server.seen == []


def test_a_reply_that_lacks_what_it_is_for_is_a_bad_reply(measured, server):
    """What the view cannot use is an error of the reply, with the request id that leads to it."""

    def parse(_result):
        raise MalformedError("There is no id.")

    server.answers(OK)
    with pytest.raises(CloudError, match=r"There is no id.*BadReply") as caught:
        measured.call(operations.CREATE_TASK, {}, parse)
    assert caught.value.fate is Fate.UNKNOWN
    assert caught.value.request_id == "1"


def test_every_call_is_reported_once(transport, server, calls):
    """The observer is told operation and outcome of successes and failures."""
    server.answers(OK, {"error_code": 510301, "error_msg": "job not exist"})
    read(transport)
    failure(transport)
    assert [call[:2] for call in calls] == [("jobDetail", "OK"), ("jobDetail", "510301")]
    assert all(seconds >= 0 for *_, seconds in calls)


def test_logs_and_errors_hold_no_secrets(measured, server, keys, caplog):
    """Neither keys nor signatures nor bodies reach a log line, an error, or what can be shown of a create."""
    caplog.set_level(logging.DEBUG)
    quoted = f"bad {keys.access_key} {keys.secret_key} bce-auth-v1/{keys.access_key}/x"
    server.answers({"error_code": 500001, "error_msg": quoted})
    prepared = measured.prepare(operations.CREATE_JOB, {"description": "private words"}, result_of)
    with pytest.raises(CloudError) as caught:
        prepared.send()
    shown = f"{caplog.text} {caught.value} {caught.value.__dict__} {caught.value.__cause__} {prepared!r}"
    for secret in (keys.access_key, keys.secret_key, "bce-auth-v1", "private words"):
        assert secret not in shown
    lines = [record for record in caplog.records if record.name.startswith("qianfan_operator")]
    assert len(lines) == 1


def test_lost_requests_leave_no_trace_in_the_error(make_transport, server):
    """An error of the way does not drag the signed request along."""
    server.script.append(server.hang_up)
    error = failure(make_transport())
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_cookies_are_not_kept(transport, server):
    """What a gateway wants remembered is forgotten, so that threads share no state."""
    server.script += [server.reply(json.dumps(OK), headers={"Set-Cookie": "a=b"}), server.reply(json.dumps(OK))]
    read(transport)
    read(transport)
    assert "cookie" not in server.seen[1].headers


def test_many_threads_share_a_transport(transport, server):
    """Eight threads at once get their own answers."""
    server.results(*[{"id": 7}] * 40)
    results: list[object] = []

    def work():
        results.extend(read(transport) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"id": 7}] * 40


def test_measuring_the_clock_costs_one_read_and_only_if_needed(transport, server):
    """The clock is asked for once; a second time it is known."""
    client = Client(transport)
    server.results({"total": 0, "items": []})
    client.measure_clock()
    client.measure_clock()
    assert client.clock_known()
    assert client.cloud_time() == server.time
    assert len(server.seen) == 1


def test_a_refusal_tells_the_time_as_well(transport, server):
    """An account that may not read models still learns the time; an outage is told."""
    client = Client(transport)
    server.script.append(server.reply("<html></html>", 502))
    with pytest.raises(CloudError):
        client.measure_clock()
    server.answers({"error_code": 500002, "error_msg": "no access", "log_id": "1"})
    client.measure_clock()
    assert client.clock_known()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"base_url": "http://127.0.0.1:9"}, "ConnectionRefused", "No connection to 127.0.0.1:9: connection refused."),
        ({"base_url": "http://[::1]:9"}, "ConnectionRefused", "No connection to [::1]:9: "),
        ({"base_url": "http://no.invalid"}, "NameResolution", "The host name of no.invalid:80 could not be resolved: "),
        (
            {"proxy": "http://u:p@127.0.0.1:9"},
            "ProxyFailed",
            "The proxy 127.0.0.1:9 (QIANFAN_PROXY) failed: connection",
        ),
        ({"base_url": "https://127.0.0.1:{port}"}, "TLSFailed", "TLS with 127.0.0.1:{port} failed: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_trouble_is_told_with_its_place_and_cause(make_transport, server, changes, code, words):
    """The message names the address, without credentials, and what the operating system, DNS or TLS says."""
    changes = {name: value.replace("{port}", str(server.port)) for name, value in changes.items()}
    error = failure(make_transport(**changes))
    assert error.code == code
    assert error.message.startswith(words.replace("{port}", str(server.port)))
    assert "u:p" not in str(error)


def test_a_proxy_that_refuses_is_told(make_transport, server):
    """What a proxy answers to CONNECT is its status line; the request was not sent."""
    error = failure(make_transport(base_url="https://cloud.example", proxy=server.url))
    assert error.code == "ProxyFailed"
    assert "Tunnel connection failed: 501" in error.message
    assert server.seen == []


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://login.example/a?token=secret#x", "https://login.example/a,"),
        ("//u:secret@login.example/a", "//login.example/a,"),
        ("/login?next=secret", "/login,"),
        ("https://e.example/" + "x" * 5000, "https://e.example/xxxx"),
        ("https://e.example/\x1b[2J", "https://e.example/\\x1b[2J,"),
    ],
)
def test_a_redirect_is_told_with_its_target(transport, server, target, shown):
    """The target is bounded, clean, and without what may hold a secret; it is never followed."""
    server.script.append(server.reply("", 302, {"Location": target}))
    error = failure(transport)
    assert error.code == "HTTP 302"
    assert f"redirect to {shown}" in error.message
    assert "QIANFAN_CONSOLE_API_BASE_URL" in error.message
    assert "secret" not in str(error)
    assert len(server.seen) == 1
