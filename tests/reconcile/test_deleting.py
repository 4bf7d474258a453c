"""Deleting each kind in each of its states.

See docs/design/api.md#deleting.
"""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden, KubeError
from qianfan_simulator import AfterSeconds, Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import DAY, GRACE, World

PUBLISH = Key("qianfanmodels", "default", "publish")


def training(world: World, name: str = "train", **fields) -> Key:
    key = world.kube.apply(job(name, **fields))
    world.until(key, "Training")
    return key


def published(world: World, **fields) -> Key:
    world.until(world.kube.apply(job()), "Succeeded")
    world.until(key := world.kube.apply(model(**fields)), "Available")
    return key


def serving(world: World, **fields) -> Key:
    published(world)
    world.until(key := world.kube.apply(service(**fields)), "PaymentRequired")
    world.sim.pay()
    world.until(key, "Available")
    return key


def states(world: World) -> list[str]:
    return [run.life.state for run in world.sim.account().runs]


def test_a_job_that_made_nothing_goes_at_once(world: World) -> None:
    """Without a finalizer there is nothing to release."""
    key = world.kube.apply(job(desiredState="Stopped"))
    world.until(key, "Stopped")
    world.kube.delete(key)
    world.rest(0)
    assert not world.there(key)
    assert world.sim.calls == []


def test_a_working_run_is_stopped_and_seen_stopped(world: World) -> None:
    """The object stays until the run is seen stopped, and says so; nothing else is removed."""
    key = training(world)
    world.kube.delete(key)
    world.until(key, "Deleting")
    world.until_gone(key)
    assert states(world) == ["STOP"]
    assert len(world.sim.account().tasks) == 1


def test_every_recorded_run_that_works_is_stopped(world: World) -> None:
    """A run of an earlier attempt that still works is stopped, too."""
    key = training(world)
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "WaitingForRun")
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_a_finished_job_goes_without_a_call(world: World) -> None:
    """A run that has ended needs no stop."""
    world.until(key := world.kube.apply(job()), "Succeeded")
    seen = len(world.sim.calls)
    world.kube.delete(key)
    world.until_gone(key, within=60)
    assert len(world.sim.calls) == seen


def test_orphan_calls_nothing(world: World) -> None:
    """Orphan leaves the run at work."""
    key = training(world, deletionPolicy="Orphan")
    world.kube.delete(key)
    world.until_gone(key, within=60)
    assert not world.calls("stopJob")
    assert states(world) == ["RUNNING"]


def test_an_adopted_run_is_left_alone(world: World) -> None:
    """What was adopted is not stopped unless the policy says so."""
    owner = training(world, deletionPolicy="Orphan")
    status = world.status(owner)
    world.kube.delete(owner)
    world.until_gone(owner)
    adopt = {"taskId": status["taskId"], "jobId": status["jobId"]}
    key = world.kube.apply(job("mine", adopt=adopt))
    world.until(key, "Training")
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["RUNNING"]


def test_a_run_of_ours_is_stopped_beside_an_adopted_one(world: World) -> None:
    """Without a written policy every run goes by its own default: what we made is stopped, what others made is not."""
    spare = training(world, name="spare", deletionPolicy="Orphan")
    theirs = world.status(spare)
    world.kube.delete(spare)
    world.until_gone(spare)
    world.sim.configure(training=AfterSeconds(30 * DAY), v2="denied")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    adopt = {"attempt": 2, "taskId": theirs["taskId"], "jobId": theirs["jobId"]}
    world.kube.patch_spec(key, attempt=2, adopt=adopt)
    world.until(key, "Training")
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")  # whether attempt 1 has a run cannot be told without V2
    world.sim.configure(v2="on")
    world.until_gone(key)
    assert states(world) == ["RUNNING", "STOP"]


def test_an_adopted_run_is_stopped_when_the_policy_says_so(world: World) -> None:
    """deletionPolicy Delete counts for what was adopted, too."""
    owner = training(world, deletionPolicy="Orphan")
    status = world.status(owner)
    world.kube.delete(owner)
    world.until_gone(owner)
    adopt = {"taskId": status["taskUuid"], "jobId": status["jobUuid"]}
    key = world.kube.apply(job("mine", adopt=adopt, deletionPolicy="Delete"))
    world.until(key, "Training")
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


