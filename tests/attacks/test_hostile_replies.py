"""No reply of the cloud makes a status too large, reads back differently, or carries what no line may carry."""

import copy
import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks.tampering import HOSTILE, LONG, Relay, relay
from cloud.conftest import calls, clock, keys, make_transport, server  # noqa: F401 - fixtures
from qianfan_operator.api.service import ServiceStatus
from qianfan_operator.cloud import fields, operations
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.fields import MalformedError
from qianfan_operator.cloud.views import (
    Applied,
    Model,
    ModelSummary,
    ModelVersion,
    Published,
    Run,
    RunIds,
    RunItem,
    Service,
    ServiceItem,
    Task,
    TaskItem,
    repository,
    serving,
    training,
)
from qianfan_operator.kinds.marks import Mark
from qianfan_operator.kinds.model import versions
from qianfan_operator.kinds.service import endpoints
from qianfan_operator.kube.client import Forbidden, Invalid, KubeError
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import DAY, World

KEYS = re.findall(r'"(\w+)"', "".join(map(inspect.getsource, (training, repository, serving))))
PARSERS = [
    *(view.parse for view in (Task, RunIds, Run, TaskItem, RunItem, Published, ModelVersion, Model, ModelSummary)),
    *(view.parse for view in (Applied, Service, ServiceItem)),
    Run.parse_v2,
]
MARK = "[qf1 aaaaaaaa bbbbbbbb 1 cccccccc dddddddd]"
WORDS = [
    *HOSTILE.values(), f"{MARK} {LONG}", f"https://x/{LONG}", "https://x/\x1b", f"2024-03-01T08:00:00.{'1' * 999}Z",
]  # fmt: skip
ODD = st.sampled_from(WORDS) | st.text(max_size=8)
IDS = st.sampled_from(["am-1", "amv-1", "job-1", "task-1", "svco-1", 7, "7", 2**63, 1e300, 2.0**60, -1, 0])


def replies(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=12)


