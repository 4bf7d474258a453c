"""The client and the simulator, which share no code, understand each other in every call."""

import math
import time

import pytest

from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.clock import SystemClock
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.transport import Transport
from qianfan_simulator import AfterLooks, AtOnce, Effect, Fault, Options, Simulator

KEYS = AccessKey("demo-access-key", "demo-secret-key")

TRAINING = {
    "baseTrainType": "ERNIE-Bot-turbo",
    "trainType": "ERNIE-Bot-turbo-0725",
    "trainMode": "SFT",
    "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
    "trainset": [{"type": 1, "id": 1234}],
    "trainsetRate": 20,
}


@pytest.fixture
def sim():
    with Simulator(Options(training=AtOnce(), publishing=AtOnce(), deploying=AtOnce(), updating=AtOnce())) as simulator:
        yield simulator


@pytest.fixture
def make_client(sim):
    """Build a client of the simulator; keyword arguments replace its settings."""

    def make(keys=KEYS, **changes):
        # The simulator's clock is moved by the tests, and it speaks http: its Date counts all the same.
        common = {"base_url": sim.url, "unverified_correction_seconds": math.inf}
        return Client(Transport(CloudSettings(**{**common, **changes}), keys, SystemClock()))

    return make


@pytest.fixture
def client(make_client):
    client = make_client()
    client.measure_clock()
    return client


def start_run(client, name="task_1"):
    """Make a task and a run in it; return both views."""
    task = client.create_task(name, "[qf1 mark] words")
    return task, client.prepare_create_job({"taskId": task.id, **TRAINING}).send()


def publish(client, name="model_1", description="[qf1 mark]"):
    """Train and publish into a new model; return the task, the run and what was published."""
    task, run = start_run(client, f"t_{name}")
    body = {
        "isNewModel": True,
        "modelName": name,
        "versionMeta": {"taskId": task.id, "iterationId": run.job_id, "description": description},
    }
    return task, run, client.prepare_publish(body).send()


def serve(client, published, name="service_1"):
    """Apply for a private service of a published version."""
    body = {
        "modelId": published.model_id,
        "modelVersionId": published.version_id,
        "name": name,
        "uri": "endpoint",
        "replicas": 1,
        "poolType": 2,
        "description": "words",
    }
    return client.prepare_apply(body).send()


def code_of(call) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def test_a_run_from_both_sides(client):
    """A run that V1 made is read through V1 by its numbers and through V2 by its strings."""
    task, ids = start_run(client)
    run = client.job_detail(task.id, ids.job_id)
    assert (run.task_id, run.job_id, run.status, run.task_name, run.version) == (
        task.id,
        ids.job_id,
        "FINISH",
        "task_1",
        1,
    )
    same = client.fine_tuning_task(ids.job_uuid)
    assert (same.task_uuid, same.job_uuid, same.status) == (task.uuid, ids.job_uuid, "FINISH")
    assert run.start_time is not None
    assert run.finish_time is not None
    assert same.finish_time is not None


def test_a_lost_run_is_found_through_the_lists(client):
    """Task by name, run by task: the lists of V2 show what a lost reply did not tell."""
    task, ids = start_run(client)
    (found,) = (item for item in client.fine_tuning_jobs() if item.name == "task_1")
    assert (found.task_uuid, found.description) == (task.uuid, "[qf1 mark] words")
    assert [run.job_uuid for run in client.fine_tuning_tasks(found.task_uuid)] == [ids.job_uuid]


def test_long_lists_are_read_to_their_end(client):
    """More tasks than fit on a page are all there."""
    for number in range(205):
        client.create_task(f"task_{number}", "")
    assert len({task.task_uuid for task in client.fine_tuning_jobs()}) == 205


def test_a_taken_task_name(client):
    """A name that exists says so, and says look."""
    client.create_task("task_1", "")
    error = code_of(lambda: client.create_task("task_1", ""))
    assert error.exists
    assert error.fate is Fate.UNKNOWN


