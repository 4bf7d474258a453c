"""The steps of a process between two moments at which it may be frozen or killed, each under its method's name.

managed_object.py: hold, let_go, record (a write of the status); kinds/job/tasks.py: claim, whose, find_all;
kinds/job/kind.py: search and stop, which are its `release`; the rest is in `paying`.
"""

from collections.abc import Iterator

from model import paying
from model.hands import claimed, claims, forgets, go, idle, learns, seen, stale
from model.passes import Moves, put, sees, waits, working_runs
from model.state import Process, Rules, State, Status, Task, recorded, task_of, with_process, with_task


def step(rules: Rules, state: State, who: int) -> Moves:
    """Return what a process in the middle of a pass may do next."""
    process = state.procs[who]
    return STEPS[process.at](rules, state, who, process)


def _hold(rules: Rules, state: State, who: int, process: Process) -> Moves:
    then = Process("claim", process.hand, True, process.sights)
    return [("patch_finalizers", put(rules, state, state.obj._replace(held=True), state.status, who, then))]


def _claim(rules: Rules, state: State, who: int, process: Process) -> Moves:
    account, attempt, seq = process.hand
    if claimed(state, process, process.hand) and not stale(rules, state, process):
        return [("remembers its task", go(state, who, "prepare", process.hand))]
    if task_of(state, account, attempt, seq):
        return [("createTask: exists", go(state, who, "whose", process.hand))]
    made = state._replace(tasks=with_task(state.tasks, Task(account, attempt, seq, state.obj.uid, ())))
    if rules.keep_claim:
        process = claims(state, process)
        made = with_process(made, who, process)
    if stale(rules, state, process):
        return [("createTask", with_process(made, who, idle(process)))]
    return [("createTask", go(made, who, "prepare", process.hand))]


def _whose(rules: Rules, state: State, who: int, process: Process) -> Moves:
    account, attempt, seq = process.hand
    task = task_of(state, account, attempt, seq)
    assert task is not None
    return [_decided(rules, state, who, task, shown) for shown in seen(rules, task.runs)]


def _decided(rules: Rules, state: State, who: int, task: Task, shown: tuple[tuple[int, str], ...]) -> tuple[str, State]:
    process, same = state.procs[who], task.uid == state.obj.uid
    name = "look: " + (", ".join(word for _, word in shown) or "no run")
    for index, word in shown:
        if word != "S" or (same and rules.own_end):
            if stale(rules, state, process):
                return name, with_process(state, who, idle(process))
            status = recorded(state.status, task.attempt, (task.account, task.seq, index))
            highest = max(task.attempt, status.highest or 0)
            return name, go(state, who, "record", status._replace(highest=highest, account=task.account))
    if not shown and not (rules.own_empty and same and rules.v2):
        left = waits(rules, process, ("empty", task.seq)) if rules.empty_grace else 0
        if left is None and process.fresh:
            waiting = state.status._replace(highest=state.status.highest or 0)
            then = sees(process, ("empty", task.seq))
            if waiting != state.status:
                return name, put(rules, state, state.obj, waiting, who, then)
            return name, with_process(state, who, then)
        if left != 0 or not rules.proven:
            return name, with_process(state, who, idle(process))
    if task.seq == rules.names:
        return name, with_process(state, who, idle(process))
    return name, go(state, who, "claim", (task.account, task.attempt, task.seq + 1))


def _survey(rules: Rules, state: State, who: int, process: Process) -> Moves:
    (account,) = process.hand
    moves: Moves = []
    for found in _by_mark(rules, [task for task in state.tasks if task.account == account]):
        status, highest = state.status, 0
        runs = list(status.runs)
        for task, index, word in sorted(found, key=lambda one: (one[2] == "W", one[0].uid)):
            if word != "S" or (task.uid in {state.obj.uid, status.uid} and rules.own_end):
                runs[task.attempt - 1], highest = (account, task.seq, index), max(highest, task.attempt)
        name = "look: " + (", ".join(word for _, _, word in found) or "no run")
        if found or rules.proven:
            surveyed = status._replace(highest=highest, account=account, runs=(runs[0], runs[1]))
            moves.append((name, go(state, who, "record", surveyed)))
        else:
            moves.append((name, with_process(state, who, idle(process))))
    return moves