def leaves(value: object) -> Iterator[object]:
    """Every plain value in a view."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def check(view: object) -> None:
    """Fail on a value that a status could not take or would not read back."""
    for value in leaves(dataclasses.asdict(view)):  # type: ignore[call-overload]
        if isinstance(value, str):
            assert len(value) <= fields.ADDRESS_LIMIT
            assert value.isprintable()
            assert json.loads(json.dumps(value).encode()) == value.encode().decode()
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63


@given(st.recursive(ODD | IDS, replies, max_leaves=40))
def test_whatever_is_read_is_bounded_and_clean(reply: object) -> None:
    """Any JSON, through every parser: what comes out fits into a status and reads back as it is."""
    for parse in PARSERS:
        try:
            check(parse(reply))
        except MalformedError:
            continue


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__qualname__)
@pytest.mark.parametrize("text", WORDS, ids=lambda text: ascii(text[:30]))
def test_every_text_of_a_reply_is_cleaned(parse: Callable[[object], object], text: str) -> None:
    """Each key by itself, beside ids and a state that make the reply one."""
    good = {"id": 7, "serviceId": 7, "versionId": 7, "modelId": 7, "trainStatus": "RUNNING", "runStatus": "Running"}
    strings = {"jobId": "job-1", "taskId": "task-1"}
    for key in KEYS:
        if key not in {*good, *strings} or key.endswith("Status"):
            try:
                check(parse({**good, **strings, key: text}))
            except MalformedError:
                continue


@pytest.mark.parametrize("uuid", ["task-" + "a" * 65, "task-a b", "task-a\n", "task-", "task-\ud800", "task-é"])
@pytest.mark.parametrize(
    ("endpoint", "parse", "reply", "key"),
    [
        (operations.CREATE_TASK, Task.parse, {"id": 7}, "uuid"),
        (operations.CREATE_JOB, RunIds.parse, {"id": 7}, "uuid"),
        (operations.PUBLISH_TRAIN_MODEL, Published.parse, {"versionId": 7}, "versionIdStr"),
        (operations.APPLY, Applied.parse, {"serviceId": 7}, "serviceUuid"),
    ],
    ids=lambda value: getattr(value, "operation", None),
)
def test_an_odd_string_does_not_cost_the_integer(make_transport, server, endpoint, parse, reply, key, uuid) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """A string that cannot be an id is never cut to another one: it is none, and the integer beside it is kept."""
    transport = make_transport()
    server.tell_time(Client(transport))
    prefix = {"uuid": "job-" if parse == Task.parse else "task-", "versionIdStr": "amv-", "serviceUuid": "svco-"}[key]
    server.results({**reply, key: uuid.replace("task-", prefix)})
    assert transport.prepare(endpoint, {}, parse).send() == parse(reply)


def test_an_odd_string_alone_leaves_a_create_open(make_transport, server) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """Without any usable id, the outcome of the create is unknown, not refused."""
    transport = make_transport()
    server.tell_time(Client(transport))
    for endpoint, parse, reply in (
        (operations.CREATE_JOB, RunIds.parse, {"id": -7, "uuid": "task-a b"}),
        (operations.PUBLISH_TRAIN_MODEL, Published.parse, {"modelId": 7, "versionIdStr": "amv-a b"}),
        (operations.PUBLISH_TRAIN_MODEL, Published.parse, {"versionId": -7, "versionIdStr": "amv-a b"}),
        (operations.APPLY, Applied.parse, {"serviceUuid": "svco-a b"}),
    ):
        server.results(reply)
        with pytest.raises(CloudError) as caught:
            transport.prepare(endpoint, {}, parse).send()
        assert (caught.value.code, caught.value.fate, caught.value.refused) == ("BadReply", Fate.UNKNOWN, False)


def test_of_what_was_published_any_usable_id_is_kept() -> None:
    """An odd model, or an odd integer beside a string, does not cost the version."""
    odd = {"modelId": -7, "modelIDStr": "am-a b"}
    assert Published.parse({**odd, "versionId": 7, "versionIdStr": "amv-7"}) == Published(None, None, 7, "amv-7", "")
    assert Published.parse({**odd, "versionId": -7, "versionIdStr": "amv-7"}) == Published(
        None, None, None, "amv-7", ""
    )


@pytest.mark.parametrize(
    ("parse", "reply", "odd"),
    [
        (Run.parse, {"id": 7, "taskId": 8, "trainStatus": "RUNNING"}, {"uuid": "task-a b", "taskUuid": "job-a b"}),
        (Run.parse_v2, {"taskId": "task-1", "runStatus": "Running"}, {"jobId": "job-a b"}),
        (TaskItem.parse, {"name": "n"}, {"jobId": "job-a b"}),
        (TaskItem.parse, {"name": "n"}, {"jobId": None}),
        (RunItem.parse, {"taskId": "task-1"}, {"jobId": "job-a b"}),
        (ModelVersion.parse, {"modelVersionId": 7}, {"modelVersionIdStr": "amv-a b"}),
        (Model.parse, {"modelId": 7, "modelVersionList": None}, {"modelIdStr": "am-a b"}),
        (ModelSummary.parse, {"modelId": 7}, {"modelIdStr": "am-a b"}),
        (ModelSummary.parse, {"modelId": 7}, {"latestVersionInfo": {"versionIdStr": "amv-a b"}}),
        (Service.parse, {"id": 7, "modelId": 8, "serviceStatus": "Done"}, {"serviceUuid": "svco-a b"}),
        (Service.parse, {"id": 7, "aiModelId": 8, "serviceStatus": "Done"}, {"modelIdStr": "am-a b"}),
        (ServiceItem.parse, {"serviceId": 7}, {"serviceUuid": "svco-a b"}),
    ],
)
def test_an_odd_string_does_not_cost_the_rest(parse, reply, odd) -> None:  # type: ignore[no-untyped-def]
    """What was made with an odd string stays readable by its integer, and does not hide the rest of a list."""
    assert parse({**reply, **odd}) == parse(reply)


def test_an_odd_run_hides_its_task() -> None:
    """The list of the runs of one task tells what was made there: with an odd run in it, it tells nothing."""
    with pytest.raises(MalformedError):
        RunItem.parse({"taskId": "task-a b"})


@pytest.mark.parametrize("number", [2**63, -7, float(2**60), 1e300, "9" * 19, "9" * 3000, 7.5, 0, None])
def test_a_number_that_is_no_id_leaves_a_create_open(make_transport, server, number) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """A float beyond 2**53 stands for several integers, and 0 for none: neither is taken for the id of a paid run."""
    transport = make_transport()
    server.tell_time(Client(transport))
    server.results({"id": number})
    with pytest.raises(CloudError) as caught:
        transport.prepare(operations.CREATE_JOB, {}, RunIds.parse).send()
    assert (caught.value.fate, caught.value.refused) == (Fate.UNKNOWN, False)


def test_a_mark_stays_readable_before_any_text() -> None:
    """What is cut and cleaned of a description is behind the mark; an attempt that is none makes no mark."""
    for text in HOSTILE.values():
        item = TaskItem.parse({"jobId": "job-1", "description": f"{MARK} {text}"})
        assert str(Mark.read(item.description)) == MARK
    assert Mark.read(MARK.replace(" 1 ", f" {'1' * 400} ")) is None
    assert Mark.read(MARK.replace(" 1 ", f" {2**31} ")) is None


def test_a_list_that_claims_less_than_nothing_is_malformed(make_transport, server) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """A total below 0 would make an incomplete list of models look complete."""
    client = Client(make_transport())
    server.tell_time(client)
    server.results({"total": -1, "items": []})
    with pytest.raises(CloudError, match="BadReply"):
        client.user_models()


@pytest.fixture
def tampered(world: World) -> Iterator[Relay]:
    """A relay that every client of the world goes through."""
    with relay(world.sim.url) as it:
        world._settings = dataclasses.replace(world._settings, base_url=it.url)
        world.restart()
        yield it


def poison(word: str) -> Callable[[str, Any], Any]:
    """Write a word into every text of a read but its ids, names, states and marks."""
    kept = {"trainStatus", "serviceStatus", "state", "runStatus", "taskName", "modelName", "name", "version", "jobName"}

    def changed(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: changed(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [changed(key, inner) for inner in value]
        is_id = isinstance(value, str) and re.fullmatch(r"(am|amv|job|task|svco)-.*", value)
        if not isinstance(value, str) or key in kept or is_id or key == "nextMarker":
            return value
        return value + word if value.startswith("[qf1") else word

    return lambda _, result: changed("", result)


@pytest.mark.parametrize("word", ["long words " * 400, *list(HOSTILE.values())[1:]], ids=["long", *list(HOSTILE)[1:]])
def test_a_chain_serves_through_hostile_words(world: World, tampered: Relay, word: str) -> None:
    """Each object comes to its end, is paid for once, rests without writes, and its status reads back as it is."""
    tampered.tamper = poison(word)
    every = [world.kube.apply(one) for one in (job(), model(), service())]
    world.until(every[-1], "PaymentRequired")
    world.sim.pay()
    world.until(every[-1], "Available")
    written = [world.writes(key) for key in every]
    world.rest(3600)
    assert [world.writes(key) for key in every] == written
    assert [len(world.calls(paid)) for paid in ("createJob", "publishTrainModel", "apply")] == [1, 1, 1]
    for key in every:
        text = json.dumps(world.status(key), ensure_ascii=False)
        assert len(text) < 20_000
        assert text.isprintable()


def odd_strings(result: Any) -> Any:
    """Make of every string id what cannot be one."""
    if isinstance(result, dict):
        return {name: odd_strings(inner) for name, inner in result.items()}
    if isinstance(result, list):
        return [odd_strings(inner) for inner in result]
    is_id = isinstance(result, str) and re.fullmatch(r"(am|amv|job|task|svco)-\w*", result)
    return result + "x" * 70 if is_id else result


def test_a_chain_serves_by_its_integers(world: World, tampered: Relay) -> None:
    """A cloud whose string ids are odd costs nothing: what is paid for is recorded by its integers and followed."""
    tampered.tamper = lambda _, result: odd_strings(result)
    every = [world.kube.apply(one) for one in (job(), model(), service())]
    world.until(every[-1], "PaymentRequired")
    world.sim.pay()
    world.until(every[-1], "Available")
    ids = [
        world.status(key).get(name) for key, name in zip(every, ("jobId", "modelVersionId", "serviceId"), strict=True)
    ]
    assert all(isinstance(number, int) for number in ids)
    assert [len(world.calls(paid)) for paid in ("createJob", "publishTrainModel", "apply")] == [1, 1, 1]


@pytest.mark.parametrize("whose", ["another's", "own"])
def test_an_odd_task_does_not_hide_the_others(world: World, tampered: Relay, whose: str) -> None:
    """A wiped status is recovered beside another's odd task; as long as its own is odd, nothing is concluded."""
    other, key = world.kube.apply(job("witness")), world.kube.apply(job())
    for one in (other, key):
        world.until(one, "Succeeded")
    odd = world.status(key if whose == "own" else other)["taskName"]

    def tamper(name: str, result: Any) -> Any:
        if name != "DescribeFineTuningJobs":
            return result
        tasks = [odd_strings(item) if item["name"] == odd else item for item in result["jobList"]]
        return {**result, "jobList": tasks}

    tampered.tamper = tamper
    world.kube.wipe_status(key)
    world.restart()
    if whose == "own":
        world.rest(3600)
        assert world.condition(key, "Synced")["reason"] == "CloudUnavailable"
        assert "without a usable id" in world.condition(key, "Synced")["message"]
        tampered.tamper = lambda _, result: result
    world.until(key, "Succeeded")
    assert len(world.calls("createJob")) == 2


