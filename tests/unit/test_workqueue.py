"""The work queue: one pass per key at a time, nothing lost, and nobody crowds out the others."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qianfan_operator.controller.workqueue import RateLimit, WorkQueue
from qianfan_operator.reconcile.priorities import Priority

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


PLENTY = RateLimit(burst=10**9)
Name = Callable[[str], object]


def a_queue(
    clock: Callable[[], float], workers: int = WORKERS, flow: Name = str, account: Name | None = None,
    limit: RateLimit = PLENTY,
) -> Queue:  # fmt: skip
    """Each key is its own flow, unless said otherwise, and each flow has its own account."""
    return WorkQueue(workers, clock, flow, account, limit)


def letter(key: str) -> str:
    return key[0]


def digit(key: str) -> str:
    return key[1]


def flow_of(key: str) -> str:
    """Of a key such as 01/23/4: flow, account, number."""
    return key[:2]


def account_of(key: str) -> str:
    return key[3:5]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return a_queue(clock)


def due(queue: Queue) -> int:
    return sum(queue.depth().values())


def passed(queue: Queue) -> str | None:
    """Make the next pass, and say over which key."""
    key = queue.get()
    if key is not None:
        queue.done(key)
    return key


@contextmanager
def counted() -> Iterator[list[None]]:
    """Count the calls that are made in the block, of generators and builtin functions, too: no time is measured."""
    calls: list[None] = []
    one = calls.append

    def look(_frame: object, event: str, _what: object) -> None:
        if event in {"call", "c_call"}:
            one(None)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@contextmanager
def a_taker(queue: Queue, clock: Clock) -> Iterator[list[str | None]]:
    """A worker that waits in `get` when the block begins; after it, what the worker took is in the list."""
    taken: list[str | None] = []
    clock.asked.clear()
    thread = threading.Thread(target=lambda: taken.append(queue.get()), daemon=True)
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
    assert [queue.get() for _ in "abc"] == ["a", "b", "c"]


def test_lanes_are_served_in_order(clock: Clock) -> None:
    """A deletion or a changed spec does not wait behind retries, nor these behind polls."""
    queue = a_queue(clock, flow=lambda key: "one")
    for priority in reversed(Priority):
        queue.add(priority.name, priority=priority)
    assert [passed(queue) for _ in Priority] == [priority.name for priority in Priority]


def test_wishes_for_one_key_are_one_pass(queue: Queue) -> None:
    """Ten events for an object are one pass, not ten."""
    for _ in range(10):
        queue.add("a")
    assert queue.get() == "a"
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
    assert queue.get() == "a"
    queue.done("a")
    clock.now = 60.0
    assert due(queue) == 0


@pytest.mark.parametrize("first", [0, 1], ids=["urgent first", "poll first"])
def test_the_most_urgent_lane_wins(queue: Queue, clock: Clock, first: int) -> None:
    """Whichever wish comes first, a key is served at the earliest time in the most urgent lane asked for."""
    wishes = [(9.0, Priority.URGENT), (5.0, Priority.POLL)]
    for wait, priority in (wishes[first], wishes[1 - first]):
        queue.add("a", wait, priority)
    clock.now = 5.0
    assert queue.depth()[Priority.URGENT] == 1


def test_a_due_poll_becomes_urgent(queue: Queue) -> None:
    """A changed spec lifts a key out of the crowd of polls that it already waits in."""
    for key in "ab":
        queue.add(key, priority=Priority.POLL)
    assert queue.depth()[Priority.POLL] == 2
    queue.add("b", priority=Priority.URGENT)
    assert queue.depth() == {Priority.DELETION: 0, Priority.URGENT: 1, Priority.RETRY: 0, Priority.POLL: 1}
    assert queue.get() == "b"


def test_a_wish_during_a_pass_is_kept_for_afterwards(queue: Queue) -> None:
    """One key is never worked on twice at a time, and what happens meanwhile is not lost."""
    queue.add("a")
    queue.get()
    queue.add("a")
    queue.add("b")
    assert queue.get() == "b"
    queue.done("a")
    assert queue.get() == "a"


def test_a_dropped_key_is_not_served(queue: Queue, clock: Clock) -> None:
    """What was asked for an object that is gone is forgotten, whether it is due or not; a new wish counts."""
    queue.add("due")
    queue.add("later", 5.0)
    assert due(queue) == 1
    queue.forget("due")
    queue.forget("later")
    queue.forget("never seen")
    clock.now = 10.0
    assert due(queue) == 0
    queue.add("due")
    assert queue.get() == "due"


def test_polls_leave_a_worker_free(queue: Queue, clock: Clock) -> None:
    """However many polls are due, a changed spec finds a worker."""
    for key in "abcd":
        queue.add(key, priority=Priority.POLL)
    taken = [queue.get() for _ in range(WORKERS - 1)]
    assert len(taken) == queue.busy() == 3
    with a_taker(queue, clock) as late:
        queue.add("spec", priority=Priority.URGENT)
    assert late == ["spec"]


def test_a_free_worker_hears_that_a_poll_became_urgent(queue: Queue, clock: Clock) -> None:
    """The worker that polls leave free is woken for a key that was due as a poll before."""
    for key in "abcd":
        queue.add(key, priority=Priority.POLL)
    taken = [queue.get() for _ in range(WORKERS - 1)]
    (left,) = set("abcd") - set(taken)
    with a_taker(queue, clock) as late:
        queue.add(left, priority=Priority.URGENT)
    assert late == [left]


def test_a_flow_takes_at_most_half_of_the_workers(clock: Clock) -> None:
    """The hanging calls of one tenant leave the other half of the workers to the others."""
    queue = a_queue(clock, flow=letter)
    for key in ("a1", "a2", "a3", "a4"):
        queue.add(key)
    assert [queue.get() for _ in range(2)] == ["a1", "a2"]
    with a_taker(queue, clock) as late:
        queue.add("c1")
    assert late == ["c1"]
    queue.done("c1")
    queue.done("a1")
    assert queue.get() == "a3"


def test_an_account_takes_at_most_half_of_the_workers(clock: Clock) -> None:
    """One account that hangs, and that many namespaces share, leaves the other half of the workers to the others."""
    queue = a_queue(clock, flow=letter, account=digit)
    for key in ("a1", "b1", "c1", "d1", "e2"):
        queue.add(key)
    assert [queue.get() for _ in range(3)] == ["a1", "b1", "e2"]
    with a_taker(queue, clock) as late:
        queue.add("f2")
    assert late == ["f2"]
    queue.done("b1")
    assert queue.get() == "c1"


def test_both_caps_apply(clock: Clock) -> None:
    """Many accounts are no way around the cap of a flow."""
    queue = a_queue(clock, flow=letter, account=digit)
    for key in ("a1", "a2", "a3", "a4"):
        queue.add(key)
    assert [queue.get() for _ in range(2)] == ["a1", "a2"]
    with a_taker(queue, clock) as late:
        queue.add("b4")
    assert late == ["b4"]


def test_flows_that_are_busy_leave_a_worker_to_the_others(clock: Clock) -> None:
    """Two tenants whose calls hang, each within its half, do not occupy all workers."""
    queue = a_queue(clock, flow=letter)
    for key in ("a1", "a2", "a3", "b1", "b2", "b3"):
        queue.add(key)
    assert [queue.get() for _ in range(2)] == ["a1", "b1"]
    for key in ("c1", "d1"):
        with a_taker(queue, clock) as late:
            queue.add(key)
        assert late == [key]
    for key in ("c1", "d1"):
        queue.done(key)
    with a_taker(queue, clock) as late:
        queue.done("a1")
    assert late == ["a2"]


def test_a_flow_that_becomes_idle_is_served_from_the_reserve(clock: Clock) -> None:
    """What it left waiting while it was busy is taken when its last pass ends, not only when the crowd is gone."""
    queue = a_queue(clock, flow=letter)
    for key in ("a1", "b1", "c1", "a2", "b2", "c2"):
        queue.add(key)
    assert [queue.get() for _ in range(3)] == ["a1", "b1", "c1"]
    with a_taker(queue, clock) as late:
        queue.done("c1")
    assert late == ["c2"]


def test_polls_of_busy_flows_leave_one_to_the_others(clock: Clock) -> None:
    """Polls that hang leave room not only for what is urgent: another tenant's poll is made, too."""
    queue = a_queue(clock, flow=letter)
    for key in ("a1", "a2", "b1", "b2"):
        queue.add(key, priority=Priority.POLL)
    clock.now = 1.0
    assert [queue.get() for _ in range(2)] == ["a1", "b1"]
    with a_taker(queue, clock) as late:
        queue.add("c1", priority=Priority.POLL)
    assert late == ["c1"]


