"""`python -m qianfan_simulator` as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from qianfan_simulator import DEFAULT_KEYS, AfterLooks, AfterSeconds, AtOnce, Effect, Fault, Key, Never, Simulator
from qianfan_simulator.__main__ import options_of, parse_key, parser
from qianfan_simulator.control import VERBS
from qianfan_simulator.operations import NAMES
from simulator.console import Console
from simulator.story import JOB, Story


def test_the_process_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    """The first line is JSON with the URL; flags, keys and faults count; SIGTERM ends it with 0."""
    faults = tmp_path / "faults.json"
    faults.write_text('[{"effect": "error", "code": 18}]')
    command = [sys.executable, "-m", "qianfan_simulator", "--port", "0", "--pace", "at-once", "--faults", str(faults)]
    environ = {**os.environ, "QIANFAN_SIMULATOR_KEYS": "mine:secret:me yours:secret"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        sim = Simulator()
        sim.url = json.loads(process.stdout.readline())["url"]
        with requests.Session() as session:
            console = Console(sim, "mine", "secret", session)
            assert console.code("createTask", name="abc") == 18
            task = console.ok("createTask", name="abc")
            assert list(console.control("state")["accounts"]) == ["me", "demo"]
        process.terminate()
        output, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == ""
    assert [line.split(" ", 1)[1] for line in log.splitlines()] == [
        'me createTask {"name": "abc"} not executed (error)',
        'me createTask {"name": "abc"} ok',
    ]
    assert task["name"] == "abc"


def test_flags_become_options() -> None:
    """Seconds for one step, `--pace` for the rest, payment only if asked for."""
    usual = options_of(parser().parse_args([]))
    assert (usual.training, usual.payment) == (AfterLooks(2), Never())
    flags = [
        "--train-seconds",
        "20",
        "--pay-after",
        "3",
        "--deploy-seconds",
        "4",
        "--pace",
        "at-once",
        "--v2",
        "denied",
    ]
    chosen = options_of(parser().parse_args([*flags, "--list-lag", "5", "--unique-service-names"]))
    assert chosen.training == AfterSeconds(20)
    assert chosen.payment == AfterSeconds(3)
    assert chosen.deploying == chosen.updating == AfterSeconds(4)
    assert chosen.publishing == chosen.stopping == AtOnce()
    assert (chosen.v2, chosen.list_lag, chosen.unique_service_names) == ("denied", 5, True)


def test_keys_are_written_with_colons() -> None:
    """Access key, secret and, if another account is meant, its name."""
    assert parse_key("a:b") == Key("a", "b", "demo")
    assert parse_key("a:b:c") == Key("a", "b", "c")
    assert "demo-secret" not in repr(DEFAULT_KEYS)
    for wrong in ("a", "a:", "a:b:c:d"):
        with pytest.raises(ValueError, match="ACCESS:SECRET"):
            parse_key(wrong)


def test_a_taken_port_is_an_error() -> None:
    """start() raises, and a second start elsewhere works."""
    with Simulator() as first:
        port = int(first.url.rpartition(":")[2])
        second = Simulator(port=port)
        with pytest.raises(OSError, match="address already in use"):
            second.start()
        second.stop()


def test_a_stopped_simulator_can_still_be_read() -> None:
    """The memory outlives the port; stopping twice does no harm."""
    with Simulator() as sim, requests.Session() as session:
        Console(sim, session=session).ok("createTask", name="abc")
    sim.stop()
    assert [task.name for task in sim.account().tasks] == ["abc"]
    with pytest.raises(requests.ConnectionError):
        requests.get(sim.url, timeout=5)


def test_the_documentation_names_every_flag_verb_and_effect() -> None:
    """docs/simulator.md is complete, and its scripts and examples are good."""
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    flags = {flag for action in parser()._actions for flag in action.option_strings if flag not in ("-h", "--help")}
    missing = [word for word in (*flags, *Effect, *VERBS) if f"`{word}" not in text]
    assert missing == []
    script = text.partition("```json\n")[2].partition("```")[0]
    assert len([Fault.from_json(value, NAMES) for value in json.loads(script)]) == 3


def test_the_documented_example_works() -> None:
    """The Python of docs/simulator.md runs when a client stands in its place."""
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    assert example.count("...  # point the client at sim.url") == 1
    exec(example.replace("...  # point", "drive(sim)  # point"), {"drive": lose_a_reply})


def lose_a_reply(sim: Simulator) -> None:
    """Create a task and a run, whose reply is lost."""
    with requests.Session() as session:
        console = Console(sim, session=session)
        task = Story(console).task()
        with pytest.raises(requests.ConnectionError):
            console.send("createJob", {**JOB, "taskId": task["id"]})