@pytest.mark.parametrize("whose", ["another's", "own"])
def test_a_run_whose_task_is_odd_is_not_gone(world: World, tampered: Relay, whose: str) -> None:
    """A run that V2 does not describe is gone if its task is not listed; not if its task may be the one that is odd."""
    other = world.kube.apply(job("witness"))
    world.until(other, "Succeeded")
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = world.kube.apply(job())
    world.until(key, "Training")
    world.kube.wipe_status(key)
    world.restart()
    world.until(key, "Training")
    assert world.status(key).get("jobId") is None  # known by its string alone
    own, odd = world.status(key)["taskName"], world.status(key if whose == "own" else other)["taskName"]

    def tamper(name: str, result: Any) -> Any:
        if name != "DescribeFineTuningJobs":
            return result
        tasks = [odd_strings(item) if item["name"] == odd else item for item in result["jobList"]]
        return {**result, "jobList": [item for item in tasks if item["name"] != own or whose == "own"]}

    tampered.tamper = tamper
    world.sim.faults.add(Fault(Effect.ERROR, "DescribeFineTuningTask", count=0, status=400, code="InappropriateJSON"))
    world.rest(3600)
    assert (world.reason(key) == "Gone") is (whose == "another's")


def test_what_a_list_does_not_tell_is_not_gone(make_transport, server, keys) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """What is known by its string alone may be what a list shows with an odd string: nothing is concluded."""
    client = Client(make_transport())
    server.tell_time(client)
    account = Account(keys, client)
    unknown = {"error_code": 10001, "error_msg": "m", "log_id": "1"}
    models = {"log_id": "1", "result": {"total": 1, "items": [{"modelId": 7, "modelIdStr": "am-a b"}]}}
    server.answers(unknown, models, models)
    with pytest.raises(CloudError, match="10001"):
        versions.model_of(account, "am-1")
    server.answers(unknown, models, models)
    assert versions.model_of(account, 8) is None
    services = {"log_id": "1", "result": {"custom": [{"serviceId": 7, "serviceUuid": "svco-a b"}]}}
    status = ServiceStatus(service_uuid="svco-1")
    server.answers({"code": "InappropriateJSON", "requestId": "r"}, services, services)
    with pytest.raises(CloudError, match="InappropriateJSON"):
        endpoints.look(account, status)
    server.answers(services)
    with pytest.raises(CloudError, match="IncompleteList"):
        endpoints.is_read(account, status)
    server.answers(services)
    assert not endpoints.is_read(account, status.model_copy(update={"service_id": 8}))


