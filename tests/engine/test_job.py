"""A QianfanJob from create to its end (design 2.2)."""

from engine.manifests import job
from engine.world import World


def test_a_job_trains_once_and_succeeds(world: World) -> None:
    """One task, one run, Ready and Succeeded at the end, and at most eight writes on the way."""
    key = world.kube.apply(job())
    status = world.until(key, "Succeeded")
    assert world.is_so(key, "Succeeded")
    assert status["jobId"] == next(iter(world.sim.account().runs)).id
    assert len(world.calls("createTask")) == len(world.calls("createJob")) == 1
    assert world.writes(key) <= 8
