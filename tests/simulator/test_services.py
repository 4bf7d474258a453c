"""The rules of services.

See docs/design/wire.md#apply.
"""

import re
from typing import Any

import pytest

from qianfan_simulator import AfterSeconds, Simulator
from simulator.console import Console
from simulator.story import SERVICE, Story


def test_the_uri_gets_a_prefix(console: Console, story: Story) -> None:
    """The endpoint is eight lower-case letters or digits, an underscore and the uri that was sent."""
    service = console.ok("serviceDetail", serviceId=story.service()["serviceId"])
    assert re.fullmatch(r"[a-z0-9]{8}_svc_uri", service["uri"])
    assert service["url"].endswith("/" + service["uri"])


@pytest.mark.parametrize(
    "change",
    [
        {"modelId": True},
        {"modelVersionId": ["amv-x"]},
        {"modelVersionId": None},
        {"name": "x"},
        {"name": "x" * 21},
        {"uri": ""},
        {"uri": "x"},
        {"uri": "x" * 21},
        {"uri": "Upper"},
        {"uri": "_ab"},
        {"uri": "ab-"},
        {"replicas": 0},
        {"replicas": "1"},
        {"poolType": 0},
        {"poolType": 3},
        {"poolType": 1},
        {"description": "x" * 501},
    ],
)
def test_a_bad_service_is_refused(console: Console, story: Story, change: dict[str, Any]) -> None:
    """Missing and mistyped parameters are 500001; so is the public pool for a model that it cannot serve."""
    version = story.ready()
    body = {**SERVICE, "modelId": version["modelId"], "modelVersionId": version["versionId"], **change}
    assert console.code("apply", **body) == 500001


def test_a_service_needs_a_ready_version_of_that_model(console: Console, story: Story) -> None:
    """Unknown ids are 10001, a version that is not ready is 21002."""
    version, other = story.ready(), story.publish(story.finished(), "model_2")
    ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
    assert console.code("apply", **SERVICE, **{**ids, "modelId": 1}) == 10001
    assert console.code("apply", **SERVICE, **{**ids, "modelVersionId": other["versionId"]}) == 10001
    other_ids = {"modelId": other["modelId"], "modelVersionId": other["versionId"]}
    assert console.code("apply", **SERVICE, **other_ids) == 21002


def test_the_oldest_key_for_the_version_is_understood(console: Console, story: Story) -> None:
    """SDK 0.1.0 sent `iterationId` instead of `modelVersionId`."""
    version = story.ready()
    body = {**SERVICE, "modelId": version["modelId"], "iterationId": version["versionId"]}
    service = console.ok("apply", **body)
    assert console.ok("serviceDetail", serviceId=service["serviceId"])["aiModelVersionId"] == version["versionId"]


def test_the_public_pool_needs_no_payment(console: Console, story: Story) -> None:
    """A P-tuned 0704 may go into the public pool and deploys at once."""
    config = {"epoch": 1, "learningRate": 0.01}
    run = story.finished(trainType="ERNIE-Bot-turbo-0704", peftType="P-tuning", trainConfig=config)
    version = story.publish(run)
    story.see("modelVersionDetail", "state", "Ready", modelVersionId=version["versionId"])
    service = story.service(version, poolType=1)
    assert console.ok("serviceDetail", serviceId=service["serviceId"])["serviceStatus"] == "Deploying"


def test_names_may_repeat_unless_asked(sim: Simulator, console: Console, story: Story) -> None:
    """Uniqueness of service names is not known: it is an option."""
    version = story.ready()
    story.service(version)
    story.service(version)
    sim.configure(unique_service_names=True)
    body = {**SERVICE, "modelId": version["modelId"], "modelVersionId": version["versionId"]}
    assert console.code("apply", **body) == 500001
    story.service(version, name="another")


def test_an_unpaid_service_waits_for_ever(sim: Simulator, console: Console, story: Story) -> None:
    """Neither looks nor time deploy it; payment does, once."""
    service = story.service()
    ids = {"serviceId": service["serviceId"]}
    for _ in range(5):
        sim.advance(86400)
        told = console.ok("serviceDetail", **ids)
        assert (told["serviceStatus"], told["onlineTime"]) == ("New", "0000-00-00 00:00:00")
    assert console.control("pay", id=service["serviceUuid"]) == {"paid": 1}
    assert console.control("pay", id=service["serviceUuid"]) == {"paid": 0}
    assert story.see("serviceDetail", "serviceStatus", "Done", **ids) == ["Deploying", "Deploying"]
    assert console.ok("serviceDetail", **ids)["onlineTime"].startswith("2024-03-06")


def test_payment_can_come_by_itself(sim: Simulator, console: Console, story: Story) -> None:
    """With `payment` and `deploying` in seconds, one late look sees the endpoint, online since then."""
    sim.configure(payment=AfterSeconds(5), deploying=AfterSeconds(20))
    service = story.service()
    sim.advance(6)
    assert console.ok("serviceDetail", serviceId=service["serviceId"])["serviceStatus"] == "Deploying"
    sim.advance(600)
    told = console.ok("serviceDetail", serviceId=service["serviceId"])
    assert (told["serviceStatus"], told["onlineTime"]) == ("Done", "2024-03-01 16:00:25")


def test_the_older_generation_of_the_detail(sim: Simulator, console: Console, story: Story) -> None:
    """In 2023 the ids had other names, the times were integers and the address was `fullUri`."""
    service = story.serving()
    sim.configure(service_generation="2023")
    told = console.ok("serviceDetail", serviceId=service["serviceId"])
    assert {"modelId", "iterationId", "fullUri", "applyStatus", "vmConfig"} <= set(told)
    assert "aiModelId" not in told
    assert told["onlineTime"] == told["createTime"] == 1709280000
    assert told["serviceStatus"] == "Done"


def test_an_unknown_service(console: Console) -> None:
    """An id that is not there, or not an integer, is 500001."""
    assert console.code("serviceDetail", serviceId=1) == 500001
    assert console.code("serviceDetail", serviceId="svco-1") == 500001


def test_the_list_has_the_platforms_and_ones_own(console: Console, story: Story) -> None:
    """`custom` holds the account's services with their state, `common` the platform's; the filter is by API type."""
    service = story.service()
    told = console.ok("serviceList")
    (item,) = told["custom"]
    assert (item["serviceId"], item["serviceUuid"]) == (service["serviceId"], service["serviceUuid"])
    assert item["versionList"][0]["serviceStatus"] == "New"
    assert told["common"]
    assert console.ok("serviceList", apiTypefilter=["chat"])["custom"] == [item]
    assert console.ok("serviceList", apiTypeFilter=["embeddings"]) == {"common": [], "custom": []}