def test_an_odd_state_is_shown_once(world: World, tampered: Relay) -> None:
    """A state of a lone surrogate is an unknown one: it is told, and not written with every poll."""
    tampered.tamper = lambda name, result: {**result, "trainStatus": "\ud800"} if name == "jobDetail" else result
    key = world.kube.apply(job())
    world.until(key, "UnknownState")
    world.rest(900)  # until its progress ends
    written = world.writes(key)
    world.rest(3600)
    assert world.writes(key) == written
    assert world.status(key)["trainStatus"] == r"\ud800"


@pytest.mark.parametrize("error", [Invalid("PATCH: 413 too large"), Forbidden("PATCH: 403 a policy")], ids=repr)
@pytest.mark.parametrize("refused", ["conditions", "vdlLink"])
def test_ids_land_whatever_else_is_refused(world: World, error: KubeError, refused: str) -> None:
    """A status that the API server does not take is written with less in it: the ids of a paid run always land."""
    key = world.kube.apply(job())

    def refuse(name: str, do: Callable[[], Any]) -> Any:
        if name == "patch_status" and world.calls("createJob"):
            before = copy.deepcopy(world.kube.objects[key])
            done = do()
            told = [done["status"].get(refused), before["status"].get(refused)]
            if told[0] != told[1]:
                world.kube.objects[key] = before
                raise error
            return done
        return do()

    world.kube.around = refuse
    world.run(lambda: world.status(key).get("trainStatus") == "FINISH")
    assert world.status(key)["jobId"] == next(iter(world.sim.account().runs)).id
    assert len(world.calls("createJob")) == 1


def test_names_of_any_script_are_found_again(world: World) -> None:
    """A name with characters that are cleaned in replies still equals the one that was asked for."""
    name = "模型\u3000第\u200b一\ufe0f"
    every = [world.kube.apply(job()), world.kube.apply(model(target={"modelName": name}))]
    world.until(every[1], "Available")
    world.kube.wipe_status(every[1])
    world.restart()
    world.until(every[1], "Available")
    assert len(world.calls("publishTrainModel")) == 1


def test_a_task_full_of_runs_does_not_fill_a_status(world: World, tampered: Relay) -> None:
    """A list that shows thousands of runs where one was wanted is told, and as many are recorded as fit."""

    def crowd(name: str, result: Any) -> Any:
        if name == "createJob":
            return {"id": "odd"}
        if name == "DescribeFineTuningTasks":
            (run,) = result["taskList"] or [{}]
            return {**result, "taskList": [{**run, "taskId": f"task-{number}"} for number in range(5000)]}
        return result

    tampered.tamper = crowd
    key = world.kube.apply(job())
    world.until(key, "DuplicateCloudResource")
    world.kube.delete(key)
    world.rest(3600)
    assert len(world.status(key)["runs"]) == 100
    assert len(world.calls("createJob")) == 1
