"""Text of tenants and of the cloud in addresses, headers, names and commands: it stays the one word that it is."""

import contextlib
import re
import shlex
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attacks.recorder import Recorder
from attacks.test_paths import HOSTILE, RULE, TEXTS, each_hostile_text
from fake_kube import FakeKube
from qianfan_operator.api.job import JobStatus
from qianfan_operator.cloud import operations
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.clock import SystemClock
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.cloud.signing import authorization
from qianfan_operator.cloud.transport import Transport
from qianfan_operator.kinds.job.runs import page
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.kube.events import Events
from reconcile.manifests import job
from reconcile.world import World

ADDRESSES = {
    f"{one.path}?Action={one.operation}" if one.query else one.path
    for one in vars(operations).values()
    if isinstance(one, Endpoint)
}
LONGEST = ".".join(["b" * 62] * 4) + "z"


@pytest.fixture(scope="module")
def client(recorder: Recorder) -> Client:
    """A client of the cloud."""
    keys = AccessKey("access", "secret")
    return Client(Transport(CloudSettings(base_url=recorder.url), keys, SystemClock()))


@each_hostile_text
@given(text=TEXTS)
def test_an_id_is_no_part_of_an_address_of_the_cloud(recorder: Recorder, client: Client, text: str) -> None:
    """Whatever stands for an id, a call goes to one of the addresses that are written in `endpoints`."""
    recorder.requests.clear()
    recorder.answer = {"result": {}}
    for call in (
        client.fine_tuning_tasks, client.fine_tuning_task, client.stop_fine_tuning_task, client.describe_service,
        client.deactivate_service, client.model_detail, client.model_version_detail, client.user_models,
    ):  # fmt: skip
        with contextlib.suppress(CloudError):
            call(text)
    with contextlib.suppress(CloudError):
        client.modify_service(text, text, text)
    assert len(recorder.requests) == 9
    assert {path for _, path in recorder.requests} <= ADDRESSES


@example(text="access/2026-01-01T00:00:00Z/99999999")
@example(text="access\r\nX-Forged: 1")
@example(text="a" * 10_000)
@settings(deadline=None)
@given(text=st.one_of(TEXTS, st.text(alphabet=[chr(code) for code in range(33, 127)], min_size=1, max_size=300)))
def test_an_access_key_is_one_field_of_its_header(text: str) -> None:
    """A key that would end its field, or the header, is no key: the expiry behind it is the one that we sign."""
    try:
        keys = AccessKey(text, "secret")
    except ValueError:
        return
    told = authorization(keys, method="POST", path="/x", query={}, headers={"Host": "h"}, signed_at=0.0, expires_in=15)
    assert told.isascii()
    assert told.isprintable()
    assert len(told) < 500
    prefix, key, moment, expiry, *_ = fields = told.split("/")
    assert (prefix, key, moment, expiry, len(fields)) == ("bce-auth-v1", text, "1970-01-01T00:00:00Z", "15", 6)


@pytest.mark.parametrize("part", ["task_uuid", "job_uuid"])
@pytest.mark.parametrize("text", [*HOSTILE, *(f"job-{text}" for text in HOSTILE)], ids=ascii)
def test_an_address_of_the_console_stays_at_the_console(part: str, text: str) -> None:
    """An id that is more than one segment, or none, makes no address."""
    status = JobStatus(**{"task_uuid": "job-1", "job_uuid": "task-1", part: text})
    address = page(status)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text) is None:
        assert address is None
    else:
        assert address is not None
        assert urlsplit(address).path.split("/")[4:] == [status.task_uuid, status.job_uuid, "detail", "traininglog"]


@settings(deadline=None)
@example(name=LONGEST)
@example(name="a" * 199 + ".b")
@example(name="a" + "-" * 230 + "b")
@given(name=st.from_regex(RULE, fullmatch=True).filter(lambda name: len(name) <= 253))
def test_an_event_of_any_object_has_a_name(name: str) -> None:
    """An event's name is made from its object's, and is one that the API server takes, whatever the object's is."""
    kube = FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, lambda: "2026-01-01T00:00:00Z")
    resource = BY_PLURAL["qianfanjobs"].resource.parse(
        {**job(), "metadata": {"name": name, "namespace": "default", "uid": "u"}}
    )
    Events(kube, lambda: "2026-01-01T00:00:00.000000Z").post(resource, "Normal", "Training", "It trains.")  # type: ignore[arg-type]
    (event,) = kube.events
    assert re.fullmatch(RULE, event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253


@pytest.mark.parametrize("name", ["essay", "1.essay.v2", LONGEST])
def test_the_command_in_a_message_is_one_command(world: World, name: str) -> None:
    """What a person copies from DeletionBlocked into a shell are these words and no others."""
    key = world.kube.apply(job(name))
    world.until(key, "Training")
    world.set_secret(None)
    world.restart()
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    message = world.condition(key)["message"]
    command = message[message.index("kubectl -n ") :]
    patch = '{"spec":{"deletionPolicy":"Orphan"}}'
    assert shlex.split(command) == [
        "kubectl",
        "-n",
        "default",
        "patch",
        "qianfanjob",
        name,
        "--type=merge",
        "-p",
        patch,
    ]
