"""A QianfanModel: publishing, and publishing again.

See docs/design/api.md#qianfanmodel.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model
from reconcile.world import DAY, World

TRAIN = Key("qianfanjobs", "default", "train")


def trained(world: World, name: str = "train", **fields) -> dict:
    """Train a run; return the job's status."""
    return world.until(world.kube.apply(job(name, **fields)), "Succeeded")


def published(world: World, **fields) -> Key:
    key = world.kube.apply(model(**fields))
    world.until(key, "Available")
    return key


def versions(world: World) -> list:
    return [version for version in world.sim.account().versions if version.run]


def test_a_finished_run_is_published_as_a_new_model(world: World) -> None:
    """One publishTrainModel; the status names the model, the version, and the run that it was made of."""
    run = trained(world)
    key = published(world, tags=["demo"], description="words")
    status = world.status(key)
    (version,) = versions(world)
    assert (status["modelName"], status["modelId"], status["modelIdStr"]) == (
        "my_model", version.model.id, version.model.uid,
    )  # fmt: skip
    assert (status["modelVersionId"], status["modelVersionIdStr"], status["version"]) == (version.id, version.uid, "1")
    assert status["state"] == "Ready"
    assert status["consoleUrl"] == "https://console.bce.baidu.com/qianfan/modelcenter/model/user/list"
    assert status["source"] == {name: run[name] for name in ("taskId", "taskUuid", "jobId", "jobUuid")}
    assert status["published"] == [version.id]
    assert [one["modelVersionId"] for one in status["versions"]] == [version.id]
    assert version.model.tags == ["demo"]
    assert version.description.endswith(" words")
    assert len(world.calls("publishTrainModel")) == 1


def test_a_version_of_an_existing_model_is_published(world: World) -> None:
    """target.modelId adds a version to a model that the cloud has."""
    trained(world)
    trained(world, "other")
    first = world.status(published(world))
    second = world.kube.apply(
        model("second", source={"jobRef": {"name": "other"}}, target={"modelId": first["modelId"]})
    )
    world.until(second, "Available")
    assert world.status(second)["modelId"] == first["modelId"]
    assert world.status(second)["version"] == "2"


def test_a_version_of_another_objects_model_is_published(world: World) -> None:
    """target.modelRef waits for the other object's model and adds a version to it."""
    trained(world)
    trained(world, "other")
    second = world.kube.apply(
        model("second", source={"jobRef": {"name": "other"}}, target={"modelRef": {"name": "publish"}})
    )
    world.until(second, "DependencyNotReady")
    first = published(world)
    world.until(second, "Available")
    assert world.status(second)["modelId"] == world.status(first)["modelId"]


@pytest.mark.parametrize("ids", ["integers", "strings"])
def test_a_run_is_published_by_its_ids(world: World, ids: str) -> None:
    """source.run takes the vendor's ids of either console, without a job object."""
    status = trained(world)
    names = ("taskId", "jobId") if ids == "integers" else ("taskUuid", "jobUuid")
    run = {"taskId": status[names[0]], "jobId": status[names[1]]}
    key = published(world, source={"run": run})
    assert len(versions(world)) == 1
    world.rest(3600)
    assert world.reason(key) == "Available"
    assert len(world.calls("publishTrainModel")) == 1


def test_a_changed_source_publishes_the_next_version(world: World) -> None:
    """Another source is published into the recorded model, although `modelName` still stands in the spec."""
    trained(world)
    trained(world, "other")
    key = published(world)
    before = world.status(key)
    world.kube.patch_spec(key, source={"jobRef": {"name": "other"}})
    world.until(key, "Available")
    status = world.status(key)
    assert status["modelId"] == before["modelId"]
    assert status["version"] == "2"
    assert status["published"] == [version.id for version in versions(world)]
    assert len(versions(world)) == 2


def test_manual_keeps_the_run_that_it_resolved_to(world: World) -> None:
    """Without Follow, a new attempt of the job publishes nothing."""
    trained(world)
    key = published(world)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.rest(DAY)
    assert world.reason(key) == "Available"
    assert len(versions(world)) == 1


def test_follow_publishes_every_successful_attempt(world: World) -> None:
    """With Follow, a new successful attempt is the next version at once; until then the old one stays Ready."""
    trained(world)
    key = published(world, updatePolicy="Follow")
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Training")
    world.rest(30)
    assert world.reason(key) == "Available"
    world.until(TRAIN, "Succeeded")
    world.run(lambda: world.status(key).get("version") == "2", within=60)
    world.until(key, "Available")
    assert len(versions(world)) == 2