def test_flows_take_turns(clock: Clock) -> None:
    """One namespace with very many keys delays another one's key by one reconcile, at every level."""
    queue = a_queue(clock, flow=letter)
    for priority in (Priority.URGENT, Priority.RETRY, Priority.POLL):
        for number in range(1000):
            queue.add(f"a{number}", priority=priority)
        queue.add("b", priority=priority)
        first_two = [queue.get() for _ in range(2)]
        assert "b" in first_two
        for key in first_two:
            queue.done(str(key))
        for number in range(1000):
            queue.forget(f"a{number}")


def test_a_deletion_goes_before_its_flow(clock: Clock) -> None:
    """A deletion ends what costs money: it does not wait behind the flow's own flood. Other flows keep their turn."""
    queue = a_queue(clock, flow=letter, limit=RateLimit(burst=1))
    for key in ("a1", "a2", "a3", "b1"):
        queue.add(key)
    queue.add("a9", priority=Priority.DELETION)
    assert [passed(queue) for _ in range(5)] == ["a1", "b1", "a9", "a2", "a3"]


def test_deletions_beyond_the_budget_wait_with_the_retries(clock: Clock) -> None:
    """Who patches an object that is being deleted in a loop has a deletion each time; no way around the budget."""
    queue = a_queue(clock, flow=letter, limit=RateLimit(burst=2, rate=0.001))
    queue.add("b1", priority=Priority.RETRY)
    queue.add("a1", priority=Priority.RETRY)
    for _ in range(2):
        queue.add("a9", priority=Priority.DELETION)
        assert passed(queue) == "a9"
    queue.add("a9", priority=Priority.DELETION)
    queue.add("c1")
    assert queue.depth()[Priority.DELETION] == 1
    assert [passed(queue) for _ in range(4)] == ["c1", "b1", "a9", "a1"]


