"""The work queue: one pass per key at a time, nothing lost, and nobody crowds out the others."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qianfan_operator.workqueue import Lane, WorkQueue

Queue = WorkQueue[str]
WORKERS = 4
PATIENCE = 10.0  # seconds after which a test gives up on a thread; none waits that long


class Clock:
    """Seconds that pass when a test says so. A worker asks for the time only while it holds the queue's lock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = threading.Event()

    def __call__(self) -> float:
        if threading.current_thread() is not threading.main_thread():
            self.asked.set()
        return self.now


def a_queue(clock: Callable[[], float], workers: int = WORKERS, group: Callable[[str], object] = str) -> Queue:
    """Each key is its own group, unless said otherwise."""
    return WorkQueue(workers, clock, group)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return a_queue(clock)


def due(queue: Queue) -> int:
    return sum(queue.depth().values())


@contextmanager
def a_taker(queue: Queue, clock: Clock) -> Iterator[list[str | None]]:
    """A worker that waits in `take` when the block begins; after it, what the worker took is in the list."""
    taken: list[str | None] = []
    clock.asked.clear()
    thread = threading.Thread(target=lambda: taken.append(queue.take()), daemon=True)
    thread.start()
    assert clock.asked.wait(PATIENCE)
    queue.busy()  # returns when the worker has let go of the lock, which it does by waiting
    assert thread.is_alive()
    yield taken
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the worker was not woken"


def test_keys_come_in_the_order_of_their_wishes(queue: Queue) -> None:
    """Within a lane the first to be due is the first to be served."""
    for key in "abc":
        queue.add(key)
    assert [queue.take() for _ in "abc"] == ["a", "b", "c"]


def test_lanes_are_served_in_order(queue: Queue) -> None:
    """A deletion or a changed spec does not wait behind retries, nor these behind polls."""
    for lane in reversed(Lane):
        queue.add(lane.name, lane=lane)
    assert [queue.take() for _ in Lane] == [lane.name for lane in Lane]


def test_wishes_for_one_key_are_one_pass(queue: Queue) -> None:
    """Ten events for an object are one pass, not ten."""
    for _ in range(10):
        queue.add("a")
    assert queue.take() == "a"
    queue.done("a")
    assert due(queue) == 0


@pytest.mark.parametrize("waits", [(5.0, 60.0), (60.0, 5.0)], ids=["earlier first", "later first"])
def test_the_earliest_wish_wins(queue: Queue, clock: Clock, waits: tuple[float, float]) -> None:
    """A later wish never postpones an earlier one, whichever comes first."""
    for wait in waits:
        queue.add("a", wait)
    clock.now = 4.9
    assert due(queue) == 0
    clock.now = 5.0
    assert queue.take() == "a"
    queue.done("a")
    clock.now = 60.0
    assert due(queue) == 0


@pytest.mark.parametrize("first", [0, 1], ids=["urgent first", "poll first"])
def test_the_most_urgent_lane_wins(queue: Queue, clock: Clock, first: int) -> None:
    """Whichever wish comes first, a key is served at the earliest time in the most urgent lane asked for."""
    wishes = [(9.0, Lane.URGENT), (5.0, Lane.POLL)]
    for wait, lane in (wishes[first], wishes[1 - first]):
        queue.add("a", wait, lane)
    clock.now = 5.0
    assert queue.depth()[Lane.URGENT] == 1


def test_a_due_poll_becomes_urgent(queue: Queue) -> None:
    """A changed spec lifts a key out of the crowd of polls that it already waits in."""
    for key in "ab":
        queue.add(key, lane=Lane.POLL)
    assert queue.depth()[Lane.POLL] == 2
    queue.add("b", lane=Lane.URGENT)
    assert queue.depth() == {Lane.URGENT: 1, Lane.RETRY: 0, Lane.POLL: 1}
    assert queue.take() == "b"


