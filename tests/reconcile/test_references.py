"""References: met, waited for, failed; and what may be incremental.

See docs/design/api.md#references.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model, service
from reconcile.world import FIRST, World

TRAIN = Key("qianfanjobs", "default", "train")
OTHER = {"epoch": 2, "learningRate": "0.00002", "maxSeqLen": 4096}
INCREMENTAL = {"baseTrainType": None, "trainType": None, "peftType": None}


def next_job(name: str = "next", base: str = "train", **reference) -> dict:
    """A job that goes on from another one's run."""
    return job(name, **INCREMENTAL, incrementalFrom={"jobRef": {"name": base, **reference}})


@pytest.fixture
def full(world: World) -> dict:
    """A finished run of peftType ALL; its job's status."""
    return world.until(world.kube.apply(job(peftType="ALL")), "Succeeded")


def test_training_goes_on_from_a_finished_run(world: World, full: dict) -> None:
    """incrementalFrom.jobRef sends the base run's integer ids."""
    key = world.kube.apply(next_job())
    world.until(key, "Succeeded")
    base, run = world.sim.account().runs
    assert run.base is base
    assert world.status(key)["inputs"]["incrementalFrom"] == {"jobRef": {"name": "train"}}


def test_training_goes_on_from_a_run_by_its_ids(world: World, full: dict) -> None:
    """incrementalFrom.run takes the ids of a run, without a job object."""
    run = {"taskId": full["taskId"], "jobId": full["jobId"]}
    world.until(world.kube.apply(job("next", **INCREMENTAL, incrementalFrom={"run": run})), "Succeeded")
    base, run = world.sim.account().runs
    assert run.base is base


def test_training_goes_on_from_an_earlier_attempt(world: World, full: dict) -> None:
    """A reference with `attempt` takes that attempt's run."""
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    world.until(world.kube.apply(next_job(attempt=1)), "Succeeded")
    runs = list(world.sim.account().runs)
    assert runs[-1].base is runs[0]


def test_strings_cannot_be_a_base(world: World, full: dict) -> None:
    """createJob takes integers only: a base that is known by strings is InvalidSpec, with the reason."""
    run = {"taskId": full["taskUuid"], "jobId": full["jobUuid"]}
    key = world.kube.apply(job("next", **INCREMENTAL, incrementalFrom={"run": run}))
    world.until(key, "InvalidSpec")
    assert "integer ids" in world.condition(key)["message"]


def test_a_base_that_works_is_waited_for(world: World) -> None:
    """A job waits for the run that it goes on from, and is Succeeded Unknown meanwhile."""
    world.kube.apply(job(peftType="ALL"))
    key = world.kube.apply(next_job())
    world.until(key, "DependencyNotReady")
    assert world.condition(key, "Reconciling")["status"] == "True"
    assert world.condition(key, "Succeeded")["status"] == "Unknown"
    world.until(key, "Succeeded")


def test_only_full_training_can_be_a_base(world: World) -> None:
    """A base of LoRA is DependencyFailed before anything is sent."""
    world.until(world.kube.apply(job()), "Succeeded")
    key = world.kube.apply(next_job())
    world.until(key, "DependencyFailed")
    assert "LoRA" in world.condition(key)["message"]
    assert len(world.calls("createTask")) == 1


def test_a_job_cannot_go_on_from_itself(world: World) -> None:
    """A reference to the object itself is DependencyFailed, at once."""
    key = world.kube.apply(next_job("train"))
    world.until(key, "DependencyFailed")


def test_two_jobs_cannot_wait_for_each_other(world: World) -> None:
    """A cycle is DependencyFailed for all in it, not a wait for ever."""
    first = world.kube.apply(next_job("first", "second"))
    second = world.kube.apply(next_job("second", "first"))
    world.run(lambda: {world.reason(first), world.reason(second)} == {"DependencyFailed"}, within=600)
    assert world.sim.calls == []
    for key in (first, second):
        assert world.condition(key)["message"] == "spec.incrementalFrom leads back to the object itself."


def test_three_jobs_cannot_wait_for_each_other(world: World) -> None:
    """A longer cycle fails as well, with whoever waits for one in it; who breaks it heals all, in turn."""
    circle = [world.kube.apply(next_job(*names)) for names in (("a", "b"), ("b", "c"), ("c", "a"))]
    outside = world.kube.apply(next_job("d", "a"))
    every = {*circle, outside}
    world.run(lambda: {world.reason(key) for key in every} == {"DependencyFailed"}, within=5)
    assert world.sim.calls == []
    world.kube.apply(job("c", peftType="ALL"))
    world.run(lambda: {world.reason(key) for key in every} == {"Succeeded"})


