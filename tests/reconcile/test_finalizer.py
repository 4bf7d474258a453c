"""A cluster whose policies refuse the operator's finalizer."""

from collections.abc import Callable
from typing import Any

import pytest

from paid import PAID
from qianfan_operator.kube.client import Forbidden, Invalid, KubeError
from reconcile.manifests import job, model, service
from reconcile.stories import refuse_finalizers
from reconcile.world import World


@pytest.mark.parametrize("error", [Forbidden, Invalid])
@pytest.mark.parametrize("manifest", [job, model, service], ids=["job", "model", "service"])
def test_a_refused_finalizer_is_told_once_and_tried_again(world: World, error: type[KubeError], manifest) -> None:
    """Nothing is made; Ready has the API server's words, cleaned and cut; when it may, the object goes on."""
    if manifest is not job:
        world.until(world.kube.apply(job()), "Succeeded")
    if manifest is service:
        world.until(world.kube.apply(model()), "Available")
    paid = len(world.calls(*PAID.values()))
    refuse_finalizers(world, error, "no\u202e, " + "never " * 1000)
    key = world.kube.apply(manifest())
    world.until(key, "FinalizerRefused")
    message = world.condition(key)["message"]
    assert "qianfan.dev/cloud-resource: 403 no\\u202e, never" in message
    assert message.endswith("Change the policy that refuses it.")
    assert world.is_so(key, "Stalled")
    writes = world.writes(key)
    world.rest(3600)
    assert world.writes(key) == writes
    assert len([event for event in world.kube.events if event["reason"] == "FinalizerRefused"]) == 1
    assert len(world.calls(*PAID.values())) == paid
    world.kube.around = lambda _, do: do()
    world.run(lambda: len(world.calls(*PAID.values())) > paid)


@pytest.mark.parametrize("error", [Forbidden("PATCH /x: 403 no"), KubeError("PATCH /x: 500 failed calling webhook")])
def test_ids_land_although_the_finalizer_is_refused(world: World, error: KubeError) -> None:
    """The status could not be written when the reply came, and then the finalizer was taken off and refused."""
    paid, failing = list[str](), [True]

    def cloud(operation: str, do: Callable[[], Any]) -> Any:
        reply = do()
        paid.extend([operation] if operation == "createJob" else [])
        return reply

    def kube(name: str, do: Callable[[], Any]) -> Any:
        if paid and name == "patch_finalizers":
            raise error
        if paid and failing[0] and name == "patch_status":
            raise KubeError("PATCH /x: 500 down")
        return do()

    world.around_cloud, world.kube.around = cloud, kube
    key = world.kube.apply(job())
    world.run(lambda: paid)
    world.kube.remove_finalizer(key)
    failing[0] = False
    world.rest(600)
    (run,) = world.sim.account().runs
    assert world.status(key)["jobId"] == run.id
    assert world.protocol.unwritten() == ()


def test_what_is_usable_stays_so_when_its_finalizer_is_refused(world: World) -> None:
    """Its finalizer was taken off and cannot be put on again: Synced says so, and consumers are not disturbed."""
    world.until(key := world.kube.apply(job()), "Succeeded")
    refuse_finalizers(world)
    world.kube.remove_finalizer(key)
    world.run(lambda: world.condition(key, "Synced")["reason"] == "FinalizerRefused")
    assert world.is_so(key)
    assert world.is_so(key, "Succeeded")
    assert world.condition(key, "Synced")["status"] == "False"
    world.kube.around = lambda _, do: do()
    world.run(lambda: world.condition(key, "Synced")["status"] == "True")
