"""A changed Secret is checked by one call, and all who use its keys hear of the outcome within seconds."""

from collections.abc import Callable

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.telemetry import metrics
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import DAY, FIRST, SECOND, World

TRAIN, PUBLISH, SERVE = (
    Key("qianfanjobs", "default", "train"),
    Key("qianfanmodels", "default", "publish"),
    Key("qianfanservices", "default", "serve"),
)
USERS = (PUBLISH, SERVE)


@pytest.fixture
def chain(world: World) -> World:
    """A finished job, a ready model and a serving service, which have been so for hours."""
    for manifest in (job(), model(), service()):
        world.kube.apply(manifest)
    world.until(SERVE, "PaymentRequired")
    world.sim.pay()
    world.until(SERVE, "Available")
    world.rest(DAY)
    return world


def synced(world: World, key: Key) -> tuple[str, str]:
    told = world.condition(key, "Synced")
    return told["status"], told["reason"]


def are(world: World, status: str, reason: str = "") -> bool:
    told = [synced(world, key) for key in USERS]
    return all(one[0] == status and (not reason or one[1] == reason) for one in told)


def checks(result: str) -> float:
    return metrics.REGISTRY.get_sample_value("qianfan_credentials_checks_total", {"result": result}) or 0.0


def test_wrong_keys_are_told_within_seconds_by_one_call(chain: World) -> None:
    """Also to what is Ready and would be looked at in minutes; a finished job needs no keys."""
    before, written = len(chain.sim.calls), chain.writes(TRAIN)
    refused = checks("refused")
    chain.set_secret(FIRST, secret="wrong")
    chain.run(lambda: are(chain, "False", "CredentialsInvalid"), within=5)
    assert [call.operation for call in chain.sim.calls[before:]] == ["userList"]
    assert checks("refused") == refused + 1
    assert chain.credentials.refused_secrets() == 1
    assert all(chain.is_so(key) for key in (TRAIN, *USERS))
    words = " QIANFAN_SECRET_KEY does not fit QIANFAN_ACCESS_KEY (SignatureDoesNotMatch)"
    assert all(chain.condition(key, "Synced")["message"].endswith(words) for key in USERS)
    assert chain.writes(TRAIN) == written


def test_refused_keys_are_told_once(chain: World) -> None:
    """Each user says the same, whether it has asked the cloud itself or not: the words do not change."""
    chain.set_secret(FIRST, secret="wrong")
    chain.run(lambda: are(chain, "False", "CredentialsInvalid"), within=5)
    said = {key: chain.condition(key, "Synced")["message"] for key in USERS}
    chain.rest(DAY)
    assert {key: chain.condition(key, "Synced")["message"] for key in USERS} == said
    assert len(set(said.values())) == 1


