"""The cases: what may happen, what must hold, and that each weaker protocol is found out."""

from dataclasses import dataclass

from model.check import FORGOTTEN, LEFT, ROBBED, TWICE, UNASKED, UNWRITTEN
from model.state import Budget, Rules

RESTORE = frozenset({"attempt", "delete", "restore"})
REWIND = frozenset({"rewind"})
ATTEMPT, DELETE, NOTHING = frozenset({"attempt"}), frozenset({"delete", "wipe"}), frozenset[str]()
ORPHAN, SECRET, TOUCH = (
    frozenset({"delete", "orphan"}),
    frozenset({"attempt", "delete", "secret"}),
    frozenset({"touch"}),
)

TOUCHED = frozenset({"touch", "delete", "wipe"})


@dataclass(frozen=True)
class Case:
    """One protocol, one budget of faults, and what must be found; nothing means that everything holds."""

    name: str
    rules: Rules
    left: Budget
    finds: str = ""
    why: str = ""


SMALL = (
    Case("a crash and a loss", Rules(), Budget(1, 1, 0, 0, 1)),
    Case("and the Lease", Rules(), Budget(1, 1, 1, 0, 1)),
    Case("and a user", Rules(), Budget(1, 1, 1, 1)),
    Case("two edits", Rules(), Budget(1, 1, 0, 2)),
    Case("two edits, frozen", Rules(), Budget(0, 0, 1, 2)),
    Case("a tight grace", Rules(grace=2), Budget(1, 1, 1), why="expiry + lag is enough"),
    Case("not leading", Rules(leading=False), Budget(1, 1, 1), why="the signature is the fence, not the Lease"),
    Case("unproven lists, a crash", Rules(proven=False, edits=NOTHING), Budget(1, 0, 1)),
    Case("unproven lists, a loss", Rules(proven=False, edits=TOUCH), Budget(1, 1, 1, 1)),
    Case("without V2", Rules(proven=False, v2=False, edits=NOTHING), Budget(0, 1, 1)),
    Case("edited without V2", Rules(proven=False, v2=False, edits=TOUCH), Budget(0, 0, 0, 2)),
    Case("annotated at any time", Rules(edits=TOUCHED), Budget(1, 1, 0, 2)),
    Case("annotated, and the Lease", Rules(edits=TOUCHED), Budget(0, 1, 1, 2)),
    Case("another account", Rules(edits=SECRET), Budget(0, 1, 0, 2)),
    Case("a restore", Rules(edits=RESTORE), Budget(0, 1, 0, 3, 1)),
    Case("a status put back", Rules(edits=REWIND), Budget(1, 1, 0, 2, 1)),
    Case("a status put back, and the Lease", Rules(edits=REWIND), Budget(0, 1, 2, 1)),
    Case("a status put back, unproven lists", Rules(proven=False, edits=REWIND), Budget(1, 1, 0, 1, 1)),
    Case("a status put back, without V2", Rules(proven=False, v2=False, edits=REWIND), Budget(1, 1, 1, 1)),
)