@pytest.mark.parametrize("changes", [{"paused": True}, {"trainsetRate": "many"}], ids=["paused", "invalid"])
def test_deleting_works_whatever_the_spec_says(world: World, changes: dict) -> None:
    """A paused object, and one whose spec cannot be read, release what they made."""
    key = training(world)
    world.kube.patch_spec(key, **changes)
    world.rest(20)
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_deleting_while_the_operator_was_down(world: World) -> None:
    """An object that was deleted while nobody watched is released by the next process."""
    key = training(world)
    world.kube.delete(key)
    world.restart()
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_a_run_that_nobody_can_stop_blocks_its_deletion(world: World) -> None:
    """A run in a state that we do not know, which the cloud does not stop, may cost on: a person is told."""
    key = training(world)
    (run,) = world.sim.account().runs
    run.life.state = "QUEUEING"
    world.until(key, "UnknownState")
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert "in the console" in world.condition(key)["message"]
    world.rest(DAY)
    assert world.there(key)
    run.life.enter("STOP", world.clock.cloud())
    world.until_gone(key)


def test_a_stop_that_is_refused_is_no_obstacle(world: World) -> None:
    """stopJob of a run that has just ended answers 510302; the state is read, and the object goes."""
    key = training(world)
    world.sim.faults.add(Fault(Effect.ERROR, "stopJob", code=510302))
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_a_run_that_is_gone_counts_as_stopped(world: World) -> None:
    """What the cloud does not know any more need not be stopped."""
    key = training(world)
    world.sim.delete(next(iter(world.sim.account().tasks)).id)
    world.kube.delete(key)
    world.until_gone(key)


