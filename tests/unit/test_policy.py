"""The policy: the whole input space for what must never happen, and docs/design/conditions.md#situations by row."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from conformance import check, kstatus
from qianfan_operator.api.conditions import AVAILABLE, SUCCEEDED, ConditionSummary, Synced, conditions
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import Cause, Phase, Want
from qianfan_operator.reconcile.policy import CHANGES, Action, Blocker, Decision, Facts, cause_of, decide
from qianfan_operator.telemetry.caller import ChangeCause

Space = list[tuple[Facts, Decision]]
FLAGS = (
    "deleting", "orphan", "paused", "intent", "stop_wanted", "deadline_passed", "others_working", "others_overdue",
    "replace", "usable", "serving",
)  # fmt: skip
BEGINS = {Action.CREATE, Action.ADOPT, Action.SWITCH}
ENDS = {Action.RELEASE, Action.FORGET}
CALM = ConditionSummary(True, Reason.AVAILABLE, "Fine.", ended=True, available=True)
DOWN = Cause(Reason.CLOUD_UNAVAILABLE, "The cloud did not answer.")
LONG_AGO, NOW = "2025-01-01T00:00:00Z", "2025-03-01T12:00:00Z"


@pytest.fixture(scope="module")
def space() -> Space:
    """Every combination of facts with its decision."""
    values = itertools.product((False, True), repeat=len(FLAGS))
    flags: list[dict[str, Any]] = [dict(zip(FLAGS, on, strict=True), blocker_cause=DOWN) for on in values]
    flags = [on for on in flags if on["others_working"] or not on["others_overdue"]]  # what is late works
    rest = list(itertools.product(Blocker, Want, Phase))
    every = (Facts(**on, blocker=blocker, want=want, phase=phase) for on in flags for blocker, want, phase in rest)
    return [(facts, decide(facts)) for facts in every]


def test_the_cause_in_the_log_is_that_of_the_rule_that_decided(space: Space) -> None:
    """A stop is logged for the field of the spec that its message names; a deletion for nothing else."""
    named = {
        "spec.desiredState": ChangeCause.DESIRED_STATE, "spec.activeDeadlineSeconds": ChangeCause.DEADLINE,
        "the run of another attempt": ChangeCause.REPLACE,
    }  # fmt: skip
    seen = set()
    for facts, decision in space:
        cause = cause_of(facts, decision.action)
        if decision.action in {Action.STOP, Action.STOP_OTHER}:
            seen.add(cause)
            assert cause is next(one for words, one in named.items() if words in decision.summary.message)
        elif decision.action in {Action.RELEASE, Action.FORGET}:
            assert cause is (ChangeCause.ORPHAN if facts.orphan else ChangeCause.DELETION)
    assert seen == set(named.values())


def first(space: Space, bad: Callable[[Facts, Decision], bool]) -> Facts | None:
    """The first combination that breaks a rule."""
    return next((facts for facts, decision in space if bad(facts, decision)), None)


def test_the_space_is_whole_and_every_action_occurs_in_it(space: Space) -> None:
    """A flag of Facts that is not enumerated would be a hole in every proof below."""
    shown = {"orphan_cause", "blocker_cause", "want_cause", "phase_cause", "missing_cause", "unapplied"}
    assert set(Facts.__dataclass_fields__) == {*FLAGS, "blocker", "want", "phase"} | shown
    assert {decision.action for _, decision in space} == set(Action)


def test_an_edit_that_is_not_applied_changes_nothing_but_synced(space: Space) -> None:
    """Whatever else holds: the same is done, and only a Synced that would be True says that it is not."""
    for facts, decision in space:
        told = decide(replace(facts, unapplied="It is not applied."))
        synced = told.summary.synced
        assert (told.action, replace(told.summary, synced=decision.summary.synced)) == (
            decision.action,
            decision.summary,
        )
        assert synced in {decision.summary.synced, Synced("False", Reason.UPDATE_UNSUPPORTED, "It is not applied.")}
        if decision.summary.ready and synced == Synced():
            assert facts.want is not Want.NOTHING or facts.stop_wanted or facts.intent


@pytest.mark.parametrize(
    "obstacle",
    [
        pytest.param(lambda facts: facts.deleting, id="deleting"),
        pytest.param(lambda facts: facts.paused and facts.want is not Want.ADOPT, id="paused"),
        pytest.param(lambda facts: facts.stop_wanted, id="stop wanted"),
        pytest.param(lambda facts: facts.intent, id="an earlier create is unconfirmed"),
        pytest.param(lambda facts: facts.blocker is not Blocker.NONE, id="blocker"),
        pytest.param(lambda facts: facts.others_working, id="another run works"),
        pytest.param(
            lambda facts: facts.want not in {Want.CREATE, Want.ADOPT, Want.SWITCH}, id="blocked, waiting or not wanted"
        ),
    ],
)
def test_nothing_is_begun_against_an_obstacle(space: Space, obstacle: Callable[[Facts], bool]) -> None:
    """Whatever else holds, each of these alone keeps the operator from paying or switching."""
    assert first(space, lambda facts, decision: obstacle(facts) and decision.action in BEGINS) is None


def test_a_create_that_nothing_hinders_is_made(space: Space) -> None:
    """The obstacles above are all there are: a wish that meets none of them is never forgotten."""

    def hindered(facts: Facts) -> bool:
        paused = facts.paused and facts.want is not Want.ADOPT
        flags = facts.deleting, paused, facts.stop_wanted, facts.intent, facts.others_working
        return any(flags) or facts.blocker is not Blocker.NONE

    def over(facts: Facts) -> bool:
        return facts.deadline_passed and facts.phase in {Phase.WORKING, Phase.UNKNOWN, Phase.STOPPED}

    def cannot_switch(facts: Facts) -> bool:
        answers = facts.serving and facts.phase in {Phase.WORKING, Phase.UNKNOWN}
        return facts.want is Want.SWITCH and facts.phase not in {Phase.READY, Phase.DRIFTED} and not answers

    wanted = {Want.CREATE: Action.CREATE, Want.ADOPT: Action.ADOPT, Want.SWITCH: Action.SWITCH}
    assert not first(
        space,
        lambda facts, decision: (
            facts.want in wanted
            and not hindered(facts)
            and not over(facts)
            and not cannot_switch(facts)
            and decision.action is not wanted[facts.want]
        ),
    )


def test_a_pause_holds_back_whatever_changes_the_cloud(space: Space) -> None:
    """Taking over what exists changes nothing there, and is the one beginning that a pause lets through."""
    acts = {decision.action for facts, decision in space if facts.paused and not facts.deleting}
    assert acts == {Action.NOTHING, Action.ADOPT, Action.CONFIRM, Action.RECOVER_STATUS}


def test_only_an_endpoint_that_serves_is_switched(space: Space) -> None:
    """What is unpaid, failed, stopped or gone says so, whatever version is wanted; it is switched when it serves."""
    idle = {Phase.ABSENT, Phase.UNPAID, Phase.OVERDUE, Phase.FAILED, Phase.STOPPED, Phase.GONE}
    switched = {facts.phase for facts, decision in space if decision.action is Action.SWITCH}
    assert not idle & switched
    assert not first(
        space,
        lambda facts, decision: (
            decision.action is Action.SWITCH and not facts.serving and facts.phase not in {Phase.READY, Phase.DRIFTED}
        ),
    )


def test_a_run_is_stopped_only_for_a_reason(space: Space) -> None:
    """Stopping is final: it needs a run that works, no obstacle, and a word of the spec that means this very run."""

    def groundless(facts: Facts, decision: Decision) -> bool:
        if decision.action is Action.STOP:
            works = facts.phase in {Phase.WORKING, Phase.UNKNOWN}  # or may
            grounds = works and (facts.stop_wanted or facts.deadline_passed)
        elif decision.action is Action.STOP_OTHER:
            grounds = facts.others_working and (facts.stop_wanted or facts.replace or facts.others_overdue)
        else:
            return False
        return not grounds or facts.deleting or facts.paused or facts.intent or facts.blocker is not Blocker.NONE

    assert first(space, groundless) is None


def test_nothing_is_asked_of_the_cloud_in_trouble(space: Space) -> None:
    """Without keys, or with a cloud that does not answer, the only thing left to do is to let go of an orphan."""
    acts = {decision.action for facts, decision in space if facts.blocker is not Blocker.NONE}
    assert acts == {Action.NOTHING, Action.FORGET}


def test_only_a_deleted_object_is_let_go(space: Space) -> None:
    """Releasing and forgetting begin with the owner's deletion; the cloud is left alone only if Orphan says so."""
    assert first(space, lambda facts, decision: decision.action in ENDS and not facts.deleting) is None
    assert first(space, lambda facts, decision: decision.action is Action.FORGET and not facts.orphan) is None
    assert first(space, lambda facts, decision: decision.action is Action.RELEASE and facts.orphan) is None


