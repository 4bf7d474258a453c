"""How a pass begins: what it reads, and what it is about to do (reconciler.py, policy.py, kinds/job/kind.py)."""

from typing import Any

from model.hands import claimed
from model.state import (
    BEGUN,
    BLANK,
    CLAIM,
    IDLE,
    NOBODY,
    UNPAID,
    Intent,
    Known,
    Object,
    Process,
    Rules,
    State,
    Status,
    is_foreign,
    own,
    task_of,
    with_process,
    works,
)

Moves = list[tuple[str, State]]

REST = frozenset({"gone", "done", "mismatch", "waits for a run", "settle", "account", "unknown"})
"""What the operator may be content with: nothing is under way, or a person must act and is told so."""

_KEPT = frozenset({BEGUN, CLAIM, UNPAID})  # whatever others write in the spec
_FAILS_WHEN_STALE = frozenset({"hold", "survey", "find", "record", "prepare", "intent", "look", "let_go"})


def decide(rules: Rules, state: State) -> str:
    """Say what a pass does about the object as it is now."""
    if not state.obj.there:
        return "gone"
    foreign = rules.compare_accounts and state.status.account not in {None, state.obj.account}
    if foreign and is_foreign(rules, state):
        return "account"
    state = own(rules, state)
    return _leaving(rules, state, foreign) if state.obj.deleting else _staying(rules, state, foreign)


def _leaving(rules: Rules, state: State, foreign: bool) -> str:
    status = state.status
    if foreign and (status.pending or works(state, 1) or works(state, 2)):
        return "account"
    if status.pending and rules.wait_on_delete:
        return "confirm"
    return "search" if status.highest is None and rules.look_on_delete else "release"


def _staying(rules: Rules, state: State, foreign: bool) -> str:
    obj, status = state.obj, state.status
    held = obj.held and not (status.account is None and _remembers_beginning(state))
    if status.shelved & obj.attempt:
        return "settle"
    if status.pending:
        return "account" if foreign else "confirm"
    known, incomplete = status.runs[obj.attempt - 1], status.highest is None and rules.survey and held
    if known is not None and known[2] is not None:
        return "survey" if incomplete and rules.survey_first else "done"
    if known is None and obj.attempt <= (status.highest or 0):
        return "mismatch"
    if works(state, 3 - obj.attempt):
        return "waits for a run"
    if known is not None and rules.learned and not _knows_unpaid(state, known):
        return "find"
    if known is not None and known[0] == obj.account:
        return "repeat"
    again = status.highest is None and rules.survey and obj.attempt > 1  # a manifest that had a life before
    return "survey" if incomplete or again else "claim"


def _remembers_beginning(state: State) -> bool:
    """Say whether the leader put the finalizer on less than a grace ago: nobody can have ended a survey since."""
    return any(seen == (BEGUN, state.obj.uid) for seen, _ in state.procs[0].sights)


def _knows_unpaid(state: State, known: Known) -> bool:
    """Say whether the leader has learned itself that nothing was made in the recorded task of the attempt."""
    name = (UNPAID, state.obj.uid, known[0], state.obj.attempt, known[1])
    return any(seen == name for seen, _ in state.procs[0].sights)


def is_stuck(rules: Rules, state: State) -> bool:
    """Say whether what is decided comes to nothing for ever, which the operator says as CreateOutcomeUnknown."""
    obj, status, what = state.obj, state.status, decide(rules, state)
    if what == "confirm" and status.pending:
        task = task_of(state, obj.account, status.pending.attempt, status.pending.seq)
        return not rules.proven and task is not None and not (task.runs and rules.v2)
    if what in {"survey", "search", "find"}:
        shown = _shows(rules, state) if what == "find" else rules.v2 and any(task.runs for task in state.tasks)
        return not shown and not (rules.proven and (what != "find" or _is_here(state)))
    if what != "claim":
        return False
    for seq in range(1, rules.names + 1):
        if claimed(state, state.procs[0], (obj.account, obj.attempt, seq)):
            return False
        task = task_of(state, obj.account, obj.attempt, seq)
        if task is None or not rules.v2:
            return task is not None
        if task.runs or rules.proven or (rules.own_empty and task.uid == obj.uid):
            if any(run[0] != "S" or task.uid == obj.uid for run in task.runs):
                return False
            continue
        return True
    return True


def _shows(rules: Rules, state: State) -> bool:
    """Say whether the keys at hand show a run of the attempt that counts."""
    here = [task for task in state.tasks if (task.account, task.attempt) == (state.obj.account, state.obj.attempt)]
    return rules.v2 and any(word != "S" or task.uid == state.obj.uid for task in here for word, _ in task.runs)


def _is_here(state: State) -> bool:
    """Say whether the keys at hand show the recorded task of the attempt."""
    known = state.status.runs[state.obj.attempt - 1]
    return known is not None and known[0] == state.obj.account