def test_two_jobs_may_take_turns(world: World, full: dict) -> None:
    """A job may go on from a finished run of one that went on from its own: nobody waits for anybody."""
    key = world.kube.apply(next_job())
    world.until(key, "Succeeded")
    world.kube.patch_spec(TRAIN, attempt=2, **INCREMENTAL, incrementalFrom={"jobRef": {"name": "next"}})
    world.until(TRAIN, "Succeeded")
    runs = list(world.sim.account().runs)
    assert [run.base for run in runs] == [None, runs[0], runs[1]]


def test_two_models_cannot_target_each_other(world: World, full: dict) -> None:
    """A cycle of targets is DependencyFailed for all in it."""
    first = world.kube.apply(model("first", target={"modelRef": {"name": "second"}}))
    second = world.kube.apply(model("second", target={"modelRef": {"name": "first"}}))
    world.run(lambda: {world.reason(first), world.reason(second)} == {"DependencyFailed"}, within=600)


def test_a_model_without_a_version_is_no_target_once_it_failed(world: World, full: dict) -> None:
    """Who would publish into the model of an object that is Stalled is DependencyFailed, and healed with it."""
    first = world.kube.apply(model("first", source={"jobRef": {"name": "other"}}))
    second = world.kube.apply(model("second", target={"modelRef": {"name": "first"}}))
    world.until(second, "DependencyNotReady")
    other = world.kube.apply(job("other", desiredState="Stopped"))
    world.until(second, "DependencyFailed", within=5)
    assert "QianfanModel first is not usable (DependencyFailed)" in world.condition(second)["message"]
    world.kube.apply(job("other"))
    world.until(other, "Succeeded")
    world.until(first, "Available")
    world.until(second, "Available")
    assert world.status(second)["modelId"] == world.status(first)["modelId"]


def test_a_base_counts_as_its_attempt_was_trained(world: World, full: dict) -> None:
    """An earlier attempt of ALL can be a base, though the job has trained LoRA since; the later one cannot."""
    world.kube.patch_spec(TRAIN, attempt=2, peftType="LoRA")
    world.until(TRAIN, "Succeeded")
    world.until(world.kube.apply(next_job(attempt=1)), "Succeeded")
    world.until(world.kube.apply(next_job("another", attempt=2)), "DependencyFailed")
    world.kube.patch_spec(TRAIN, attempt=1, peftType="ALL")
    world.until(TRAIN, "Succeeded")
    world.kube.apply(next_job("late", attempt=2))
    world.until(Key("qianfanjobs", "default", "late"), "DependencyFailed")


def test_a_missing_job_is_waited_for(world: World) -> None:
    """A reference that is not there is DependencyNotReady, and met at once when it comes and is done."""
    key = world.kube.apply(model())
    world.until(key, "DependencyNotReady")
    assert "QianfanJob train does not exist" in world.condition(key)["message"]
    world.kube.apply(job())
    world.until(key, "Available")


def test_a_failed_job_fails_its_model(world: World) -> None:
    """A reference that failed is DependencyFailed with its reason; another attempt of it mends that at once."""
    world.kube.apply(job())
    key = world.kube.apply(model())
    world.until(TRAIN, "Training")
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.until(key, "DependencyFailed")
    assert "TrainingFailed" in world.condition(key)["message"]
    assert world.condition(key, "Stalled")["status"] == "True"
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(key, "DependencyNotReady", within=60)
    world.until(key, "Available")


def test_a_stopped_job_fails_its_model(world: World) -> None:
    """A job that is stopped as wanted is Ready, but references go by Succeeded."""
    world.kube.apply(job(desiredState="Stopped"))
    key = world.kube.apply(model())
    world.until(key, "DependencyFailed")


@pytest.mark.parametrize("ended", ["failed", "finished"])
def test_an_earlier_attempt_counts_by_its_own_end(world: World, ended: str) -> None:
    """A reference with `attempt` does not care how the current attempt went."""
    world.kube.apply(job())
    world.until(TRAIN, "Training")
    if ended == "failed":
        world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.run(lambda: world.reason(TRAIN) in {"Succeeded", "TrainingFailed"})
    world.kube.patch_spec(TRAIN, attempt=2)
    world.until(TRAIN, "Succeeded")
    key = world.kube.apply(model(source={"jobRef": {"name": "train", "attempt": 1}}))
    world.until(key, "DependencyFailed" if ended == "failed" else "Available")