def test_going_back_selects_a_version_that_is_published(world: World) -> None:
    """A source that was published before is found in the model: the cloud refuses to publish it twice (70118)."""
    trained(world)
    trained(world, "other")
    key = published(world)
    world.kube.patch_spec(key, source={"jobRef": {"name": "other"}})
    world.run(lambda: world.reason(key) == "Available" and world.status(key)["version"] == "2")
    world.kube.patch_spec(key, source={"jobRef": {"name": "train"}})
    world.run(lambda: world.reason(key) == "Available" and world.status(key)["version"] == "1")
    assert len(versions(world)) == 2


def test_an_attempt_of_a_job_is_published(world: World) -> None:
    """jobRef with `attempt` takes that attempt's run, current or not."""
    first = trained(world)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    key = published(world, source={"jobRef": {"name": "train", "attempt": 1}})
    assert world.status(key)["source"]["jobId"] == first["jobId"]


def test_a_version_that_fails_is_told_and_published_again_when_asked(world: World) -> None:
    """PublishingFailed is Stalled; the reconcile annotation publishes again, for publishing is free."""
    trained(world)
    world.sim.faults.add(Fault(Effect.DOOM, "publishTrainModel"))
    key = world.kube.apply(model())
    world.until(key, "PublishingFailed")
    assert world.condition(key, "Stalled")["status"] == "True"
    world.rest(DAY)
    assert len(world.calls("publishTrainModel")) == 1
    (failed,) = world.status(key)["published"]
    world.ask(key)
    world.until(key, "Available")
    (version,) = versions(world)
    assert version.id != failed
    assert world.status(key)["published"] == [version.id]
    assert len(world.calls("publishTrainModel")) == 2


def test_manual_keeps_its_run_when_it_is_published_again(world: World) -> None:
    """What a jobRef first resolved to stays, though the job has a newer attempt by the time somebody asks."""
    first = trained(world)
    world.sim.faults.add(Fault(Effect.DOOM, "publishTrainModel"))
    key = world.kube.apply(model())
    world.until(key, "PublishingFailed")
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.ask(key)
    world.until(key, "Available")
    assert world.status(key)["source"]["jobId"] == first["jobId"]


def test_manual_keeps_its_run_when_a_publish_came_to_nothing(world: World) -> None:
    """The run is recorded before it is published, so that a repetition publishes the same one."""
    first = trained(world)
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "publishTrainModel"))
    key = world.kube.apply(model())
    world.until(key, "Confirming")
    world.kube.patch_spec(key, paused=True)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Available")
    assert world.status(key)["source"]["jobId"] == first["jobId"]


def test_a_version_that_failed_for_somebody_else_is_left_alone(world: World) -> None:
    """The cloud takes a run once per model: a failed version of others is theirs to delete; then it is published."""
    run = trained(world)
    world.sim.faults.add(Fault(Effect.DOOM, "publishTrainModel"))
    meta = {"taskId": run["taskId"], "iterationId": run["jobId"], "description": "by hand"}
    theirs = world.client().prepare_publish({"isNewModel": True, "modelName": "theirs", "versionMeta": meta}).send()
    key = world.kube.apply(model(target={"modelId": theirs.model_id}))
    world.until(key, "PublishingFailed")
    world.ask(key, "first")
    world.rest(600)
    assert world.reason(key) == "PublishingFailed"
    assert "not created by this object" in world.condition(key)["message"]
    assert [version.id for version in versions(world)] == [theirs.version_id]
    world.sim.delete(theirs.version_id)
    world.ask(key, "second")
    world.until(key, "Available")
    assert world.status(key)["published"] == [versions(world)[0].id]


def test_a_taken_model_name_is_told(world: World) -> None:
    """A model of that name that is not ours is NameTaken, with the way out; nothing is published into it."""
    run = trained(world)
    others = {"taskId": run["taskId"], "iterationId": run["jobId"], "description": "by hand"}
    trained(world, "other")
    world.client().prepare_publish({"isNewModel": True, "modelName": "my_model", "versionMeta": others}).send()
    key = world.kube.apply(model(source={"jobRef": {"name": "other"}}))
    world.until(key, "NameTaken")
    assert "my_model" in world.condition(key)["message"]
    world.rest(DAY)
    assert len(versions(world)) == 1