WEAKER = (
    Case("no intent", Rules(intent=False), Budget(0, 1, 0, 1), TWICE),
    Case("no grace", Rules(grace=0), Budget(0, 1), TWICE),
    Case("a grace that is one less", Rules(grace=1), Budget(1, 1, 1, 1), LEFT),
    Case("an expiry over the grace", Rules(expiry=4), Budget(1, 1, 1), TWICE),
    Case("no look-up", Rules(look=False), Budget(0, 1), TWICE),
    Case("signed after the intent", Rules(sign_first=False), Budget(0, 1), TWICE),
    Case("status writes without a guard", Rules(guarded=False), Budget(0, 0, 1), FORGOTTEN),
    Case("an unknown answer taken for a refusal", Rules(unknown=False), Budget(0, 1), TWICE),
    Case("ids given up at a conflict", Rules(proven=False, v2=False, retry_ids=False, edits=TOUCH),
         Budget(0, 0, 0, 1), UNWRITTEN),
    Case("late ids end another's intent", Rules(nonces=False, learned=False), Budget(0, 1, 2, 1, 1), TWICE,
         "whoever looks into a task without a run is safe from that, too"),
    Case("no survey", Rules(survey=False), Budget(0, 0, 0, 2), FORGOTTEN),
    Case("no survey where a late reply came", Rules(survey_first=False), Budget(0, 0, 1, 3, 1), FORGOTTEN),
    Case("an empty task believed at once", Rules(empty_grace=False, edits=ORPHAN), Budget(0, 0, 0, 2), TWICE),
    Case("a grace that others' writes do not restart", Rules(grace_restarts=False, edits=DELETE),
         Budget(1, 0, 2, 2), LEFT),
    Case("a write repeated though the status is another", Rules(compare_status=False, edits=DELETE),
         Budget(0, 0, 1, 1), TWICE),
    Case("no look at delete", Rules(look_on_delete=False), Budget(0, 0, 0, 2), LEFT),
    Case("what is found at delete is stopped unrecorded", Rules(record_found=False, edits=DELETE),
         Budget(0, 0, 1, 3), ROBBED),
    Case("deleting does not wait for an outcome", Rules(wait_on_delete=False), Budget(1, 1, 0, 1), LEFT),
    Case("deleting stops the current run only", Rules(stop_all=False), Budget(0, 0, 0, 2), LEFT),
    Case("the account is not compared", Rules(compare_accounts=False, edits=SECRET), Budget(0, 0, 0, 2), LEFT),
    Case("a status is believed whoever's it is", Rules(bound=False, edits=RESTORE), Budget(0, 0, 0, 3, 1), FORGOTTEN),
    Case("an end by others does not count", Rules(own_end=False), Budget(0, 0, 0, 1, 1), TWICE),
    Case("a task without a run is paid for by whoever sees it", Rules(learned=False, edits=REWIND),
         Budget(0, 0, 0, 1), TWICE),
    Case("one name for an attempt", Rules(names=1, edits=NOTHING), Budget(1), UNASKED),
    Case("own empty tasks are in doubt", Rules(own_empty=False, proven=False, edits=NOTHING), Budget(1), UNASKED),
    Case("the finalizer before the mark", Rules(mark_first=False, proven=False, edits=NOTHING), Budget(1), UNASKED),
    Case("a beginning forgotten at a conflict", Rules(keep_begin=False, proven=True, v2=False, edits=TOUCH),
         Budget(0, 0, 0, 1), UNASKED),
    Case("a task forgotten at a conflict", Rules(keep_claim=False, proven=False, v2=False, edits=TOUCH),
         Budget(0, 0, 0, 1), UNASKED),
    Case("let go with Orphan during a create", Rules(edits=ORPHAN), Budget(0, 0, 1, 2), ROBBED,
         "a limit: who asks for that, and applies again, may see the run stopped by a process that was frozen"),
    Case("lost and restored during a create", Rules(edits=RESTORE), Budget(0, 0, 1, 2), ROBBED,
         "the same limit: the object went without being let go of, while a process was frozen"),
)  # fmt: skip

LARGE = (
    Case("all at once", Rules(), Budget(1, 1, 1, 2)),
    Case("a restore, a crash and a loss", Rules(edits=RESTORE), Budget(1, 1, 0, 3, 1)),
    Case("two moves of the Lease", Rules(), Budget(1, 1, 2, 1, 1)),
    Case("three edits, and late ids", Rules(), Budget(0, 0, 1, 3, 1)),
    Case("two losses", Rules(), Budget(1, 2, 1, 1)),
    Case("two crashes", Rules(), Budget(2, 1, 1, 1)),
    Case("a slow list", Rules(lag=2, grace=4), Budget(1, 1, 1, 1)),
    Case("a slow gateway", Rules(expiry=2, grace=4), Budget(1, 1, 1, 1)),
    Case("another account and the Lease", Rules(edits=SECRET), Budget(0, 1, 1, 2)),
)