def test_orphan_is_the_way_out_of_every_block(space: Space) -> None:
    """A deleted object with Orphan goes at once, whatever stands in the way."""
    ways = {decision.action for facts, decision in space if facts.deleting and facts.orphan}
    assert ways == {Action.FORGET}


def test_an_open_intent_is_looked_for_whenever_the_cloud_can_be_asked(space: Space) -> None:
    """What may have been paid for comes before every other wish, the pause and (without Orphan) the deletion."""

    def neglected(facts: Facts, decision: Decision) -> bool:
        askable = facts.intent and facts.blocker is Blocker.NONE and not (facts.deleting and facts.orphan)
        return askable and decision.action is not Action.CONFIRM

    assert first(space, neglected) is None
    assert first(space, lambda facts, decision: decision.action is Action.CONFIRM and not facts.intent) is None


def test_a_pause_changes_what_is_done_and_nothing_else(space: Space) -> None:
    """An object that asks for nothing looks the same paused; one that does is told Paused, without any urgency."""
    for facts, decision in space:
        if not facts.paused or facts.deleting:
            continue
        unpaused = decide(replace(facts, paused=False))
        if unpaused.action in CHANGES - {Action.ADOPT}:
            assert (decision.action, decision.summary.reason) == (Action.NOTHING, Reason.PAUSED)
        else:
            assert decision == unpaused


