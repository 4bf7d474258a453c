"""What comes back is bounded in size, depth and time, whatever the other side sends."""

import gzip
import json
import tracemalloc

import pytest

from cloud.conftest import calls, clock, keys, make_transport, server  # noqa: F401
from qianfan_operator.cloud import operations
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.cloud.replies import DEPTH_LIMIT

MIB = 1024 * 1024


def read(transport, endpoint: Endpoint = operations.JOB_DETAIL) -> object:
    return transport.call(endpoint, {}, lambda result: result)


def refusal(transport, endpoint: Endpoint = operations.JOB_DETAIL) -> CloudError:
    with pytest.raises(CloudError) as caught:
        read(transport, endpoint)
    return caught.value


def test_a_large_reply_is_for_lists(make_transport, server) -> None:  # noqa: F811
    """Five mebibytes are a list; a run has some kilobytes."""
    body = json.dumps({"log_id": "1", "result": {"id": 7, "words": "x" * 5 * MIB}})
    server.script += [server.reply(body)] * 6
    transport = make_transport()
    assert refusal(transport).code == "ReplyTooLarge"
    assert refusal(transport, operations.DESCRIBE_SERVICE).code == "ReplyTooLarge"
    for _ in range(4):  # each makes room for the next one
        assert read(transport, operations.SERVICE_LIST)["id"] == 7


@pytest.mark.parametrize("depth", [DEPTH_LIMIT, 500, 5000, 150_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_a_deep_reply_is_a_malformed_one(make_transport, server, depth: int, pair: str) -> None:  # noqa: F811
    """What is nested deeper than anything known is refused alike by every interpreter, and is no RecursionError."""
    opens, closes = pair[:-1], pair[-1]
    server.script.append(server.reply(f'{{"log_id": "1", "result": {opens * depth}1{closes * depth}}}'))
    assert refusal(make_transport()).code == "BadReply"


def test_what_is_known_is_not_too_deep(make_transport, server) -> None:  # noqa: F811
    """Some levels more than the deepest known reply has are read."""
    inner: object = 1
    for _ in range(DEPTH_LIMIT - 1):
        inner = [inner]
    server.results(inner)
    assert read(make_transport()) == inner


@pytest.mark.parametrize("packings", [1, 2, 20])
def test_a_bomb_does_not_go_off(make_transport, server, packings: int) -> None:  # noqa: F811
    """A body that unpacks to a thousand times its size is unpacked no further than a reply may be long."""
    body = b" " * 200 * MIB
    for _ in range(packings):
        body = gzip.compress(body)
    headers = {"Content-Encoding": ", ".join(["gzip"] * packings)}
    server.script.append(server.reply(body, headers=headers))
    transport = make_transport()
    tracemalloc.start()
    try:
        assert refusal(transport).code in {"ReplyTooLarge", "BadReply"}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_flood_of_headers_is_no_answer(make_transport, server) -> None:  # noqa: F811
    """Headers are limited in number and in length."""
    server.script += [
        server.reply("{}", headers={f"X-{number}": "x" * 1000 for number in range(500)}),
        server.reply("{}", headers={"X-Long": "x" * MIB}),
    ]
    transport = make_transport()
    assert [refusal(transport).code for _ in range(2)] == ["ConnectionLost"] * 2


@pytest.mark.parametrize("drip", ["HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n", "X-Drip: %s\r\n", "1;x=%s\r\n \r\n"])
def test_an_answer_that_never_ends_is_given_up(make_transport, server, clock, drip: str) -> None:  # noqa: F811
    """Neither answers before the answer, nor headers, nor chunks one after the other make a call last for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    before = {"H": b"", "X": head, "1": head + b"Transfer-Encoding: chunked\r\n\r\n"}[drip[0]]
    after = {"H": head + b"Content-Length: 2\r\n\r\n{}", "X": b"Content-Length: 2\r\n\r\n{}", "1": b"0\r\n\r\n"}

    def act(handler) -> None:
        handler.wfile.write(before)
        for _ in range(50):  # in the end it does end: the code under test must not wait for that
            handler.wfile.write((drip % ("x" * 9000)).encode())  # more than is read at a time
            handler.wfile.flush()
        handler.wfile.write(after[drip[0]])
        handler.close_connection = True

    server.script.append(act)
    clock.step = 1.0  # every look at the clock is a second later
    assert refusal(make_transport(read_timeout=3.0)).code == "Timeout"