def test_an_open_intent_waits_for_its_evidence(world: World) -> None:
    """Deleted while a reply is lost: the run that was made is found after the grace, and stopped."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(3 * DAY))
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "Confirming")
    world.kube.delete(key)
    world.rest(GRACE / 2)
    assert world.there(key)
    world.until_gone(key)
    assert states(world) == ["FINISH", "STOP"]


def test_a_wiped_status_is_searched_before_it_is_let_go(world: World) -> None:
    """Deleted with the finalizer and nothing recorded: the runs with the object's mark are found and stopped."""
    world.sim.configure(training=AfterSeconds(3 * DAY))
    key = training(world)
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.restart()
    world.rest(GRACE / 2)
    assert world.there(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_without_evidence_the_object_stays_until_orphan(world: World) -> None:
    """Where V2 cannot tell whether a run was made, deleting is blocked; Orphan, set while deleting, lets it go."""
    world.sim.configure(v2="denied")
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.delete(key)
    world.rest(3600)
    assert world.there(key)
    assert world.condition(key, "Stalled")["status"] == "True"
    assert "Orphan" in world.condition(key)["message"]
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.until_gone(key, within=60)


def test_an_unknown_outcome_of_an_earlier_attempt_is_looked_for(world: World) -> None:
    """Deleting looks for the run whose outcome was left unknown, and stops it."""
    world.sim.configure(v2="denied", training=AfterSeconds(3 * DAY))
    key = world.kube.apply(job())
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(key, "CreateOutcomeUnknown")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Training")
    world.kube.delete(key)
    world.rest(600)
    assert world.there(key)
    world.sim.configure(v2="on")
    world.until_gone(key)
    assert states(world) == ["STOP", "STOP"]


def test_a_model_is_kept_by_default(world: World) -> None:
    """A model is Orphan unless it is written down: what was paid for is not destroyed unasked."""
    key = published(world)
    world.kube.delete(key)
    world.until_gone(key)
    assert len([version for version in world.sim.account().versions if version.run]) == 1


def test_a_model_is_deleted_with_its_versions(world: World) -> None:
    """Delete removes the versions that the object published, and the model that it created and that is empty now."""
    key = published(world, deletionPolicy="Delete")
    world.kube.delete(key)
    world.until_gone(key)
    account = world.sim.account()
    assert [version for version in account.versions if version.run] == []
    assert [one for one in account.models if not one.preset] == []


def test_a_model_counts_as_deleted_only_if_the_list_agrees(world: World) -> None:
    """An inferred code lets no object go that was to delete what it published."""
    key = published(world, deletionPolicy="Delete")
    world.sim.faults.add(Fault(Effect.ERROR, "modelDetail", count=0, code=10001))
    world.kube.delete(key)
    world.rest(3600)
    assert world.there(key)
    world.sim.faults.clear()
    world.until_gone(key)
    assert [version for version in world.sim.account().versions if version.run] == []


def test_a_model_that_holds_versions_of_others_stays(world: World) -> None:
    """Only what the object published is removed; a model with versions of others is kept."""
    key = published(world, deletionPolicy="Delete")
    world.until(world.kube.apply(job("other")), "Succeeded")
    target = {"modelId": world.status(key)["modelId"]}
    other = world.kube.apply(model("second", source={"jobRef": {"name": "other"}}, target=target))
    world.until(other, "Available")
    world.kube.delete(key)
    world.until_gone(key)
    left = [version for version in world.sim.account().versions if version.run]
    assert [version.id for version in left] == [world.status(other)["modelVersionId"]]


def test_a_model_that_another_object_targets_stays(world: World) -> None:
    """An empty model is kept while another object targets it."""
    key = published(world, deletionPolicy="Delete")
    other = world.kube.apply(
        model("second", source={"jobRef": {"name": "later"}}, target={"modelRef": {"name": "publish"}})
    )
    world.until(other, "DependencyNotReady")
    world.kube.delete(key)
    world.until_gone(key)
    assert [one.name for one in world.sim.account().models if not one.preset] == ["my_model"]


def test_a_model_in_use_waits_for_its_service(world: World) -> None:
    """A version that a service of ours uses is kept until that service is gone, and the reason names it."""
    key = serving(world)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.kube.delete(PUBLISH)
    world.until(PUBLISH, "InUse")
    assert "serve" in world.condition(PUBLISH)["message"]
    world.rest(600)
    assert world.there(PUBLISH)
    world.kube.delete(key)
    world.until_gone(key)
    world.until_gone(PUBLISH, within=300)
    assert [version for version in world.sim.account().versions if version.run] == []


def test_a_serving_service_is_taken_offline(world: World) -> None:
    """Delete deactivates the service and waits until it is seen stopped."""
    key = serving(world)
    world.kube.delete(key)
    world.until(key, "Deleting")
    world.until_gone(key)
    (one,) = world.sim.account().services
    assert one.life.state == "Stopped"


def left(world: World, key: Key, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an object said of what it leaves: the last message of Ready, the warnings among its events, and the log."""
    written = [raw for what, at, raw in world.kube.writes if what == "status" and at == key][-1]
    ready = next(one for one in written["status"]["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "LeftInCloud"
    (event,) = [event for event in world.kube.events if event["reason"] == "LeftInCloud"]
    assert event["type"] == "Warning"
    (line,) = [record for record in caplog.records if record.message == "Left in the cloud"]
    return [ready["message"], event["note"], line.left]


def test_an_unpaid_service_goes_and_its_order_is_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The cloud has no call to withdraw an order: who can still pay for it, and where to cancel it, is said first."""
    published(world)
    status = world.until(key := world.kube.apply(service()), "PaymentRequired")
    world.kube.delete(key)
    world.until_gone(key, within=60)
    for message in left(world, key, caplog):
        assert f"service my_service ({status['serviceId']}, {status['serviceUuid']}) was not paid for" in message
        assert f"Cancel the order in the console, or it can still be paid: {status['consoleUrl']}" in message
    assert not world.calls("DeactivateService")


def test_the_compute_units_of_a_service_are_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Taking a service of the private pool offline does not release what it runs on."""
    key = serving(world)
    status = world.status(key)
    world.kube.delete(key)
    world.until_gone(key)
    for message in left(world, key, caplog):
        assert f"({status['serviceId']}, {status['serviceUuid']}) is offline" in message
        assert f"may still be billed: {status['consoleUrl']}" in message


@pytest.mark.parametrize("paid", [False, True])
def test_a_service_that_was_applied_for_in_vain_is_named(
    world: World, paid: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its object is gone before the cloud answers: the log says which service stays, as it cannot be taken offline."""
    published(world)
    key = Key("qianfanservices", "default", "serve")

    def goes_meanwhile(operation: str, do: Callable[[], Any]) -> Any:
        reply = do()
        if operation == "apply":
            world.kube.lose(key)
            if paid:
                world.sim.pay()
        return reply

    world.sim.configure(deploying=AfterSeconds(DAY))
    world.around_cloud = goes_meanwhile
    world.kube.apply(service())
    world.run(lambda: "Left in the cloud" in caplog.messages)
    (one,) = world.sim.account().services
    (line,) = [record for record in caplog.records if record.message == "Left in the cloud"]
    assert f"({one.id}, {one.uid})" in line.cause


def test_a_refused_status_does_not_keep_what_is_left(world: World) -> None:
    """A policy that refuses the last status has no say in whether the object goes; the event is posted all the same."""
    published(world)
    world.until(key := world.kube.apply(service()), "PaymentRequired")

    def refuse(call: str, do: Callable[[], Any]) -> Any:
        if call == "patch_status":
            raise Forbidden("PATCH: 403 no")
        return do()

    world.kube.around = refuse
    world.kube.delete(key)
    world.until_gone(key, within=60)
    assert [event["type"] for event in world.kube.events if event["reason"] == "LeftInCloud"] == ["Warning"]


def test_a_paid_service_that_failed_is_not_let_go_unasked(world: World) -> None:
    """What was paid for and failed to deploy may be billed: it blocks until it is offline, gone or Orphan."""
    published(world)
    world.until(key := world.kube.apply(service()), "PaymentRequired")
    world.sim.pay()
    (one,) = world.sim.account().services
    world.sim.fail(one.id)
    world.until(key, "DeployingFailed")
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert world.calls("DeactivateService")
    assert "billable" in world.condition(key)["message"]
    world.rest(3600)
    assert world.there(key)
    world.sim.delete(one.id)
    world.until_gone(key)


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_without_v2_a_service_blocks_until_orphan(world: World, v2: str) -> None:
    """V1 cannot stop a service: DeletionBlocked says that it may be billed on; Orphan lets the object go."""
    key = serving(world)
    world.sim.configure(v2=v2)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert "billable" in world.condition(key)["message"]
    world.rest(3600)
    assert world.there(key)
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.until_gone(key, within=60)
    assert world.sim.account().services.named("my_service").life.state == "Done"


def test_a_service_that_is_gone_counts_as_released(world: World) -> None:
    """A service that was deleted in the console need not be taken offline."""
    key = serving(world)
    world.sim.delete(next(iter(world.sim.account().services)).id)
    world.kube.delete(key)
    world.until_gone(key)


def test_a_service_with_an_open_intent_waits_for_its_evidence(world: World) -> None:
    """Deleted while the reply of apply is lost: the service is found after the grace, and released."""
    published(world)
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "apply"))
    world.until(key := world.kube.apply(service()), "Confirming")
    world.sim.pay()
    world.kube.delete(key)
    world.rest(GRACE / 2)
    assert world.there(key)
    world.until_gone(key)
    (one,) = world.sim.account().services
    assert one.life.state == "Stopped"


