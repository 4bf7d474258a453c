"""Walk every state that can be reached, breadth first, and keep a shortest way to whatever must not be."""

import gc
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from model.around import LEASE, moves
from model.passes import REST, decide, is_stuck
from model.state import Budget, Rules, State, own, start, task_of

TWICE = "two runs are paid for one attempt"
FORGOTTEN = "at rest, a run is recorded nowhere"
LEFT = "the object is gone and its run works on"
FOREVER = "it can never come to rest again"
UNASKED = "somebody must act although nothing was sent"
UNWRITTEN = "somebody must act although a reply had come"
ROBBED = "a run that the living object has recorded is stopped for its predecessor"


@dataclass
class Verdict:
    """What was found, each with a shortest way to it."""

    states: int = 0
    seconds: float = 0.0
    complete: bool = True
    found: dict[str, list[str]] = field(default_factory=dict)


def check(rules: Rules, left: Budget, limit: int = 5_000_000, *, until: str = "") -> Verdict:
    """Walk all states; with `until`, only to the first violation of that kind."""
    gc.disable()  # nothing here is a cycle, and looking for some among millions of tuples takes most of the time
    try:
        return _walk(rules, left, limit, until)
    finally:
        gc.enable()


def _walk(rules: Rules, left: Budget, limit: int, until: str) -> Verdict:
    began, verdict = time.process_time(), Verdict()
    initial = start(left)
    numbers, states = {initial: 0}, [initial]
    origin: list[tuple[int, int, str]] = [(-1, 0, "")]
    counted, resting = (array("i"), array("i")), []
    at = 0
    while at < len(states):
        state = states[at]
        broken = list(_broken(rules, state, left))
        if at_rest(rules, state) or TWICE in broken:
            resting.append(at)
        for what in broken:
            verdict.found.setdefault(what, path(states, origin, at))
        if until in verdict.found or len(states) > limit:
            verdict.complete = False
            break
        for who, name, after, sure in moves(rules, state) if TWICE not in broken else ():
            number = numbers.setdefault(after, len(states))
            if number == len(states):
                states.append(after)
                origin.append((at, who, name))
            if name == "stopJob" and ROBBED not in verdict.found and _robs(own(rules, state), after):
                verdict.found[ROBBED] = [*path(states, origin, at), name]
            if sure:
                counted[0].append(at)
                counted[1].append(number)
        at += 1
    if verdict.complete and (lost := _restless(len(states), *counted, resting)) is not None:
        verdict.found[FOREVER] = path(states, origin, lost)
    verdict.states, verdict.seconds = len(states), time.process_time() - began
    return verdict


def at_rest(rules: Rules, state: State) -> bool:
    """Say whether nothing is under way, and the operator may be content with what is."""
    if state.sent or state.procs[0].at != "idle" or state.procs[1].at != "idle":
        return False
    return decide(rules, state) in REST or is_stuck(rules, state)


def _broken(rules: Rules, state: State, left: Budget) -> Iterable[str]:
    paid = [(task.uid, task.attempt) for task in state.tasks for _ in task.runs]
    kept = [task.attempt for task in state.tasks for word, _ in task.runs if word != "S"]  # an heir adopts these
    if len(paid) != len(set(paid)) or len(kept) != len(set(kept)):
        yield TWICE
    if not at_rest(rules, state):
        return
    what, obj = decide(rules, state), state.obj
    state = own(rules, state)
    status, stuck = state.status, is_stuck(rules, state)
    crashed, moved = state.left.crashes != left.crashes, state.left.moves != left.moves
    forgot = (crashed and status.pending) or ((crashed or moved) and what == "find")  # what the process alone knew
    untroubled = state.left.losses == left.losses and not forgot
    if stuck and untroubled and not rules.edits & {"wipe", "rewind"} and obj.uid == 0:
        yield UNWRITTEN if status.pending else UNASKED
    for task in state.tasks:
        settled = stuck or what == "account" or status.shelved & task.attempt
        wanted = task.attempt == obj.attempt and what != "waits for a run"
        for index, (word, _) in enumerate(task.runs):
            known = status.runs[task.attempt - 1] == (task.account, task.seq, index)
            if word == "W" and not obj.there and "orphan" not in rules.edits:
                yield LEFT
            elif obj.there and not known and not settled and (word == "W" or (word == "F" and wanted)):
                yield FORGOTTEN
    for attempt, bound in enumerate(status.runs, 1):
        if obj.there and bound and bound[2] is not None:
            there = task_of(state, bound[0], attempt, bound[1])
            if there is None or bound[2] >= len(there.runs):
                yield FORGOTTEN


def _robs(before: State, after: State) -> bool:
    """Say whether a run is stopped that an object, which is not being deleted, has recorded for its attempt."""
    for attempt, known in enumerate(before.status.runs, 1):
        if before.obj.there and not before.obj.deleting and known and known[2] is not None:
            was, now = (task_of(state, known[0], attempt, known[1]) for state in (before, after))
            if was and now and was.runs[known[2]][0] == "W" and now.runs[known[2]][0] == "S":
                return True
    return False


def _restless(count: int, froms: "array[int]", tos: "array[int]", resting: list[int]) -> int | None:
    """Return a state from which rest cannot be reached, if there is one, by walking back from all rest."""
    begins = array("i", bytes(4 * (count + 1)))
    for number in tos:
        begins[number + 1] += 1
    for number in range(count):
        begins[number + 1] += begins[number]
    places, back = array("i", begins), array("i", bytes(4 * len(tos)))
    for before, number in zip(froms, tos, strict=True):
        back[places[number]] = before
        places[number] += 1
    fine = bytearray(count)
    for number in resting:
        fine[number] = 1
    todo = list(resting)
    while todo:
        number = todo.pop()
        for index in range(begins[number], begins[number + 1]):
            if not fine[before := back[index]]:
                fine[before] = 1
                todo.append(before)
    lost = fine.find(0)
    return None if lost < 0 else lost


def path(states: list[State], origin: list[tuple[int, int, str]], at: int) -> list[str]:
    """Return the steps to a state, with the processes under names of their own: A leads first."""
    steps = []
    while origin[at][0] >= 0:
        steps.append(origin[at][1:])
        at = origin[at][0]
    names, told, ticks = ["A", "B"], list[str](), 0
    for who, name in [*reversed(steps), (0, "")]:
        if name == "tick":
            ticks += 1
            continue
        if ticks:
            told.append(f"{ticks} tick{'s' if ticks > 1 else ''}")
            ticks = 0
        if who == LEASE:
            names.reverse()
            told.append(f"the Lease moves to {names[0]}")
        elif name:
            told.append(f"{names[who]}: {name}" if who < 2 else name)
    return told
