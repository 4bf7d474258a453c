"""The policy: an ordered list of pure rules from `Facts` to a `Decision`.

The first rule that applies decides. What protects money is proved in tests/unit/test_policy.py, by enumeration.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from qianfan_operator.api.conditions import ConditionSummary, Synced
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import MAY_WORK, Cause, Phase, Want
from qianfan_operator.telemetry.caller import ChangeCause


class Blocker(enum.Enum):
    """What stood in the way of this reconcile."""

    NONE = enum.auto()
    RETRY = enum.auto()  # the cloud could not be asked
    UNTRUSTED = enum.auto()  # nor can it be, before somebody mends whose certificates the operator trusts
    WAIT = enum.auto()  # credentials that may still come or be mended
    STALL = enum.auto()  # a person must act


class Action(enum.Enum):
    """The one thing that the reconcile does."""

    NOTHING = enum.auto()
    CREATE = enum.auto()
    ADOPT = enum.auto()  # the kind's `create`, which only looks and records
    SWITCH = enum.auto()
    STOP = enum.auto()  # the selected run
    STOP_OTHER = enum.auto()  # a run that the spec does not select (any more)
    CONFIRM = enum.auto()  # look for what an open intent may have made
    RECOVER_STATUS = enum.auto()  # look for what a wiped status held
    RELEASE = enum.auto()  # stop or delete in the cloud, then let the object go
    FORGET = enum.auto()  # let the object go, leave the cloud alone


@dataclass(frozen=True)
class Facts:
    """All that a decision depends on. The `Cause`s are shown; they never change what is done."""

    deleting: bool = False
    orphan: bool = False  # deleting leaves the cloud alone: by deletionPolicy, or as nothing is left to release
    paused: bool = False
    blocker: Blocker = Blocker.NONE
    intent: bool = False
    stop_wanted: bool = False
    deadline_passed: bool = False
    others_working: bool = False  # runs of attempts that the spec does not select (any more)
    others_overdue: bool = False  # the one of them that would be stopped first has worked for as long as it may
    replace: bool = False  # concurrencyPolicy
    want: Want = Want.NOTHING
    phase: Phase = Phase.ABSENT
    usable: bool = False  # Ready (a job: Succeeded) or serving, as last seen
    serving: bool = False  # a service that has answered before
    unapplied: str = ""  # what was changed in the spec and the cloud has no call for; shown, like the `Cause`s
    orphan_cause: Cause = Cause(Reason.DELETING, "Leaving the cloud resource as it is.")
    blocker_cause: Cause = Cause(Reason.CLOUD_UNAVAILABLE)
    want_cause: Cause = Cause(Reason.CREATING)
    phase_cause: Cause = Cause(Reason.UNKNOWN_STATE)
    missing_cause: Cause | None = None  # a reference to what is not there any more


@dataclass(frozen=True)
class Decision:
    """What to do, and what to say before it is done."""

    action: Action
    summary: ConditionSummary


CHANGES = frozenset({Action.CREATE, Action.ADOPT, Action.SWITCH, Action.STOP, Action.STOP_OTHER})
_BEGINS = {
    Want.WAIT: Action.NOTHING,
    Want.CREATE: Action.CREATE,
    Want.ADOPT: Action.ADOPT,
    Want.SWITCH: Action.SWITCH,
}
_ANSWERS = frozenset({Phase.WORKING, Phase.UNKNOWN, Phase.DRIFTED})  # what has answered still does
_SERVES = frozenset({Phase.READY, Phase.DRIFTED})  # and can be switched; what is not paid for or gone cannot
_UNASKED = frozenset({Blocker.RETRY, Blocker.UNTRUSTED})
_DELETING = Cause(Reason.DELETING, "Releasing the cloud resource.")


def decide(facts: Facts) -> Decision:
    """Decide; the rules below in their order, of which the last one always has an answer."""
    return _with_unapplied(facts, next(filter(None, (rule(facts) for rule in RULES))))


def _with_unapplied(facts: Facts, decision: Decision) -> Decision:
    """Say what of the spec is not in the cloud and does not come there by what is still to be done."""
    settled = facts.want is Want.NOTHING and not facts.intent and not facts.deleting
    if not facts.unapplied or not settled or decision.summary.synced != Synced():
        return decision
    synced = Synced("False", Reason.UPDATE_UNSUPPORTED, facts.unapplied)
    return replace(decision, summary=replace(decision.summary, synced=synced))


def _say(why: Cause, action: Action = Action.NOTHING, /, **more: object) -> Decision:
    return Decision(action, replace(ConditionSummary(False, why.reason, why.message), **more))  # type: ignore[arg-type]


def _deleting(facts: Facts) -> Decision | None:
    if not facts.deleting:
        return None
    say = partial(_say, available=facts.serving)  # as last seen, until it is taken offline
    if facts.orphan:
        return say(facts.orphan_cause, Action.FORGET, reconciling=True)
    if facts.blocker is Blocker.STALL:
        why = Cause(Reason.DELETION_BLOCKED, facts.blocker_cause.message)
        return say(why, stalled=True, synced=_not_synced(facts))
    if facts.blocker is not Blocker.NONE:
        return say(_DELETING, reconciling=True, retrying=facts.blocker_cause.message, synced=_not_synced(facts))
    if facts.intent:
        return _look_for(facts)
    return say(_DELETING, Action.RELEASE, reconciling=True)


def _paused(facts: Facts) -> Decision | None:
    if not facts.paused:
        return None
    unpaused = decide(replace(facts, paused=False))
    if unpaused.action not in CHANGES - {Action.ADOPT}:
        return unpaused
    message = f"Paused by spec.paused. Pending: {unpaused.summary.message}"
    return _say(Cause(Reason.PAUSED, message.removesuffix(" Pending: ")), available=_answers(facts))


def _answers(facts: Facts) -> bool:
    return facts.phase is Phase.READY or (facts.serving and facts.phase in _ANSWERS)


def _trouble(facts: Facts) -> Decision | None:
    if facts.blocker is Blocker.NONE:
        return None
    synced, settled = _not_synced(facts), facts.want is Want.NOTHING and not facts.intent
    if settled and facts.usable:
        return Decision(Action.NOTHING, ConditionSummary(True, facts.phase_cause.reason, keep=True, synced=synced))
    calm = decide(replace(facts, blocker=Blocker.NONE))
    ended = settled and facts.phase in {Phase.FAILED, Phase.STOPPED}  # which is not undone by what happens to keys
    if ended and calm.action is Action.NOTHING:
        return replace(calm, summary=replace(calm.summary, synced=synced))
    why, answers, stalled = facts.blocker_cause, _answers(facts), facts.blocker is Blocker.STALL
    if facts.blocker not in _UNASKED:
        return _say(why, stalled=stalled, reconciling=not stalled, synced=synced, available=answers)
    progress = Cause(calm.summary.reason, calm.summary.message)  # what would be said
    if facts.blocker is Blocker.UNTRUSTED and calm.summary.reconciling:
        progress = why  # nothing goes on before somebody hears of it
    return _say(progress, reconciling=True, retrying=why.message, synced=synced, available=answers)


def _not_synced(facts: Facts) -> Synced:
    status = "Unknown" if facts.blocker in _UNASKED else "False"
    return Synced(status, facts.blocker_cause.reason, facts.blocker_cause.message)


def _look_for(facts: Facts) -> Decision | None:
    if not facts.intent and facts.want is not Want.RECOVER_STATUS:
        return None
    action, why = (
        Action.CONFIRM if facts.intent else Action.RECOVER_STATUS,
        Cause(Reason.CONFIRMING, Reason.CONFIRMING.sentence),
    )
    return _say(why, action, reconciling=True, synced=Synced("Unknown"), available=_answers(facts))


def _stop(facts: Facts) -> Decision | None:
    if facts.stop_wanted and (facts.phase in MAY_WORK or facts.others_working):
        action = Action.STOP if facts.phase in MAY_WORK else Action.STOP_OTHER
        return _stopping(facts, action, "Stopping the run, as spec.desiredState asks.")
    if facts.stop_wanted and facts.phase in {Phase.ABSENT, Phase.STOPPED}:
        nothing = "Nothing is trained, as spec.desiredState asks."
        message = facts.phase_cause.message if facts.phase is Phase.STOPPED else nothing
        return Decision(Action.NOTHING, ConditionSummary(True, Reason.STOPPED, message, ended=False))
    return decide(replace(facts, want=Want.NOTHING)) if facts.stop_wanted and facts.want in _BEGINS else None


def _stopping(facts: Facts, action: Action, message: str) -> Decision:
    if action is Action.STOP:  # which one it is; what is not known of it may be why it takes long
        message = f"{message} {facts.phase_cause.message}".rstrip()
    ended = True if facts.phase is Phase.READY else None  # what has finished has, whatever else is being stopped
    return _say(Cause(Reason.STOPPING, message), action, reconciling=True, ended=ended)


def _deadline(facts: Facts) -> Decision | None:
    late = "it has run for spec.activeDeadlineSeconds."
    if facts.deadline_passed and facts.phase in MAY_WORK:
        return _stopping(facts, Action.STOP, f"Stopping the run: {late}")
    if facts.others_overdue:
        return _stopping(facts, Action.STOP_OTHER, f"Stopping the run of another attempt: {late}")
    return None


def _other_runs(facts: Facts) -> Decision | None:
    if not facts.others_working or facts.want not in _BEGINS:
        return None
    if facts.replace:
        return _stopping(facts, Action.STOP_OTHER, "Stopping the run of another attempt.")
    message = "Waiting for the end of the run of another attempt; with spec.concurrencyPolicy Replace it is stopped."
    return _say(Cause(Reason.WAITING_FOR_RUN, message), reconciling=True)


def _blocked(facts: Facts) -> Decision | None:
    if facts.want is not Want.BLOCKED:
        return None
    return _say(facts.want_cause, stalled=True, synced=Synced("False"), available=_answers(facts))


def _begin(facts: Facts) -> Decision | None:
    waits = facts.want is Want.SWITCH and not (facts.phase in _SERVES or _answers(facts))
    if facts.want not in _BEGINS or waits:
        return None
    synced = Synced("Unknown" if facts.want is Want.WAIT else "True")  # what is to be made is not known yet
    return _say(facts.want_cause, _BEGINS[facts.want], reconciling=True, synced=synced, available=_answers(facts))


def _working(facts: Facts) -> Decision | None:
    if facts.phase not in {Phase.WORKING, Phase.UNPAID, Phase.UNKNOWN}:
        return None
    synced = Synced("Unknown" if facts.phase is Phase.UNKNOWN else "True")
    return _say(facts.phase_cause, reconciling=True, synced=synced, available=_answers(facts))


def _ready(facts: Facts) -> Decision | None:
    if facts.phase is not Phase.READY:
        return None
    missing = facts.missing_cause
    synced = Synced("False", missing.reason, missing.message) if missing else Synced()
    return _say(facts.phase_cause, ready=True, ended=True, available=True, synced=synced)


def _failed(facts: Facts) -> Decision | None:
    if facts.phase is Phase.OVERDUE:  # the cloud is as it was written; only somebody's money is missing
        return _say(facts.phase_cause, stalled=True)
    return _say(facts.phase_cause, stalled=True, synced=Synced("False"), ended=False)


def cause_of(facts: Facts, action: Action) -> ChangeCause:
    """Say for the log why an action was decided."""
    if facts.deleting:
        return ChangeCause.ORPHAN if action is Action.FORGET else ChangeCause.DELETION
    if action in {Action.STOP, Action.STOP_OTHER}:
        if facts.stop_wanted:
            return ChangeCause.DESIRED_STATE
        return ChangeCause.DEADLINE if action is Action.STOP or facts.others_overdue else ChangeCause.REPLACE
    causes = {Action.CREATE: ChangeCause.CREATE, Action.ADOPT: ChangeCause.ADOPT, Action.SWITCH: ChangeCause.SWITCH}
    return causes.get(action, ChangeCause.SEARCH)


RULES: tuple[Callable[[Facts], Decision | None], ...] = (
    _deleting, _paused, _trouble, _look_for, _stop, _deadline, _other_runs, _blocked, _begin, _working, _ready, _failed,
)  # fmt: skip
