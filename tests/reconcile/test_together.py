"""Deleting a whole chain, or one link of it, at any time and in any order.

See docs/design/api.md#deleting.
"""

import itertools

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds
from qianfan_simulator.things import Version
from reconcile.manifests import job, model, service
from reconcile.test_deleting import PUBLISH, published, serving, states, training
from reconcile.world import DAY, World

TRAIN, SERVE = Key("qianfanjobs", "default", "train"), Key("qianfanservices", "default", "serve")
CHAIN = (TRAIN, PUBLISH, SERVE)
ORDERS = list(itertools.permutations(CHAIN))
PHASES = ("Training", "Publishing", "PaymentRequired", "Deploying", "Available")


def chain(world: World, phase: str, policy: str) -> dict[Key, dict]:
    """Apply the three, and return their manifests when the chain has come to a phase."""
    manifests = (job(deletionPolicy=policy), model(deletionPolicy=policy), service(deletionPolicy=policy))
    for manifest in manifests:
        world.kube.apply(manifest)
    if phase in {"Deploying", "Available"}:
        world.until(SERVE, "PaymentRequired")
        world.sim.pay()
    world.until({"Training": TRAIN, "Publishing": PUBLISH}.get(phase, SERVE), phase)
    return dict(zip(CHAIN, manifests, strict=True))


def models(world: World) -> list[str]:
    return [one.name for one in world.sim.account().models if not one.preset]


def versions(world: World) -> list[Version]:
    return [version for version in world.sim.account().versions if version.run]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(key.name for key in order))
@pytest.mark.parametrize("phase", PHASES)
def test_a_chain_goes_in_any_order(phase: str, order: tuple[Key, ...], world: World) -> None:
    """Whichever object is deleted first, all three go, and nothing is left that works, costs or takes a name."""
    chain(world, phase, "Delete")
    for key in order:
        world.kube.delete(key)
    world.run(lambda: not world.kube.objects, within=3600)
    world.rest(DAY)
    assert states(world) == (["STOP"] if phase == "Training" else ["FINISH"])
    assert (versions(world), models(world)) == ([], [])
    assert {one.life.state for one in world.sim.account().services} <= {"Stopped", "New"}


@pytest.mark.parametrize("link", CHAIN, ids=lambda key: key.name)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("policy", ["Delete", "Orphan"])
def test_a_link_can_be_replaced(policy: str, phase: str, link: Key, world: World) -> None:
    """`kubectl replace --force` of any link at any time ends in a serving chain, and what was paid for is used again.

    Made again is only what Delete has ended: a run that trained, a version, a service that served.
    """
    manifests = chain(world, phase, policy)
    world.kube.delete(link)
    if link is PUBLISH and policy == "Delete" and phase in PHASES[2:]:
        world.until(PUBLISH, "InUse", within=60)
        return
    world.until_gone(link)
    world.kube.apply(manifests[link])

    def serves() -> bool:
        world.sim.pay()
        return all(world.is_so(key) for key in CHAIN)

    world.run(serves)
    trained = 2 if (policy, phase, link) == ("Delete", "Training", TRAIN) else 1
    served = 2 if policy == "Delete" and phase in {"Deploying", "Available"} and link is SERVE else 1
    assert states(world) == ["STOP"] * (trained - 1) + ["FINISH"]
    assert (len(versions(world)), len(models(world))) == (1, 1)
    assert [one.life.state for one in world.sim.account().services] == ["Stopped"] * (served - 1) + ["Done"]


def test_a_service_that_only_waits_for_a_model_does_not_keep_it(world: World) -> None:
    """A service that has nothing in the cloud and waits for a model cannot make it wait in return."""
    key = published(world, deletionPolicy="Delete")
    world.kube.apply(service(paused=True))
    world.until(SERVE, "Paused")
    world.kube.delete(key)
    world.until_gone(key, within=60)
    world.until(SERVE, "DependencyNotReady")
    assert versions(world) == []


@pytest.mark.parametrize("how", ["it goes", "it is let go", "it turns to another version"])
def test_a_model_in_use_is_woken(how: str, world: World) -> None:
    """The moment a service uses its version no longer, a model that was asked to go goes, however long it waited."""
    world.sim.configure(training=AfterSeconds(1))
    serving(world)
    world.kube.patch_spec(PUBLISH, deletionPolicy="Delete")
    world.kube.delete(PUBLISH)
    old = world.until(PUBLISH, "InUse")["modelVersionId"]
    world.rest(DAY / 24)
    if how == "it goes":
        world.kube.delete(SERVE)
        world.until_gone(SERVE)
    elif how == "it is let go":
        world.kube.patch_spec(SERVE, deletionPolicy="Orphan")
        world.kube.delete(SERVE)
        world.until_gone(SERVE)
    else:
        world.until(world.kube.apply(job("other")), "Succeeded")
        target = {"modelName": "other_model"}
        other = world.kube.apply(model("other", source={"jobRef": {"name": "other"}}, target=target))
        world.until(other, "Available")
        world.kube.patch_spec(SERVE, source={"modelRef": {"name": "other"}})
        world.until(SERVE, "Available")
    world.rest(0)
    assert old not in [version.id for version in versions(world)]
    world.until_gone(PUBLISH, within=60)


def test_whoever_waits_for_a_thing_is_woken_when_its_holder_goes(world: World) -> None:
    """AlreadyManaged ends the moment the other object lets go."""
    status = world.until(world.kube.apply(job(deletionPolicy="Orphan")), "Training")
    adopt = {"taskId": status["taskId"], "jobId": status["jobId"]}
    world.until(other := world.kube.apply(job("other", adopt=adopt)), "AlreadyManaged")
    world.kube.delete(TRAIN)
    world.until_gone(TRAIN)
    world.until(other, "Training", within=1)


def test_finalizers_of_others_are_left_alone(world: World) -> None:
    """Ours goes when the run has stopped; what others hold stays, is not touched any more, and ends with them."""
    key = training(world)
    world.kube.objects[key]["metadata"]["finalizers"].append("example.com/audit")
    world.kube.delete(key)
    world.run(lambda: world.kube.objects[key]["metadata"]["finalizers"] == ["example.com/audit"])
    writes, calls = world.writes(key), len(world.sim.calls)
    world.ask(key)
    world.restart()
    world.rest(DAY)
    assert (world.writes(key), len(world.sim.calls)) == (writes, calls)
    assert states(world) == ["STOP"]


def test_a_finalizer_that_is_taken_off_while_deleting_ends_it(world: World) -> None:
    """Who takes the finalizer off by hand has taken over: the object goes, and nobody cares for it any more."""
    world.sim.configure(v2="denied")
    key = serving(world)
    world.kube.delete(key)
    world.until(key, "DeletionBlocked")
    world.kube.remove_finalizer(key)
    calls = world.calls("serviceDetail", "DeactivateService")
    world.rest(DAY)
    assert not world.there(key)
    assert world.calls("serviceDetail", "DeactivateService") == calls


def test_a_job_is_paused_and_deleted_in_one_breath(world: World) -> None:
    """Deleting works on while paused, also with a stop that the pause had held back."""
    world.sim.configure(training=AfterSeconds(3 * DAY))
    key = training(world)
    world.kube.patch_spec(key, paused=True, desiredState="Stopped")
    world.until(key, "Paused")
    world.kube.delete(key)
    world.until_gone(key, within=120)
    assert states(world) == ["STOP"]
