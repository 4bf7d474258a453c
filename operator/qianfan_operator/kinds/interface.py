"""The interface of a kind, and the values that go between a kind and the reconciler.

A kind never writes an object: it looks, plans, and says in a `Step` what is to be recorded or paid for.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from qianfan_operator.api.common import Need, Part, Pending, Resource
from qianfan_operator.api.conditions import ConditionSummary, Synced
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.transport import Prepared
from qianfan_operator.kinds.marks import Mark


class Phase(enum.Enum):
    """What one look at the cloud can mean, for every kind."""

    ABSENT = enum.auto()  # nothing is recorded, so there is nothing to look at
    WORKING = enum.auto()
    UNPAID = enum.auto()
    OVERDUE = enum.auto()  # still unpaid after spec.paymentDeadlineSeconds
    READY = enum.auto()
    FAILED = enum.auto()
    STOPPED = enum.auto()
    GONE = enum.auto()
    DRIFTED = enum.auto()  # changed outside of this object
    UNKNOWN = enum.auto()  # the cloud uses a word that we do not know


class Want(enum.Enum):
    """What the spec asks beyond what is recorded."""

    NOTHING = enum.auto()
    RECOVER_STATUS = enum.auto()  # to know what there is: the status was wiped
    CREATE = enum.auto()
    ADOPT = enum.auto()  # take over what exists, which changes nothing in the cloud
    SWITCH = enum.auto()
    WAIT = enum.auto()  # for a reference that is missing or at work
    BLOCKED = enum.auto()  # cannot be done as it is written


@dataclass(frozen=True)
class Cause:
    """A reason with its sentence."""

    reason: Reason
    message: str = ""


MAY_WORK = frozenset({Phase.WORKING, Phase.UNKNOWN})
"""Phases of a run that may still cost something: rather one too many is stopped, and waited for."""


R = TypeVar("R", bound=Resource)
Updates = Mapping[str, Any]  # fields of a status by their Python names; None removes one


@dataclass(frozen=True)
class Observation:
    """What one look at the cloud found; `updates` is what it adds to the status."""

    phase: Phase
    why: Cause
    updates: Updates = field(default_factory=dict)
    others_working: bool = False  # runs of attempts that the spec does not select
    others_overdue: bool = False  # the first of them to be stopped has worked for as long as it may
    deadline_passed: bool = False
    looked: bool = False  # the cloud was really asked, and answered
    common: bool = False  # what was looked at is nobody's own: that keys see it proves nothing of their account
    warning: Cause | None = None  # something that a person should know and that changes nothing


@dataclass(frozen=True)
class Plan:
    """What the spec asks beyond what is recorded, with the ids that its references gave."""

    want: Want
    why: Cause = Cause(Reason.CREATING)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    updates: Updates = field(default_factory=dict)  # what is settled without a change in the cloud: recorded at once
    missing: Cause | None = None  # a reference to what is not there any more, which changes nothing yet


@dataclass(frozen=True)
class UpdateStatus:
    """Write this, and come back at once."""

    updates: Updates
    marked: bool = False  # it bears this object's mark: no open intent of another one made it


@dataclass(frozen=True)
class Wait:
    """Nothing can be done now; say so, and come back after so many seconds (None: as usual)."""

    summary: ConditionSummary
    after: float | None = None
    updates: Updates = field(default_factory=dict)


def confirming(seconds: float, what: str) -> Wait:
    """Wait for the grace to be over, or for what else makes sure."""
    return Wait(ConditionSummary(False, Reason.CONFIRMING, what, reconciling=True, synced=Synced("Unknown")), seconds)


def stalled(reason: Reason, message: str) -> Wait:
    """Wait for a person."""
    return Wait(ConditionSummary(False, reason, message, stalled=True, synced=Synced("False")))


@dataclass(frozen=True)
class Create:
    """Send a create that costs money or cannot be repeated blindly: by the protocol, and only by it."""

    operation: str
    inputs: Mapping[str, Any]
    prepare: Callable[[Client], Prepared[Any]]
    updates: Updates = field(default_factory=dict)
    attempt: int | None = None


Step = UpdateStatus | Wait | Create  # what a kind can ask for


@dataclass(frozen=True)
class Present:
    """It is there: this is what to record."""

    updates: Updates
    marked: bool = False  # see Record


@dataclass(frozen=True)
class Absent:
    """Two complete scans show its surroundings and not it: it was not made."""


@dataclass(frozen=True)
class Unknown:
    """The cloud cannot say, or says what a person must resolve (Stalled)."""

    why: Cause
    nothing_made: bool = False  # it is certain that this intent made nothing, so that it ends here


Found = Present | Absent | Unknown  # what a look for an unconfirmed create can come to


@dataclass(frozen=True)
class Released:
    """Whether the cloud has let go; if not, why (and whether a person must act)."""

    done: bool
    why: Cause = Cause(Reason.DELETING)
    stalled: bool = False
    updates: Updates = field(default_factory=dict)
    waits_for: tuple[Key, ...] = ()  # objects whose change may end the wait
    left: str = ""  # what stays in the cloud all the same and can cost money, and where to end it


class Adopt(enum.StrEnum):
    """What may be taken over or used that a spec names by an id of the cloud: the words of QIANFAN_ADOPT."""

    NONE = "none"
    OWN_MARK = "own-mark"  # what bears the mark of an object in the same namespace of this cluster
    ANY = "any"


@dataclass(frozen=True)
class ReconcileContext:
    """What a kind may know besides its object. Times: `boot` in seconds, `now` as RFC 3339."""

    cluster: str
    grace: float
    boot: float
    now: str
    fetch: Callable[[Key], Resource | None]  # reads another object as it is now; None if it is not there
    chain: Callable[
        [Key], Iterator[Key]
    ]  # an object, what it waits for, what that waits for ...: from memory, may cycle
    first_seen_at: Callable[[Hashable], float]  # when this process first saw a thing of this object (boot time)
    ask_once: Callable[[Hashable, Hashable, Callable[[], bool]], bool]
    """Sends a request to end a thing that is in a state, unless the cloud has accepted it; says whether it does."""
    begun: int  # the highest attempt of a job that this process has seen begun; 0 if its status was wiped since
    foreign_version: int  # the last version in which others may have changed more than annotations and labels
    claims: dict[Hashable, Any]  # what this process has made for it for free, and announced nothing paid for since
    unpaid: set[Hashable]
    """The place (see `Kind.intends`) of the last create that has made nothing, as this process itself has learned."""
    users_of: Callable[[Key], tuple[Key, ...]]  # the objects that refer to a key
    serving: Callable[[Key], tuple[Key, ...]]  # those of them that need it to stay, from memory
    needing: Callable[[Iterable[Need], Callable[[Account], bool]], Iterator[Key]]
    """Who needs one of these ("model", id) or ("version", id); the function says whether keys of others see it."""
    # docs/design/architecture.md#ownership
    listed: bool  # all objects have been seen since the start: only then "nobody refers to it" is true
    adopt: Adopt  # what this object may take over or use by its id, under the keys that it has now
    names: Callable[[str, str], tuple[str, ...]]  # of the objects that are known, by plural and namespace
    exists: Callable[[Key], bool]
    """Says from memory whether an object is there; True as long as not all objects were seen. It wakes who asked."""
    list_probe: Callable[
        [str], tuple[str, str] | None
    ]  # string ids of a task and its run that V1 made under an account
    altered: bool = False  # somebody else has changed the status: what is recorded as ended is looked at once more

    def grace_left(self, *seen: Hashable) -> float:
        """Seconds until a look-up may conclude "none" from what was first seen then; 0 when it may.

        See docs/design/create-protocol.md#two-complete-scans.
        """
        return max(0.0, self.first_seen_at(seen) + self.grace - self.boot)


class Kind(ABC, Generic[R]):
    """One kind's ways with the cloud. Methods raise CloudError; none of them writes to Kubernetes."""

    resource: ClassVar[type[Resource]]
    condition: ClassVar[str | None] = None  # the kind's own type of condition, besides those that all have

    @property
    def plural(self) -> str:
        """The plural, as in a Key."""
        return self.resource.plural

    @abstractmethod
    def references(self, resource: R) -> tuple[Key, ...]:
        """The objects that this one refers to."""

    @abstractmethod
    def holds(self, status: Any) -> frozenset[ExternalId]:
        """The things in the cloud that a status records and no other object may act on.

        See docs/design/architecture.md#ownership.
        """

    def complete(self, status: Any) -> bool:
        """Say whether a status tells what its object has in the cloud; else only marks may tell it."""
        return bool(self.holds(status))

    def takes(self, status: Any) -> frozenset[ExternalId]:
        """Return those of them that were taken over instead of created."""
        return self.holds(status) if status.adopted else frozenset()

    def made_last(self, status: Any) -> frozenset[ExternalId]:
        """Return those of them that the recorded account stands for: keys that see one of them open that account."""
        return self.holds(status)

    @abstractmethod
    def intends(self, status: Any) -> frozenset[Hashable]:
        """The places in the cloud where the open intent may have made something; comparable with `places`."""

    @abstractmethod
    def places(self, status: Any, things: Container[ExternalId]) -> frozenset[Hashable]:
        """The places of recorded things."""

    @abstractmethod
    def reads(self, account: Account, status: Any, thing: ExternalId) -> bool:
        """Say whether keys see the recorded thing itself, and not another one of the same integer; raises CloudError.

        By its string, if that is known, for no other account has that; else by what else is known of it.
        """

    @abstractmethod
    def mark_of(self, account: Account, status: Any, thing: ExternalId) -> Mark | None:
        """Read the mark of a recorded thing; None if it has none. Raises CloudError, `unsupported` without V2."""

    @abstractmethod
    def disown(self, status: Any, lost: Container[ExternalId]) -> Updates:
        """Forget what is recorded of things that others have."""

    def without(self, resource: R, updates: Updates, lost: Container[ExternalId]) -> Updates:
        """Leave out of what is to be recorded what others hold, as far as the rest has a sense without it."""
        return updates

    def signal(self, resource: R) -> Hashable:
        """What of an object those that refer to it care about, besides its conditions."""
        return ()

    def ended(self, status: Any) -> Hashable:
        """Return the ids of what is recorded and settled, for `restored`; None if there is none."""
        return None

    def restored(self, resource: R, ended: Hashable) -> Updates:
        """Say what to record again because somebody else changed it in the status; `ended` as it was before that."""
        return {}

    def unapplied(self, resource: R) -> str:
        """Say which changed fields of the spec the cloud has no call for, and what to do; empty if there are none."""
        return ""

    def serves(self, resource: R) -> bool:
        """Say whether an object has, or may have, something in the cloud that needs what it refers to to stay."""
        return False

    def earlier(self, status: Any) -> Sequence[Part]:
        """Return what is recorded of earlier attempts; first what may still cost something."""
        return ()

    def begun(self, status: Any) -> int | None:
        """Return the highest attempt that was begun, None if the status does not tell; jobs only."""
        return None

    def list_probe_of(self, status: Any) -> tuple[str, str] | None:
        """Return the strings of a task and its run that V1 made: a list that shows them shows runs; jobs only."""
        return None

    @abstractmethod
    def plan(self, ctx: ReconcileContext, resource: R) -> Plan:
        """Say what the spec asks beyond what is recorded. Reads referenced objects only if it must."""

    @abstractmethod
    def observe_recorded(self, resource: R) -> Observation:
        """Say what the record alone tells, without a look."""

    @abstractmethod
    def observe(self, ctx: ReconcileContext, account: Account, resource: R) -> Observation:
        """Look at what is recorded; changes nothing."""

    def select(self, resource: R) -> Updates:
        """Make current what the spec selects of what is recorded, without a call; nothing that works is left for it."""
        return {}

    def recover_status(self, ctx: ReconcileContext, account: Account, resource: R, plan: Plan) -> Step:
        """Complete a record that was wiped from what the cloud shows; makes nothing."""
        raise AssertionError(f"a {resource.kind} plans no recovery")

    @abstractmethod
    def create(self, ctx: ReconcileContext, account: Account, resource: R, plan: Plan) -> Step:
        """Make the next missing thing, or say what to pay for."""

    def begin(self, resource: R) -> Updates:
        """Say what to record when the finalizer is put on an object for the first time."""
        return {}

    def refused(self, error: CloudError) -> Updates:
        """Say what to record when a paid create was proven refused, besides the end of its intent."""
        return {}

    @abstractmethod
    def status_after_create(self, resource: R, pending: Pending, reply: Any) -> Updates:
        """Turn the reply of a paid create into what is recorded."""

    @abstractmethod
    def recorded_ids(self, resource: R, pending: Pending) -> tuple[object, ...] | None:
        """The ids that are recorded for what an intent is about, comparable with `ids_of`; None if there are none."""

    @abstractmethod
    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """The ids in what is to be recorded."""

    def decided(self, resource: R) -> bool:
        """Say whether a person has decided what an open intent comes to, so that no evidence is waited for (5.10)."""
        return False

    @abstractmethod
    def look(self, ctx: ReconcileContext, account: Account, resource: R, pending: Pending) -> Found:
        """Look for what an intent may have made; called when its grace is over."""

    @abstractmethod
    def has_left(self, resource: R) -> bool:
        """Say whether the record alone shows that there is nothing to release; no intent is open."""

    def adopted(self, resource: R) -> bool:
        """Say whether all that deleting would end was taken over, and so is left alone by default.

        See docs/design/api.md#deletionpolicy.
        """
        return bool(resource.status.adopted)

    @abstractmethod
    def release(self, ctx: ReconcileContext, account: Account, resource: R) -> Released:
        """Stop or delete in the cloud what deleting the object must not leave behind; asking twice is harmless."""

    def stop(self, ctx: ReconcileContext, account: Account, resource: R, *, selected: bool) -> Updates:
        """Stop what the spec selects, or what it does not and that works, or say what to record first; jobs only."""
        raise AssertionError(f"a {resource.kind} cannot be stopped")

    def switch(self, ctx: ReconcileContext, account: Account, resource: R, plan: Plan) -> Step:
        """Bring another version behind the same endpoint; only services can."""
        raise AssertionError(f"a {resource.kind} cannot be switched")

    def abandon(self, account: Account, resource: R, updates: Updates) -> None:
        """Stop what was just made for an object that is gone."""