def test_a_wiped_service_is_searched_before_it_is_let_go(world: World) -> None:
    """Deleted with the finalizer and nothing recorded: the service with the object's mark is found and released."""
    key = serving(world)
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.restart()
    world.until_gone(key)
    (one,) = world.sim.account().services
    assert one.life.state == "Stopped"


def test_without_v2_a_wiped_service_blocks_until_orphan(world: World) -> None:
    """V1 does not show marks: a service of that name and uri may be ours, and may be billed on."""
    key = serving(world)
    world.sim.configure(v2="denied")
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert "my_service" in world.condition(key)["message"]
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.until_gone(key, within=60)


def test_a_wiped_model_is_searched_before_it_is_let_go(world: World) -> None:
    """Deleted with the finalizer and nothing recorded: the version with the object's mark is found and removed."""
    key = published(world, deletionPolicy="Delete")
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.restart()
    world.until_gone(key)
    assert [version for version in world.sim.account().versions if version.run] == []


def test_deleting_outlives_an_outage(world: World) -> None:
    """While the cloud is down the object waits, and it goes when the cloud is back."""
    key = training(world)
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.kube.delete(key)
    world.rest(3600)
    assert world.there(key)
    assert world.reason(key) == "Deleting"
    world.sim.faults.clear()
    world.until_gone(key)
    assert states(world)[0] in {"STOP", "FINISH"}