def test_urgent_work_beyond_the_budget_waits_with_the_retries(clock: Clock) -> None:
    """A burst is served at once, what comes after it in turn with what others retry, and the budget grows again."""
    queue = a_queue(clock, flow=letter, limit=RateLimit(burst=2, rate=1.0))
    for key in ("b1", "b2"):
        queue.add(key, priority=Priority.RETRY)
    for key in ("a1", "a2", "a3", "a4"):
        queue.add(key)
    assert queue.depth()[Priority.URGENT] == 4
    assert [passed(queue) for _ in range(6)] == ["a1", "a2", "b1", "a3", "b2", "a4"]
    clock.now += 1.0
    queue.add("b3", priority=Priority.RETRY)
    queue.add("a5")
    queue.add("a6")
    assert [passed(queue) for _ in range(3)] == ["a5", "b3", "a6"]


def test_what_is_less_urgent_is_passed_over_only_so_often(clock: Clock) -> None:
    """However many namespaces patch their specs in a loop, retries and polls go on."""
    queue = a_queue(clock, workers=16)
    queue.add("retry", priority=Priority.RETRY)
    queue.add("poll", priority=Priority.POLL)
    for number in range(100):
        queue.add(f"urgent-{number}")
    served = [passed(queue) for _ in range(20)]
    assert served.index("retry") == 4
    assert served.index("poll") == 8


def test_budgets_of_flows_that_are_gone_are_forgotten(clock: Clock) -> None:
    """A million namespaces that come and go leave nothing behind; those that have overspent stay remembered."""
    queue = a_queue(clock, flow=lambda key: key.split("/")[0], limit=RateLimit(burst=2, rate=0.001))
    for key in ("spender/1", "spender/2"):
        queue.add(key)
        assert passed(queue) == key
    short = a_queue(clock, flow=lambda key: key.split("/")[0])
    for number in range(5000):
        for one in (queue, short):
            one.add(f"flow-{number}/1")
            passed(one)
        clock.now += 0.1
    assert len(short._spent._paid_off) < 2000
    queue.add("b/1", priority=Priority.RETRY)
    queue.add("spender/3")
    assert passed(queue) == "b/1"


def test_old_wishes_are_forgotten(clock: Clock) -> None:
    """A key that is asked for again and again, always for a later look, too, is remembered once."""
    queue = a_queue(clock)
    for _ in range(10_000):
        queue.add("a")
        assert passed(queue) == "a"
        queue.add("a", 600.0)
    assert len(queue._later) < 200


def test_a_key_is_put_once_though_it_was_wished_for_twice_at_the_same_time(clock: Clock) -> None:
    """An old wish for the very moment of a new one is no second wish."""
    queue = a_queue(clock)
    queue.add("a", 5.0)
    queue.add("a", 1.0)
    clock.now = 1.0
    assert passed(queue) == "a"
    queue.add("a", 4.0)
    clock.now = 5.0
    assert due(queue) == 1
    assert passed(queue) == "a"
    assert due(queue) == 0


