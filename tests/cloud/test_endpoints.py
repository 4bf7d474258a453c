"""What every call may do: whatever is not a read is signed for seconds, and only a list may be long."""

import pytest

from qianfan_operator.cloud import operations
from qianfan_operator.cloud.errors import CREATES
from qianfan_operator.cloud.operations import LIST_LIMIT, REPLY_LIMIT, Endpoint

ALL = [value for value in vars(operations).values() if isinstance(value, Endpoint)]
READS = {
    "jobDetail", "modelDetail", "modelVersionDetail", "userList", "serviceDetail", "serviceList",
    "DescribeFineTuningJobs", "DescribeFineTuningTasks", "DescribeFineTuningTask", "DescribeService",
}  # fmt: skip
LISTS = {"modelDetail", "userList", "serviceList", "DescribeFineTuningJobs", "DescribeFineTuningTasks"}


@pytest.mark.parametrize("endpoint", ALL, ids=lambda one: one.operation)
def test_what_is_no_read_is_signed_for_seconds(endpoint, make_transport, server):
    """The signature of a change, paid or free, ends soon: whoever holds it back or repeats it has no time for that."""
    transport = make_transport()
    server.results({"total": 0, "items": []}, {})
    transport.tell_time()
    if endpoint.changes:
        transport.prepare(endpoint, {}, lambda result: result).send()
    else:
        transport.call(endpoint, {}, lambda result: result)
    _, _, _, seconds, signed, _ = server.seen[-1].headers["authorization"].split("/")
    assert seconds == ("300" if endpoint.operation in READS else "15")
    assert signed == "content-type;host;x-bce-date"


@pytest.mark.parametrize("endpoint", [one for one in ALL if one.changes], ids=lambda one: one.operation)
def test_a_change_is_signed_for_seconds_also_if_it_is_free(endpoint, make_transport, server):
    """Whether a change is prepared or made at once makes no difference, nor does it that the time was not known."""
    transport = make_transport()
    server.results({"total": 0, "items": []}, {})
    transport.call(endpoint, {}, lambda result: result)
    assert [seen.path.rpartition("/")[2] for seen in server.seen[:-1]] == ["list"], "the time is asked for first"
    authorization = server.seen[-1].headers["authorization"].split("/")
    assert authorization[2:4] == ["2024-03-01T08:00:00Z", "15"]


def test_every_create_is_a_change_and_every_list_a_read():
    """Nothing that may be repeated blindly changes something."""
    assert {one.operation for one in ALL if not one.changes} == READS
    assert {one.operation for one in ALL if one.changes} >= CREATES
    assert {one.operation: one.reply_limit for one in ALL} == {
        one.operation: LIST_LIMIT if one.operation in LISTS else REPLY_LIMIT for one in ALL
    }


def test_a_new_endpoint_is_a_change_unless_it_says_otherwise():
    """Who forgets to say what a call does gets the safe answer."""
    assert Endpoint("someCall", "/some/path").changes
    assert Endpoint("someCall", "/some/path").reply_limit == REPLY_LIMIT
