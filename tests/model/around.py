"""What happens around the processes: the cloud, time, users, and the faults that the budget allows."""

from collections.abc import Iterator
from functools import cache

from model.passes import begin, put
from model.state import (
    BEGUN,
    BLANK,
    CLAIM,
    IDLE,
    NOBODY,
    UNPAID,
    Budget,
    Object,
    Process,
    Request,
    Rules,
    State,
    Task,
    own,
    recorded,
    task_of,
    with_process,
    with_task,
)
from model.steps import step

Move = tuple[int, str, State, bool]
"""Who moves (0 and 1 a process, 2 nobody of ours, 3 the Lease), what it does, what then is, and whether that may be
counted on: faults may always happen, and never need to."""

CLOUD, LEASE = 2, 3


def moves(rules: Rules, state: State) -> Iterator[Move]:
    """Return all that may happen next."""
    known = own(rules, state)
    for who in (0, 1):
        if state.procs[who].at != "idle":
            steps = step(rules, known, who)
            yield from ((who, name, _kept(state, known, then), True) for name, then in steps)
    if state.procs[0].at == "idle":
        yield from ((0, name, _kept(state, known, then), True) for name, then in begin(rules, known))
    later = tick(rules, state)
    if later != state:
        yield CLOUD, "tick", later, True
    yield from _cloud(rules, state)
    if state.left.crashes:
        yield from _crashes(rules, state)
    if state.left.losses:
        yield from _unheard(state)
    if state.left.moves:
        sent = tuple(sorted(one if one.who == NOBODY else one._replace(who=1 - one.who) for one in state.sent))
        left = _less(state.left, moves=1)
        yield LEASE, "the Lease moves", state._replace(procs=state.procs[::-1], sent=sent, left=left), False
    if state.left.edits:
        yield from _edits(rules, state)
    if state.left.ends:
        yield from _ends(state)


def _kept(state: State, known: State, then: State) -> State:
    """Leave a status that is another object's as it is, until something is recorded in its place."""
    unwritten = known.status != state.status and then.status.highest is None and not any(then.status.runs)
    return then._replace(status=state.status) if unwritten and then.obj.there else then


def tick(rules: Rules, state: State) -> State:
    """Let time pass."""
    first, second = state.procs
    procs = (_older(rules.grace, rules.expiry, first), _older(rules.grace, rules.expiry, second))
    sent = state.sent
    if sent:
        aged = (one._replace(age=min(one.age + 1, rules.expiry + 1)) for one in sent)
        sent = tuple(sorted(one for one in aged if one.who != NOBODY or one.age <= rules.expiry))
    return State(state.obj, state.status, _aged(rules.lag, state.tasks), procs, sent, state.left, state.backup)


