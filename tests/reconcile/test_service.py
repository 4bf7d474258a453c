"""A QianfanService: applied for, paid for, serving, switched.

See docs/design/api.md#switching-a-service.
"""

from collections.abc import Callable
from typing import Any

import pytest

from qianfan_simulator import Effect, Fault
from reconcile.manifests import service
from reconcile.stories import PUBLISH, next_version, published, serving
from reconcile.world import DAY, World


def the_service(world: World):
    (one,) = world.sim.account().services
    return one


def test_a_service_is_applied_for_paid_for_and_serves(world: World) -> None:
    """One apply; PaymentRequired says where to pay; at the end the URL stands in the status, and Available is True."""
    versions = published(world)
    key = world.kube.apply(service(description="words", replicas=2))
    world.until(key, "PaymentRequired")
    assert world.status(key)["consoleUrl"] == "https://console.bce.baidu.com/qianfan/ais/console/onlineService"
    assert world.status(key)["consoleUrl"] in world.condition(key)["message"]
    assert world.condition(key, "Available")["status"] == "False"
    assert "unpaidSince" in world.status(key)
    world.sim.pay()
    world.until(key, "Deploying")
    status = world.until(key, "Available")
    one = the_service(world)
    assert world.is_so(key, "Available")
    assert status["url"].endswith(one.uri)
    assert (status["serviceId"], status["serviceUuid"]) == (one.id, one.uid)
    assert status["modelVersionId"] == versions["modelVersionId"]
    assert (status["replicas"], status["poolType"], one.replicas, one.pool) == (2, "Private", 2, 2)
    assert "unpaidSince" not in status
    assert len(world.calls("apply")) == 1


@pytest.mark.parametrize("ids", ["integers", "strings"])
def test_a_version_is_served_by_its_ids(world: World, ids: str) -> None:
    """source.modelVersion takes the ids of either console; strings are resolved first, for apply takes integers."""
    status = published(world)
    suffix = "" if ids == "integers" else "Str"
    version = {"modelId": status[f"modelId{suffix}"], "modelVersionId": status[f"modelVersionId{suffix}"]}
    key = serving(world, source={"modelVersion": version})
    assert world.status(key)["modelVersionId"] == status["modelVersionId"]
    world.rest(DAY)
    assert not world.calls("ModifyService")


def test_a_service_that_nobody_pays_for_is_stalled(world: World) -> None:
    """After paymentDeadlineSeconds PaymentRequired is Stalled; the service is looked at on, and serves once paid."""
    published(world)
    key = world.kube.apply(service(paymentDeadlineSeconds=600))
    world.run(lambda: world.condition(key, "Stalled").get("status") == "True")
    assert world.reason(key) == "PaymentRequired"
    world.sim.pay()
    world.until(key, "Available")
    assert not world.condition(key, "Stalled")


def test_a_wrong_clock_of_the_node_ends_no_patience(world: World) -> None:
    """What waits for a payment or a switch is judged by the cloud's time, not by the wall clock of a node."""
    published(world)
    key = world.kube.apply(service(updatePolicy="Follow"))
    world.until(key, "PaymentRequired")
    world.clock.ahead = 3 * DAY
    world.rest(600)
    assert not world.condition(key, "Stalled")
    world.sim.pay()
    world.until(key, "Available")
    next_version(world)
    world.until(key, "Updating")
    world.clock.ahead = 6 * DAY
    world.until(key, "Available")


def test_a_service_that_fails_to_deploy_is_told(world: World) -> None:
    """Failed in the cloud is Stalled, Available False, and nothing is applied for again."""
    published(world)
    key = world.kube.apply(service())
    world.until(key, "PaymentRequired")
    world.sim.pay()
    world.until(key, "Deploying")
    world.sim.fail(the_service(world).id)
    world.until(key, "DeployingFailed")
    world.rest(DAY)
    assert len(world.calls("apply")) == 1


def test_a_service_that_stops_serving_is_told(world: World) -> None:
    """A service whose paid time has run out turns Ready and Available off, with its own reason, and for good."""
    published(world)
    key = serving(world)
    world.sim.expire(the_service(world).id)
    world.until(key, "ServiceStopped")
    assert world.condition(key, "Available")["status"] == "False"
    world.rest(3600)
    world.restart()
    world.rest(3600)
    assert world.reason(key) == "ServiceStopped"