def test_a_wish_during_a_pass_is_kept_for_afterwards(queue: Queue) -> None:
    """One key is never worked on twice at a time, and what happens meanwhile is not lost."""
    queue.add("a")
    queue.take()
    queue.add("a")
    queue.add("b")
    assert queue.take() == "b"
    queue.done("a")
    assert queue.take() == "a"


def test_a_dropped_key_is_not_served(queue: Queue, clock: Clock) -> None:
    """What was asked for an object that is gone is forgotten, whether it is due or not; a new wish counts."""
    queue.add("due")
    queue.add("later", 5.0)
    assert due(queue) == 1
    queue.drop("due")
    queue.drop("later")
    queue.drop("never seen")
    clock.now = 10.0
    assert due(queue) == 0
    queue.add("due")
    assert queue.take() == "due"


def test_polls_leave_a_worker_free(queue: Queue, clock: Clock) -> None:
    """However many polls are due, a changed spec finds a worker."""
    for key in "abcd":
        queue.add(key, lane=Lane.POLL)
    taken = [queue.take() for _ in range(WORKERS - 1)]
    assert len(taken) == queue.busy() == 3
    with a_taker(queue, clock) as late:
        queue.add("spec", lane=Lane.URGENT)
    assert late == ["spec"]


def test_a_free_worker_hears_that_a_poll_became_urgent(queue: Queue, clock: Clock) -> None:
    """The worker that polls leave free is woken for a key that was due as a poll before."""
    for key in "abcd":
        queue.add(key, lane=Lane.POLL)
    taken = [queue.take() for _ in range(WORKERS - 1)]
    (left,) = set("abcd") - set(taken)
    with a_taker(queue, clock) as late:
        queue.add(left, lane=Lane.URGENT)
    assert late == [left]


def test_a_group_takes_at_most_half_of_the_workers(clock: Clock) -> None:
    """The hanging calls of one tenant leave the other half of the workers to the others."""
    queue = a_queue(clock, group=lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "b2", "b3"):
        queue.add(key)
    assert [queue.take() for _ in range(WORKERS)] == ["a1", "a2", "b1", "b2"]
    queue.done("b1")
    assert queue.take() == "b3"
    queue.done("a1")
    assert queue.take() == "a3"


def test_a_key_frees_the_group_that_it_was_taken_under(clock: Clock) -> None:
    """Learning a key's account during its pass must not leave the old group occupied."""
    groups: dict[str, str] = {}
    queue = a_queue(clock, workers=2, group=lambda key: groups.get(key, "unknown"))
    queue.add("a")
    queue.add("b")
    assert queue.take() == "a"
    groups["a"] = "known"
    queue.done("a")
    assert queue.take() == "b"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_smallest_pools_still_work(clock: Clock, workers: int) -> None:
    """With one or two workers polls and groups are limited to one, not to none."""
    queue = a_queue(clock, workers, group=lambda key: "one")
    queue.add("a", lane=Lane.POLL)
    assert queue.take() == "a"


def test_closing_ends_every_wait(queue: Queue, clock: Clock) -> None:
    """At the end of the process waiting workers get None, and what is due is not begun."""
    with a_taker(queue, clock) as one, a_taker(queue, clock) as other:
        queue.close()
    assert one == other == [None]
    queue.add("a")
    assert queue.take() is None


def test_a_waiting_worker_gets_what_is_added(queue: Queue, clock: Clock) -> None:
    """An idle worker starts at once, not at its next look."""
    with a_taker(queue, clock) as taken:
        queue.add("a")
    assert taken == ["a"]


def test_an_earlier_key_is_not_kept_waiting_for_a_later_one(queue: Queue, clock: Clock) -> None:
    """While one worker waits for what is due in an hour, and another for a call, what is due sooner comes sooner."""
    with a_taker(queue, clock) as one, a_taker(queue, clock) as other:
        for key, wait in (("in an hour", 3600.0), ("soon", 0.01)):
            clock.asked.clear()
            queue.add(key, wait)
            assert clock.asked.wait(PATIENCE)
            queue.busy()
        queue.add("soon, too", 0.01)
        clock.now = 1.0
    assert sorted([*one, *other], key=str) == ["soon", "soon, too"]