def test_nothing_waits_for_ever(space: Space) -> None:
    """An object with nothing to do is ready, stalled or at work; only a pause is none of the three."""

    def limbo(facts: Facts, decision: Decision) -> bool:
        summary = decision.summary
        shown = summary.ready or summary.stalled or summary.reconciling or summary.reason is Reason.PAUSED
        return decision.action is Action.NOTHING and not shown

    assert first(space, limbo) is None


def test_every_action_shows_that_something_goes_on(space: Space) -> None:
    """Who waits for an object is never told that it is done, or stuck, while the operator acts on it."""
    acting = [decision.summary for _, decision in space if decision.action is not Action.NOTHING]
    assert acting
    assert all(summary.reconciling for summary in acting)


def test_a_usable_thing_stays_ready_in_trouble(space: Space) -> None:
    """We could not ask, and that changes nothing for a consumer, unless the spec asks for something new."""
    calm = [
        decision
        for facts, decision in space
        if facts.usable and facts.want is Want.NOTHING and not facts.intent and not facts.deleting
        and facts.blocker is not Blocker.NONE
    ]  # fmt: skip
    assert calm
    for decision in calm:
        assert (decision.action, decision.summary.ready, decision.summary.keep) == (Action.NOTHING, True, True)
        assert decision.summary.synced.status != "True"


def test_ready_is_never_claimed_for_what_was_not_seen(space: Space) -> None:
    """Ready means: seen usable in this pass, kept from before, or stopped as the spec wants."""

    def unfounded(facts: Facts, decision: Decision) -> bool:
        seen = facts.phase is Phase.READY or (decision.summary.keep and facts.usable)
        stopped = facts.stop_wanted and facts.phase in {Phase.ABSENT, Phase.STOPPED}
        return decision.summary.ready and not (seen or stopped)

    assert first(space, unfounded) is None


def test_an_endpoint_that_is_down_is_not_called_available(space: Space) -> None:
    """Having answered before is no claim to answer now: what was seen stopped, failed, unpaid or gone does not."""
    down = {Phase.UNPAID, Phase.OVERDUE, Phase.FAILED, Phase.STOPPED, Phase.GONE}
    seen = [(facts, decision) for facts, decision in space if not facts.deleting]  # nobody looks at what is
    assert first(seen, lambda facts, decision: decision.summary.available and facts.phase in down) is None


def test_an_endpoint_is_called_available_until_it_is_taken_offline(space: Space) -> None:
    """While its object is being deleted, a service that has answered still does."""
    deleting = [(facts, decision) for facts, decision in space if facts.deleting and decision.action in ENDS]
    assert first(deleting, lambda facts, decision: decision.summary.available != facts.serving) is None


