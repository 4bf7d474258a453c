"""The gatherer: collects the facts of a reconcile from spec, status, credentials, references and cloud."""

import logging
from dataclasses import replace
from typing import Any

from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.conditions import AVAILABLE, READY, SUCCEEDED, SYNCED, find, is_true
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.kinds.interface import (
    Cause,
    Observation,
    Phase,
    Plan,
    ReconcileContext,
    Step,
    Updates,
    UpdateStatus,
    Wait,
    Want,
)
from qianfan_operator.kube.client import Conflict
from qianfan_operator.reconcile.crd_guard import CrdGuard
from qianfan_operator.reconcile.credentials import REFUSED_FOR, Access, Credentials
from qianfan_operator.reconcile.key_checks import KeyChecks, Refusal
from qianfan_operator.reconcile.managed_object import ManagedObject
from qianfan_operator.reconcile.ownership import Ownership, OwnershipUnknown
from qianfan_operator.reconcile.policy import Blocker, Decision, Facts
from qianfan_operator.telemetry import caller

log = logging.getLogger(__name__)
_FAILED = "failed"  # whether the last look failed, be it told or not; unset: Synced tells
REFUSED_SINCE = "refused"
"""When a call of an object was refused first, while its keys were not; kept until nothing stands in its way."""


class Unsure(Exception):
    """A look failed for the first time: the cloud is asked again, soon, before anything is told or changed."""