def _find(rules: Rules, state: State, who: int, process: Process) -> Moves:
    account, attempt, seq, made_by = process.hand
    moves: Moves = []
    here = [task for task in state.tasks if (task.account, task.attempt) == (account, attempt)]
    for found in _by_mark(rules, here):
        name = "look: " + (", ".join(word for _, _, word in found) or "no run")
        mine = [one for one in found if one[2] != "S" or one[0].uid == state.obj.uid]
        if mine:
            task, index, _ = max(mine, key=lambda one: (one[2] == "W", one[0].uid))
            status = recorded(state.status, attempt, (account, task.seq, index))
            moves.append((name, go(state, who, "record", status)))
        elif not rules.proven or made_by != account:
            moves.append((name, with_process(state, who, idle(process))))
        else:
            empty = (account, attempt, seq)
            learned = with_process(state, who, learns(process, state.obj.uid, empty))
            moves.append((name, go(learned, who, "prepare", empty)))
    return moves


def _by_mark(rules: Rules, tasks: list[Task]) -> Iterator[list[tuple[Task, int, str]]]:
    """What a list of the tasks with our mark may show."""
    if not tasks:
        yield []
        return
    for rest in _by_mark(rules, tasks[1:]):
        for shown in seen(rules, tasks[0].runs):
            yield [(tasks[0], index, word) for index, word in shown] + rest


def _record(rules: Rules, state: State, who: int, process: Process) -> Moves:
    assert isinstance(process.hand, Status)
    if not state.obj.there:
        return [("patch_status: gone", with_process(state, who, idle(process)))]
    return [("patch_status", put(rules, state, state.obj, process.hand, who, idle(forgets(process))))]


def _search(rules: Rules, state: State, who: int, process: Process) -> Moves:
    moves: Moves = []
    account = process.hand[0]
    for found in _by_mark(rules, [task for task in state.tasks if task.account == account]):
        name = "look: " + (", ".join(word for _, _, word in found) or "no run")
        working = [(task, index) for task, index, word in found if word == "W"]
        if not rules.record_found and working:
            stopped = tuple((*task[:3], index) for task, index in working)
            moves.append((name, go(state, who, "stop", stopped)))
        elif stale(rules, state, process) or (not found and not rules.proven):
            moves.append((name, with_process(state, who, idle(process))))
        elif working:
            status = state.status._replace(highest=2, account=account)
            for task, index in working:
                status = recorded(status, task.attempt, (account, task.seq, index))
            moves.append((name, go(state, who, "record", status)))
        else:
            recorded_ = working_runs(rules, state)
            moves.append((name, go(state, who, "stop" if recorded_ else "let_go", recorded_)))
    return moves


def _stop(rules: Rules, state: State, who: int, process: Process) -> Moves:
    tasks = state.tasks
    for account, attempt, seq, run in process.hand:
        task = task_of(state._replace(tasks=tasks), account, attempt, seq)
        assert task is not None
        if task.runs[run][0] == "W":
            runs = (*task.runs[:run], ("S", task.runs[run][1]), *task.runs[run + 1 :])
            tasks = with_task(tasks, task._replace(runs=runs))
    return [("stopJob", with_process(state._replace(tasks=tasks), who, idle(process)))]


def _let_go(rules: Rules, state: State, who: int, process: Process) -> Moves:
    if stale(rules, state, process):
        return [("patch_finalizers: conflict", with_process(state, who, idle(process)))]
    gone = state.obj._replace(there=False, held=False, deleting=False)
    blank = Status(None, None, (None, None), None, 0)
    return [("patch_finalizers", put(rules, state, gone, blank, who, idle(process)))]


STEPS = {
    "hold": _hold,
    "claim": _claim,
    "whose": _whose,
    "survey": _survey,
    "find": _find,
    "record": _record,
    "prepare": paying.prepare,
    "intent": paying.intent,
    "sign": paying.sign,
    "leading": paying.leading,
    "send": paying.send,
    "wait": paying.wait,
    "refused": paying.refused,
    "land": paying.land,
    "abandon": _stop,
    "look": paying.look,
    "search": _search,
    "stop": _stop,
    "let_go": _let_go,
}
