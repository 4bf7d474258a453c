"""Every kind of trouble, and that it is over when it is over."""

import json
import threading
from typing import Any

import pytest
import requests

from qianfan_simulator import AfterSeconds, AtOnce, Effect, Fault, Never, Options, Simulator
from qianfan_simulator.lifecycle import AfterLooks, parse_progression
from qianfan_simulator.operations import NAMES
from simulator.console import Console
from simulator.story import JOB, Story


def names(sim: Simulator) -> list[str]:
    """The tasks that exist."""
    return [task.name for task in sim.account().tasks]


def outcomes(sim: Simulator) -> list[tuple[str, str]]:
    """What happened to each call."""
    return [(call.outcome, call.fault) for call in sim.calls]


def test_a_lost_request_is_not_executed(sim: Simulator, console: Console) -> None:
    """The connection closes without a reply; the next call works."""
    sim.faults.add(Fault(Effect.LOSE_REQUEST, "createTask"))
    with pytest.raises(requests.ConnectionError):
        console.send("createTask", {"name": "abc"})
    assert names(sim) == []
    console.ok("createTask", name="abc")
    assert outcomes(sim) == [("not executed", "lose-request"), ("ok", "")]


def test_a_lost_reply_was_executed(sim: Simulator, console: Console) -> None:
    """The connection closes without a reply, and the thing exists."""
    sim.faults.add(Fault(Effect.LOSE_REPLY, "createTask"))
    with pytest.raises(requests.ConnectionError):
        console.send("createTask", {"name": "abc"})
    assert names(sim) == ["abc"]
    assert outcomes(sim) == [("ok", "lose-reply")]


def wait_for(event: threading.Event) -> None:
    """Wait without a clock; a minute means that it never comes."""
    assert event.wait(60)


class Watched(Simulator):
    """A simulator that tells when a call is held, and when it has been delivered."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.held, self.delivered = threading.Event(), threading.Event()
        record = self.recorded.add

        def add(call: Any, account: str) -> None:
            record(call, account)
            (self.held if call.outcome == "held" else self.delivered).set()

        self.recorded.add = add  # type: ignore[method-assign]


def test_a_late_request_is_executed_when_it_arrives() -> None:
    """Held until the clock says so, then executed and answered."""
    with Watched() as sim, requests.Session() as session:
        sim.faults.add(Fault(Effect.DELIVER_LATE, "createTask", seconds=40))
        replies: list[Any] = []
        client = threading.Thread(
            target=lambda: replies.append(Console(sim, session=session).send("createTask", {"name": "abc"}))
        )
        client.start()
        wait_for(sim.held)
        assert names(sim) == []
        assert not sim.delivered.is_set()
        sim.advance(40)
        client.join(60)
        assert replies[0].json()["result"]["name"] == "abc"
        assert [call.outcome for call in sim.calls] == ["held", "ok"]


def test_a_late_request_can_be_too_late() -> None:
    """The signature is checked at delivery: one that has expired on the way makes nothing."""
    with Watched() as sim, requests.Session() as session:
        sim.faults.add(Fault(Effect.DELIVER_LATE, "createTask", seconds=4000, hang_up=True))
        with pytest.raises(requests.ConnectionError):
            Console(sim, session=session).send("createTask", {"name": "abc"})
        wait_for(sim.held)
        sim.advance(4000)
        wait_for(sim.delivered)
        assert names(sim) == []
        assert [call.outcome for call in sim.calls] == ["held", "RequestExpired"]


def test_a_late_request_survives_its_client() -> None:
    """The client hangs up; what it sent is executed all the same."""
    with Watched() as sim, requests.Session() as session:
        sim.faults.add(Fault(Effect.DELIVER_LATE, "createTask", seconds=40))
        with pytest.raises(requests.Timeout):
            Console(sim, session=session).send("createTask", {"name": "abc"}, timeout=0.05)
        wait_for(sim.held)
        sim.advance(40)
        wait_for(sim.delivered)
        assert names(sim) == ["abc"]


def test_held_requests_do_not_keep_a_simulator_alive() -> None:
    """Stopping drops what is still held; it is never executed."""
    with Watched() as sim, requests.Session() as session:
        sim.faults.add(Fault(Effect.DELIVER_LATE, seconds=4000, hang_up=True))
        with pytest.raises(requests.ConnectionError):
            Console(sim, session=session).send("createTask", {"name": "abc"})
        wait_for(sim.held)
    assert names(sim) == []


def test_a_slow_reply_was_executed_at_once() -> None:
    """The thing exists while the client still waits."""
    with Watched() as sim, requests.Session() as session:
        sim.faults.add(Fault(Effect.SLOW, "createTask", seconds=40))
        with pytest.raises(requests.Timeout):
            Console(sim, session=session).send("createTask", {"name": "abc"}, timeout=0.05)
        wait_for(sim.delivered)
        assert names(sim) == ["abc"]
        sim.faults.add(Fault(Effect.SLOW, "userList", seconds=0.01))
        Console(sim, session=session).ok("userList")


def test_a_cut_body(sim: Simulator, console: Console) -> None:
    """The length promises more than what comes; the call was executed."""
    sim.faults.add(Fault(Effect.CUT_BODY, "createTask"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        console.send("createTask", {"name": "abc"})
    assert names(sim) == ["abc"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_bare_statuses(sim: Simulator, console: Console, status: int, after: bool) -> None:
    """An HTTP status without a word, instead of executing or instead of the reply."""
    sim.faults.add(Fault(Effect.STATUS, status=status, after=after))
    reply = console.send("createTask", {"name": "abc"})
    assert (reply.status_code, reply.content) == (status, b"")
    assert names(sim) == (["abc"] if after else [])


@pytest.mark.parametrize("after", [False, True])
def test_a_proxys_page(sim: Simulator, console: Console, after: bool) -> None:
    """HTML with 502, or with the status that was asked for."""
    sim.faults.add(Fault(Effect.HTML, after=after), Fault(Effect.HTML, status=200))
    reply = console.send("createTask", {"name": "abc"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert names(sim) == (["abc"] if after else [])
    reply = console.send("userList")
    assert reply.status_code == 200
    assert reply.text.startswith("<html>")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("code", [4, 18, 336100, 500000, 500002, 510403, 70002, 70115])
def test_v1_errors_by_number(sim: Simulator, console: Console, code: int, after: bool) -> None:
    """Any code, in V1's form, before or after executing."""
    sim.faults.add(Fault(Effect.ERROR, "createTask", code=code, after=after))
    reply = console.send("createTask", {"name": "abc"})
    assert reply.status_code == 200
    assert reply.json()["error_code"] == code
    assert reply.json()["error_msg"] != "unknown error"
    assert names(sim) == (["abc"] if after else [])


