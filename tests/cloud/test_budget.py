"""A reconcile may make so many calls in so much time; what is beyond is not sent, and is no answer either."""

import pytest

from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud import budget, operations
from qianfan_operator.cloud.budget import LIMITS, Budget, Limits
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import BudgetSpent, CloudError, Fate
from qianfan_operator.controller.workers import STUCK

EMPTY = {"total": 0, "items": []}


def test_calls_are_counted(client, server, clock):
    """The call after the last one is not made; without a budget nothing is limited."""
    server.results(*[EMPTY] * 4)
    with budget.within(Budget(Limits(calls=2, seconds=60.0), clock.boottime)):
        client.user_models()
        client.user_models()
        with pytest.raises(BudgetSpent) as caught:
            client.user_models()
    assert (caught.value.fate, caught.value.reason, caught.value.refused) == (
        Fate.RETRY, Reason.CLOUD_UNAVAILABLE, True,
    )  # fmt: skip
    assert "The reconcile reached its limit (2 cloud calls or 60 s)." in str(caught.value)
    client.user_models()
    client.user_models()
    assert len(server.seen) == 4


def test_time_runs_out(client, server, clock):
    """No call begins after the time is over, however few were made."""
    server.results(EMPTY)
    with budget.within(Budget(Limits(calls=100, seconds=60.0), clock.boottime)):
        client.user_models()
        clock.boot += 60.0
        with pytest.raises(BudgetSpent):
            client.user_models()
    assert len(server.seen) == 1


def test_a_scan_that_is_cut_off_shows_nothing(client, server, clock):
    """What was read until then is not handed out as the list."""
    server.results({"total": 101, "items": [{"modelId": number} for number in range(1, 101)]})
    with budget.within(Budget(Limits(calls=1), clock.boottime)), pytest.raises(CloudError, match="BudgetSpent"):
        client.user_models()


def test_a_paid_create_is_not_begun_without_budget(client, server, clock):
    """It fails before it is announced; what is announced is sent in any case."""
    server.results({"jobId": 1, "id": 1})
    with budget.within(Budget(Limits(calls=1), clock.boottime)):
        prepared = client.prepare_create_job({})
        with pytest.raises(BudgetSpent):
            client.prepare_create_job({})
        prepared.send()
    assert len(server.seen) == 1


def test_budgets_end_with_their_block_and_do_not_add_up(make_transport, server, clock):
    """Each reconcile has its own."""
    client = Client(make_transport())
    server.results(EMPTY, EMPTY)
    for _ in range(2):
        with budget.within(Budget(Limits(calls=1), clock.boottime)):
            client.user_models()


def test_a_budget_fits_into_the_life_of_a_pass():
    """The last call of a reconcile, and what it writes, end before it counts as hung."""
    assert LIMITS.seconds + 2 * 30.0 + 120.0 < STUCK
    assert LIMITS.calls >= 4 * 10_000 / 100
    assert operations.LIST_LIMIT > operations.REPLY_LIMIT
