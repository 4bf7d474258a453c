"""How a create is paid for: prepare, intent, leading, send, wait, land, refused and look (guarded_create.py).

A step is labelled by the operation that it makes; a write that would only meet a conflict is none.
"""

from model.hands import forgets, go, idle, learns, seen, unlearns
from model.passes import Moves, nonce_for, put
from model.state import Process, Request, Rules, State, recorded, task_of, with_process


def prepare(rules: Rules, state: State, who: int, process: Process) -> Moves:
    if not rules.intent:
        hand = (nonce_for(state).nonce, *process.hand, state.obj.uid, 0)
        return [("prepare", go(state, who, "leading", hand))]
    if rules.sign_first:
        return [("prepare", go(state, who, "intent", (*process.hand, 0)))]
    return intent(rules, state, who, process._replace(hand=(*process.hand, None)))


def intent(rules: Rules, state: State, who: int, process: Process) -> Moves:
    if not state.obj.there:
        return [("patch_status: gone", with_process(state, who, idle(process)))]
    account, attempt, seq, age = process.hand
    new = nonce_for(state)._replace(attempt=attempt, seq=seq)
    status = recorded(state.status, attempt, (account, seq, None))
    highest = max(attempt, status.highest or 0)
    status = status._replace(highest=highest, account=account, pending=new)
    sights = tuple(sorted([*forgets(process).sights, (new.nonce, 0)], key=repr))
    at = "sign" if age is None else "leading"
    then = Process(at, (new.nonce, account, attempt, seq, state.obj.uid, age), True, sights)
    return [("patch_status", put(rules, state, state.obj, status, who, then))]


def sign(rules: Rules, state: State, who: int, process: Process) -> Moves:
    return [("prepare", go(state, who, "leading", (*process.hand[:5], 0)))]


def leading(rules: Rules, state: State, who: int, process: Process) -> Moves:
    if who and rules.leading:
        return [("leading: no", go(state, who, "refused", process.hand[:1]))]
    return [("leading", go(state, who, "send", process.hand))]


def send(rules: Rules, state: State, who: int, process: Process) -> Moves:
    nonce, account, attempt, seq, uid, age = process.hand
    if age > rules.expiry:
        return [("createJob: stale", go(state, who, "refused", process.hand[:1]))]
    state = go(with_process(state, who, unlearns(process)), who, "wait", (nonce, account, attempt, seq, uid))
    sent = tuple(sorted([*state.sent, Request(who, account, attempt, seq, age)]))
    return [("createJob", state._replace(sent=sent))]


def wait(rules: Rules, state: State, who: int, process: Process) -> Moves:
    if any(request.who == who for request in state.sent):
        return []
    if rules.unknown:
        return [("no reply", with_process(state, who, idle(process)))]
    return [("no reply", go(state, who, "refused", process.hand[:1]))]


def refused(rules: Rules, state: State, who: int, process: Process) -> Moves:
    pending = state.status.pending
    if state.obj.there and pending and pending.nonce == process.hand[0]:
        ended = state.status._replace(pending=None)
        known = state.status.runs[pending.attempt - 1]
        assert known is not None
        learned = learns(process, state.obj.uid, (known[0], pending.attempt, pending.seq))
        return [("patch_status", put(rules, state, state.obj, ended, who, idle(learned)))]
    return [("get", with_process(state, who, idle(process)))]


def land(rules: Rules, state: State, who: int, process: Process) -> Moves:
    nonce, account, attempt, seq, uid, run = process.hand
    obj, status, bound = state.obj, state.status, state.status.runs[attempt - 1]
    made, known = (account, seq, run), bound is not None and bound[2] is not None
    if not rules.retry_ids and not process.fresh:
        return [("patch_status: conflict", with_process(state, who, idle(process)))]
    if not obj.there or (obj.uid != uid and rules.guarded):
        if known and bound == made:
            return [("get", with_process(state, who, idle(process)))]
        return [("get: gone", go(state, who, "abandon", ((account, attempt, seq, run),)))]
    ours = status.pending is not None and status.pending.nonce == nonce
    if known and bound != made:
        if status.pending and not ours:
            return []
        shelved = status._replace(pending=None, shelved=status.shelved | attempt)
        return [("patch_status: duplicate", put(rules, state, obj, shelved, who, idle(process)))]
    if bound is not None and bound[:2] != made[:2]:
        made = (*bound[:2], 9)
    landed = recorded(status, attempt, made)
    if ours or not rules.nonces:
        landed = landed._replace(pending=None)
    if landed == status:
        return [("get", with_process(state, who, idle(process)))]
    return [("patch_status", put(rules, state, obj, landed, who, idle(process)))]


def look(rules: Rules, state: State, who: int, process: Process) -> Moves:
    _, attempt, seq = process.hand
    known = state.status.runs[attempt - 1]
    task = task_of(state, known[0] if known and rules.compare_accounts else state.obj.account, attempt, seq)
    if task is None:
        return [("look: no task", with_process(state, who, idle(process)))]
    moves: Moves = []
    for shown in seen(rules, task.runs) if rules.look else [()]:
        name = "look: " + (", ".join(word for _, word in shown) or "no run")
        ended = state.status._replace(pending=None)
        if len(shown) > 1:
            ended = ended._replace(shelved=ended.shelved | attempt)
        elif shown:
            ended = recorded(ended, attempt, (task.account, seq, shown[0][0]))
        elif not rules.proven:
            moves.append((name, with_process(state, who, idle(process))))
            continue
        else:
            empty = with_process(state, who, learns(process, state.obj.uid, (task.account, attempt, seq)))
            moves.append((name, go(empty, who, "record", ended)))
            continue
        moves.append((name, go(state, who, "record", ended)))
    return moves