@pytest.mark.parametrize("through_v2", [False, True])
def test_a_run_is_stopped(sim, client, through_v2):
    """Both generations stop a run, and stopping it again stops nothing and is no error."""
    sim.configure(training=AfterLooks(100), stopping=AtOnce())
    task, ids = start_run(client)

    def stop():
        if through_v2:
            return client.stop_fine_tuning_task(ids.job_uuid)
        return client.stop_job(task.id, ids.job_id)

    assert stop() is True
    assert client.job_detail(task.id, ids.job_id).status == "STOP"
    assert client.fine_tuning_task(ids.job_uuid).status == "STOP"
    assert stop() is False


def test_a_version_from_both_sides(client):
    """What publishing returned is found by number, by string, in the model and in the list."""
    task, run, published = publish(client)
    version = client.model_version_detail(published.version_id)
    assert version == client.model_version_detail(published.version_id_str)
    assert (version.task_id, version.job_id) == (task.id, run.job_id)
    assert (version.task_uuid, version.job_uuid) == (task.uuid, run.job_uuid)
    assert (version.state, version.version, version.description) == ("Ready", "1", "[qf1 mark]")
    model = client.model_detail(published.model_id)
    assert [item.version_id for item in model.versions] == [published.version_id]
    assert model == client.model_detail(published.model_id_str)
    (listed,) = client.user_models("model_1")
    assert (listed.model_id, listed.version_count) == (published.model_id, 1)


def test_publishing_by_strings(client):
    """A run that is known by its strings only can be published."""
    task, run = start_run(client)
    body = {
        "isNewModel": True,
        "modelName": "by_strings",
        "versionMeta": {"taskId": task.uuid, "iterationId": run.job_uuid},
    }
    published = client.prepare_publish(body).send()
    assert client.model_version_detail(published.version_id).job_id == run.job_id


def test_publishing_twice(client):
    """The same name and the same run in the same model both say that something is there."""
    task, run, published = publish(client)
    meta = {"taskId": task.id, "iterationId": run.job_id}
    again = client.prepare_publish({"isNewModel": True, "modelName": "model_1", "versionMeta": meta})
    assert code_of(again.send).exists
    again = client.prepare_publish({"isNewModel": False, "modelId": published.model_id, "versionMeta": meta})
    assert code_of(again.send).exists


def test_models_are_deleted(client):
    """Versions and models go, and are gone."""
    *_, published = publish(client)
    assert client.delete_model_versions([published.version_id_str])
    assert client.model_detail(published.model_id).versions == ()
    assert client.delete_models([published.model_id])
    assert client.user_models() == ()
    assert code_of(lambda: client.model_detail(published.model_id)).fate is Fate.GONE


def test_many_models_are_read_to_the_last_page(client):
    """More models than fit on a page are all listed."""
    task, run = start_run(client)
    for number in range(45):
        meta = {"taskId": task.id, "iterationId": run.job_id}
        client.prepare_publish({"isNewModel": True, "modelName": f"m_{number}", "versionMeta": meta}).send()
    assert len({model.model_id for model in client.user_models()}) == 45


@pytest.mark.parametrize("generation", ["2023", "2024"])
def test_a_service_from_all_sides(sim, client, generation):
    """An unpaid service becomes a serving one, told alike by detail of both years, list and V2."""
    sim.configure(service_generation=generation)
    *_, published = publish(client)
    applied = serve(client, published)
    assert client.service_detail(applied.service_id).status == "New"
    sim.pay()
    service = client.service_detail(applied.service_id)
    assert (service.service_id, service.name, service.status) == (applied.service_id, "service_1", "Done")
    assert (service.model_id, service.model_version_id) == (published.model_id, published.version_id)
    assert service.uri.endswith("_endpoint")
    assert service.online_time is not None
    (item,) = client.services()
    assert (item.service_id, item.service_uuid, item.uri) == (applied.service_id, applied.service_uuid, service.uri)
    assert item.versions[0].model_version_id == published.version_id
    same = client.describe_service(applied.service_uuid)
    assert (same.status, same.uri, same.url) == ("Serving", service.uri, item.url)
    assert (same.model_id_str, same.model_version_id_str) == (published.model_id_str, published.version_id_str)
    assert (same.description, same.replicas) == ("words", 1)