def test_a_service_that_is_deleted_in_the_console_is_gone(world: World) -> None:
    """The code for an unknown service is not known: gone is what a complete list does not show.

    See docs/design/wire.md#servicedetail.
    """
    published(world)
    key = serving(world)
    world.sim.delete(the_service(world).id)
    world.until(key, "Gone")
    assert world.condition(key, "Available")["status"] == "False"
    assert len(world.calls("apply")) == 1


def test_a_changed_source_switches_the_service(world: World) -> None:
    """Another version comes behind the same id and URL, Updating meanwhile with Available True; one call."""
    first = published(world)
    version = {"modelId": first["modelId"], "modelVersionId": first["modelVersionId"]}
    key = serving(world, source={"modelVersion": version})
    before = world.status(key)
    next_version(world)
    second = world.status(PUBLISH)
    version = {"modelId": second["modelIdStr"], "modelVersionId": second["modelVersionIdStr"]}
    world.kube.patch_spec(key, source={"modelVersion": version})
    world.until(key, "Updating")
    assert world.is_so(key, "Available")
    assert world.condition(key, "Reconciling")["status"] == "True"
    world.until(key, "Available")
    status = world.status(key)
    assert (status["serviceId"], status["url"]) == (before["serviceId"], before["url"])
    assert status["modelVersionId"] == second["modelVersionId"] == the_service(world).version.id
    assert "switch" not in status
    assert len(world.calls("ModifyService")) == 1


