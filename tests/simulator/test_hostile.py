"""What clients and scripts send wrongly is refused in words, changes nothing, and never makes the state unreadable."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from qianfan_simulator import Effect, Fault, Options, Simulator
from qianfan_simulator.calls import LONGEST_KEY
from simulator.conftest import NOON
from simulator.console import Console
from simulator.story import SERVICE, Story

CREATE_TASK = "/wenxinworkshop/finetune/createTask"


@pytest.mark.parametrize(
    ("verb", "query"),
    [
        *(("advance", {"seconds": value}) for value in ("nan", "inf", "-inf", "-1", "1e12", "1e999", "x")),
        ("hide", {"id": "1", "looks": "-1"}),
        ("hide", {"id": "1", "looks": "1" * 5000}),
        ("dataset", {"id": "5", "code": "7"}),
        ("dataset", {"id": "5", "code": "-510101"}),
        ("fail", {"id": "1", "when": "soon"}),
        ("calls", {"since": "-1"}),
    ],
)
def test_a_bad_control_request_changes_nothing(console: Console, verb: str, query: Mapping[str, str]) -> None:
    """It is 400 with a sentence; the clock stands where it was, and every call works."""
    reply = requests.post(f"{console.sim.url}/_sim/{verb}", params=query, timeout=20)
    assert (reply.status_code, bool(reply.json()["error"])) == (400, True)
    assert console.sim.clock.now() == NOON
    console.ok("createTask", name="abc")
    assert console.control("state")["now"] == NOON


@pytest.mark.parametrize(
    "options",
    [
        *({"list_lag": value} for value in ("null", "NaN", "Infinity", "1e999", "-1", "true", '"5"', "[]")),
        *({"clock_tolerance": value} for value in ("null", "NaN", "Infinity")),
        *({"max_tasks": value} for value in ("1.5", "true", "-1", "1e999")),
        *({"v2_shows_v1": value} for value in ("null", "1", '"yes"')),
        *({"training": value} for value in ('"seconds:nan"', '"seconds:inf"', '"seconds:-1"', '"looks:-1"', "null")),
        *({"v2": value} for value in ("null", "[]", '"off"')),
        {"signature_clock": '"mine"'},
        {"unique_service_names": "0"},
    ],
)
def test_a_bad_option_changes_nothing(console: Console, options: Mapping[str, str]) -> None:
    """It is 400 with a sentence that names the option."""
    before = console.control("options")
    ((name, value),) = options.items()
    reply = requests.post(f"{console.sim.url}/_sim/options", data=f'{{"{name}": {value}}}', timeout=20)
    assert reply.status_code == 400, reply.text
    assert console.control("options") == before
    console.ok("createTask", name="abc")


def test_a_fault_for_a_call_that_does_not_exist_names_those_that_do(console: Console) -> None:
    """A misspelt operation would spoil nothing, silently."""
    script = {"effect": "lose-reply", "operation": "createjob"}
    reply = requests.post(f"{console.sim.url}/_sim/faults", json=script, timeout=20)
    assert reply.status_code == 400
    assert "createJob" in reply.json()["error"]


@pytest.mark.parametrize("effect", [Effect.HIDE, Effect.DOOM])
def test_a_fault_waits_for_a_call_that_makes_something(sim: Simulator, story: Story, effect: Effect) -> None:
    """A refused call, or one that only reads, leaves what is to be hidden or doomed to the next one."""
    sim.faults.add(Fault(effect, "createJob", count=2), Fault(Effect.ERROR, "userList", code=18))
    task = story.task()
    for _ in range(3):
        assert story.console.code("createJob", taskId=task["id"]) == 500001
    story.console.code("userList")
    assert [(left["effect"], left["count"]) for left in sim.faults.left()] == [(effect, 2)]
    story.run(task)
    assert [(left["effect"], left["count"]) for left in sim.faults.left()] == [(effect, 1)]
    story.run(task)
    assert sim.faults.left() == []


@pytest.mark.parametrize("depth", [1000, 5000, 9000])
@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_deep_json_is_no_json_on_every_python(console: Console, depth: int, opening: str) -> None:
    """Whatever the interpreter can take in, the state can be written out."""
    task = console.ok("createTask", name="abc")
    closing = {"[": "]", '{"a":': "}"}[opening]
    deep = (opening * depth + "1" + closing * depth).encode()
    raw = b'{"taskId": %d, "trainConfig": %s}' % (task["id"], deep)
    assert console.send("createJob", raw=raw).json()["error_code"] == 500001
    assert console.control("state")["accounts"]["demo"]["tasks"][0]["runs"] == []
    assert requests.post(f"{console.sim.url}/_sim/options", data=deep, timeout=20).status_code == 400


def test_brackets_in_a_text_are_not_depth(console: Console) -> None:
    """A description may hold any number of brackets, and quotes."""
    text = '[{\\"' * 100
    assert console.ok("createTask", name="abc", description=text)["description"] == text


def exchange(sim: Simulator, *parts: bytes) -> bytes:
    """Send a request in packets of their own and return the beginning of the answer."""
    url = urlsplit(sim.url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        return connection.recv(1000)


def test_a_body_that_cannot_be_unpacked_is_refused(sim: Simulator) -> None:
    """Bytes that are no gzip are 400, not 500."""
    head = f"POST {CREATE_TASK} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n".encode()
    assert b" 400 " in exchange(sim, head + b"hello").split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Transfer-Encoding: chunked", b'4\r\n{"a"\r\nzz\r\n'), (b"Content-Length: 9", b'{"a"')],
    ids=["a broken chunk", "a body that ends early"],
)
def test_a_body_that_never_ends_is_answered(framing: bytes, body: bytes) -> None:
    """Its time is limited, by `body_seconds`; a chunk that comes with the head of the request is seen to be broken."""
    head = f"POST {CREATE_TASK} HTTP/1.1\r\nHost: x\r\n".encode() + framing + b"\r\n\r\n"
    with Simulator(body_seconds=0.2) as sim:
        assert exchange(sim, head + body[:6], body[6:]).split(b" ")[1] in (b"408", b"400")


def test_a_long_access_key_is_cut_in_the_record(sim: Simulator) -> None:
    """A hundred thousand calls with keys of 7 KB each must fit into the memory."""
    header = {"Authorization": f"bce-auth-v1/{'k' * 7000}/2024-03-01T08:00:00Z/1800/host/{'0' * 64}"}
    requests.post(sim.url + CREATE_TASK, headers=header, timeout=20)
    assert [len(call.access_key) for call in sim.calls] == [LONGEST_KEY]


def test_both_forms_of_ids_apply_for_a_service(story: Story) -> None:
    """The vendor's SDK 0.2.8 sends `am-` and `amv-` strings, its documents integers."""
    version = story.ready()
    strings = {"modelId": version["modelIDStr"], "modelVersionId": version["versionIdStr"]}
    assert story.console.ok("apply", **{**SERVICE, **strings})["result"]
    assert story.console.ok(
        "apply", **{**SERVICE, "modelId": version["modelId"], "modelVersionId": version["versionIdStr"]}
    )
    assert story.console.code("apply", **{**SERVICE, **strings, "modelId": "am-unknown"}) == 10001