@cache
def _aged(lag: int, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    return tuple(task._replace(runs=tuple((word, min(age + 1, lag)) for word, age in task.runs)) for task in tasks)


@cache
def _older(grace: int, expiry: int, process: Process) -> Process:
    at, hand, fresh, sights = process
    if at in {"intent", "leading", "send"}:
        assert isinstance(hand, tuple)
        age = hand[-1]
        assert isinstance(age, int)
        hand = (*hand[:-1], min(age + 1, expiry + 1))
    older = ((seen, ticks if _is(seen, CLAIM, UNPAID) else min(ticks + 1, grace)) for seen, ticks in sights)
    known = (sight for sight in older if not (_is(sight[0], BEGUN) and sight[1] == grace))
    return Process(at, hand, fresh, tuple(known))


def _is(seen: object, *what: str) -> bool:
    return isinstance(seen, tuple) and seen[0] in what


def _cloud(rules: Rules, state: State) -> Iterator[Move]:
    """Requests arrive: in time or refused as expired, their replies too; or, as a fault, late, or never."""
    for index, request in enumerate(state.sent):
        if index and request == state.sent[index - 1]:
            continue
        rest = state.sent[:index] + state.sent[index + 1 :]
        who, account, attempt, seq, age = request
        name = f"createJob in {attempt}.{seq}"
        without = state._replace(sent=rest)
        if age > rules.expiry:
            refused = state.procs[who]._replace(at="refused", hand=state.procs[who].hand[:1])
            yield CLOUD, f"{name} is refused as expired", with_process(without, who, refused), True
        else:
            task = task_of(state, account, attempt, seq)
            assert task is not None
            made = without._replace(tasks=with_task(state.tasks, task._replace(runs=(*task.runs, ("W", 0)))))
            if who == NOBODY:
                yield CLOUD, f"{name} is done, late", made, True
                continue
            hand = (*state.procs[who].hand, len(task.runs))
            yield (
                CLOUD,
                f"{name} is done",
                with_process(made, who, state.procs[who]._replace(at="land", hand=hand)),
                True,
            )
            if state.left.losses:
                yield (
                    CLOUD,
                    f"{name} is done, the reply is lost",
                    made._replace(left=_less(state.left, losses=1)),
                    False,
                )
        if state.left.losses:
            lost = without._replace(left=_less(state.left, losses=1))
            yield CLOUD, f"{name} is lost", lost, False
            if who != NOBODY and age <= rules.expiry:
                late = tuple(sorted([*rest, Request(NOBODY, account, attempt, seq, age)]))
                yield CLOUD, f"{name} hangs", lost._replace(sent=late), False


def _unheard(state: State) -> Iterator[Move]:
    """The API server's answer to an intent is lost: nothing is sent, and its process knows that."""
    for who in (0, 1):
        process = state.procs[who]
        if process.at == "leading" and process.hand[-1] == 0:
            after = with_process(state, who, process._replace(at="refused", hand=process.hand[:1]))
            yield who, "does not hear of its intent", after._replace(left=_less(state.left, losses=1)), False


def _crashes(rules: Rules, state: State) -> Iterator[Move]:
    """A process ends, and the next one knows nothing; or its pass fails, and it still knows what it saw."""
    for who in (0, 1):
        process = state.procs[who]
        left = _less(state.left, crashes=1)
        if process != IDLE:
            kept = [one if one.who != who else one._replace(who=NOBODY) for one in state.sent]
            sent = tuple(sorted(one for one in kept if one.who != NOBODY or one.age <= rules.expiry))
            yield who, "is killed", with_process(state, who, IDLE)._replace(sent=sent, left=left), False


def _edits(rules: Rules, state: State) -> Iterator[Move]:
    obj, status, left = state.obj, state.status, _less(state.left, edits=1)

    def user(name: str, **fields: int) -> Move:
        after = put(rules, state, obj._replace(**fields), status)  # type: ignore[arg-type]
        return CLOUD, name, after._replace(left=left), False

    if "restore" in rules.edits and obj.uid == 0 and state.backup is None and status != BLANK:
        saved = state._replace(backup=(obj.attempt, status), left=left)
        yield CLOUD, "a backup is made", saved, False
    if "restore" in rules.edits and obj.uid == 0 and state.backup is not None:
        attempt, kept = state.backup
        again = Object(True, 1, True, False, attempt, obj.account)
        yield CLOUD, "the object is lost and restored", put(rules, state, again, kept)._replace(left=left), False
    if not obj.there:
        if obj.uid == 0:
            yield user("the object is applied again", there=True, uid=1)
        return
    if not obj.deleting:
        if "attempt" in rules.edits:
            yield user("attempt is raised" if obj.attempt == 1 else "attempt is lowered", attempt=3 - obj.attempt)
        if "delete" in rules.edits and obj.held:
            yield user("the object is deleted", deleting=True)
        elif "delete" in rules.edits:
            gone = put(rules, state, obj._replace(there=False), BLANK)
            yield CLOUD, "the object is deleted, and gone", gone._replace(left=left), False
        if "orphan" in rules.edits:
            gone = put(rules, state, obj._replace(there=False, held=False), BLANK)
            yield CLOUD, "the object is deleted with Orphan, and gone", gone._replace(left=left), False
    if "touch" in rules.edits:
        touched = put(rules, state, obj, status, restarts=False)
        yield CLOUD, "an annotation is set, which a write meets", touched._replace(left=left), False
        yield CLOUD, "an annotation is set", state._replace(left=left), False
    if "secret" in rules.edits:
        yield user("the Secret is switched to the other account", account=1 - obj.account)
    yield from _rewinds(rules, state, left)
    if "wipe" in rules.edits and status != BLANK:
        yield CLOUD, "the status is wiped", _wiped(rules, state)._replace(left=left), False


def _rewinds(rules: Rules, state: State, left: Budget) -> Iterator[Move]:
    """A backup of the status, or somebody's hand, brings back the moment at which there was a task, but no run."""
    obj, status = state.obj, state.status
    known = status.runs[obj.attempt - 1]
    if "rewind" in rules.edits and known and (known[2] is not None or status.pending):
        before = recorded(status, obj.attempt, (*known[:2], None))._replace(pending=None)
        again = put(rules, state, obj, before)._replace(left=left)
        yield CLOUD, "the status from before the payment comes back", again, False


def _wiped(rules: Rules, state: State) -> State:
    """Wipe the status; who does not compare it takes that for an annotation, and goes on."""
    return put(rules, state, state.obj, BLANK) if rules.compare_status else state._replace(status=BLANK)


def _ends(state: State) -> Iterator[Move]:
    """Runs finish, or somebody stops them in the console."""
    for task in state.tasks:
        for index, (word, age) in enumerate(task.runs):
            for end, how in (("F", "finishes"), ("S", "is stopped by others")) if word == "W" else ():
                runs = (*task.runs[:index], (end, age), *task.runs[index + 1 :])
                after = state._replace(tasks=with_task(state.tasks, task._replace(runs=runs)))
                name = f"the run in {task.attempt}.{task.seq} {how}"
                yield CLOUD, name, after._replace(left=_less(state.left, ends=1)), False


def _less(left: Budget, **spent: int) -> Budget:
    return left._replace(**{name: getattr(left, name) - count for name, count in spent.items()})