def test_somebody_always_waits_for_the_next_key() -> None:
    """Keys that become due while all workers wait are taken one after the other, though nobody calls."""
    queue = a_queue(time.monotonic)
    taken: list[str | None] = []
    workers = [threading.Thread(target=lambda: taken.append(queue.take()), daemon=True) for _ in "abc"]
    for key, wait in zip("abc", (0.03, 0.02, 0.01), strict=True):
        queue.add(key, wait)
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join(PATIENCE)
    assert sorted(taken, key=str) == ["a", "b", "c"]


def test_many_threads_make_each_pass_alone(clock: Clock) -> None:
    """Under contention no key is worked on twice at a time, and every wish is followed by a pass that began later."""
    queue = a_queue(clock, workers=8)
    keys = [f"key-{number}" for number in range(20)]
    working, passes, overlaps = Counter[str](), Counter[str](), list[str]()
    asked, answered = Counter[str](), Counter[str]()
    lock, finished = threading.Lock(), threading.Event()

    def work() -> None:
        while (key := queue.take()) is not None:
            with lock:
                working[key] += 1
                if working[key] > 1:
                    overlaps.append(key)
                wishes = asked[key]
            with lock:
                working[key] -= 1
                passes[key] += 1
                answered[key] = wishes
                if all(asked[name] == answered[name] == 50 for name in keys):
                    finished.set()
            queue.done(key)

    def ask() -> None:
        for _ in range(10):
            for key in keys:
                with lock:
                    asked[key] += 1
                queue.add(key)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    users = [threading.Thread(target=ask, daemon=True) for _ in range(5)]
    for thread in workers + users:
        thread.start()
    assert finished.wait(PATIENCE), {key: (asked[key], answered[key]) for key in keys}
    queue.close()
    for thread in workers + users:
        thread.join(PATIENCE)
    assert overlaps == []
    assert all(1 <= passes[key] <= 50 for key in keys)


KEYS = st.sampled_from(["a1", "a2", "a3", "b1", "b2"])


class Sequences(RuleBasedStateMachine):
    """Any sequence of wishes, passes and drops, beside a model that is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = a_queue(self.clock, group=lambda key: key[0])
        self.wanted: dict[str, tuple[float, Lane]] = {}
        self.busy: dict[str, Lane] = {}

    def takeable(self) -> list[str]:
        """The keys that a worker may take now, by the rules of the module."""
        groups = Counter(key[0] for key in self.busy)
        polls = sum(lane is Lane.POLL for lane in self.busy.values())
        return [
            key
            for key, (when, lane) in self.wanted.items()
            if when <= self.clock.now and key not in self.busy
            if groups[key[0]] < WORKERS // 2 and (lane is not Lane.POLL or polls < WORKERS - 1)
        ]

    @rule(key=KEYS, wait=st.integers(0, 5), lane=st.sampled_from(Lane))
    def add(self, key: str, wait: int, lane: Lane) -> None:
        self.queue.add(key, wait, lane)
        when, before = self.wanted.get(key, (float("inf"), lane))
        self.wanted[key] = min(when, self.clock.now + wait), min(before, lane)

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        self.queue.drop(key)
        self.wanted.pop(key, None)

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.takeable())
    @rule()
    def take(self) -> None:
        may = self.takeable()
        key = self.queue.take()
        assert key in may
        lane = self.wanted.pop(key)[1]
        assert lane == min([lane, *(self.wanted[other][1] for other in may if other != key)])
        self.busy[key] = lane

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.queue.done(key)
        del self.busy[key]

    @invariant()
    def counts_agree(self) -> None:
        now = Counter(lane for when, lane in self.wanted.values() if when <= self.clock.now)
        assert self.queue.depth() == {lane: now[lane] for lane in Lane}
        assert self.queue.busy() == len(self.busy)


class TestSequences(Sequences.TestCase):  # type: ignore[misc,valid-type]
    """The queue does what its model does, in whatever sequence."""

    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