def put(
    rules: Rules, state: State, obj: Object, status: Status, who: int = NOBODY, then: Process = IDLE, *,
    restarts: bool = True,
) -> State:  # fmt: skip
    """Write the object; every other process' copy is old by that, and a guarded write of it can only fail.

    `restarts`: something else than annotations and labels is written, so that graces begin again.
    """
    now = status.pending.nonce if status.pending else None
    kept = _KEPT if status == state.status else _KEPT - {UNPAID}  # another process may have paid
    procs = []
    for index, process in enumerate(state.procs):
        at, hand, fresh, sights = then if index == who else process
        if index != who:
            fresh = False
            if rules.grace_restarts and restarts:
                sights = tuple(sight for sight in sights if isinstance(sight[0], int) or sight[0][0] in kept)
            if rules.guarded and at in _FAILS_WHEN_STALE:
                at, hand = "idle", None
        sights = tuple(sight for sight in sights if not isinstance(sight[0], int) or sight[0] == now)
        procs.append(Process(at, hand, fresh, sights))
    if who != NOBODY and obj.there and rules.bound:
        status = status._replace(uid=obj.uid)
    return State(obj, status, state.tasks, (procs[0], procs[1]), state.sent, state.left, state.backup)


def waits(rules: Rules, process: Process, what: object) -> int | None:
    """Return how many ticks are left of the grace that this process counts for something; None: it has not begun."""
    for seen, ticks in process.sights:
        if seen == what:
            return max(0, rules.grace - ticks)
    return None


def sees(process: Process, what: object) -> Process:
    """Return the idle process that has seen something for the first time."""
    sights = tuple(sorted([*process.sights, (what, 0)], key=repr))
    return Process("idle", None, False, sights)


def begin(rules: Rules, state: State) -> Moves:
    """Let the leader begin a pass: the object is read, or seen to be as it is remembered."""
    obj, status, process = state.obj, state.status, state.procs[0]
    what = decide(rules, state)
    if what in REST:
        return []
    if what == "claim" and not obj.held and rules.mark_first and not rules.proven and status.highest is None:
        hold = Process("hold", (obj.account, obj.attempt, 1), True, process.sights)
        return [("patch_status", put(rules, state, obj, status._replace(highest=0, account=obj.account), 0, hold))]
    if what in {"confirm", "survey", "search", "find"} and obj.held:
        seen = status.pending.nonce if what == "confirm" and status.pending else "survey"
        left = waits(rules, process, seen)
        if left is None:
            return [("waits", with_process(state, 0, sees(process, seen)))]
        if left:
            return []
    at, hand = _first(rules, state, what)
    then = Process(at, hand, True, process.sights)
    if obj.held:
        return [("get", with_process(state, 0, then))]
    if what != "claim":
        then = Process("idle", None, False, process.sights)
    elif rules.keep_begin and status._replace(uid=None) == BLANK:
        then = then._replace(sights=tuple(sorted([*process.sights, ((BEGUN, obj.uid), 0)], key=repr)))
    return [("patch_finalizers", put(rules, state, obj._replace(held=True), status, 0, then))]


def _first(rules: Rules, state: State, what: str) -> tuple[str, Any]:
    """Return the first method of a pass and what it has in hand."""
    obj, status = state.obj, state.status
    known, working = status.runs[obj.attempt - 1], working_runs(rules, state)
    if what == "repeat" and known:
        return "prepare", (obj.account, obj.attempt, known[1])
    if what == "find" and known:
        return "find", (obj.account, obj.attempt, known[1], known[0])
    if what == "release":
        return ("stop" if working else "let_go"), working
    hands = {"confirm": status.pending, "claim": (obj.account, obj.attempt, 1)}
    return {"confirm": "look"}.get(what, what), hands.get(what, (obj.account,))


def working_runs(rules: Rules, state: State) -> tuple[tuple[int, int, int, int], ...]:
    """The recorded runs that work and that the keys at hand show."""
    found = []
    for attempt in (1, 2):
        known = state.status.runs[attempt - 1]
        mine = rules.stop_all or attempt == state.obj.attempt
        if mine and works(state, attempt) and known and known[2] is not None and known[0] == state.obj.account:
            found.append((known[0], attempt, known[1], known[2]))
    return tuple(found)


def nonce_for(state: State) -> Intent:
    """Return an intent with the smallest nonce that nobody knows; its other fields are to be filled in."""
    used = {state.status.pending.nonce} if state.status.pending else set()
    for process in state.procs:
        used |= {seen for seen, _ in process.sights if isinstance(seen, int)}
        if process.at in {"sign", "leading", "send", "wait", "land", "refused", "look"} and process.hand:
            used.add(process.hand[0])
    return Intent(next(n for n in range(9) if n not in used), 0, 0)
