"""When the operator looks again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.reconcile.backoff import Schedule

EVEN = Schedule(jitter=0.0)


def test_looks_become_wider_up_to_a_bound() -> None:
    """A working thing is looked at closely at first, x1.5 wider each time, and never less often than the bound."""
    waits = [EVEN.poll(looks) for looks in range(7)]
    assert waits == [10.0, 15.0, 22.5, 33.75, 50.625, 60.0, 60.0]


def test_what_was_asked_of_the_cloud_is_looked_at_sooner() -> None:
    """A change that is under way is looked at after a second, and then ever less often, as what works is."""
    waits = [EVEN.follow(looks) for looks in range(14)]
    assert waits[:4] == [1.0, 1.5, 2.25, 3.375]
    assert waits == sorted(waits)
    assert waits[-1] == EVEN.poll_max


def test_retries_double_up_to_a_bound() -> None:
    """The first failure is tried again soon, the tenth in minutes."""
    assert [EVEN.retry(failures) for failures in (1, 2, 3, 9, 10)] == [1.0, 2.0, 4.0, 256.0, 300.0]


def test_a_certificate_is_tried_again_within_a_minute() -> None:
    """However long it has not been trusted: who mends it sees that it is."""
    assert [EVEN.untrusted(failures) for failures in (1, 2, 6, 7, 99)] == [1.0, 2.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize("wait", [EVEN.poll, EVEN.follow, EVEN.retry], ids=["poll", "follow", "retry"])
def test_counts_may_grow_without_end(wait: object) -> None:
    """A thing that has been watched for years has a wait like any other."""
    assert callable(wait)
    assert wait(10**9) == wait(100)


@given(random=st.floats(0, 1), looks=st.integers(0, 100))
def test_jitter_stays_within_its_share(random: float, looks: int) -> None:
    """Each wait is spread by at most a tenth, to both sides."""
    spread = Schedule(random=lambda: random)
    for wait, even in ((spread.poll(looks), EVEN.poll(looks)), (spread.retry(looks + 1), EVEN.retry(looks + 1))):
        assert 0.9 * even <= wait * 1.000001
        assert wait <= 1.1 * even * 1.000001
    assert spread.settled() == pytest.approx(600 * (0.9 + 0.2 * random))
    assert spread.stalled() == pytest.approx(300 * (0.9 + 0.2 * random))


def test_a_restart_makes_no_herd() -> None:
    """The first looks after a restart lie anywhere in the interval, also at its very beginning and end."""
    assert [Schedule(random=lambda: at).after_restart(60.0) for at in (0.0, 0.5, 1.0)] == [0.0, 30.0, 60.0]  # noqa: B023
