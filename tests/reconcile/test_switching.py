"""A service is switched to another version behind an address that goes on serving.

Every status that is written on the way is looked at: Available is never anything but True.

See docs/design/api.md#switching-a-service.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault, Never
from reconcile.manifests import service
from reconcile.stories import PUBLISH, next_version, published, serving, version_of
from reconcile.world import DAY, PACES, World

Told = list[tuple[str, str]]


@pytest.fixture
def told(world: World) -> Callable[[Key], Told]:
    """Call it with a service that serves: it returns what every later status says of Ready and Available."""

    def watch(key: Key) -> Told:
        found: Told = []

        def look(raw: dict[str, Any]) -> None:
            if raw["metadata"]["name"] == key.name and raw["kind"] == "QianfanService":
                by_type = {one["type"]: one for one in raw["status"]["conditions"]}
                found.append((by_type["Ready"]["reason"], by_type["Available"]["status"]))

        world.kube.on_status.append(look)
        return found

    return watch


def reasons(told: Told) -> list[str]:
    """The reasons of Ready in their order, each as long as it lasts once."""
    found = [reason for reason, _ in told]
    return [reason for at, reason in enumerate(found) if at == 0 or found[at - 1] != reason]


def always_available(told: Told) -> bool:
    return bool(told) and {available for _, available in told} == {"True"}


def served(world: World) -> str:
    """The number of the version that the service serves."""
    (one,) = world.sim.account().services
    return one.version.version


def two_versions(world: World) -> tuple[Key, dict[str, Any], dict[str, Any]]:
    """A service of the first of two versions, and the sources of both."""
    first = version_of(published(world))
    key = serving(world, source=first)
    return key, first, version_of(next_version(world))


def test_a_switch_is_told_once_and_serves_all_the_way(world: World, told: Callable[[Key], Told]) -> None:
    """Available, Updating, Available: no status on the way says anything else, or that nothing serves."""
    key, _, second = two_versions(world)
    url, story = world.status(key)["url"], told(key)
    world.kube.patch_spec(key, source=second)
    world.until(key, "Available")
    assert reasons(story) == ["Updating", "Available"]
    assert always_available(story)
    assert (served(world), world.status(key)["url"]) == ("2", url)
    world.rest(DAY)
    assert len(world.calls("ModifyService")) == 1


@pytest.mark.parametrize("effect", [Effect.LOSE_REPLY, Effect.CUT_BODY, Effect.LOSE_REQUEST])
def test_a_lost_reply_of_a_switch_costs_nothing(world: World, told: Callable[[Key], Told], effect: Effect) -> None:
    """What the cloud does is seen, and asked for again only if it does nothing."""
    key, _, second = two_versions(world)
    story = told(key)
    world.sim.faults.add(Fault(effect, "ModifyService"))
    world.kube.patch_spec(key, source=second)
    world.until(key, "Available")
    assert (served(world), always_available(story)) == ("2", True)
    assert reasons(story) == ["Updating", "Available"]
    assert len(world.calls("ModifyService")) == 1


def test_an_outage_in_the_middle_of_a_switch(world: World, told: Callable[[Key], Told]) -> None:
    """A cloud that does not answer for an hour changes no word of what is known: Updating, and it serves."""
    key, _, second = two_versions(world)
    story = told(key)
    world.kube.patch_spec(key, source=second)
    world.run(lambda: world.calls("ModifyService"))
    world.sim.faults.add(Fault(Effect.HTML, count=0))
    world.rest(3600)
    assert world.condition(key, "Reconciling")["reason"] == "ProgressingWithRetry"
    world.sim.faults.clear()
    world.until(key, "Available")
    assert reasons(story) == ["Updating", "Available"]
    assert always_available(story)


def test_a_source_that_changes_twice_ends_with_the_last(world: World, told: Callable[[Key], Told]) -> None:
    """The switch under way comes to its end, then the last version is switched to; none is lost, none repeated."""
    key, _, second = two_versions(world)
    third = version_of(next_version(world, attempt=3))
    story = told(key)
    world.kube.patch_spec(key, source=second)
    world.run(lambda: world.calls("ModifyService"))
    world.kube.patch_spec(key, source=third)
    world.until(key, "Available")
    assert (served(world), always_available(story)) == ("3", True)
    assert reasons(story) == ["Updating", "Available"]
    assert len(world.calls("ModifyService")) == 2


@pytest.mark.parametrize("asked", [False, True], ids=["before it was asked for", "while it is under way"])
def test_a_source_that_goes_back(world: World, told: Callable[[Key], Told], asked: bool) -> None:
    """The version that was served at first serves in the end, and nothing is left of the switch."""
    key, first, second = two_versions(world)
    story = told(key)
    world.kube.patch_spec(key, source=second)
    if asked:
        world.run(lambda: world.calls("ModifyService"))
    else:
        world.run(lambda: "switch" in world.status(key))
    world.kube.patch_spec(key, source=first)
    world.until(key, "Available")
    world.rest(DAY)
    assert (served(world), always_available(story)) == ("1", True)
    assert "switch" not in world.status(key)
    assert len(world.calls("ModifyService")) == (2 if asked else 0)


def test_a_switch_is_finished_although_its_model_object_goes(world: World, told: Callable[[Key], Told]) -> None:
    """What was resolved and recorded is not judged again: neither Follow nor Manual loses a switch under way."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    story = told(key)
    next_version(world)
    world.run(lambda: world.calls("ModifyService"))
    world.kube.delete(PUBLISH)
    world.until(key, "Available")
    assert (served(world), always_available(story)) == ("2", True)
    assert reasons(story) == ["Updating", "Available"]