def test_an_end_is_not_undone_by_trouble(space: Space) -> None:
    """A run that failed or was stopped shows the same end whether or not the cloud can be asked."""
    ends = 0
    for facts, decision in space:
        settled = facts.want is Want.NOTHING and not (facts.intent or facts.usable or facts.deleting or facts.paused)
        if not settled or facts.phase not in {Phase.FAILED, Phase.STOPPED} or facts.blocker is Blocker.NONE:
            continue
        asked = decide(replace(facts, blocker=Blocker.NONE))
        if asked.action is Action.NOTHING:
            ends += 1
            assert replace(decision.summary, synced=Synced()) == replace(asked.summary, synced=Synced())
    assert ends


def listed(
    summary: ConditionSummary, extra: str | None, before: ConditionSummary | None, generation: int
) -> dict[str, object]:
    existing = conditions(before, [], generation - 1, LONG_AGO, extra) if before else []
    made = conditions(summary, existing, generation, NOW, extra)
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": generation, "conditions": [one.to_dict() for one in made]},
    }


@pytest.mark.parametrize("extra", [None, SUCCEEDED, AVAILABLE])
def test_every_status_that_can_be_decided_conforms(space: Space, extra: str | None) -> None:
    """Whatever is decided for whichever kind reads well for kubectl, Flux and Helm, and says what kstatus expects."""
    stoppable = extra != AVAILABLE  # only a job has a desiredState
    verdicts = {decision.summary for facts, decision in space if stoppable or not facts.stop_wanted}
    for summary, before in itertools.product(verdicts, (None, CALM)):
        if summary.keep and before is None:
            continue  # usable means that Ready was written before
        obj = listed(summary, extra, before, 2)
        assert check(obj, final=True) == [], summary
        expected = "Current" if summary.ready else "Failed" if summary.stalled else "InProgress"
        assert kstatus(obj) == expected, summary


# Design 8, row by row.

TRAINING = Cause(Reason.TRAINING, "Run 1 is training.")
INVALID = Cause(Reason.CREDENTIALS_INVALID, "The cloud refuses the keys.")
MISSING = Cause(Reason.CREDENTIALS_NOT_FOUND, "There is no Secret.")


def seen(phase: Phase, why: Reason, **more: object) -> Facts:
    """Facts after a look."""
    return replace(Facts(phase=phase, phase_cause=Cause(why, f"{why.sentence}")), **more)  # type: ignore[arg-type]