def test_errors_by_word(sim: Simulator, console: Console) -> None:
    """A word is V2's form, and IAM's on V1, with its own HTTP status unless another is asked for."""
    sim.faults.add(
        Fault(Effect.ERROR, "DescribeFineTuningJobs", code="InternalError", message="Please try again."),
        Fault(Effect.ERROR, "userList", code="AccessDenied"),
        Fault(Effect.ERROR, "presetList", code="Odd", status=418),
    )
    reply = console.send("DescribeFineTuningJobs")
    assert (reply.status_code, reply.json()["message"]) == (500, "Please try again.")
    reply = console.send("userList")
    assert (reply.status_code, reply.headers["X-Bce-Error-Code"]) == (403, "AccessDenied")
    assert console.send("presetList").status_code == 418


def test_a_hidden_thing_is_missing_from_lists_only(sim: Simulator, console: Console, story: Story) -> None:
    """For three complete readings the lists do not show what was made; by its id it can be read."""
    sim.faults.add(Fault(Effect.HIDE, "createJob", looks=3))
    run = story.run()
    console.ok("jobDetail", taskId=run["taskId"], jobId=run["jobId"])
    shown = [bool(console.ok("DescribeFineTuningTasks", jobId=run["taskUuid"])["taskList"]) for _ in range(5)]
    assert shown == [False, False, False, True, True]


def test_pages_of_one_reading_count_once(sim: Simulator, console: Console, story: Story) -> None:
    """A reading begins without a marker; its later pages hide the same things."""
    for number in range(3):
        story.task(f"task_{number}")
    console.control("hide", id=sim.account().tasks.named("task_0").uid, looks=1)  # type: ignore[union-attr]
    first = console.ok("DescribeFineTuningJobs", maxKeys=1)
    second = console.ok("DescribeFineTuningJobs", maxKeys=1, marker=first["pageInfo"]["nextMarker"])
    assert second["pageInfo"]["isTruncated"] is False
    assert len(console.ok("DescribeFineTuningJobs")["jobList"]) == 3