def test_keys_that_were_in_use_stay_usable(world: World) -> None:
    """A namespace that goes may take its Secret first: the keys in memory still release what was made."""
    key = training(world)
    world.set_secret(None)
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_without_any_keys_the_way_out_is_told(world: World) -> None:
    """After a restart without the Secret, deleting is blocked and says how to let the object go."""
    key = training(world)
    world.set_secret(None)
    world.restart()
    world.kube.delete(key)
    world.until(key, "DeletionBlocked", within=10)
    command = """kubectl -n default patch qianfanjob train --type=merge -p '{"spec":{"deletionPolicy":"Orphan"}}'"""
    assert world.condition(key)["message"].endswith(
        "To delete this object without contacting the cloud, first stop billable resources in the console, then run: "
        + command
    )
    world.set_secret("demo-access-key")
    world.until_gone(key, within=600)
    assert states(world)[0] in {"STOP", "FINISH"}


def test_an_empty_list_is_no_proof_that_nothing_was_made(world: World) -> None:
    """A wiped status, and lists that never showed these keys a run of V1: deleting waits for a person."""
    world.sim.configure(training=AfterSeconds(30 * DAY))
    key = training(world)
    world.restart()
    hidden = world.credentials._connect

    def blind(pair):
        client = hidden(pair)
        client.fine_tuning_tasks = lambda task_uuid: ()
        return client

    world.credentials._connect = blind
    world.kube.wipe_status(key)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert "have not yet been shown" in world.condition(key)["message"]
    assert "Orphan" in world.condition(key)["message"]
    assert states(world) == ["RUNNING"]
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.until_gone(key, within=60)


def went(name: str = "qianfanjobs.qianfan.dev") -> dict[str, dict]:
    """The definition of a kind as it is from the moment on that somebody deletes it."""
    return {name: {"creationTimestamp": "2024-01-01T00:00:00Z", "deletionTimestamp": "2024-03-01T08:00:00Z"}}