def test_a_client_that_signs_by_the_machine_s_clock_goes_on_after_the_clock_was_moved() -> None:
    """With `signature_clock` either, an SDK is accepted; a moment that no clock shows is not."""
    with Simulator(Options(signature_clock="either"), clock=lambda: NOON) as sim, requests.Session() as session:
        console = Console(sim, session=session)
        sim.advance(86400)
        console.ok("createTask", name="simulated")
        console.at = NOON
        console.ok("createTask", name="machine")
        console.at = NOON + 43200
        assert console.code("createTask", name="neither") == "RequestExpired"


def test_without_that_choice_a_signature_expires_by_the_simulated_clock(console: Console) -> None:
    """What is signed before the clock is moved is old afterwards: the fence of a create is tested with it."""
    console.at = NOON
    console.control("advance", seconds=7200)
    assert console.code("createTask", name="abc") == "RequestExpired"


@pytest.mark.parametrize(
    ("base", "train_type", "config"),
    [
        ("ERNIE-Speed", "ERNIE-Speed", {"epoch": 1, "learningRate": 2e-5, "maxSeqLen": 4096}),
        ("Baichuan2", "Baichuan2-7B", {"epoch": 1, "learningRate": 2e-5}),
        ("CodeLlama", "CodeLlama-7B", {"epoch": 1, "learningRate": 2e-5}),
    ],
)
def test_a_model_that_does_not_train_on_is_refused(
    story: Story, base: str, train_type: str, config: dict[str, Any]
) -> None:
    """The vendor's list of models for incremental training leaves some out: 510404."""
    choice = {"baseTrainType": base, "trainType": train_type, "peftType": "ALL", "trainConfig": config}
    run = story.finished(**choice)
    task = story.task("next")
    more = {"jobRunType": 1, "increConfig": {"taskId": run["taskId"], "jobId": run["jobId"]}}
    body = {**choice, **more, "taskId": task["id"], "trainMode": "SFT", "trainset": [{"type": 1, "id": 1}]}
    assert story.console.code("createJob", **body, trainsetRate=20) == 510404


@pytest.mark.parametrize(
    "version",
    [
        {},
        {"versionId": "ds-good", "versionBosUri": "bos:/a/b"},
        {"versionId": 5},
        {"versionId": "ds-bad"},
        {"versionBosUri": "bos:/bad"},
        {"versionId": "ds-good", "samplingRate": 0},
    ],
)
def test_v2_refuses_a_data_set_that_is_none_or_bad(console: Console, version: dict[str, Any]) -> None:
    """A version names exactly one data set, and one that was declared bad is refused as in V1."""
    console.control("dataset", id="ds-bad", code=510102)
    console.control("dataset", id="bos:/bad", code=510101)
    job = console.ok("CreateFineTuningJob", name="abc", model="ERNIE-Lite-8K-0725", trainMode="SFT")["jobId"]
    data = {"sourceType": "Platform", "splitRatio": 20}
    body = {
        "jobId": job,
        "parameterScale": "LoRA",
        "hyperParameterConfig": {"epoch": 1, "learningRate": 3e-4, "maxSeqLen": 4096},
    }
    good = {**body, "datasetConfig": {**data, "versions": [{"versionId": "ds-good"}]}}
    assert console.code("CreateFineTuningTask", **{**body, "datasetConfig": {**data, "versions": [version]}})
    assert console.ok("CreateFineTuningTask", **good)["taskId"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "x"], "ACCESS:SECRET"),
        (["--pace", "quick"], "at-once"),
        (["--pay-after", "nan"], "finite"),
        (["--list-lag", "-1"], "list_lag"),
        (["--port", "99999"], "99999"),
        (["--faults", "missing.json"], "missing.json"),
        (["--faults", "bad.json"], "matches no call"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    """It ends with 2 and a sentence, without a traceback."""
    (tmp_path / "bad.json").write_text(json.dumps([{"effect": "slow", "operation": "createjob"}]))
    command = [sys.executable, "-m", "qianfan_simulator", *arguments]
    ended = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