def test_a_deleted_and_re_applied_model_finds_its_version(world: World) -> None:
    """A model that is kept when its object goes is found again by its name and the object's mark."""
    trained(world)
    key = published(world)
    world.kube.delete(key)
    world.until_gone(key)
    published(world)
    assert len(versions(world)) == 1
    assert world.status(key)["published"] == [versions(world)[0].id]


@pytest.mark.parametrize("effect", [Effect.LOSE_REPLY, Effect.CUT_BODY, Effect.LOSE_REQUEST])
def test_a_lost_reply_of_publish_is_looked_for(world: World, effect: Effect) -> None:
    """Whatever happens to the request or its reply, there is one version in the end."""
    trained(world)
    world.sim.faults.add(Fault(effect, "publishTrainModel"))
    key = world.kube.apply(model())
    world.until(key, "Confirming")
    world.until(key, "Available")
    assert len(versions(world)) == 1
    assert world.status(key)["published"] == [versions(world)[0].id]


@pytest.mark.parametrize("effect", [Effect.LOSE_REPLY, Effect.CUT_BODY, Effect.LOSE_REQUEST])
@pytest.mark.parametrize("then", ["train", "other", "third"])
def test_a_source_that_changes_while_a_reply_is_lost(world: World, effect: Effect, then: str) -> None:
    """The next version is found or published, and then the source as it is now: each run at most once, in one model."""
    for name in ("train", "other", "third"):
        trained(world, name)
    key = published(world)
    before = world.status(key)
    world.sim.faults.add(Fault(effect, "publishTrainModel"))
    world.kube.patch_spec(key, source={"jobRef": {"name": "other"}})
    world.until(key, "Confirming")
    world.kube.patch_spec(key, source={"jobRef": {"name": then}})
    world.until(key, "Available")
    status = world.status(key)
    assert status["source"]["jobId"] == world.status(Key("qianfanjobs", "default", then))["jobId"]
    assert {version.model.id for version in versions(world)} == {before["modelId"]}
    runs = [version.run.id for version in versions(world)]
    assert len(runs) == len(set(runs))
    assert sorted(status["published"]) == sorted(version.id for version in versions(world))


def test_a_source_that_is_written_in_another_way_publishes_nothing(world: World) -> None:
    """By its ids or by its job, it is the same run; and Manual keeps it when the job has a newer one."""
    run = trained(world)
    key = published(world, source={"run": {"taskId": run["taskId"], "jobId": run["jobId"]}})
    world.kube.patch_spec(key, source={"jobRef": {"name": "train"}})
    world.until(key, "Available")
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.rest(DAY)
    assert world.reason(key) == "Available"
    assert len(world.calls("publishTrainModel")) == 1


def test_a_target_that_failed_is_no_reason_to_wait(world: World) -> None:
    """target.modelRef to an object that is Stalled without a model is DependencyFailed, and heals with it."""
    trained(world)
    trained(world, "other")
    first = world.kube.apply(model(source={"run": {"taskId": 4711, "jobId": 4712}}))
    world.run(lambda: world.condition(first, "Stalled").get("status") == "True")
    target = {"modelRef": {"name": "publish"}}
    second = world.kube.apply(model("second", source={"jobRef": {"name": "other"}}, target=target))
    world.until(second, "DependencyFailed")
    world.kube.patch_spec(first, source={"jobRef": {"name": "train"}})
    world.until(second, "Available")
    assert world.status(second)["modelId"] == world.status(first)["modelId"]


@pytest.mark.parametrize("state", ["Creating", "Ready"])
def test_a_wiped_status_finds_its_version(world: World, state: str) -> None:
    """A wiped status publishes nothing twice."""
    trained(world)
    key = world.kube.apply(model())
    world.run(lambda: world.status(key).get("state") == state)
    world.kube.wipe_status(key)
    world.until(key, "Available")
    assert len(versions(world)) == 1


def test_a_version_is_adopted(world: World) -> None:
    """adopt takes over a version by its id; deleting the object leaves it."""
    trained(world)
    owner = published(world)
    version = world.status(owner)["modelVersionId"]
    world.kube.delete(owner)
    world.until_gone(owner)
    key = world.kube.apply(model("mine", source=None, target=None, adopt={"modelVersionId": version}))
    world.until(key, "Available")
    assert world.status(key)["modelVersionId"] == version
    assert world.status(key)["adopted"] is True
    world.kube.delete(key)
    world.until_gone(key)
    assert len(versions(world)) == 1