@pytest.mark.parametrize("looks", [0, 1])
def test_every_list_can_hide(sim: Simulator, console: Console, story: Story, looks: int) -> None:
    """Models, versions and services are hidden from their own lists, by their own readings."""
    sim.faults.add(*[Fault(Effect.HIDE, call, looks=looks) for call in ("publishTrainModel", "apply")])
    version = story.ready()
    story.service(version)
    expected = [0] * looks + [1]
    times = range(looks + 1)
    assert [len(console.ok("serviceList")["custom"]) for _ in times] == expected
    assert [len(console.ok("userList")["items"]) for _ in times] == expected
    assert [len(console.ok("modelDetail", modelId=version["modelId"])["modelVersionList"]) for _ in times] == expected


def test_lists_may_lag(sim: Simulator, console: Console, story: Story) -> None:
    """With a lag in seconds everything new is missing from lists for so long."""
    sim.configure(list_lag=30)
    story.run()
    assert console.ok("DescribeFineTuningJobs")["jobList"] == []
    sim.advance(30)
    assert len(console.ok("DescribeFineTuningJobs")["jobList"]) == 1


def test_a_doomed_thing_fails_when_its_work_would_be_done(sim: Simulator, console: Console, story: Story) -> None:
    """Run, version and service go their way and end in FAIL, Fail and Failed."""
    sim.faults.add(*[Fault(Effect.DOOM, call, skip=1) for call in ("createJob", "publishTrainModel", "apply")])
    good, bad = story.finished(), story.run(story.task("bad"))
    ids = {"taskId": bad["taskId"], "jobId": bad["jobId"]}
    assert story.see("jobDetail", "trainStatus", "FAIL", **ids) == ["RUNNING", "RUNNING"]
    assert console.ok("jobDetail", **ids)["finishTime"] != "0000-00-00 00:00:00"
    version = story.publish(good)
    story.see("modelVersionDetail", "state", "Ready", modelVersionId=version["versionId"])
    failing = story.publish(good, "model_2")["versionId"]
    assert story.see("modelVersionDetail", "state", "Fail", modelVersionId=failing) == ["Creating", "Creating"]
    story.service(version)
    service = story.service(version)["serviceId"]
    console.control("pay", id=service)
    assert story.see("serviceDetail", "serviceStatus", "Failed", serviceId=service) == ["Deploying", "Deploying"]


def test_a_script_is_played_in_order(sim: Simulator, console: Console) -> None:
    """The first fault that matches acts, `count` times; `skip` lets calls pass; patterns and keys limit it."""
    sim.faults.add(
        Fault(Effect.ERROR, "userList", code=18, count=2),
        Fault(Effect.ERROR, "create*|*List", code=336100),
        Fault(Effect.ERROR, "presetList", code=4, skip=1, count=0),
        Fault(Effect.ERROR, code=19, access_key="demo-access-key-2"),
    )
    told = [console.send("userList").json().get("error_code") for _ in range(4)]
    assert told == [18, 18, 336100, None]
    assert [console.send("presetList").json().get("error_code") for _ in range(4)] == [None, 4, 4, 4]
    second = Console(sim, "demo-access-key-2", "demo-secret-key-2", console.session)
    assert second.code("userList") == 19
    assert [fault["code"] for fault in sim.faults.left()] == [4]
    sim.faults.clear()
    console.ok("presetList")


def test_faults_are_json(sim: Simulator, console: Console) -> None:
    """A script can be posted, read back and ended."""
    script = [{"effect": "error", "operation": "createJob", "code": 336100, "count": 3}, {"effect": "lose-reply"}]
    console.control("faults", script)
    left = console.control("faults")
    assert [fault["effect"] for fault in left] == ["error", "lose-reply"]
    assert [Fault.from_json(fault, NAMES) for fault in left] == [Fault.from_json(fault, NAMES) for fault in script]
    assert console.control("faults", []) == []