def test_a_key_frees_the_flow_and_the_account_that_it_was_taken_under(clock: Clock) -> None:
    """Learning a key's account during its pass must not leave the old one occupied."""
    accounts: dict[str, str] = {}
    queue = a_queue(clock, workers=2, account=lambda key: accounts.get(key, "unknown"))
    queue.add("a")
    queue.add("b")
    assert queue.get() == "a"
    accounts["a"] = "known"
    queue.done("a")
    assert queue.get() == "b"


def test_many_accounts_and_flows_cost_no_more_than_few(clock: Clock) -> None:
    """The steps of the queue's operations do not grow with the number of keys, flows or accounts."""

    def steps(flows: int, keys: int, accounts: int) -> float:
        queue = a_queue(clock, 16, lambda key: key.split("/")[0], account=lambda key: int(key.split("/")[0]) % accounts)
        names = [f"{number % flows}/{number}" for number in range(keys)]
        with counted() as calls:
            for name in names:
                queue.add(name)
            hanging = [queue.get() for _ in range(8)]
            for _ in range(keys // 2):
                queue.done(str(queue.get()))
            for key in hanging:
                queue.done(str(key))
            for name in names:
                queue.forget(name)
        return len(calls) / keys

    few = steps(flows=2, keys=1000, accounts=8)
    assert steps(flows=500, keys=2000, accounts=8) < 1.5 * few
    assert steps(flows=2000, keys=2000, accounts=8) < 2 * few
    assert steps(flows=2000, keys=2000, accounts=2000) < 2 * few


@pytest.mark.parametrize("workers", [1, 2])
def test_the_smallest_pools_still_work(clock: Clock, workers: int) -> None:
    """With one or two workers polls, flows and accounts are limited to one, not to none."""
    queue = a_queue(clock, workers, flow=lambda key: "one")
    queue.add("a", priority=Priority.POLL)
    assert queue.get() == "a"


def test_closing_ends_every_wait(queue: Queue, clock: Clock) -> None:
    """At the end of the process waiting workers get None, and what is due is not begun."""
    with a_taker(queue, clock) as one, a_taker(queue, clock) as other:
        queue.close()
    assert one == other == [None]
    queue.add("a")
    assert queue.get() is None


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
    workers = [threading.Thread(target=lambda: taken.append(queue.get()), daemon=True) for _ in "abc"]
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
        while (key := queue.get()) is not None:
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


FLOWS, ACCOUNTS = "abcd", "123"
KEYS = st.sampled_from([f"{flow}{account}{name}" for flow in FLOWS for account in ACCOUNTS for name in "xy"])
LEVELS = {Priority.DELETION: 0, Priority.URGENT: 0, Priority.RETRY: 1, Priority.POLL: 2}


class Sequences(RuleBasedStateMachine):
    """Any sequence of wishes, passes and drops, beside a model that is a dict."""

    limit = PLENTY
    workers = WORKERS

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = a_queue(self.clock, self.workers, letter, digit, self.limit)
        self.wanted: dict[str, tuple[float, Priority]] = {}
        self.busy: dict[str, Priority] = {}
        self.passed_over = Counter[object]()
        """How often in a row a bundle, or a level, could have been served and another one was."""

    def takeable(self) -> list[str]:
        """The keys that a worker may take now, by the rules of the module."""
        flows, accounts = Counter(map(letter, self.busy)), Counter(map(digit, self.busy))
        polls = sum(priority is Priority.POLL for priority in self.busy.values())
        if len(self.busy) == self.workers:
            return []
        half, most_polls, free = self.workers // 2, self.workers - self.workers // 4, self.workers - len(self.busy)
        most, most_if_poll = max(1, free - 1), max(1, min(free, most_polls - polls) - 1)
        return [
            key
            for key, (when, priority) in self.wanted.items()
            if when <= self.clock.now and key not in self.busy
            if flows[letter(key)] < half and accounts[digit(key)] < half
            if priority is not Priority.POLL or polls < most_polls
            if flows[letter(key)] < (most_if_poll if priority is Priority.POLL else most)
        ]

    @rule(key=KEYS, wait=st.integers(0, 5), priority=st.sampled_from(Priority))
    def add(self, key: str, wait: int, priority: Priority) -> None:
        self.queue.add(key, wait, priority)
        when, before = self.wanted.get(key, (float("inf"), priority))
        self.wanted[key] = min(when, self.clock.now + wait), min(before, priority)

    @rule(flow=st.sampled_from("ab"), priority=st.sampled_from(Priority))
    def flood(self, flow: str, priority: Priority) -> None:
        for account in ACCOUNTS:
            for name in "xy":
                self.add(f"{flow}{account}{name}", 0, priority)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.wanted.pop(key, None)

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.takeable())
    @rule()
    def get(self) -> None:
        may = self.takeable()
        key = self.queue.get()
        assert key in may
        levels = {other: LEVELS[self.wanted[other][1]] for other in may}
        level = levels[key]
        self._pass_over(("level",), level, set(levels.values()))
        assert self.passed_over["level", 1] <= 4 + 1
        assert self.passed_over["level", 2] <= 8 + 2
        self._pass_over((level,), letter(key), {letter(other) for other in may if levels[other] == level})
        self.busy[key] = self.wanted.pop(key)[1]

    def _pass_over(self, where: tuple[object, ...], served: object, could: set[object]) -> None:
        for other in could:
            self.passed_over[(*where, other)] += 1
        self.passed_over[(*where, served)] = 0

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.queue.done(key)
        del self.busy[key]

    @invariant()
    def counts_agree(self) -> None:
        now = Counter(priority for when, priority in self.wanted.values() if when <= self.clock.now)
        assert self.queue.depth() == {priority: now[priority] for priority in Priority}
        assert self.queue.busy() == len(self.busy)

    @invariant()
    def nobody_starves(self) -> None:
        """A flow is passed over at most so often as all bundles that compete with it have a turn each."""
        most = len(FLOWS) * len(ACCOUNTS)
        assert all(self.passed_over[level, flow] <= most for level in range(3) for flow in FLOWS)

    def teardown(self) -> None:
        """Everything that was wished for is served in the end."""
        for key in list(self.busy):
            self.queue.done(key)
        self.clock.now += 10.0
        left = dict(self.wanted)
        while left:
            key = passed(self.queue)
            assert key in left
            del left[key]
        assert due(self.queue) == 0


