"""What is tried again and again must not be heard again and again."""

from engine.manifests import job, model
from engine.world import World
from qianfan_simulator import Effect, Fault


def test_a_refused_training_is_tried_again_without_noise(world: World) -> None:
    """Hours of trying whether a person has mended the cause leave one event and one transition; then it trains."""
    world.sim.faults.add(Fault(Effect.ERROR, "createJob", count=0, code=510401))
    key = world.kube.apply(job())
    world.until(key, "Refused")
    since = world.condition(key, "Stalled")["lastTransitionTime"]
    before = len(world.kube.events)
    world.rest(3600)
    assert sum(call.operation == "createJob" for call in world.sim.calls) > 5
    assert world.condition(key, "Stalled")["lastTransitionTime"] == since
    assert len(world.kube.events) == before
    world.sim.faults.clear()
    world.until(key, "Succeeded")


def test_a_model_whose_name_is_taken_publishes_nothing_and_makes_no_noise(world: World) -> None:
    """A name that another object has is seen before anything is sent, and stays told without another event."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.until(world.kube.apply(model()), "Available")
    world.until(world.kube.apply(job("second")), "Succeeded")
    key = world.kube.apply(model("other", source={"jobRef": {"name": "second"}}))
    world.until(key, "NameTaken")
    before = len(world.kube.events)
    world.rest(3600)
    assert world.condition(key, "Stalled")["reason"] == "NameTaken"
    assert len(world.kube.events) == before
    assert sum(call.operation == "publishTrainModel" for call in world.sim.calls) == 1