def wants(want: Want, why: Reason, **more: object) -> Facts:
    """Facts of a spec that asks for something."""
    return replace(Facts(want=want, want_cause=Cause(why, why.sentence)), **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """One row: `shown` is Ready, Synced and what tells the tool that waits; `own` is Succeeded or Available."""

    name: str
    reason: str
    facts: Facts
    action: Action
    shown: str
    extra: str | None = None
    own: str = ""
    before: ConditionSummary | None = None


job = partial(Case, extra=SUCCEEDED)
service = partial(Case, extra=AVAILABLE)
serves = partial(seen, Phase.READY, Reason.AVAILABLE, serving=True, usable=True)
trains = partial(seen, Phase.WORKING, Reason.TRAINING)
finished = partial(seen, Phase.READY, Reason.SUCCEEDED, usable=True)

CASES = [
    job("new", "a plain new object is created at once", wants(Want.CREATE, Reason.CREATING), Action.CREATE,
        "False Creating | True | Reconciling Creating", own="Unknown"),
    job("waiting for a reference", "it may come any moment", wants(Want.WAIT, Reason.DEPENDENCY_NOT_READY),
        Action.NOTHING, "False DependencyNotReady | Unknown | Reconciling DependencyNotReady", own="Unknown"),
    job("a reference failed", "only a person can mend the other object", wants(Want.BLOCKED, Reason.DEPENDENCY_FAILED),
        Action.NOTHING, "False DependencyFailed | False | Stalled DependencyFailed", own="Unknown"),
    job("training", "work goes on", trains(), Action.NOTHING,
        "False Training | True | Reconciling Training", own="Unknown"),
    job("confirming", "a create that may have happened must not be repeated",
        wants(Want.CREATE, Reason.CREATING, intent=True), Action.CONFIRM,
        "False Confirming | Unknown | Reconciling Confirming", own="Unknown"),
    job("a new attempt beside a working run", "no run may ever be unobserved, nor two be paid for at a time",
        wants(Want.CREATE, Reason.CREATING, others_working=True), Action.NOTHING,
        "False WaitingForRun | True | Reconciling WaitingForRun", own="Unknown"),
    job("a new attempt replaces a working run", "concurrencyPolicy says so",
        wants(Want.CREATE, Reason.CREATING, others_working=True, replace=True), Action.STOP_OTHER,
        "False Stopping | True | Reconciling Stopping", own="Unknown"),
    job("stop wanted", "desiredState: Stopped", trains(stop_wanted=True), Action.STOP,
        "False Stopping | True | Reconciling Stopping", own="Unknown"),
    job("stop wanted before anything was created", "there is nothing to pay for",
        wants(Want.CREATE, Reason.CREATING, stop_wanted=True), Action.NOTHING, "True Stopped | True | ", own="False"),
    job("stopped, as wanted", "GitOps tools must not wait for ever",
        seen(Phase.STOPPED, Reason.STOPPED, stop_wanted=True), Action.NOTHING, "True Stopped | True | ", own="False"),
    job("finished before it could be stopped", "a finished run is usable, whatever is wanted later",
        finished(stop_wanted=True), Action.NOTHING, "True Succeeded | True | ", own="True"),
    job("stopped by others", "Running is wanted and this attempt cannot go on",
        seen(Phase.STOPPED, Reason.STOPPED_EXTERNALLY), Action.NOTHING,
        "False StoppedExternally | False | Stalled StoppedExternally", own="False"),
    job("past its deadline", "activeDeadlineSeconds", trains(deadline_passed=True), Action.STOP,
        "False Stopping | True | Reconciling Stopping", own="Unknown"),
    job("an earlier run past its deadline", "it costs, though nothing new can begin",
        wants(Want.BLOCKED, Reason.DEPENDENCY_FAILED, others_working=True, others_overdue=True), Action.STOP_OTHER,
        "False Stopping | True | Reconciling Stopping", own="Unknown"),
    job("an earlier run past its deadline beside a finished one", "what has finished has",
        finished(others_working=True, others_overdue=True), Action.STOP_OTHER,
        "False Stopping | True | Reconciling Stopping", own="True"),
    job("stop wanted in a state that we do not know", "it may cost",
        seen(Phase.UNKNOWN, Reason.UNKNOWN_STATE, stop_wanted=True), Action.STOP,
        "False Stopping | True | Reconciling Stopping", own="Unknown"),
    job("stopped for its deadline", "the user must decide whether to train again",
        seen(Phase.STOPPED, Reason.DEADLINE_EXCEEDED), Action.NOTHING,
        "False DeadlineExceeded | False | Stalled DeadlineExceeded", own="False"),
    job("failed in the cloud", "only a person can mend the data or the parameters",
        seen(Phase.FAILED, Reason.TRAINING_FAILED), Action.NOTHING,
        "False TrainingFailed | False | Stalled TrainingFailed", own="False"),
    job("failed, and the Secret is gone", "an end is an end",
        seen(Phase.FAILED, Reason.TRAINING_FAILED, blocker=Blocker.STALL, blocker_cause=MISSING), Action.NOTHING,
        "False TrainingFailed | False | Stalled TrainingFailed", own="False"),
    job("stopped as wanted, and the Secret is gone", "a stopped job does not flip for what happens to keys",
        seen(Phase.STOPPED, Reason.STOPPED, stop_wanted=True, blocker=Blocker.STALL, blocker_cause=MISSING),
        Action.NOTHING, "True Stopped | False | ", own="False"),
    job("finished", "the run can be used", finished(), Action.NOTHING, "True Succeeded | True | ", own="True"),
    job("finished, and the Secret is gone", "a finished job does not flip for what happens to keys",
        finished(blocker=Blocker.STALL, blocker_cause=MISSING), Action.NOTHING, "True Available | False | ", own="True",
        before=CALM),
    job("a new attempt without credentials", "the spec asks for something new that cannot be had",
        wants(Want.CREATE, Reason.CREATING, usable=True, blocker=Blocker.STALL, blocker_cause=INVALID), Action.NOTHING,
        "False CredentialsInvalid | False | Stalled CredentialsInvalid", own="Unknown", before=CALM),
    job("the Secret may still come", "it may be in the same chart",
        wants(Want.CREATE, Reason.CREATING, blocker=Blocker.WAIT, blocker_cause=MISSING), Action.NOTHING,
        "False CredentialsNotFound | False | Reconciling CredentialsNotFound", own="Unknown"),
    job("training, cloud down", "a transient error never ends a run",
        trains(blocker=Blocker.RETRY, blocker_cause=DOWN), Action.NOTHING,
        "False Training | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("training, cloud untrusted", "nobody hears of its end before somebody mends the certificates",
        trains(blocker=Blocker.UNTRUSTED, blocker_cause=DOWN), Action.NOTHING,
        "False CloudUnavailable | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("not created yet, cloud untrusted", "nothing is created before somebody mends the certificates",
        wants(Want.CREATE, Reason.CREATING, blocker=Blocker.UNTRUSTED, blocker_cause=DOWN), Action.NOTHING,
        "False CloudUnavailable | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("blocked by its spec, cloud untrusted", "the spec must be mended in any case",
        wants(Want.BLOCKED, Reason.INVALID_SPEC, blocker=Blocker.UNTRUSTED, blocker_cause=DOWN), Action.NOTHING,
        "False InvalidSpec | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("not created yet, cloud down", "the create is still wanted",
        wants(Want.CREATE, Reason.CREATING, blocker=Blocker.RETRY, blocker_cause=DOWN), Action.NOTHING,
        "False Creating | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("refused by the cloud", "a person must act",
        wants(Want.CREATE, Reason.CREATING, blocker=Blocker.STALL, blocker_cause=Cause(Reason.REFUSED, "No.")),
        Action.NOTHING, "False Refused | False | Stalled Refused", own="Unknown"),
    job("a word that we do not know", "shown, not guessed", seen(Phase.UNKNOWN, Reason.UNKNOWN_STATE), Action.NOTHING,
        "False UnknownState | Unknown | Reconciling UnknownState", own="Unknown"),
    job("gone", "usable once, now not there", seen(Phase.GONE, Reason.GONE, usable=True), Action.NOTHING,
        "False Gone | False | Stalled Gone", own="False", before=CALM),
    job("paused, to be created", "Paused by spec.paused", wants(Want.CREATE, Reason.CREATING, paused=True),
        Action.NOTHING, "False Paused | True | ", own="Unknown"),
    job("paused while training", "a pause stops no run, and observing goes on", trains(paused=True), Action.NOTHING,
        "False Training | True | Reconciling Training", own="Unknown"),
    job("paused with an open intent", "looking changes nothing and may find what was paid for",
        wants(Want.CREATE, Reason.CREATING, paused=True, intent=True), Action.CONFIRM,
        "False Confirming | Unknown | Reconciling Confirming", own="Unknown"),
    job("deleted", "a paid run is stopped first", trains(deleting=True), Action.RELEASE,
        "False Deleting | True | Reconciling Deleting", own="Unknown"),
    job("deleted while paused", "deletion works when paused", trains(deleting=True, paused=True), Action.RELEASE,
        "False Deleting | True | Reconciling Deleting", own="Unknown"),
    job("deleted with an open intent", "what may have been paid for must not outlive the object unseen",
        wants(Want.CREATE, Reason.CREATING, deleting=True, intent=True), Action.CONFIRM,
        "False Confirming | Unknown | Reconciling Confirming", own="Unknown"),
    job("deleted, cloud down", "it heals by itself",
        trains(deleting=True, blocker=Blocker.RETRY, blocker_cause=DOWN), Action.NOTHING,
        "False Deleting | Unknown | Reconciling ProgressingWithRetry", own="Unknown"),
    job("deleted, keys refused", "the message names the way out",
        trains(deleting=True, blocker=Blocker.STALL, blocker_cause=INVALID), Action.NOTHING,
        "False DeletionBlocked | False | Stalled DeletionBlocked", own="Unknown"),
    job("deleted with Orphan", "the cloud is left as it is", trains(deleting=True, orphan=True), Action.FORGET,
        "False Deleting | True | Reconciling Deleting", own="Unknown"),
    service("unpaid", "somebody may pay any moment", seen(Phase.UNPAID, Reason.PAYMENT_REQUIRED), Action.NOTHING,
        "False PaymentRequired | True | Reconciling PaymentRequired", own="False"),
    service("unpaid for too long", "the cloud is as it was written; a person must pay",
        seen(Phase.OVERDUE, Reason.PAYMENT_REQUIRED), Action.NOTHING,
        "False PaymentRequired | True | Stalled PaymentRequired", own="False"),
    service("deploying", "paid for, not answering yet", seen(Phase.WORKING, Reason.DEPLOYING), Action.NOTHING,
        "False Deploying | True | Reconciling Deploying", own="False"),
    service("serving", "it answers", serves(), Action.NOTHING, "True Available | True | ", own="True"),
    service("switching", "the old version serves on",
        serves(want=Want.SWITCH, want_cause=Cause(Reason.UPDATING, "Switching.")), Action.SWITCH,
        "False Updating | True | Reconciling Updating", own="True", before=CALM),
    service("rolling out after a switch", "it has answered before and deploys with the same address",
        seen(Phase.WORKING, Reason.DEPLOYING, serving=True), Action.NOTHING,
        "False Deploying | True | Reconciling Deploying", own="True", before=CALM),
    service("the next version is not ready", "the old one serves on",
        serves(want=Want.WAIT, want_cause=Cause(Reason.DEPENDENCY_NOT_READY, "Not ready.")), Action.NOTHING,
        "False DependencyNotReady | Unknown | Reconciling DependencyNotReady", own="True", before=CALM),
    service("stopped while the next version is not ready", "an endpoint that was seen stopped does not answer",
        seen(Phase.STOPPED, Reason.SERVICE_STOPPED, serving=True, want=Want.WAIT), Action.NOTHING,
        "False Creating | Unknown | Reconciling Creating", own="False", before=CALM),
    service("serving, the last look failed", "an endpoint does not stop serving because we cannot ask",
        serves(blocker=Blocker.RETRY, blocker_cause=DOWN), Action.NOTHING, "True Available | Unknown | ", own="True",
        before=CALM),
    service("serving, cloud untrusted", "an endpoint does not stop serving because we cannot ask",
        serves(blocker=Blocker.UNTRUSTED, blocker_cause=DOWN), Action.NOTHING, "True Available | Unknown | ",
        own="True", before=CALM),
    service("serving, keys refused", "an endpoint does not stop serving because we may not ask",
        serves(blocker=Blocker.STALL, blocker_cause=INVALID), Action.NOTHING, "True Available | False | ", own="True",
        before=CALM),
    service("switch wanted, keys refused", "the old version serves on",
        serves(want=Want.SWITCH, blocker=Blocker.STALL, blocker_cause=INVALID), Action.NOTHING,
        "False CredentialsInvalid | False | Stalled CredentialsInvalid", own="True", before=CALM),
    service("stopped in the cloud", "served once and does not any more",
        seen(Phase.STOPPED, Reason.SERVICE_STOPPED, usable=True, serving=True), Action.NOTHING,
        "False ServiceStopped | False | Stalled ServiceStopped", own="False", before=CALM),
    service("switch wanted while paused", "the old version serves on",
        serves(want=Want.SWITCH, paused=True), Action.NOTHING, "False Paused | True | ", own="True", before=CALM),
    service("serving and paused", "a pause that acts on nothing is not shown", serves(paused=True), Action.NOTHING,
        "True Available | True | ", own="True"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_situation_is_shown_as_designed(case: Case) -> None:
    """Each row of docs/design/conditions.md#situations gives this action and these conditions."""
    decision = decide(case.facts)
    existing = conditions(case.before, [], 1, LONG_AGO, case.extra) if case.before else []
    made = {one.type: one for one in conditions(decision.summary, existing, 2, NOW, case.extra)}
    tells = [f"{kind} {made[kind].reason}" for kind in ("Reconciling", "Stalled") if kind in made]
    shown = f"{made['Ready'].status} {made['Ready'].reason} | {made['Synced'].status} | {' '.join(tells)}"
    own = made[case.extra].status if case.extra else ""
    assert (decision.action, shown, own) == (case.action, case.shown, case.own), case.reason


def test_a_block_of_a_deletion_names_what_blocks_it() -> None:
    """Who reads DeletionBlocked learns what stands in the way."""
    assert decide(Facts(deleting=True, blocker=Blocker.STALL, blocker_cause=INVALID)).summary.message == INVALID.message


def test_a_pause_names_what_it_holds_back() -> None:
    """Who reads Paused learns what would be done if it were not."""
    why = Cause(Reason.CREATING, "Creating it.")
    message = decide(Facts(paused=True, want=Want.CREATE, want_cause=why)).summary.message
    assert message == "Paused by spec.paused. Pending: Creating it."
