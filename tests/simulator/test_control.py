"""What happens outside the API: `/_sim/`, and the same verbs in-process."""

from typing import Any

import pytest
import requests

from qianfan_simulator import Simulator
from simulator.console import Console
from simulator.story import Story


def test_the_state_is_told_without_being_looked_at(sim: Simulator, console: Console, story: Story) -> None:
    """A dump has every task with its runs, every model with its versions, every service, and never moves anything."""
    story.service()
    for _ in range(5):
        state = console.control("state")
    demo = state["accounts"]["demo"]
    (task,) = demo["tasks"]
    assert [run["state"] for run in task["runs"]] == ["FINISH"]
    assert task["runs"][0]["trainConfig"]["batchSize"] == 4
    (model,) = [model for model in demo["models"] if not model["preset"]]
    assert [version["run"] for version in model["versions"]] == [task["runs"][0]["uuid"]]
    assert [service["state"] for service in demo["services"]] == ["New"]
    assert state["accounts"]["other"]["tasks"] == []
    assert state["counts"]["createJob"] == {"ok": 1}
    assert demo["accessKeys"] == ["demo-access-key", "demo-access-key-2"]


def test_calls_are_counted_and_can_be_read_on(console: Console) -> None:
    """`operation` filters, `since` continues."""
    console.ok("createTask", name="abc")
    console.code("createTask", name="abc")
    console.ok("userList")
    calls = console.session.get(f"{console.sim.url}/_sim/calls", params={"operation": "createTask"}, timeout=20).json()
    assert [(call["outcome"], call["parameters"]) for call in calls] == [
        ("ok", {"name": "abc"}),
        ("510201", {"name": "abc"}),
    ]
    rest = console.session.get(f"{console.sim.url}/_sim/calls", params={"since": 2}, timeout=20).json()
    assert [call["operation"] for call in rest] == ["userList"]


def test_reset_begins_anew(sim: Simulator, console: Console, story: Story) -> None:
    """Things, faults and calls are gone, and the ids are those of a fresh simulator."""
    first = story.task()
    console.control("faults", [{"effect": "error", "code": 18}])
    console.control("reset", {})
    assert sim.calls == []
    assert story.task() == first


def test_a_run_stopped_in_the_console(console: Console, story: Story) -> None:
    """The next look sees STOP; what does not train cannot be stopped."""
    run = story.run()
    console.control("stop", id=run["jobId"])
    assert console.ok("jobDetail", taskId=run["taskId"], jobId=run["jobId"])["trainStatus"] == "STOP"
    assert post(console, "stop", id=run["jobId"]).status_code == 400


@pytest.mark.parametrize(("when", "seen"), [("now", []), ("end", ["RUNNING", "RUNNING"])])
def test_a_failing_run(console: Console, story: Story, when: str, seen: list[str]) -> None:
    """At once, or when its work would be done."""
    run = story.run()
    console.control("fail", id=run["uuid"], when=when)
    ids = {"taskId": run["taskId"], "jobId": run["jobId"]}
    assert story.see("jobDetail", "trainStatus", "FAIL", **ids) == seen
    assert post(console, "fail", id=run["uuid"]).status_code == 400


def test_a_run_that_is_held(sim: Simulator, console: Console, story: Story) -> None:
    """It trains until it is stopped, however long; its stopping takes no longer than another's."""
    run = story.run()
    console.control("hold", id=run["jobId"])
    ids = {"taskId": run["taskId"], "jobId": run["jobId"]}
    assert {console.ok("jobDetail", **ids)["trainStatus"] for _ in range(9)} == {"RUNNING"}
    console.ok("stopJob", **ids)
    assert story.see("jobDetail", "trainStatus", "STOP", **ids) == ["RUNNING"]
    assert post(console, "hold", id=run["jobId"]).status_code == 400


def test_an_unpaid_service_can_fail(console: Console, story: Story) -> None:
    """It is Failed at the next look."""
    service = story.service()["serviceId"]
    console.control("fail", id=service)
    assert console.ok("serviceDetail", serviceId=service)["serviceStatus"] == "Failed"