@pytest.mark.parametrize(
    ("crd", "cause"),
    [
        (went()["qianfanjobs.qianfan.dev"], "is being deleted"),
        (None, "is gone"),
        ({"creationTimestamp": "2034-03-01T09:00:00Z"}, "was deleted and installed again"),
    ],
)
def test_an_object_that_goes_with_its_definition_is_left_alone(world: World, crd: dict | None, cause: str) -> None:
    """Nobody asked for the end of this run: it works on, and what is left in the cloud is told by its ids."""
    key = training(world)
    status = world.status(key)
    world.kube.crds["qianfanjobs.qianfan.dev"] = crd
    world.kube.delete(key)
    seen = len(world.sim.calls)
    world.until_gone(key, within=60)
    assert states(world) == ["RUNNING"]
    assert not [call for call in world.sim.calls[seen:] if call.operation != "jobDetail"]
    (told,) = [event for event in world.kube.events if event["reason"] == "Orphaned"]
    assert told["type"] == "Warning"
    assert f"The CRD qianfanjobs.qianfan.dev {cause}." in told["note"]
    assert f"jobId {status['jobId']}" in told["note"]
    written = [raw for what, at, raw in world.kube.writes if what == "status" and at == key][-1]
    ready = next(one for one in written["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Orphaned")


@pytest.mark.parametrize("fields", [{}, {"deletionPolicy": "Orphan"}, {"deletionPolicy": "Delete"}])
def test_a_version_that_goes_with_its_definition_is_told_whatever_the_policy(
    world: World, caplog: pytest.LogCaptureFixture, fields: dict[str, str]
) -> None:
    """It is stored and costs on: by default, too, where nothing would have been deleted. A finished run does not."""
    key, train = published(world, **fields), Key("qianfanjobs", "default", "train")
    number = world.status(key)["modelVersionId"]
    caplog.set_level(logging.INFO)
    for one in (key, train):
        world.kube.crds[f"{one.plural}.qianfan.dev"] = went()["qianfanjobs.qianfan.dev"]
        world.kube.delete(one)
        world.until_gone(one, within=60)
    (told,) = [event for event in world.kube.events if event["reason"] == "Orphaned"]
    assert told["regarding"]["kind"] == "QianfanModel"
    assert f"modelVersionId {number}" in told["note"]
    removed = [vars(line) for line in caplog.records if line.getMessage() == "finalizer removed"]
    assert [line["object"] for line in removed] == [str(key), str(train)]
    assert {line["cause"] for line in removed} == {"crdDeleted"}


def test_what_was_adopted_and_goes_with_its_definition_is_told(world: World) -> None:
    """Its default is to be left alone, and it costs all the same."""
    made = training(world, "maker", deletionPolicy="Orphan")
    run = world.status(made)
    world.kube.delete(made)
    world.until_gone(made)
    key = training(world, "taker", adopt={"taskId": run["taskId"], "jobId": run["jobId"]})
    world.kube.crds.update(went())
    world.kube.delete(key)
    world.until_gone(key, within=60)
    (told,) = [event for event in world.kube.events if event["reason"] == "Orphaned"]
    assert f"jobId {run['jobId']}" in told["note"]


def test_a_definition_that_goes_saves_what_is_half_made_or_half_stopped(world: World) -> None:
    """An open create is not looked for to be stopped, and keys are not needed: the object goes as it is."""
    world.until(world.kube.apply(job("witness")), "Succeeded")
    world.sim.configure(training=AfterSeconds(3 * DAY))
    world.sim.faults.add(Fault(Effect.LOSE_REPLY, "createJob"))
    world.until(open_ := world.kube.apply(job()), "Confirming")
    world.kube.crds.update(went())
    world.set_secret(None)
    world.kube.delete(open_)
    world.restart()
    world.until_gone(open_, within=60)
    assert states(world) == ["FINISH", "RUNNING"]


def test_the_definitions_of_other_kinds_do_not_matter(world: World) -> None:
    """A job that is deleted for itself is stopped, whatever becomes of the other definitions."""
    key = training(world)
    world.kube.crds.update(went("qianfanmodels.qianfan.dev"))
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_nothing_is_released_before_the_definition_can_be_read(world: World) -> None:
    """Without the right to read it (an older role) the deletion is blocked, and goes on when there is one."""
    key = training(world)

    def around(call: str, do: Callable[[], Any]) -> Any:
        if call == "crd_metadata":
            raise Forbidden("GET: 403")
        return do()

    world.kube.around = around
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    assert "may not read the CRD qianfanjobs.qianfan.dev" in world.condition(key)["message"]
    assert "deletionPolicy" in world.condition(key)["message"]
    world.rest(100)
    assert states(world) == ["RUNNING"]
    world.kube.around = lambda _, do: do()
    world.until_gone(key)
    assert states(world) == ["STOP"]


def test_a_definition_that_cannot_be_asked_for_is_asked_again(world: World) -> None:
    """An API server that does not answer decides nothing."""
    key = training(world)
    asked: list[str] = []

    def around(call: str, do: Callable[[], Any]) -> Any:
        if call == "crd_metadata" and len(asked) < 3:
            asked.append(call)
            raise KubeError("GET: TimeoutError")
        assert call != "patch_finalizers" or len(asked) == 3
        return do()

    world.kube.around = around
    world.kube.delete(key)
    world.until_gone(key)
    assert states(world) == ["STOP"]