def test_a_model_stands_for_its_newest_version(world: World) -> None:
    """adopt by the model's id alone takes the newest version and stays with it."""
    trained(world)
    trained(world, "other")
    owner = published(world)
    world.kube.patch_spec(owner, source={"jobRef": {"name": "other"}})
    world.run(lambda: world.reason(owner) == "Available" and world.status(owner)["version"] == "2")
    number = world.status(owner)["modelIdStr"]
    world.kube.delete(owner)
    world.until_gone(owner)
    key = world.kube.apply(model("mine", source=None, target=None, adopt={"modelId": number}))
    world.until(key, "Available")
    assert world.status(key)["version"] == "2"


def test_what_is_not_there_cannot_be_adopted(world: World) -> None:
    """adopt of an unknown id is Stalled with the id."""
    key = world.kube.apply(model(source=None, target=None, adopt={"modelVersionId": 4711}))
    world.until(key, "Gone")
    assert "4711" in world.condition(key)["message"]


def test_a_version_that_is_deleted_in_the_console_is_gone(world: World) -> None:
    """A version that the cloud does not know any more turns Ready off, and is not published again by itself."""
    trained(world)
    key = published(world)
    world.sim.delete(versions(world)[0].id)
    world.until(key, "Gone")
    assert world.condition(key, "Stalled")["status"] == "True"
    world.rest(DAY)
    assert len(world.calls("publishTrainModel")) == 1


def test_a_version_is_gone_only_if_its_list_agrees(world: World) -> None:
    """The code for an unknown version is inferred: as long as the model lists the version, it stays what it was."""
    trained(world)
    key = published(world)
    world.sim.faults.add(Fault(Effect.ERROR, "modelVersionDetail", count=0, code=10001))
    world.rest(3600)
    assert world.is_so(key)
    assert world.condition(key, "Synced")["status"] == "Unknown"
    world.sim.faults.add(Fault(Effect.ERROR, "modelDetail", count=0, code=10001))
    world.rest(3600)
    assert world.is_so(key)
    world.sim.faults.clear()
    world.run(lambda: world.is_so(key, "Synced"))


def test_a_paused_model_publishes_nothing(world: World) -> None:
    """Paused: the version waits for the end of the pause."""
    trained(world)
    key = world.kube.apply(model(paused=True))
    world.until(key, "Paused")
    world.rest(3600)
    assert versions(world) == []
    world.kube.patch_spec(key, paused=False)
    world.until(key, "Available")


def test_a_run_that_still_works_is_waited_for(world: World) -> None:
    """A run that is named by its ids is published when it has finished; until then nothing is Stalled or sent."""
    key = world.kube.apply(job())
    status = world.until(key, "Training")
    other = world.kube.apply(model(source={"run": {"taskId": status["taskId"], "jobId": status["jobId"]}}))
    world.until(other, "DependencyNotReady")
    assert world.is_so(other, "Reconciling")
    world.until(other, "Available")
    assert [call.outcome for call in world.sim.calls if call.operation == "publishTrainModel"] == ["ok"]


def test_a_run_that_failed_is_not_sent_to_be_published(world: World) -> None:
    """A run that is named by its ids and did not succeed is DependencyFailed, in the cloud's word for its end."""
    world.sim.faults.add(Fault(Effect.DOOM, "createJob"))
    key = world.kube.apply(job())
    status = world.until(key, "TrainingFailed")
    other = world.kube.apply(model(source={"run": {"taskId": status["taskId"], "jobId": status["jobId"]}}))
    world.until(other, "DependencyFailed")
    assert "FAIL" in world.condition(other)["message"]
    assert world.calls("publishTrainModel") == []


def test_a_run_that_the_cloud_does_not_publish_is_refused(world: World) -> None:
    """A refusal (21002) is Stalled with the cloud's code, and not Confirming."""
    key = world.kube.apply(job())
    world.until(key, "Succeeded")
    world.sim.faults.add(Fault(Effect.ERROR, "publishTrainModel", code=21002))
    other = world.kube.apply(model())
    world.until(other, "Refused")
    assert "21002" in world.condition(other)["message"]
    world.until(other, "Available")
    assert len(versions(world)) == 1
