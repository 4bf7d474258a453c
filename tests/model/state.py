"""What the model knows at one moment, as hashable tuples, and the rules of the protocol: each can be taken away.

One QianfanJob (its uid counts up when it is applied again), attempts 1 and 2, two processes of which the first leads,
the tasks of two accounts, and the requests that are under way. Ages stop at the largest value that means something, so
time needs no bound.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

Run = tuple[str, int]  # W(orking), F(inished) or S(topped), by whomever; its age, in ticks, up to the lag of the lists
Known = tuple[
    int, int, int | None
]  # account and sequence number of an attempt's task, and the run in it if there is one
NOBODY = 2  # waits for the reply of a request
BEGUN = "begun"  # a process remembers when it put the finalizer on a new object
UNPAID = "unpaid"  # a process remembers the task in which its last create has made nothing
CLAIM = "claimed"  # what a process remembers of a task that it has made and announced nothing for


class Object(NamedTuple):
    """The manifest and its metadata."""

    there: bool
    uid: int
    held: bool  # the finalizer is on it
    deleting: bool
    attempt: int
    account: int  # whose keys its Secret holds


class Intent(NamedTuple):
    """`status.pending`."""

    nonce: int
    attempt: int
    seq: int


class Status(NamedTuple):
    """The status, with the attempts as a pair, whichever is the current one."""

    highest: int | None  # None: not complete, for example wiped
    account: int | None
    runs: tuple[Known | None, Known | None]
    pending: Intent | None
    shelved: int  # bit mask of the attempts whose outcome a person must settle
    uid: int | None = None  # of the object that it was written for


class Task(NamedTuple):
    """A task of the cloud; its name is account, attempt and sequence number."""

    account: int
    attempt: int
    seq: int
    uid: int  # in its mark
    runs: tuple[Run, ...]


class Process(NamedTuple):
    """A process of the operator: the method that it is in, what it holds in hand, and what it remembers."""

    at: str
    hand: Any  # hashable
    fresh: bool  # nobody has written the object since this pass read it: what a resourceVersion tells
    sights: tuple[tuple[object, int], ...]  # what it saw first, and how many ticks ago


class Request(NamedTuple):
    """A createJob that is under way."""

    who: int
    account: int
    attempt: int
    seq: int
    age: int  # of its signature


class Budget(NamedTuple):
    """What may still happen from outside."""

    crashes: int = 0
    losses: int = 0  # requests dropped or late, replies lost
    moves: int = 0  # of the Lease
    edits: int = 0  # by users
    ends: int = 0  # runs that finish


class State(NamedTuple):
    """Everything."""

    obj: Object
    status: Status
    tasks: tuple[Task, ...]
    procs: tuple[Process, Process]
    sent: tuple[Request, ...]
    left: Budget
    backup: tuple[int, Status] | None = None  # the attempt and the status that a restore brings back


IDLE = Process("idle", None, False, ())
BLANK = Status(None, None, (None, None), None, 0)


@dataclass(frozen=True)
class Rules:
    """The protocol as the operator follows it; every argument that differs makes another one."""

    expiry: int = 1
    lag: int = 1
    grace: int = 3  # >= expiry + lag + 1
    names: int = 4  # sequence numbers of tasks that one attempt may use
    intent: bool = True  # an intent is written before the send
    sign_first: bool = True
    leading: bool = True  # leadership is looked at before the send
    guarded: bool = True  # writes carry the resourceVersion
    look: bool = True  # an unknown outcome is looked for
    unknown: bool = True  # only what proves refusal ends an intent
    retry_ids: bool = True  # ids are written through conflicts
    nonces: bool = True  # late ids leave another one's intent alone
    survey: bool = True  # a status without highestAttempt is completed before anything is created
    survey_first: bool = True  # and before a recorded attempt, which a late reply may have brought, is gone by
    empty_grace: bool = True  # a task of an earlier life is empty only after a grace
    keep_claim: bool = True  # a process remembers a task that it has made until an intent names it
    learned: bool = True  # a recorded task without a run is paid for only by who has learned itself that it is empty
    keep_begin: bool = True  # and that the object was new when it put the finalizer on it, for a grace
    own_end: bool = True  # a stopped run of this very object is its attempt, too
    own_empty: bool = True  # one of this very object's, which its complete status does not record, is so at once
    grace_restarts: bool = True  # these graces begin again when somebody else writes more than annotations and labels
    compare_status: bool = True  # a write that met a conflict is repeated only if the status is as it was
    look_on_delete: bool = True  # deleting with a wiped status searches by mark
    record_found: bool = True  # what that finds is recorded before it is stopped
    wait_on_delete: bool = True  # deleting with an open intent waits for the grace
    stop_all: bool = True  # deleting stops the runs of all attempts
    bound: bool = True  # a status that was written for another uid is as a wiped one, but for its account
    compare_accounts: bool = True  # "none" and "gone" are believed only from the account of what is recorded
    mark_first: bool = True  # as long as lists are not proven, highestAttempt 0 is written before the finalizer
    v2: bool = True  # there are lists
    proven: bool = True  # these keys have seen a run of V1 in a V2 list, so that an empty one is believed
    edits: frozenset[str] = frozenset({"attempt", "delete", "wipe"})


def start(left: Budget) -> State:
    """Return the moment after `kubectl apply`."""
    return State(Object(True, 0, False, False, 1, 0), BLANK, (), (IDLE, IDLE), (), left)


def task_of(state: State, account: int, attempt: int, seq: int) -> Task | None:
    """Find a task by its name."""
    for task in state.tasks:
        if task[0] == account and task[1] == attempt and task[2] == seq:
            return task
    return None


def with_task(tasks: tuple[Task, ...], new: Task) -> tuple[Task, ...]:
    """Add a task, or put it in the place of the one of its name."""
    return tuple(sorted([*(task for task in tasks if task[:3] != new[:3]), new]))


def recorded(status: Status, attempt: int, known: Known | None) -> Status:
    """Return the status with what is known of an attempt."""
    first, second = status.runs
    runs = (known, second) if attempt == 1 else (first, known)
    return Status(status.highest, status.account, runs, status.pending, status.shelved, status.uid)


def with_process(state: State, which: int, process: Process) -> State:
    """Put a process into the state."""
    first, second = state.procs
    procs = (process, second) if which == 0 else (first, process)
    return State(state.obj, state.status, state.tasks, procs, state.sent, state.left, state.backup)


def is_foreign(rules: Rules, state: State) -> bool:
    """Say whether the status was written for another object."""
    return rules.bound and state.status.uid not in {None, state.obj.uid}


def own(rules: Rules, state: State) -> State:
    """Return the state as the operator goes by it: another object's status is as a wiped one that tells its uid."""
    return state._replace(status=BLANK._replace(uid=state.status.uid)) if is_foreign(rules, state) else state


def works(state: State, attempt: int) -> bool:
    """Say whether the recorded run of an attempt works, as the cloud shows it."""
    known = state.status.runs[attempt - 1]
    if known is None or known[2] is None:
        return False
    task = task_of(state, known[0], attempt, known[1])
    return task is not None and task.runs[known[2]][0] == "W"