class TestSequences(Sequences.TestCase):  # type: ignore[misc,valid-type]
    """The queue does what its model does, in whatever sequence."""

    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


class Hall(Sequences):
    """The same with twice as many workers, so that several are the reserve."""

    workers = 2 * WORKERS


class TestHall(Hall.TestCase):  # type: ignore[misc,valid-type]
    """The reserve is for flows that occupy no worker, and no free worker is waited for."""

    settings = settings(max_examples=100, stateful_step_count=80, deadline=None)


class Thrift(Sequences):
    """The same with so small a budget that urgent keys are found at two levels; nothing is lost all the same."""

    limit = RateLimit(burst=1, rate=0.5)

    def _pass_over(self, where: tuple[object, ...], served: object, could: set[object]) -> None:
        """Count nothing: at which level a key waits is not to be seen from outside."""


class TestThrift(Thrift.TestCase):  # type: ignore[misc,valid-type]
    """Keys that are over the budget are served like others."""

    settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@given(st.randoms(use_true_random=False), st.integers(2, 30), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_no_flow_starves(random: Random, flows: int, accounts: int) -> None:
    """However flows and accounts compete, each flow is served once in so many takes at which it could have been.

    Every flow always has work, in accounts that several share; passes end in any order.
    """
    workers, cap = 6, 3
    names = [f"{flow:02}/{random.randrange(accounts):02}/{number}" for flow in range(flows) for number in range(4)]
    queue = a_queue(Clock(), workers, flow_of, account_of)
    for name in names:
        queue.add(name)
    waiting, busy, worst, passed_over = set(names), list[str](), 0, Counter[str]()
    for _ in range(30 * flows):
        queue.depth()
        while len(busy) < workers:
            of_flow, of_account = Counter(map(flow_of, busy)), Counter(map(account_of, busy))
            most = min(cap, max(1, workers - len(busy) - 1))
            could = {
                flow_of(key) for key in waiting if of_flow[flow_of(key)] < most and of_account[account_of(key)] < cap
            }
            key = queue._next()  # `get` would wait if there is none
            assert (key is not None) == bool(could)
            if key is None:
                break
            passed_over.update(could - {flow_of(key)})
            passed_over[flow_of(key)] = 0
            worst = max(worst, *passed_over.values())
            waiting.discard(key)
            busy.append(key)
        key = busy.pop(random.randrange(len(busy)))
        queue.done(key)
        queue.add(key)
        waiting.add(key)
    assert worst <= 2 * flows
