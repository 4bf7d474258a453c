"""Who leads: one candidate at a time, whatever happens to the Lease, to the API server and to the clocks."""

import copy
import itertools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from qianfan_operator.kube.client import Conflict, KubeError, NotFound
from qianfan_operator.kube.leader_election import LOOK, NAME, RENEW, TRUST, Election, Lost

DURATION = 15
TRUSTED = DURATION * TRUST
PATIENCE = 20.0  # seconds; only a broken election takes so long


@dataclass
class Shelf:
    """The one Lease in an API server that may be away, or lose its replies."""

    raw: dict[str, Any] | None = None
    away: bool = False
    loses_replies: bool = False
    writes: int = 0
    before_write: Callable[[], object] | None = None
    """Happens once, on the way of the next write."""
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def holder(self) -> str:
        assert self.raw
        return str(self.raw["spec"]["holderIdentity"])

    def lease(self, name: str) -> dict[str, Any]:
        self._answer()
        return copy.deepcopy(self._found(name))

    def create_lease(self, lease: dict[str, Any]) -> dict[str, Any]:
        self._write_arrives()
        if self.raw is not None:
            raise Conflict("there is one")
        assert "resourceVersion" not in lease["metadata"]
        return self._keep(lease)

    def replace_lease(self, lease: dict[str, Any]) -> dict[str, Any]:
        self._write_arrives()
        metadata = lease["metadata"]
        if self._found(metadata["name"])["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise Conflict("it has changed")
        return self._keep(lease)

    def annotate(self) -> None:
        """Change it as somebody does who has no part in the election."""
        assert self.raw
        self.raw["metadata"]["annotations"] = {"looked": "at"}
        self.raw["metadata"]["resourceVersion"] = str(next(self._versions))

    def _found(self, name: str) -> dict[str, Any]:
        if self.raw is None or name != NAME:
            raise NotFound(name)
        return self.raw

    def _keep(self, lease: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        self.raw = copy.deepcopy(lease)
        self.raw["metadata"]["resourceVersion"] = str(next(self._versions))
        if self.loses_replies:
            raise KubeError("the reply is lost")
        return copy.deepcopy(self.raw)

    def _write_arrives(self) -> None:
        happens, self.before_write = self.before_write, None
        if happens:
            happens()
        self._answer()

    def _answer(self) -> None:
        if self.away:
            raise KubeError("nobody answers")


@dataclass
class Machine:
    """A candidate on a node with clocks of its own."""

    shelf: Shelf
    name: str
    boot: float = 1000.0
    wall: str = "2025-03-01T12:00:00.000000Z"
    duration: int = DURATION

    def __post_init__(self) -> None:
        self.election = Election(self.shelf, self.name, self.duration, lambda: self.boot, lambda: self.wall)

    def turn(self) -> float:
        """Make one turn; returns the seconds that it would rest."""
        return self.election.turn()

    def live(self, seconds: float) -> None:
        """Make every turn of the next seconds."""
        end = self.boot + seconds
        while self.boot < end:
            self.boot += min(self.turn(), end - self.boot)

    @property
    def leads(self) -> bool:
        return self.election.leading()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def one(shelf: Shelf) -> Machine:
    return Machine(shelf, "one")


@pytest.fixture
def two(shelf: Shelf) -> Machine:
    """Another candidate, whose node was booted long before and whose wall clock is ten years ahead."""
    return Machine(shelf, "two", boot=77777.0, wall="2035-03-01T12:00:00.000000Z")


def pass_time(seconds: float, *machines: Machine) -> None:
    """Let time go by without a turn."""
    for machine in machines:
        machine.boot += seconds


def test_a_lease_that_nobody_made_is_taken_at_once(one: Machine, shelf: Shelf) -> None:
    """The first candidate of a cluster leads with its first turn, and the Lease says what kubectl shows."""
    assert not one.leads
    assert one.turn() == DURATION * RENEW
    assert one.leads
    assert shelf.raw
    assert shelf.raw["spec"] == {
        "holderIdentity": "one", "leaseDurationSeconds": DURATION, "leaseTransitions": 0, "acquireTime": one.wall,
        "renewTime": one.wall,
    }  # fmt: skip


def test_the_holder_stays_and_the_other_waits(one: Machine, two: Machine, shelf: Shelf) -> None:
    """In an hour in which both are well the leader never changes, and whoever waits writes nothing."""
    one.turn()
    writes = []
    for _ in range(3600):
        before = shelf.writes
        two.live(1.0)
        writes.append(shelf.writes - before)
        one.live(1.0)
        assert (one.leads, two.leads) == (True, False)
    assert set(writes) == {0}


def test_it_looks_often_and_renews_seldom(one: Machine, two: Machine) -> None:
    """An orderly hand-over is noticed within a second; a renewal has several tries before it counts no more."""
    assert one.turn() * 3 <= TRUSTED
    assert two.turn() <= LOOK


@pytest.mark.parametrize("duration", [3, 15, 300])
def test_a_dead_leader_is_followed_when_its_lease_has_run_out(shelf: Shelf, duration: int) -> None:
    """The other one waits for the whole duration since it saw the last renewal, and not much longer."""
    one, two = Machine(shelf, "one", duration=duration), Machine(shelf, "two", duration=duration)
    one.turn()
    two.turn()
    two.live(duration - 0.01)
    assert not two.leads
    two.live(LOOK + 0.02)
    assert two.leads
    assert shelf.raw
    assert (shelf.holder, shelf.raw["spec"]["leaseTransitions"]) == ("two", 1)


def test_what_the_holder_said_counts_not_what_the_other_was_told(shelf: Shelf) -> None:
    """During a change of the setting a Lease lasts as long as its holder believes."""
    slow, quick = Machine(shelf, "slow", duration=60), Machine(shelf, "quick", duration=5)
    slow.turn()
    quick.live(60 - 0.01)
    assert not quick.leads
    quick.live(2.0)
    assert quick.leads


@pytest.mark.parametrize("shift", [-1e9, 1e9])
def test_clocks_are_not_compared(one: Machine, two: Machine, shift: float) -> None:
    """Neither the wall clock nor the boot time of another node matters, however far they are off."""
    one.wall = "1970-01-01T00:00:00.000000Z" if shift < 0 else "2199-01-01T00:00:00.000000Z"
    two.boot += abs(shift)
    one.turn()
    for _ in range(40):
        two.live(1.0)
        one.live(1.0)
    assert (one.leads, two.leads) == (True, False)


def test_trust_ends_before_another_may_lead(one: Machine, two: Machine) -> None:
    """A leader trusts a Lease that it does not renew for two thirds of it, by its own clock and without a turn."""
    one.turn()
    two.turn()
    assert TRUSTED <= 0.8 * DURATION  # clocks may run unevenly
    pass_time(TRUSTED - 0.01, one)
    assert one.leads
    pass_time(0.01, one)
    assert not one.leads
    two.live(TRUSTED)
    assert not two.leads


def test_time_counts_from_before_the_request(one: Machine, shelf: Shelf) -> None:
    """A write that takes eight seconds gives a Lease that is trusted for eight seconds less."""
    shelf.before_write = lambda: pass_time(8.0, one)
    one.turn()
    pass_time(TRUSTED - 8.01, one)
    assert one.leads
    pass_time(0.01, one)
    assert not one.leads


def test_a_free_lease_that_two_want_is_one_s(one: Machine, two: Machine, shelf: Shelf) -> None:
    """Two that see it free at the same moment: the second write is refused, and that one stands by."""
    shelf.before_write = two.turn
    assert one.turn() == LOOK
    assert (one.leads, two.leads, shelf.holder) == (False, True, "two")
    one.turn()
    assert not one.leads


def test_an_orderly_end_gives_the_lease_back(one: Machine, two: Machine, shelf: Shelf) -> None:
    """Whoever waits takes it with its next look; the one that gave it back leads no more."""
    one.turn()
    two.turn()
    assert one.election.release()
    assert (one.leads, shelf.holder) == (False, "")
    two.turn()
    assert two.leads
    assert shelf.raw
    assert shelf.raw["spec"]["leaseTransitions"] == 1


def test_who_does_not_hold_it_gives_nothing_back(one: Machine, two: Machine, shelf: Shelf) -> None:
    """The end of a candidate that stood by does not touch the Lease; nor is it an error if the API server is away."""
    one.turn()
    two.turn()
    assert not two.election.release()
    assert (shelf.holder, shelf.writes) == ("one", 1)
    shelf.away = True
    assert not one.election.release()
    assert not one.leads


def test_a_short_outage_changes_nothing(one: Machine, two: Machine, shelf: Shelf) -> None:
    """An API server that is away for less than two thirds of the duration costs nobody the lead."""
    one.turn()
    two.turn()
    shelf.away = True
    for _ in range(int(TRUSTED) - 1):
        one.live(1.0)
        two.live(1.0)
    shelf.away = False
    one.live(1.0)
    two.live(DURATION - 1.0)
    one.live(DURATION - 1.0)
    assert (one.leads, two.leads) == (True, False)


def test_a_leader_that_cannot_renew_is_lost(one: Machine, shelf: Shelf) -> None:
    """When its time is over and it still cannot be sure, it ends, and says why."""
    one.turn()
    shelf.away = True
    one.live(TRUSTED - 0.01)
    assert one.leads
    pass_time(0.01, one)
    with pytest.raises(Lost, match="nobody answers"):
        one.turn()
    assert not one.leads


def test_who_was_frozen_leads_on_if_nobody_else_did(one: Machine, two: Machine) -> None:
    """A process or a machine that slept for an hour may begin nothing until a guarded write proves that nobody led."""
    one.turn()
    pass_time(3600.0, one)
    assert not one.leads
    one.turn()
    assert one.leads
    two.turn()
    assert not two.leads


def test_who_was_frozen_while_another_led_is_lost(one: Machine, two: Machine, shelf: Shelf) -> None:
    """Its write is refused, it names the new leader, and it leaves the Lease alone, also at its end."""
    one.turn()
    two.turn()
    two.live(DURATION + LOOK)
    assert two.leads
    pass_time(DURATION + LOOK, one)
    assert not one.leads
    with pytest.raises(Lost, match="two"):
        one.turn()
    one.election.release()
    assert (two.leads, shelf.holder) == (True, "two")


def test_a_lease_taken_by_hand_is_lost_at_the_next_turn(one: Machine, shelf: Shelf) -> None:
    """Whatever a person writes as its holder, the leader believes it while its own time is not over yet."""
    one.turn()
    assert shelf.raw
    shelf.raw["spec"]["holderIdentity"] = ""
    shelf.annotate()
    with pytest.raises(Lost, match="nobody"):
        one.turn()
    assert not one.leads


def test_a_change_that_is_none_of_ours_is_kept(one: Machine, shelf: Shelf) -> None:
    """An annotation costs a conflict and nothing else, and survives the renewals."""
    one.turn()
    shelf.annotate()
    assert one.turn() == DURATION * RENEW
    one.live(DURATION)
    assert one.leads
    assert shelf.raw
    assert shelf.raw["metadata"]["annotations"] == {"looked": "at"}


def test_lost_replies_are_no_lost_lease(one: Machine, shelf: Shelf) -> None:
    """A Lease that was taken or renewed without our knowing is still ours: it bears our name."""
    shelf.loses_replies = True
    one.turn()
    assert not one.leads  # nothing is believed before it is known
    shelf.loses_replies = False
    one.turn()
    assert one.leads
    shelf.loses_replies = True
    one.turn()
    shelf.loses_replies = False
    one.live(DURATION)
    assert one.leads
    assert shelf.raw
    assert shelf.raw["spec"]["leaseTransitions"] == 0


def test_a_deleted_lease_makes_its_holder_end_and_the_other_wait(one: Machine, two: Machine, shelf: Shelf) -> None:
    """Its holder may not know yet: who had seen it waits as if it were there, then makes it anew."""
    one.turn()
    two.turn()
    shelf.raw = None
    two.live(DURATION - 0.01)
    assert not two.leads
    with pytest.raises(Lost, match="deleted"):
        one.turn()
    two.live(LOOK + 0.02)
    assert (two.leads, shelf.holder) == (True, "two")


def test_an_empty_lease_is_free(one: Machine, shelf: Shelf) -> None:
    """A Lease that somebody made without a spec is taken."""
    shelf.raw = {"metadata": {"name": NAME, "resourceVersion": "7"}}
    one.turn()
    assert (one.leads, shelf.holder) == (True, "one")


def test_the_lead_is_told_once_and_so_is_its_loss(shelf: Shelf) -> None:
    """The process hears of its lead, and of its end when the Lease is another's; the thread has ended then."""
    told: queue.Queue[str] = queue.Queue()
    one = Machine(shelf, "one", duration=3)
    one.election.start(lambda: told.put("gained"), lambda: told.put("lost"))
    assert told.get(timeout=PATIENCE) == "gained"
    assert one.leads
    for _ in range(2):  # renewals
        renewed = threading.Event()
        shelf.before_write = renewed.set
        assert renewed.wait(PATIENCE)
    shelf.raw = None
    assert told.get(timeout=PATIENCE) == "lost"
    one.election.release()
    assert told.empty()


def test_an_election_that_cannot_go_on_ends_the_process(shelf: Shelf) -> None:
    """A Lease that nobody can read is no reason to live on without ever leading."""
    told: queue.Queue[str] = queue.Queue()
    shelf.raw = {"spec": {}}
    one = Machine(shelf, "one")
    one.election.start(lambda: told.put("gained"), lambda: told.put("lost"))
    assert told.get(timeout=PATIENCE) == "lost"
    assert not one.leads