@pytest.mark.parametrize(
    "value",
    [
        5,
        {},
        {"effect": "explode"},
        {"effect": "error"},
        {"effect": "slow", "seconds": "5"},
        {"effect": "slow", "seconds": -1},
        {"effect": "slow", "count": 1.5},
        {"effect": "slow", "after": 1},
        {"effect": "error", "code": True},
        {"effect": "slow", "operation": 5},
        {"effect": "http-status", "status": 99},
        {"effect": "slow", "secs": 5},
        {"effect": ["slow"]},
        {"effect": "slow", "operation": "createJobs"},
        {"effect": "slow", "operation": "createJob|stopjob"},
        {"effect": "slow", "seconds": 1e999},
        {"effect": "slow", "count": 1e999},
        {"effect": "slow", "count": 10**30},
        {"effect": "error", "code": "Bad\r\nX-Header: 1"},
        {"effect": "error", "code": "Throttled", "message": "x" * 2000},
        {"effect": "error", "code": 10**400},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(console: Console, value: Any) -> None:
    """A script with a mistake is 400 with a sentence, and none of it is played."""
    reply = requests.post(f"{console.sim.url}/_sim/faults", data=json.dumps([{"effect": "slow"}, value]), timeout=20)
    assert reply.status_code == 400
    assert reply.json()["error"]
    assert console.control("faults") == []


@pytest.mark.parametrize(
    ("pace", "seen"), [(AtOnce(), []), (AfterLooks(1), ["RUNNING"]), (AfterLooks(0), []), (AfterSeconds(0), [])]
)
def test_progressions_by_looks(sim: Simulator, story: Story, pace: Any, seen: list[str]) -> None:
    """At once, after n looks: exactly so many looks see the work."""
    sim.configure(training=pace)
    run = story.run()
    assert story.see("jobDetail", "trainStatus", "FINISH", taskId=run["taskId"], jobId=run["jobId"]) == seen


def test_lists_are_looks_too(console: Console, story: Story) -> None:
    """A client that polls by lists gets on as fast as one that polls by ids."""
    run = story.run()
    told = [console.ok("DescribeFineTuningTasks", jobId=run["taskUuid"])["taskList"][0]["runStatus"] for _ in range(3)]
    assert told == ["Waiting", "Running", "Done"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("at-once", AtOnce()), ("never", Never()), ("looks:3", AfterLooks(3)), ("seconds:1.5", AfterSeconds(1.5))],
)
def test_progressions_have_words(text: str, value: Any) -> None:
    """Flags and the control API name progressions alike."""
    assert parse_progression(text) == value


@pytest.mark.parametrize("text", ["", "soon", "looks", "looks:-1", "looks:x", "seconds:x", "at-once:1"])
def test_an_unknown_progression_is_refused(text: str) -> None:
    """A typing error is an error."""
    with pytest.raises(ValueError, match=r"must be|could not convert"):
        parse_progression(text)


@pytest.mark.parametrize(
    "change", [{"v2": "off"}, {"service_generation": "2025"}, {"list_lag": -1}, {"max_tasks": "1"}]
)
def test_an_impossible_option_is_refused(change: dict[str, Any]) -> None:
    """Options are checked where they are made."""
    with pytest.raises(ValueError, match="must be"):
        Options(**change)


def test_a_storm_of_creates_makes_one_task(sim: Simulator) -> None:
    """Calls from many threads are executed one after the other: of ten equal names one is made."""
    codes: list[Any] = []

    def create() -> None:
        with requests.Session() as session:
            codes.append(Console(sim, session=session).send("createTask", {"name": "abc"}).json().get("error_code"))

    threads = [threading.Thread(target=create) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes, key=str) == [510201] * 9 + [None]
    assert names(sim) == ["abc"]


def test_simulators_do_not_share_anything(sim: Simulator, console: Console) -> None:
    """Two in one process have their own memory, faults and clock, and the same ids for the same calls."""
    with Simulator(clock=lambda: 0.0) as other, requests.Session() as session:
        sim.faults.add(Fault(Effect.ERROR, code=18))
        sim.advance(5)
        there = Console(other, session=session).ok("createTask", name="abc")
        assert other.clock.now() == 0
        assert console.code("createTask", name="abc") == 18
        here = console.ok("createTask", name="abc")
        assert (here["id"], here["uuid"]) == (there["id"], there["uuid"])


def test_bodies_and_secrets_are_not_recorded(
    sim: Simulator, console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    """The record and the log know ids and names; an SDK that leaks its keys into the body leaks them no further."""
    caplog.set_level("INFO", logger="qianfan_simulator.access")
    body = {**JOB, "taskId": 7, "ak": "leaked-ak", "sk": "leaked-sk", "description": "words"}
    console.send("createJob", body)
    console.send("publishTrainModel", {"versionMeta": {"taskId": 1, "iterationId": "task-1"}, "modelName": "m" * 999})
    first, second = sim.calls
    assert first.parameters == {"taskId": 7}
    assert second.parameters == {"taskId": 1, "iterationId": "task-1", "modelName": "m" * 64}
    everything = caplog.text + json.dumps(console.control("calls")) + json.dumps(console.control("state"))
    for secret in ("leaked", "words", "demo-secret-key"):
        assert secret not in everything
    assert 'demo createJob {"taskId": 7} 510202' in caplog.text