class Gatherer:
    """Gathers the facts of a reconcile; changes only what is known of credentials and noted of the object."""

    def __init__(self, credentials: Credentials, checks: KeyChecks, claims: Ownership, guard: CrdGuard) -> None:
        self._credentials, self._checks, self._claims, self._guard = credentials, checks, claims, guard

    def gather(self, managed: ManagedObject, access: Access, ctx: ReconcileContext) -> tuple[Facts, Plan, Step | None]:
        """Return the facts and the plan behind them, and note what was seen; never raises CloudError.

        What the spec selects of what is recorded is selected before anything is decided: it is no change in the cloud.
        A step comes with them if what was seen is not, or not all, this object's: the reconcile ends with it.
        """
        lost = self._lost(managed, access.account)
        facts, plan, updates = self._look(managed, access, ctx)
        if lost is not None:
            return facts, plan, lost
        held_up = self._note(managed, access.account, updates)
        free = not (facts.deleting or facts.others_working or managed.invalid) and facts.blocker is Blocker.NONE
        selected = managed.kind.select(managed.resource) if free and not held_up else {}
        if selected:
            managed.note(selected)
            facts, plan, updates = self._look(managed, access, ctx)
            held_up = self._note(managed, access.account, updates)
            facts = replace(facts, usable=False)  # what was said of another attempt
        return facts, plan, held_up

    def _lost(self, managed: ManagedObject, account: Account | None) -> Step | None:
        """Say that others have what is recorded; if the object is being deleted, forget that instead."""
        try:
            lost = self._claims.lost(managed, account)
        except OwnershipUnknown:
            return None  # nothing is changed before it is known
        if not lost:
            return None
        if managed.resource.metadata.deletion_timestamp is None:
            return self._claims.managed(managed, lost.values())
        managed.note(managed.kind.disown(managed.resource.status, lost))
        return None

    def _note(self, managed: ManagedObject, account: Account | None, updates: Updates) -> Step | None:
        """Record what was seen, before anything is made: so what is recorded of the new is not taken for the old."""
        mine = self._claims.claim(managed, account, updates, seen=True)
        if isinstance(mine, Wait):
            return mine
        managed.note(mine)
        return UpdateStatus({}) if mine != updates else None

    def _look(
        self, managed: ManagedObject, access: Access, ctx: ReconcileContext
    ) -> tuple[Facts, Plan, dict[str, Any]]:
        resource, kind = managed.resource, managed.kind
        spec, status = resource.spec, resource.status
        deleting, intent = resource.metadata.deletion_timestamp is not None, status.pending is not None
        facts = Facts(
            deleting=deleting,
            orphan=managed.kept or (deleting and not intent and kind.has_left(resource)),
            paused=spec.paused,
            blocker=access.blocker,
            blocker_cause=access.why,
            intent=intent,
            stop_wanted=spec.wants_stop,
            replace=spec.replaces,
            usable=is_true(status.conditions, SUCCEEDED if kind.condition == SUCCEEDED else READY),
            serving=is_true(status.conditions, AVAILABLE),
            unapplied=kind.unapplied(resource),
        )
        if facts.deleting:
            return self._leaving(facts, managed, access.account, ctx), Plan(Want.NOTHING), {}
        plan = Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, managed.invalid)) if managed.invalid else None
        if plan and access.why.reason is Reason.INVALID_SPEC:  # the whole list of mistakes, not this one alone
            facts = replace(facts, blocker_cause=plan.why)
        plan = plan or _plan(managed, ctx)
        seen, updates = kind.observe_recorded(resource), dict[str, Any]()
        if access.account and not facts.intent and access.blocker is Blocker.NONE:  # a moment ago they were refused
            try:
                seen = kind.observe(ctx, access.account, resource)
                if _proves_account(seen, managed, access, ctx):
                    seen = replace(seen, looked=True)
            except CloudError as error:
                unsure = _is_unsure(managed, ctx)
                facts = self.error_policy(managed, facts, error, access.account, ctx, unsure=unsure)
                if unsure and facts.blocker in {Blocker.RETRY, Blocker.UNTRUSTED, Blocker.STALL}:
                    raise Unsure(facts.blocker_cause.message) from error
            else:
                _note_answer(managed, ctx)
                updates = self._looked(managed, access.account, seen)
                if seen.warning and ctx.first_seen_at(("warned", seen.warning)) >= ctx.boot:
                    managed.warn(seen.warning)
        unseen = seen.others_working and not seen.looked and facts.blocker is Blocker.NONE
        facts = self._same_account(facts, managed, access.account, Phase.GONE if unseen else seen.phase)
        return _with(facts, plan, seen), plan, {**plan.updates, **updates}

    def _leaving(self, facts: Facts, managed: ManagedObject, account: Account | None, ctx: ReconcileContext) -> Facts:
        """Before anything is released, see whether the object was deleted for itself, and whether its keys see it."""
        why = self._guard.leaving(managed.resource)
        if why and why.reason is Reason.ORPHANED:
            return replace(facts, orphan=True, orphan_cause=why)
        if facts.orphan:
            return facts
        if why:
            return replace(facts, blocker=Blocker.STALL, blocker_cause=why)
        if account is None:
            return facts
        if managed.resource.former:
            return self._same_account(facts, managed, account, Phase.ABSENT)
        if self._credentials.same_account(managed.resource.status.account, account):
            return facts
        try:
            seen = managed.kind.observe(ctx, account, managed.resource)
        except CloudError as error:
            return self.error_policy(managed, facts, error, account, ctx)
        if seen.looked and seen.phase is not Phase.GONE and not seen.common:
            self._credentials.accepted(managed.resource, account)
        unseen = seen.others_working and not seen.looked  # what works is not shown to these keys
        return self._same_account(facts, managed, account, Phase.GONE if unseen else seen.phase)

    def _looked(self, managed: ManagedObject, account: Account, seen: Observation) -> dict[str, Any]:
        updates = dict(seen.updates)
        if seen.looked and seen.phase is not Phase.GONE:
            if not seen.common:
                self._credentials.accepted(managed.resource, account)
            updates["account"] = account.name
            self._claims.has_read(managed, updates)
        return updates

    def _same_account(self, facts: Facts, managed: ManagedObject, account: Account | None, phase: Phase) -> Facts:
        """Believe "none" and "gone" only from keys that are known to see the account of what is recorded (5.10)."""
        resource, former = managed.resource, managed.resource.former
        left = not facts.deleting and managed.kind.decided(resource)
        doubtful = (facts.intent and not left) or phase is Phase.GONE or former is not None
        recorded = former.accounts if former else {resource.status.account}
        if account is None or not doubtful or all(self._credentials.same_account(one, account) for one in recorded):
            return facts
        name = resource.spec.credentials_ref.name
        changed = f"The access key in Secret {name} has changed and may belong to another account"
        leave = "" if facts.deleting else ", or delete this object with deletionPolicy: Orphan"
        message = f"{changed}. Restore a key of the previous account{leave}."
        blocker = Blocker.STALL if facts.deleting else Blocker.WAIT
        return replace(facts, blocker=blocker, blocker_cause=Cause(Reason.ACCOUNT_CHANGED, message))

    def error_policy(
        self,
        managed: ManagedObject,
        facts: Facts,
        error: CloudError,
        account: Account | None,
        ctx: ReconcileContext,
        *,
        unsure: bool = False,
    ) -> Facts:
        """Turn an error of the cloud into what blocks this reconcile; raises Conflict if the keys have changed since.

        `unsure`: the call is repeated before anything is told of it.
        """
        managed.note_error(error)
        about = {
            **caller.about(), "object": str(managed.key), "operation": error.operation, "code": error.code,
            "error_class": error.error_class.value, "request_id": error.request_id, "retry_after": error.retry_after,
            "error": str(error),
        }  # fmt: skip
        single = unsure and error.reason is not Reason.CREDENTIALS_INVALID
        log.log(logging.INFO if single else logging.WARNING, "cloud call failed", extra=about)
        if error.reason is Reason.CREDENTIALS_INVALID and account:
            refused = self._checks.judge(managed.resource, account, error.words)
            if refused is not Refusal.KEYS:
                blocker, why = _refused_call(managed, ctx, error, keys_taken=refused is Refusal.CALL)
                return replace(facts, blocker=blocker, blocker_cause=why)
            access = self._credentials.access(managed.resource)
            if access.blocker is Blocker.NONE:
                raise Conflict(f"the keys of {managed.key} changed since its reconcile began")
            return replace(facts, blocker=access.blocker, blocker_cause=access.why)
        if error.fate is Fate.STALL:
            return replace(facts, blocker=Blocker.STALL, blocker_cause=Cause(error.reason, str(error)))
        # GONE, and a free create whose outcome is unknown: the next reconcile sees what is there.
        reason = error.reason if error.fate in {Fate.WAIT, Fate.GONE} else Reason.CLOUD_UNAVAILABLE
        reason = Reason.THROTTLED if error.throttled else reason
        blocker = Blocker.UNTRUSTED if error.untrusted else Blocker.RETRY
        return replace(facts, blocker=blocker, blocker_cause=Cause(reason, str(error)))


