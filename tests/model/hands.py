"""What a process in the middle of a pass can do to itself, and what a list may show it."""

from model.state import BEGUN, CLAIM, UNPAID, Process, Rules, Run, State, with_process


def seen(rules: Rules, runs: tuple[Run, ...]) -> list[tuple[tuple[int, str], ...]]:
    """Return what a list may show: a run that is younger than the lag is there or not."""
    if not rules.v2:
        return [()]
    shown: list[tuple[tuple[int, str], ...]] = [()]
    for index, (word, age) in enumerate(runs):
        with_it = [(*before, (index, word)) for before in shown]
        shown = with_it if age >= rules.lag else with_it + shown
    return shown


def idle(process: Process) -> Process:
    """End the pass; what was seen stays known."""
    return Process("idle", None, False, process.sights)


def claims(state: State, process: Process) -> Process:
    """Have a process remember the number of the task that it has just made, for the object as it is now."""
    sights = tuple(sorted([*process.sights, ((CLAIM, state.obj.uid, *process.hand), 0)], key=repr))
    return process._replace(sights=sights)


def claimed(state: State, process: Process, name: tuple[int, int, int]) -> bool:
    """Say whether a process remembers the number of the task of that name."""
    return ((CLAIM, state.obj.uid, *name), 0) in process.sights


def forgets(process: Process) -> Process:
    """Have a process forget what it began and claimed: something else is known of the object now."""
    kept = (one for one in process.sights if not (isinstance(one[0], tuple) and one[0][0] in {BEGUN, CLAIM}))
    return process._replace(sights=tuple(kept))


def learns(process: Process, uid: int, name: tuple[int, int, int]) -> Process:
    """Have a process remember that nothing was made in the task of that name."""
    sights = tuple(sorted([*unlearns(process).sights, ((UNPAID, uid, *name), 0)], key=repr))
    return process._replace(sights=sights)


def unlearns(process: Process) -> Process:
    """Have a process forget it: it sends something, or another process may have."""
    kept = (one for one in process.sights if not (isinstance(one[0], tuple) and one[0][0] == UNPAID))
    return process._replace(sights=tuple(kept))


def go(state: State, who: int, at: str, hand: object) -> State:
    """Have a process go on to a method, with something in hand."""
    _, _, fresh, sights = state.procs[who]
    return with_process(state, who, Process(at, hand, fresh, sights))


def stale(rules: Rules, state: State, process: Process) -> bool:
    """Say whether a write of this pass would be refused."""
    return (rules.guarded and not process.fresh) or not state.obj.there
