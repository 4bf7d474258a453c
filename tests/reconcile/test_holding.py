"""Two objects may not hold the same thing of the cloud.

See docs/design/architecture.md#ownership.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds
from reconcile.manifests import job, model, service
from reconcile.world import DAY, World


def test_a_run_is_adopted_by_one_object_only(world: World) -> None:
    """A run that an object records cannot be adopted by another: AlreadyManaged names the holder, by either id."""
    owner = world.kube.apply(job())
    status = world.until(owner, "Training")
    for name, task, run in (("a", "taskId", "jobId"), ("b", "taskUuid", "jobUuid")):
        other = world.kube.apply(job(name, adopt={"taskId": status[task], "jobId": status[run]}))
        world.until(other, "AlreadyManaged")
        assert "QianfanJob train" in world.condition(other)["message"]
        assert world.condition(other, "Stalled")["status"] == "True"
        assert "jobId" not in world.status(other)


def test_who_does_not_hold_a_run_does_not_stop_it(world: World) -> None:
    """Deleting the second object leaves the run of the first alone, whatever its policy says."""
    world.sim.configure(training=AfterSeconds(3 * DAY))
    status = world.until(world.kube.apply(job()), "Training")
    adopt = {"taskId": status["taskId"], "jobId": status["jobId"]}
    other = world.kube.apply(job("other", adopt=adopt, deletionPolicy="Delete"))
    world.until(other, "AlreadyManaged")
    world.kube.delete(other)
    world.until_gone(other)
    assert [run.life.state for run in world.sim.account().runs] == ["RUNNING"]


@pytest.mark.parametrize("restarted", [False, True])
def test_the_run_of_an_earlier_attempt_still_belongs_to_its_job(world: World, restarted: bool) -> None:
    """An earlier run, which deleting the job would stop, is not adopted by another object; nor in a later process."""
    owner = world.kube.apply(job())
    status = world.until(owner, "Succeeded")
    world.kube.apply(job(attempt=2))
    world.until(owner, "Training")
    if restarted:
        world.restart()
    other = world.kube.apply(job("other", adopt={"taskId": status["taskId"], "jobId": status["jobId"]}))
    world.until(other, "AlreadyManaged")


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_let_go_can_be_taken_over(world: World, restarted: bool) -> None:
    """When the holder goes and leaves the run, the other one takes it over; also in a later process."""
    owner = world.kube.apply(job(deletionPolicy="Orphan"))
    status = world.until(owner, "Training")
    other = world.kube.apply(job("other", adopt={"taskId": status["taskId"], "jobId": status["jobId"]}))
    world.until(other, "AlreadyManaged")
    if restarted:
        world.restart()
    world.kube.delete(owner)
    world.until(other, "Training")
    assert world.status(other)["jobId"] == status["jobId"]


def test_one_run_is_not_published_twice_into_one_model(world: World) -> None:
    """Another object that publishes the same run into the same model finds the version held, and deletes nothing."""
    world.until(world.kube.apply(job()), "Succeeded")
    owner = world.kube.apply(model())
    status = world.until(owner, "Available")
    other = world.kube.apply(model("other", target={"modelId": status["modelId"]}, deletionPolicy="Delete"))
    world.until(other, "AlreadyManaged")
    assert "QianfanModel publish" in world.condition(other)["message"]
    world.kube.delete(other)
    world.until_gone(other)
    assert [version.id for version in world.sim.account().versions if version.run] == [status["modelVersionId"]]


def test_a_service_is_adopted_by_one_object_only(world: World) -> None:
    """A service that an object records cannot be adopted by another."""
    world.kube.apply(job())
    world.kube.apply(model())
    owner = world.kube.apply(service())
    status = world.until(owner, "PaymentRequired")
    adopt = {"serviceId": status["serviceId"]}
    other = world.kube.apply(service("other", source=None, serviceName=None, uri=None, adopt=adopt))
    world.until(other, "AlreadyManaged")
    world.kube.delete(other)
    world.until_gone(other)
    world.rest(DAY / 24)
    assert world.reason(owner) == "PaymentRequired"


def test_an_object_holds_its_own_things_again_after_a_restart(world: World) -> None:
    """The next process reads from the statuses who holds what."""
    owner = world.kube.apply(job())
    status = world.until(owner, "Training")
    world.restart()
    other = world.kube.apply(job("other", adopt={"taskId": status["taskId"], "jobId": status["jobId"]}))
    world.until(other, "AlreadyManaged")
    world.until(owner, "Succeeded")
    assert world.reason(Key("qianfanjobs", "default", "other")) == "AlreadyManaged"