def _proves_account(seen: Observation, managed: ManagedObject, access: Access, ctx: ReconcileContext) -> bool:
    """Look once whether other keys than recorded see what was made last, if nothing else is looked at.

    What ended is never looked at again. Keys to which the cloud shows nothing of it prove nothing.
    """
    kind, resource, account = managed.kind, managed.resource, access.account
    if account is None or access.blocker is not Blocker.NONE or seen.looked or resource.former is not None:
        return False
    things, blind = kind.made_last(resource.status), ("blind", account.name)
    if resource.status.account in {None, account.name} or blind in ctx.claims:
        return False
    try:
        if any(kind.reads(account, resource.status, thing) for thing in things):
            return True
    except CloudError as error:
        if error.fate not in {Fate.GONE, Fate.STALL}:
            raise
    ctx.claims[blind] = True
    return False


def _refused_call(
    managed: ManagedObject, ctx: ReconcileContext, error: CloudError, *, keys_taken: bool
) -> tuple[Blocker, Cause]:
    """Say of one object that the cloud refuses a call of it, as one of wrong keys, and does not refuse its keys.

    It has as much time to heal as keys have. What was found once stays said while a check cannot tell.
    """
    said = find(managed.resource.status.conditions, SYNCED)
    denied = said is not None and said.reason == Reason.ACCESS_DENIED
    if not denied and ctx.boot - ctx.first_seen_at(REFUSED_SINCE) < REFUSED_FOR:
        return Blocker.WAIT, Cause(Reason.CREDENTIALS_INVALID, str(error))
    if denied or keys_taken:
        way = "The cloud accepts the keys for other calls. Give the user of the access key the right for this one"
        message = f"{error}. {way} in the console's access management."
        return Blocker.STALL, Cause(Reason.ACCESS_DENIED, message)
    return Blocker.STALL, Cause(Reason.CREDENTIALS_INVALID, str(error))


def _plan(managed: ManagedObject, ctx: ReconcileContext) -> Plan:
    try:
        return managed.kind.plan(ctx, managed.resource)
    except Unreadable as error:  # it refers to an object that nobody can read: it waits until that is mended
        return Plan(Want.WAIT, Cause(Reason.DEPENDENCY_NOT_READY, f"{error}."))


def _note_answer(managed: ManagedObject, ctx: ReconcileContext) -> None:
    """Note that the cloud has answered; if Synced is True, that tells it."""
    if is_true(managed.resource.status.conditions, SYNCED):
        ctx.claims.pop(_FAILED, None)
    else:
        ctx.claims[_FAILED] = False


def _is_unsure(managed: ManagedObject, ctx: ReconcileContext) -> bool:
    """Say whether the last look had found all well: a cloud that comes and goes must not be heard at each turn.

    Synced may be False without an error: for an edit that the cloud cannot take, or a reference that is gone.
    """
    status, failed = managed.resource.status, ctx.claims.get(_FAILED)
    ctx.claims[_FAILED] = True
    if failed is None:
        synced = find(status.conditions, SYNCED)
        usable = synced is not None and synced.status == "False" and is_true(status.conditions, READY)
        failed = not (usable or is_true(status.conditions, SYNCED))
    return not failed and status.observed_generation == managed.resource.metadata.generation


def handles_reconcile_request(facts: Facts, decision: Decision, *, tried: bool = False) -> bool:
    """Say whether a reconcile gets to what the annotation asks to be done; what is usable is asked for nothing.

    `tried`: what stands in the way is the cloud's answer to what was asked.
    """
    if facts.blocker is Blocker.NONE:
        return decision.summary.reason is not Reason.PAUSED
    return facts.deleting or decision.summary.keep or (tried and facts.blocker is Blocker.STALL)


def _with(facts: Facts, plan: Plan, seen: Observation) -> Facts:
    return replace(
        facts,
        want=plan.want,
        want_cause=plan.why,
        phase=seen.phase,
        phase_cause=seen.why,
        missing_cause=plan.missing,
        others_working=seen.others_working,
        others_overdue=seen.others_overdue,
        replace=facts.replace and plan.want in {Want.CREATE, Want.ADOPT},  # no run is stopped for one that cannot begin
        deadline_passed=seen.deadline_passed,
    )