def test_follow_switches_to_every_new_version(world: World) -> None:
    """With Follow, a new version of the model object is switched to; with Manual the resolved one stays."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    next_version(world)
    world.run(lambda: world.status(key)["modelVersionId"] == world.status(PUBLISH)["modelVersionId"])
    world.until(key, "Available")
    assert len(world.calls("ModifyService")) == 1


def test_manual_keeps_the_version(world: World) -> None:
    """Without Follow, a new version of the model object changes nothing."""
    first = published(world)
    key = serving(world)
    next_version(world)
    world.rest(DAY)
    assert world.status(key)["modelVersionId"] == first["modelVersionId"]
    assert world.reason(key) == "Available"
    assert not world.calls("ModifyService")


@pytest.mark.parametrize("v2", ["denied", "missing"])
def test_without_v2_a_switch_is_unsupported(world: World, v2: str) -> None:
    """Without V2 the version cannot be switched: Stalled UpdateUnsupported, and the old version goes on serving."""
    first = published(world)
    key = serving(world, updatePolicy="Follow")
    world.sim.configure(v2=v2)
    next_version(world)
    world.until(key, "UpdateUnsupported")
    assert world.is_so(key, "Available")
    assert the_service(world).version.id == first["modelVersionId"]


def test_a_switch_that_does_not_come_about_fails(world: World) -> None:
    """A switch that is not seen within its bound is UpdateFailed, Available True, and not called for again."""
    from qianfan_simulator import Never

    published(world)
    key = serving(world, updatePolicy="Follow")
    world.sim.configure(updating=Never())
    next_version(world)
    world.until(key, "UpdateFailed")
    assert world.is_so(key, "Available")
    world.rest(DAY)
    assert len(world.calls("ModifyService")) == 1


def test_a_failed_switch_is_not_repeated(world: World) -> None:
    """A switch that the cloud gives up is not called for a second time by itself; asking for it calls again."""
    published(world)
    key = serving(world, updatePolicy="Follow")
    one = the_service(world)
    next_version(world)
    world.run(lambda: world.calls("ModifyService"))
    world.sim.fail(one.id, at_the_end=True)
    world.until(key, "UpdateFailed")
    world.rest(DAY)
    assert len(world.calls("ModifyService")) == 1
    world.ask(key)
    world.until(key, "Available")
    assert len(world.calls("ModifyService")) == 2


def test_a_switch_back_before_it_is_done(world: World) -> None:
    """A source that goes back while the switch is under way ends with the old version behind the URL."""
    first = published(world)
    versions = {"modelId": first["modelId"], "modelVersionId": first["modelVersionId"]}
    key = serving(world, source={"modelVersion": versions})
    next_version(world)
    second = world.status(PUBLISH)
    world.kube.patch_spec(
        key, source={"modelVersion": {"modelId": second["modelId"], "modelVersionId": second["modelVersionId"]}}
    )
    world.run(lambda: world.calls("ModifyService"))
    world.kube.patch_spec(key, source={"modelVersion": versions})
    world.rest(3600)
    assert world.reason(key) == "Available"
    assert the_service(world).version.id == first["modelVersionId"]


def test_a_foreign_switch_is_drift(world: World) -> None:
    """A version that somebody else put behind the service is Drifted, not switched back by itself."""
    published(world)
    key = serving(world)
    next_version(world)
    second = world.status(PUBLISH)
    world.client().modify_service(the_service(world).uid, second["modelIdStr"], second["modelVersionIdStr"])
    world.until(key, "Drifted")
    assert world.condition(key, "Stalled")["status"] == "True"
    world.rest(3600)
    assert len(world.calls("ModifyService")) == 1
    version = {"modelId": second["modelId"], "modelVersionId": second["modelVersionId"]}
    world.kube.patch_spec(key, source={"modelVersion": version})
    world.until(key, "Available")
    assert len(world.calls("ModifyService")) == 1


def test_a_taken_service_name_is_told(world: World) -> None:
    """A service of that name that is not ours is NameTaken, naming the id to adopt."""
    status = published(world)
    body = {
        "modelId": status["modelId"], "modelVersionId": status["modelVersionId"], "name": "my_service", "uri": "theirs",
        "replicas": 1, "poolType": 2,
    }  # fmt: skip
    theirs = world.client().prepare_apply(body).send()
    key = world.kube.apply(service())
    world.until(key, "NameTaken")
    assert f"spec.adopt.serviceId: {theirs.service_id}" in world.condition(key)["message"]
    world.rest(DAY)
    assert len(world.sim.account().services) == 1
    world.kube.patch_spec(key, adopt={"serviceId": theirs.service_id})
    world.until(key, "PaymentRequired")
    assert world.status(key)["adopted"] is True


@pytest.mark.parametrize("effect", [Effect.LOSE_REPLY, Effect.CUT_BODY, Effect.LOSE_REQUEST])
def test_a_lost_reply_of_apply_is_looked_for(world: World, effect: Effect) -> None:
    """Whatever happens to the request or its reply, there is one service in the end."""
    published(world)
    world.sim.faults.add(Fault(effect, "apply"))
    key = world.kube.apply(service())
    world.until(key, "Confirming")
    world.until(key, "PaymentRequired")
    assert world.status(key)["serviceId"] == the_service(world).id


def test_a_wiped_status_finds_its_service(world: World) -> None:
    """A wiped status finds the service by its name and mark, with the version that it serves."""
    published(world)
    key = serving(world)
    before = world.status(key)
    world.kube.wipe_status(key)
    world.until(key, "Available")
    assert len(world.sim.account().services) == 1
    for name in ("serviceId", "serviceUuid", "url", "modelVersionId"):
        assert world.status(key)[name] == before[name]
    world.rest(DAY)
    assert not world.calls("ModifyService")


def test_a_service_that_is_found_again_is_as_one_that_was_applied_for(world: World) -> None:
    """It records the same, and with updatePolicy Manual it keeps its version when its model object has a new one."""
    published(world)
    key = serving(world)
    before = world.status(key)
    world.kube.wipe_status(key)
    world.until(key, "Available")
    unknown = {"conditions": [], "lastError": None, "sentDescription": None}  # what was sent, the cloud does not tell
    assert {**world.status(key), **unknown} == {**before, **unknown}
    next_version(world)
    world.rest(DAY)
    assert world.reason(key) == "Available"
    assert not world.calls("ModifyService")


def test_of_two_services_of_a_name_each_finds_its_own_again(world: World) -> None:
    """Names need not be unique in the cloud: a wiped status finds the service with its own mark among its namesakes."""
    published(world)
    world.sim.faults.add(Fault(Effect.HIDE, "apply", looks=1))
    keys = [world.kube.apply(service(name, uri=uri)) for name, uri in (("one", "uri_one"), ("two", "uri_two"))]
    for key in keys:
        world.until(key, "PaymentRequired")
    ids = [world.status(key)["serviceId"] for key in keys]
    for key in keys:
        world.kube.wipe_status(key)
    for key in keys:
        world.until(key, "PaymentRequired")
    assert [world.status(key)["serviceId"] for key in keys] == ids
    assert len(world.sim.account().services) == 2


def test_what_a_wiped_status_had_sent_is_waited_for(world: World) -> None:
    """An apply that is on its way when the status is wiped arrives late, and is found; no second one is sent."""
    published(world)
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "apply"))
    sent: list[Callable[[], Any]] = []

    def on_its_way(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "apply":
            sent.append(do)
        return do()

    world.around_cloud = on_its_way
    key = world.kube.apply(service())
    world.until(key, "Confirming")
    world.kube.wipe_status(key)
    world.restart()
    world.rest(5)
    assert world.reason(key) == "Confirming"
    assert "nothing is created or paid for before that" in world.condition(key)["message"]
    sent[0]()
    world.until(key, "PaymentRequired")
    assert world.status(key)["serviceId"] == the_service(world).id


def test_a_service_with_the_mark_of_another_is_not_taken(world: World) -> None:
    """A lost apply is not taken for a service of the same name, version and uri that another object applied for."""
    versions = published(world)
    body = {
        "modelId": versions["modelId"], "modelVersionId": versions["modelVersionId"], "name": "my_service",
        "uri": "my_uri", "replicas": 1, "poolType": 2, "description": "[qf1 aaaaaaaa bbbbbbbb 1 cccccccc dddddddd]",
    }  # fmt: skip
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "apply", skip=1))

    def meanwhile(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "apply" and not world.calls("apply"):
            world.client().prepare_apply(body).send()
        return do()

    world.around_cloud = meanwhile
    key = world.kube.apply(service())
    world.until(key, "NameTaken")
    assert "serviceId" not in world.status(key)


@pytest.mark.parametrize("ids", ["integer", "string"])
def test_a_service_is_adopted(world: World, ids: str) -> None:
    """adopt takes over a service by either id; deleting the object leaves it serving."""
    published(world)
    owner = serving(world)
    one = the_service(world)
    world.kube.patch_spec(owner, deletionPolicy="Orphan")
    world.kube.delete(owner)
    world.until_gone(owner)
    adopt = {"serviceId": one.id if ids == "integer" else one.uid}
    key = world.kube.apply(service("mine", source=None, serviceName=None, uri=None, adopt=adopt))
    world.until(key, "Available")
    status = world.status(key)
    assert status["url"].endswith(one.uri)
    assert (status["serviceId"], status["serviceUuid"]) == (one.id, one.uid)
    world.kube.delete(key)
    world.until_gone(key)
    assert the_service(world).life.state == "Done"


@pytest.mark.parametrize("ids", ["integer", "string"])
def test_a_service_cannot_be_taken_from_another_object(world: World, ids: str) -> None:
    """Whichever of its ids is named, a service has one object; the other one never releases it."""
    published(world)
    owner = serving(world)
    one = the_service(world)
    adopt = {"serviceId": one.id if ids == "integer" else one.uid}
    thief = service("thief", source=None, serviceName=None, uri=None, adopt=adopt, deletionPolicy="Delete")
    key = world.kube.apply(thief)
    world.until(key, "AlreadyManaged")
    world.kube.delete(key)
    world.until_gone(key)
    assert world.is_so(owner)
    assert the_service(world).life.state == "Done"


def test_an_adopted_service_is_released_if_that_is_written(world: World) -> None:
    """Taken over by its integer, a service is known by its string, too, which its release takes."""
    published(world)
    owner = serving(world, deletionPolicy="Orphan")
    world.kube.delete(owner)
    world.until_gone(owner)
    adopt = {"serviceId": the_service(world).id}
    mine = service("mine", source=None, serviceName=None, uri=None, adopt=adopt, deletionPolicy="Delete")
    world.until(key := world.kube.apply(mine), "Available")
    world.kube.delete(key)
    world.until_gone(key)
    assert the_service(world).life.state == "Stopped"


def test_a_serving_service_does_not_care_about_its_model_object(world: World) -> None:
    """What is recorded is not judged again: the endpoint stays Ready when the model object goes."""
    published(world)
    key = serving(world)
    world.kube.delete(PUBLISH)
    world.rest(DAY)
    assert world.is_so(key)
    assert world.is_so(key, "Available")


@pytest.mark.parametrize("generation", ["2023", "2024"])
def test_both_generations_of_service_detail_are_understood(world: World, generation: str) -> None:
    """The older field set of service/detail leads to the same status; its URL, which it lacks, is in the list."""
    world.sim.configure(service_generation=generation)
    published(world)
    key = serving(world, replicas=2)
    one, status = the_service(world), world.status(key)
    assert (status["uri"], status["url"].endswith(f"/{one.uri}")) == (one.uri, True)
    assert (status["serviceStatus"], status["replicas"], status["modelVersionId"]) == ("Done", 2, one.version.id)
    assert "onlineTime" in status
    listed = len(world.calls("serviceList"))
    world.rest(DAY)
    assert len(world.calls("serviceList")) == listed