def test_a_stalled_model_fails_its_service(world: World) -> None:
    """A service of a model that failed to publish is DependencyFailed."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.sim.faults.add(Fault(Effect.DOOM, "publishTrainModel"))
    world.kube.apply(model())
    key = world.kube.apply(service())
    world.until(key, "DependencyFailed")
    assert "PublishingFailed" in world.condition(key)["message"]


def test_an_object_that_is_being_deleted_is_no_reference(world: World) -> None:
    """A reference that is on its way out is not used."""
    world.kube.apply(job())
    world.until(TRAIN, "Training")
    world.sim.faults.add(Fault(Effect.HTML, "stopJob", count=0))
    world.kube.delete(TRAIN)
    key = world.kube.apply(model())
    world.until(key, "DependencyNotReady")
    assert "deleted" in world.condition(key)["message"]


def test_a_failure_and_its_cure_run_down_the_chain_at_once(world: World) -> None:
    """Model and service are DependencyFailed within seconds of the job, and go on by themselves when it is mended."""
    world.kube.apply(job())
    keys = [world.kube.apply(model()), world.kube.apply(service())]
    world.until(TRAIN, "Training")
    world.sim.fail(next(iter(world.sim.account().runs)).id)
    world.until(TRAIN, "TrainingFailed")
    world.run(lambda: {world.reason(key) for key in keys} == {"DependencyFailed"}, within=1)
    world.kube.patch_spec(TRAIN, attempt=2)
    world.run(lambda: {world.reason(key) for key in keys} == {"DependencyNotReady"}, within=5)
    world.run(lambda: [world.reason(key) for key in keys] == ["Available", "PaymentRequired"])
    assert [len(world.calls(paid)) for paid in ("createJob", "publishTrainModel", "apply")] == [2, 1, 1]


def test_keys_that_are_mended_heal_the_chain(world: World) -> None:
    """What stalled for its job's keys goes on by itself when the Secret is put right."""
    world.set_secret(FIRST, secret="wrong")
    world.kube.apply(job())
    key = world.kube.apply(model(credentialsRef={"name": "good"}))
    world.set_secret(FIRST, name="good")
    world.run(lambda: world.is_so(TRAIN, "Stalled"))
    world.until(key, "DependencyFailed", within=5)
    world.set_secret(FIRST)
    world.until(key, "Available")


def test_a_job_that_is_deleted_and_made_again_is_another_reference(world: World) -> None:
    """Who waits is told that the job is gone, and takes the run of whatever job comes under that name."""
    world.kube.apply(job(deletionPolicy="Orphan"))
    key = world.kube.apply(model())
    world.until(TRAIN, "Training")
    world.until(key, "DependencyNotReady")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.run(lambda: "does not exist" in world.condition(key)["message"], within=5)
    world.kube.apply(job(trainConfig=OTHER))
    world.until(key, "Available")
    assert world.status(key)["source"]["jobId"] == world.status(TRAIN)["jobId"]
    assert [run.config["epoch"] for run in world.sim.account().runs] == [4, 2]


def test_what_is_published_does_not_care_for_another_job_of_that_name(world: World) -> None:
    """A model keeps what it resolved: another job of the same name, and then none, change nothing about it."""
    world.until(world.kube.apply(job(deletionPolicy="Orphan")), "Succeeded")
    key = world.kube.apply(model())
    before = world.until(key, "Available")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.until(world.kube.apply(job(trainConfig=OTHER)), "Succeeded")
    world.rest(3600)
    world.kube.delete(TRAIN)
    world.rest(3600)
    assert world.status(key) == before
    assert len(world.calls("publishTrainModel")) == 1


def test_waiting_says_nothing_about_the_cloud(world: World) -> None:
    """While a reference is waited for, whether the cloud is as it was written is Unknown; once it failed, it is not."""
    key = world.kube.apply(model())
    world.until(key, "DependencyNotReady")
    assert world.condition(key, "Synced")["status"] == "Unknown"
    world.kube.apply(job(desiredState="Stopped"))
    world.until(key, "DependencyFailed", within=5)
    assert world.condition(key, "Synced")["status"] == "False"
