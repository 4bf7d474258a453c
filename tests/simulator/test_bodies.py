"""Whatever is sent, the answer is an answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianfan_simulator import Simulator
from qianfan_simulator.operations import NAMES
from simulator.conftest import NOON
from simulator.console import Console

V1 = [name for name in NAMES if not name[0].isupper()]
V2 = [name for name in NAMES if name[0].isupper()]

BROKEN = [
    b"{",
    b"nonsense",
    b"\xff\xfe{}",
    b"[]",
    b"5",
    b"null",
    b'"text"',
    b"[" * 100_000,
    b'{"name": ' + b"9" * 5000 + b"}",
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Console]:
    """One simulator for all of this module: nothing here may change it."""
    with Simulator(clock=lambda: NOON) as sim:
        console = Console(sim)
        with console.session:
            yield console


@pytest.mark.parametrize("raw", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("operation", V1)
def test_broken_bodies_of_v1(shared: Console, operation: str, raw: bytes) -> None:
    """What is no JSON object is 500001 with HTTP 200."""
    reply = shared.send(operation, raw=raw)
    assert (reply.status_code, reply.json()["error_code"]) == (200, 500001)


@pytest.mark.parametrize("raw", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("operation", V2)
def test_broken_bodies_of_v2(shared: Console, operation: str, raw: bytes) -> None:
    """What is no JSON object is MalformedJSON with HTTP 400."""
    reply = shared.send(operation, raw=raw)
    assert (reply.status_code, reply.json()["code"]) == (400, "MalformedJSON")


def test_a_huge_body_is_refused(shared: Console) -> None:
    """Two megabytes are too many, and the connection's next request is served."""
    assert shared.send("createTask", raw=b" " * 2_000_000).status_code == 413
    shared.ok("userList")


def test_no_body_is_an_empty_object(shared: Console) -> None:
    """A list without parameters may come without a body."""
    assert "result" in shared.send("serviceList", raw=b"").json()


def test_methods_and_paths_that_do_not_exist(shared: Console) -> None:
    """V1 has error 3 for a path and 336101 for a method, V2 says 400 to a method."""
    assert shared.send("", target="/wenxinworkshop/finetune/listTasks").json()["error_code"] == 3
    assert shared.send("", target="/").json()["error_code"] == 3
    assert shared.send("createTask", method="GET").json()["error_code"] == 336101
    reply = shared.send("DescribeFineTuningJobs", method="GET")
    assert (reply.status_code, reply.json()["code"]) == (400, "InvalidHTTPRequest")
    assert shared.send("", target="/v2/finetuning").status_code == 501


KEYS = [
    "name", "taskId", "jobId", "modelId", "modelVersionId", "serviceId", "isNewModel", "versionMeta", "modelName",
    "iterationId", "trainConfig", "trainset", "trainsetRate", "baseTrainType", "trainType", "peftType", "trainMode",
    "jobRunType", "increConfig", "tags", "pageNo", "pageSize", "nameFilter", "modelIDs", "modelVersionIds", "uri",
    "replicas", "poolType", "marker", "maxKeys", "pageReverse", "modelSetId", "hyperParameterConfig", "datasetConfig",
    "description", "epoch", "learningRate", "order", "orderBy", "modelType", "apiTypefilter", "runStatus", "model",
]  # fmt: skip
WORDS = ["ERNIE-Bot-turbo", "ERNIE-Bot-turbo-0725", "LoRA", "ALL", "SFT", "asc", "chat", "ab", "ERNIE-Lite-8K-0725"]
LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.integers(9220, 9230) | st.floats()
    | st.text(max_size=25) | st.sampled_from(WORDS)
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(NAMES), body=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=12))
def test_any_object_has_an_answer(shared: Console, operation: str, body: dict[str, Any]) -> None:
    """Every JSON object gets a result or an error in the form of its API, and the record and the dump survive it."""
    reply = shared.send(operation, raw=json.dumps(body).encode())
    told = reply.json()
    if "result" in told:
        assert reply.status_code == 200
        assert set(told) == ({"log_id", "result"} if operation in V1 else {"requestId", "result"})
    elif operation in V1:
        assert reply.status_code == 200
        assert set(told) == {"error_code", "error_msg", "log_id"}
        assert told["error_msg"] != "unknown error"
    else:
        assert reply.status_code == 400
        assert set(told) == {"code", "message", "requestId"}
    shared.control("state")
    assert shared.sim.calls[-1].operation == operation