@pytest.mark.parametrize("later", [10.0, 3600.0, DAY])
def test_right_keys_after_wrong_ones_are_noticed_within_seconds(
    chain: World, later: float, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the wrong ones were there; the log says once that they are over."""
    caplog.set_level("INFO")
    chain.set_secret(FIRST, secret="wrong")
    chain.rest(later)
    assert are(chain, "False", "CredentialsInvalid")
    chain.set_secret(SECOND)
    chain.run(lambda: are(chain, "True"), within=5)
    assert chain.credentials.refused_secrets() == 0
    lines = [
        vars(line) for line in caplog.records if line.getMessage() == "The cloud accepts the keys of a Secret again"
    ]
    assert [line["secret"] for line in lines] == ["default/qianfan-credentials"]


def test_a_secret_that_went_is_told_and_its_return_too(chain: World) -> None:
    """What is Ready says that it cannot be looked at any more, and that it can again."""
    chain.set_secret(None)
    chain.run(lambda: are(chain, "False", "CredentialsNotFound"), within=10)
    assert all(chain.is_so(key) for key in USERS)
    chain.rest(3600)
    chain.set_secret(FIRST)
    chain.run(lambda: are(chain, "True"), within=10)


def test_a_refused_check_is_not_repeated_for_ever(world: World) -> None:
    """With nobody at work under the keys: three calls in a minute, and then silence until the Secret changes."""
    world.kube.apply(job())
    world.until(TRAIN, "Succeeded")
    world.rest(3600)
    before = len(world.sim.calls)
    world.set_secret(FIRST, secret="wrong")
    world.rest(DAY)
    assert len(world.sim.calls) - before == 3
    world.set_secret(FIRST, secret="still-wrong")
    world.rest(DAY)
    assert len(world.sim.calls) - before == 6


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(Effect.ERROR, "userList", count=0, code=18), id="throttled"),
        pytest.param(Fault(Effect.HTML, "userList", count=0), id="failed"),
    ],
)
def test_a_check_that_fails_says_nothing_of_the_keys(chain: World, fault: Fault) -> None:
    """A throttled or failed call is repeated a few times, and nobody is told that keys are wrong."""
    chain.sim.faults.add(fault)
    before, unknown = len(chain.sim.calls), checks("unknown")
    chain.set_secret(SECOND)
    chain.rest(300)
    assert are(chain, "True")
    assert chain.credentials.refused_secrets() == 0
    made = [call for call in chain.sim.calls[before:] if call.operation == "userList"]
    assert 1 <= len(made) <= 5
    assert checks("unknown") - unknown == len(made)
    chain.rest(DAY)
    assert len([call for call in chain.sim.calls[before:] if call.operation == "userList"]) == len(made)


def test_keys_that_lag_are_taken_back(chain: World) -> None:
    """New keys may be refused for a moment: once the cloud takes them, all users hear of it at once."""
    chain.sim.faults.add(Fault(Effect.ERROR, "userList", count=1, code="InvalidAccessKeyId", message="lag"))
    chain.set_secret(SECOND)
    chain.run(lambda: are(chain, "False", "CredentialsInvalid"), within=5)
    chain.run(lambda: are(chain, "True"), within=60)


def test_a_secret_that_is_not_watched_is_checked_within_a_minute(world: World) -> None:
    """It is read again once a minute, not only by a pass over who uses it."""
    ref = {"name": "mine"}
    world.set_secret(FIRST, name="mine")
    world.kube.apply(job(credentialsRef=ref))
    world.kube.apply(model(credentialsRef=ref))
    world.until(PUBLISH, "Available")
    world.rest(DAY)
    world.set_secret(FIRST, name="mine", secret="wrong")
    world.run(lambda: synced(world, PUBLISH) == ("False", "CredentialsInvalid"), within=65)
    world.rest(3600)
    world.set_secret(FIRST, name="mine")
    world.run(lambda: synced(world, PUBLISH)[0] == "True", within=65)
    world.set_secret(None, name="mine")
    world.run(lambda: synced(world, PUBLISH) == ("False", "CredentialsNotFound"), within=65)


def with_models(world: World) -> list[Key]:
    """Make some models beside the chain; return what is Ready and uses the Secret."""
    models = [world.kube.apply(model(f"m{at}", target={"modelName": f"m{at}"})) for at in range(3)]
    world.run(lambda: all(world.reason(key) == "Available" for key in models))
    return [*USERS, *models]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        pytest.param("createJob", 14, id="a run"),
        pytest.param("createTask", "SignatureDoesNotMatch", id="a task"),
    ],
)
def test_a_refused_call_of_one_object_is_told_to_no_other(chain: World, operation: str, code: int | str) -> None:
    """The cloud takes the keys for all other calls: only who needs this one says so, first as what may heal."""
    users = with_models(chain)
    chain.rest(DAY)
    chain.sim.faults.add(Fault(Effect.ERROR, operation, count=0, code=code))
    written, before = {key: chain.writes(key) for key in users}, len(chain.sim.calls)
    denied = chain.kube.apply(job("denied"))
    chain.until(denied, "CredentialsInvalid", within=10)
    assert not chain.condition(denied, "Stalled")
    chain.until(denied, "AccessDenied", within=200)
    assert chain.condition(denied, "Stalled")["status"] == "True"
    chain.rest(3600)
    assert {key: chain.writes(key) for key in users} == written
    assert chain.credentials.refused_secrets() == 0
    reads = [call.operation for call in chain.sim.calls[before:] if call.operation == "modelVersionDetail"]
    assert len(reads) >= 4 * (3600 // chain.schedule.resync - 1)
    said = chain.kube.events.copy()
    chain.rest(DAY)
    assert chain.kube.events == said
    assert chain.reason(denied) == "AccessDenied"
    chain.restart()
    chain.rest(3600)
    assert [
        one for one in chain.kube.events if one not in said and not one["metadata"]["name"].startswith("denied.")
    ] == []
    assert chain.reason(denied) == "AccessDenied"
    chain.sim.faults.clear()
    chain.until(denied, "Succeeded")


def test_a_refused_call_is_told_to_no_other_namespace(worlds: Callable[..., World]) -> None:
    """A tenant with default credentials whose text is repeated by the cloud in an error harms nobody else."""
    world = worlds(default="shared")
    world.set_secret(None)
    world.set_secret(FIRST, namespace="shared")
    for namespace in ("default", "evil"):
        world.label(namespace)
    world.kube.apply(job())
    world.kube.apply(model())
    world.until(PUBLISH, "Available")
    world.rest(3600)
    fault = Fault(Effect.ERROR, "createJob", count=0, code=500001, message="invalid description: SignatureDoesNotMatch")
    world.sim.faults.add(fault)
    written = world.writes(PUBLISH)
    evil = job("evil")
    evil["metadata"]["namespace"] = "evil"
    world.until(world.kube.apply(evil), "Refused")
    world.rest(3600)
    assert world.writes(PUBLISH) == written
    assert synced(world, PUBLISH)[0] == "True"


def test_a_refused_check_is_overruled_by_answers_to_users(chain: World) -> None:
    """The right for the read of the check may be missing: it stops, and who was told once hears nothing more."""
    users = with_models(chain)
    chain.rest(DAY)
    chain.sim.faults.add(Fault(Effect.ERROR, "userList", count=0, code=14))
    before, written = len(chain.sim.calls), {key: chain.writes(key) for key in users}
    chain.set_secret(SECOND)
    chain.rest(DAY)
    made = [call for call in chain.sim.calls[before:] if call.operation == "userList"]
    assert len(made) <= 3
    assert all(synced(chain, key)[0] == "True" for key in users)
    assert all(chain.writes(key) <= written[key] + 3 for key in users)  # refused, the new account, taken back
    denied = chain.kube.apply(job("denied"))
    chain.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=14))
    told = {key: chain.writes(key) for key in users}
    chain.rest(3600)
    assert chain.reason(denied) == "CredentialsInvalid"
    assert {key: chain.writes(key) for key in users} == told


def test_keys_that_are_revoked_are_told_by_the_first_refusal(chain: World) -> None:
    """Without any change of the Secret: one user meets it, one check shows it, and all are told."""
    chain.sim.faults.add(Fault(Effect.ERROR, count=0, code="InvalidAccessKeyId", status=403))
    chain.ask(PUBLISH)
    before = len(chain.sim.calls)
    chain.run(lambda: are(chain, "False", "CredentialsInvalid"), within=10)
    assert [call.operation for call in chain.sim.calls[before:]].count("userList") == 1
    assert chain.credentials.refused_secrets() == 1
    chain.sim.faults.clear()
    chain.run(lambda: are(chain, "True"), within=60)


@pytest.mark.parametrize(
    ("access_key", "secret", "reason"),
    [
        pytest.param(FIRST, "wrong", "CredentialsInvalid", id="wrong"),
        pytest.param(None, None, "CredentialsNotFound", id="gone"),
    ],
)
def test_keys_that_changed_while_another_process_led_are_told_by_the_next(
    chain: World, access_key: str | None, secret: str | None, reason: str
) -> None:
    """The leader may have ended before it could check them: who leads next does, and not only at a resync."""
    chain.restart(standby=True)
    chain.rest(3600)
    before = len(chain.sim.calls)
    chain.set_secret(access_key, secret=secret)
    chain.rest(60)
    assert len(chain.sim.calls) == before
    chain.event_handler.lead()
    chain.run(lambda: are(chain, "False", reason), within=5)
    assert [call.operation for call in chain.sim.calls[before:]] == (["userList"] if access_key else [])


def test_keys_that_were_there_at_the_start_are_not_checked(chain: World) -> None:
    """A process that begins to lead makes no herd of checks."""
    chain.restart(standby=True)
    chain.rest(3600)
    before = checks("valid")
    chain.event_handler.lead()
    chain.rest(600)
    assert checks("valid") == before