def test_manual_switches_to_what_the_new_source_first_resolved_to(world: World) -> None:
    """With Manual, a version that is published while the switch is under way is not gone on to."""
    key, _, _ = two_versions(world)
    world.kube.patch_spec(key, source={"modelRef": {"name": "publish"}})
    world.run(lambda: world.calls("ModifyService"))
    world.sim.configure(updating=Never())
    next_version(world, attempt=3)
    world.sim.configure(updating=PACES.updating)
    world.until(key, "Available")
    world.rest(DAY)
    assert served(world) == "2"
    assert len(world.calls("ModifyService")) == 1


def test_a_source_that_is_written_in_another_way_changes_nothing(world: World) -> None:
    """By its ids or by its object, it is the same version; and Manual keeps it when the object has a newer one."""
    first = published(world)
    key = serving(world, source=version_of(first))
    world.kube.patch_spec(key, source={"modelRef": {"name": "publish"}})
    world.until(key, "Available")
    next_version(world)
    world.rest(DAY)
    assert (served(world), world.reason(key)) == ("1", "Available")
    assert not world.calls("ModifyService")


def test_a_switch_waits_until_the_service_serves(world: World) -> None:
    """An unpaid or deploying service says what it waits for; the version that is wanted is switched to afterwards."""
    first = published(world)
    key = world.kube.apply(service(source=version_of(first)))
    world.until(key, "PaymentRequired")
    world.kube.patch_spec(key, source=version_of(next_version(world)))
    world.until(key, "PaymentRequired")
    world.rest(600)
    assert world.reason(key) == "PaymentRequired"
    assert not world.calls("ModifyService")
    world.sim.pay()
    world.until(key, "Deploying")
    world.until(key, "Updating")
    world.until(key, "Available")
    assert served(world) == "2"


@pytest.mark.parametrize(("ends", "reason"), [("expire", "ServiceStopped"), ("delete", "Gone")])
def test_what_does_not_serve_any_more_is_not_switched(world: World, ends: str, reason: str) -> None:
    """A service that is stopped or gone says that, whatever version is wanted."""
    key, _, second = two_versions(world)
    (one,) = world.sim.account().services
    getattr(world.sim, ends)(one.id)
    world.until(key, reason)
    world.kube.patch_spec(key, source=second)
    world.until(key, reason)
    world.rest(DAY)
    assert world.reason(key) == reason
    assert world.condition(key, "Available")["status"] == "False"
    assert not world.calls("ModifyService")


def test_a_hanging_switch_can_be_given_up(world: World) -> None:
    """UpdateFailed after the bound, also for a source that went back meanwhile; what comes of it late is taken."""
    key, first, second = two_versions(world)
    world.sim.configure(updating=Never())
    world.kube.patch_spec(key, source=second)
    world.until(key, "UpdateFailed")
    world.kube.patch_spec(key, source=first)
    world.until(key, "UpdateFailed")
    assert world.is_so(key, "Available")
    (one,) = world.sim.account().services
    world.sim.fail(one.id)
    world.until(key, "Available")
    assert served(world) == "1"
    assert len(world.calls("ModifyService")) == 1


def test_an_unsupported_switch_is_over_when_the_source_goes_back(world: World, told: Callable[[Key], Told]) -> None:
    """UpdateUnsupported heals by going back, or when V2 answers; the version serves on all the time."""
    key, first, second = two_versions(world)
    story = told(key)
    world.sim.configure(v2="denied")
    world.kube.patch_spec(key, source=second)
    world.until(key, "UpdateUnsupported")
    world.kube.patch_spec(key, source=first)
    world.until(key, "Available")
    world.kube.patch_spec(key, source=second)
    world.until(key, "UpdateUnsupported")
    world.sim.configure(v2="on")
    world.until(key, "Available", within=3600)
    assert (served(world), always_available(story)) == ("2", True)


def test_a_switch_that_others_overtake_is_drift(world: World) -> None:
    """Neither the old nor the wanted version is there in the end: that is told, and nobody fights over it."""
    key, _, second = two_versions(world)
    third = next_version(world, attempt=3)
    world.kube.patch_spec(key, source=second)
    world.run(lambda: world.calls("ModifyService"))
    (one,) = world.sim.account().services
    world.sim.fail(one.id)
    world.client().modify_service(one.uid, third["modelIdStr"], third["modelVersionIdStr"])
    world.until(key, "Drifted")
    world.rest(DAY)
    assert served(world) == "3"
    assert len(world.calls("ModifyService")) == 2
    world.ask(key)
    world.until(key, "Available")
    assert served(world) == "2"
