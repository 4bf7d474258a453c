"""An account with thousands of things, or a slow cloud, must not hold a worker until it counts as dead."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.workers import STUCK
from qianfan_simulator.things import Model
from reconcile.manifests import job, model
from reconcile.test_model import published, trained
from reconcile.world import DAY, World

JOB = Key("qianfanjobs", "default", "other")


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World()) as world:
        yield world


def fill(world: World, models: int) -> None:
    """Put so many models into the account, without a version in them."""
    account = world.sim.account()
    for number in range(models):
        own, uid = account.new_ids("am")
        thing = Model(
            id=own, uid=uid, created=account.now, name=f"m{number}", train_type="ernie", modified=account.now
        )  # fmt: skip
        account.keep(account.models, thing)


def slowly(world: World, seconds: float) -> Callable[[], int]:
    """Have every call of the cloud take so long; return what counts them."""
    made: list[str] = []

    def around(operation: str, do: Callable[[], Any]) -> Any:
        made.append(operation)
        try:
            return do()
        finally:
            world.clock.advance(seconds)

    world.around_cloud = around
    return lambda: len(made)


def longest(world: World, until: Callable[[], object]) -> float:
    """Make passes until something is so; return the seconds that the longest of them took."""
    most, real = [0.0], world.engine.reconcile

    def reconcile(key: Key) -> Any:
        began = world.clock.boot
        try:
            return real(key)
        finally:
            most.append(world.clock.boot - began)

    world.engine.reconcile = reconcile  # type: ignore[method-assign]
    world.run(until, within=DAY)
    return max(most)


@pytest.mark.parametrize(("models", "seconds"), [(2000, 2.0), (10000, 0.5)])
def test_a_pass_over_a_large_account_is_no_hung_one(world: World, models: int, seconds: float) -> None:
    """A version that is gone is proven gone by lists of all models, and that proof fits into one pass."""
    trained(world)
    key = published(world)
    fill(world, models)
    version = next(one for one in world.sim.account().versions if one.run)
    world.sim.delete(version.model.id)
    calls = slowly(world, seconds)
    assert longest(world, lambda: world.reason(key) == "Gone") < STUCK
    assert calls() < 3 * 4 * models / 100, "four scans are the proof, and the first failure is looked at again"


def test_a_cloud_that_drips_ends_a_pass_and_decides_nothing(world: World) -> None:
    """A pass that cannot read its lists in time says so and nothing else; other objects go on."""
    trained(world)
    key = published(world)
    fill(world, 2000)
    version = next(one for one in world.sim.account().versions if one.run)
    world.sim.delete(version.model.id)
    slowly(world, 30.0)
    assert longest(world, lambda: world.condition(key, "Synced").get("status") == "Unknown") < STUCK
    told = world.condition(key, "Synced")
    assert told["reason"] == "CloudUnavailable"
    assert "2000 cloud calls or 300 s" in told["message"]
    assert "BudgetSpent" in told["message"]
    assert world.condition(key)["reason"] == "Available", "what is not proven gone stays what it was"
    world.kube.apply(job("other"))
    world.until(JOB, "Succeeded")
    world.around_cloud = lambda _, do: do()
    world.until(key, "Gone")
    assert len(world.calls("publishTrainModel")) == 1


def test_a_search_through_thousands_of_models_comes_to_its_end(world: World) -> None:
    """What takes a call for each model is gone on with by the next pass: the wiped version is found and deleted."""
    trained(world)
    first = published(world)
    trained(world, "second")
    target = {"modelRef": {"name": "publish"}}
    key = world.kube.apply(
        model("besides", source={"jobRef": {"name": "second"}}, target=target, deletionPolicy="Delete")
    )
    world.until(key, "Available")
    fill(world, 1200)
    version = next(one for one in world.sim.account().versions if one.id == world.status(key)["modelVersionId"])
    world.kube.delete(first)
    world.until_gone(first)
    world.kube.wipe_status(key)
    world.kube.delete(key)
    slowly(world, 0.6)
    assert longest(world, lambda: not world.there(key)) < STUCK
    assert version.id not in {one.id for one in world.sim.account().versions}