def test_a_service_is_switched_and_taken_offline(sim, client):
    """ModifyService puts another version behind the same address, and DeactivateService ends it."""
    *_, first = publish(client, "model_1")
    *_, second = publish(client, "model_2")
    applied = serve(client, first)
    sim.pay()
    before = client.describe_service(applied.service_uuid)
    assert client.modify_service(applied.service_uuid, second.model_id_str, second.version_id_str)
    after = client.describe_service(applied.service_uuid)
    assert after.model_version_id_str == second.version_id_str
    assert after.url == before.url
    sim.configure(stopping=AtOnce())
    assert client.deactivate_service(applied.service_uuid)
    assert client.describe_service(applied.service_uuid).status == "Stopped"
    assert client.service_detail(applied.service_id).status == "Stopped"
    assert not client.deactivate_service(applied.service_uuid)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (AccessKey("nobody", "demo-secret-key"), Reason.CREDENTIALS_INVALID),
        (AccessKey("demo-access-key", "wrong"), Reason.CREDENTIALS_INVALID),
    ],
)
def test_bad_keys_are_bad_keys_everywhere(make_client, keys, reason):
    """V1 and V2 both tell wrong keys from a closed interface."""
    client = make_client(keys)
    for call in (lambda: client.create_task("task_1", ""), client.fine_tuning_jobs, client.user_models):
        error = code_of(call)
        assert error.reason is reason
        assert error.refused
        assert not error.unsupported


@pytest.mark.parametrize("how", ["denied", "missing"])
def test_a_closed_v2_is_recognised(sim, client, how):
    """However the cloud closes V2, the client sees it, while V1 goes on."""
    sim.configure(v2=how)
    for call in (client.fine_tuning_jobs, lambda: client.modify_service("svco-1", "am-1", "amv-1")):
        error = code_of(call)
        assert error.unsupported
        assert error.fate is Fate.STALL
    assert client.services() == ()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(Fault(Effect.LOSE_REPLY, "createJob"), "ConnectionLost", id="reply lost"),
        pytest.param(Fault(Effect.LOSE_REQUEST, "createJob"), "ConnectionLost", id="request lost"),
        pytest.param(Fault(Effect.CUT_BODY, "createJob"), "ConnectionLost", id="body cut"),
        pytest.param(Fault(Effect.HTML, "createJob", status=502, after=True), "HTTP 502", id="a proxy's page"),
        pytest.param(Fault(Effect.STATUS, "createJob", status=504), "HTTP 504", id="a proxy's silence"),
        pytest.param(Fault(Effect.ERROR, "createJob", code=500000, after=True), "500000", id="a server's fault"),
    ],
)
def test_lost_creates_are_unknown_and_sent_once(sim, client, fault, code):
    """Whatever happens to a create, it is asked once, and its outcome is unknown."""
    task = client.create_task("task_1", "")
    sim.faults.add(fault)
    error = code_of(client.prepare_create_job({"taskId": task.id, **TRAINING}).send)
    assert error.code == code
    assert error.fate is Fate.UNKNOWN
    assert sum(call.operation == "createJob" for call in sim.calls) == 1


def test_a_create_that_is_delivered_late_is_refused(sim, make_client):
    """A create that arrives after its own expiry is not executed: the fence of every paid create."""
    client = make_client(create_expiry_seconds=15)
    client.measure_clock()
    task = client.create_task("task_1", "")
    prepared = client.prepare_create_job({"taskId": task.id, **TRAINING})
    sim.advance(20)
    error = code_of(prepared.send)
    assert error.code == "RequestExpired"
    assert error.refused
    assert client.fine_tuning_tasks(task.uuid) == ()


def test_the_clients_clock_is_the_simulators(sim, client):
    """The time that is measured is the cloud's, to the second, and a cloud that jumps is not trusted at once."""
    assert abs(client.cloud_time() - time.time()) < 60
    sim.advance(120)
    client.services()
    assert not client.clock_known()
    client.measure_clock()
    assert client.clock_known()
    assert client.cloud_time() - time.time() > 100


def test_a_read_that_expired_sets_the_clock_for_the_next(sim, client):
    """When the cloud's clock runs off beyond a read's expiry, one read fails and tells the time to the next."""
    sim.advance(3600)
    error = code_of(client.services)
    assert error.code == "RequestExpired"
    assert error.fate is Fate.RETRY
    assert client.services() == ()