def test_a_service_expires(console: Console, story: Story) -> None:
    """Its paid time runs out: Stopped in both APIs, and no second time."""
    service = story.serving()
    console.control("expire", id=service["serviceUuid"])
    assert console.ok("serviceDetail", serviceId=service["serviceId"])["serviceStatus"] == "Stopped"
    assert console.ok("DescribeService", serviceId=service["serviceUuid"])["runStatus"] == "Stopped"
    assert post(console, "expire", id=service["serviceUuid"]).status_code == 400


def test_things_deleted_in_the_console(sim: Simulator, console: Console, story: Story) -> None:
    """Anything can vanish, with what it holds."""
    version = story.ready()
    service = story.service(version)
    console.control("delete", id=service["serviceUuid"])
    assert console.ok("serviceList")["custom"] == []
    console.control("delete", id=version["versionIdStr"])
    assert console.code("modelVersionDetail", modelVersionId=version["versionId"]) == 10001
    console.control("delete", id=version["modelIDStr"])
    assert console.code("modelDetail", modelId=version["modelId"]) == 10001
    (run,) = sim.account().runs
    console.control("delete", id=run.uid)
    assert console.code("jobDetail", taskId=run.task.id, jobId=run.id) == 510301
    console.control("delete", id=run.task.id)
    assert console.code("jobDetail", taskId=run.task.id, jobId=run.id) == 510202


def test_options_can_change_while_it_runs(sim: Simulator, console: Console, story: Story) -> None:
    """Progressions by their words, everything else by its value; a typing error is refused."""
    told = console.control("options", {"training": "at-once", "list_lag": 3})
    assert told["list_lag"] == "3"
    story.run()
    assert sim.options.list_lag == 3
    for wrong in ({"trainng": "at-once"}, {"training": "soon"}, {"v2": "off"}, {"training": 5}, []):
        assert requests.post(f"{sim.url}/_sim/options", json=wrong, timeout=20).status_code == 400


def test_the_clock_can_be_moved(sim: Simulator, console: Console) -> None:
    """`advance` tells the new time."""
    before = sim.clock.now()
    assert console.control("advance", seconds=90) == {"now": before + 90}


def test_the_help_page_names_everything(console: Console) -> None:
    """`/_sim/` tells each verb, each effect, each operation and the access keys, but no secret."""
    page = console.session.get(f"{console.sim.url}/_sim/", timeout=20)
    assert page.headers["Content-Type"].startswith("text/html")
    for word in ("/_sim/faults", "/_sim/advance", "lose-reply", "createJob", "DeactivateService", "demo-access-key"):
        assert word in page.text
    assert "demo-secret-key" not in page.text


def post(console: Console, verb: str, **query: Any) -> Any:
    """A control request that may fail."""
    return console.session.post(f"{console.sim.url}/_sim/{verb}", params=query, timeout=20)


@pytest.mark.parametrize(
    ("verb", "query", "status"),
    [
        ("nothing", {}, 404),
        ("stop", {"id": "task-nothing"}, 404),
        ("fail", {"id": 1}, 404),
        ("stop", {}, 400),
        ("advance", {"seconds": "soon"}, 400),
        ("advance", {}, 400),
        ("v2", {"mode": "off"}, 400),
        ("hide", {"id": 1}, 400),
    ],
)
def test_bad_control_requests_are_explained(console: Console, verb: str, query: dict[str, Any], status: int) -> None:
    """A mistake is told in a sentence and never changes anything."""
    reply = post(console, verb, **query)
    assert reply.status_code == status
    assert reply.json()["error"]


def test_a_task_has_no_state_to_change(console: Console, story: Story) -> None:
    """Only runs, versions and services work."""
    assert post(console, "fail", id=story.task()["uuid"]).status_code == 400


def test_verbs_are_posted(console: Console) -> None:
    """A GET never changes anything."""
    assert console.session.get(f"{console.sim.url}/_sim/reset", timeout=20).status_code == 405
    assert post(console, "faults").status_code == 200
