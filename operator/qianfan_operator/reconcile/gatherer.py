"""All that a decision depends on: the spec, the record, the credentials, the references and a look at the cloud."""

import logging
from dataclasses import replace
from typing import Any

from qianfan_operator.api.common import Unreadable
from qianfan_operator.api.conditions import AVAILABLE, READY, SUCCEEDED, SYNCED, is_true
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.kinds.interface import Hold, Observation, Phase, Plan, Record, Step, Updates, Want, Why, World
from qianfan_operator.kube.client import Conflict
from qianfan_operator.reconcile.crd_guard import CrdGuard
from qianfan_operator.reconcile.credentials import Access, Credentials
from qianfan_operator.reconcile.managed_object import Subject
from qianfan_operator.reconcile.ownership import Claims, Unknown
from qianfan_operator.reconcile.policy import Decision, Facts, Trouble
from qianfan_operator.telemetry import caller

log = logging.getLogger(__name__)
_FAILED = "failed"  # set while the last look failed, be it told or not


class Unsure(Exception):
    """A look failed for the first time: the cloud is asked again, soon, before anything is told or changed."""


class Gatherer:
    """Gathers the facts of a pass; changes nothing but what is known of the credentials and noted of the object."""

    def __init__(self, credentials: Credentials, claims: Claims, guard: CrdGuard) -> None:
        self._credentials, self._claims, self._guard = credentials, claims, guard

    def gather(self, subject: Subject, access: Access, world: World) -> tuple[Facts, Plan, Step | None]:
        """Return the facts and the plan behind them, and note what was seen; never raises CloudError.

        What the spec selects of what is recorded is selected before anything is decided: it is no change in the cloud.
        A step comes with them if what was seen is not, or not all, this object's: the pass ends with it.
        """
        lost = self._lost(subject, access.account)
        facts, plan, updates = self._look(subject, access, world)
        if lost is not None:
            return facts, plan, lost
        held_up = self._note(subject, access.account, updates)
        free = not (facts.deleting or facts.others_working or subject.invalid) and facts.trouble is Trouble.NONE
        selected = subject.kind.select(subject.resource) if free and not held_up else {}
        if selected:
            subject.note(selected)
            facts, plan, updates = self._look(subject, access, world)
            held_up = self._note(subject, access.account, updates)
            facts = replace(facts, usable=False)  # what was said of another attempt
        return facts, plan, held_up

    def _lost(self, subject: Subject, account: Account | None) -> Step | None:
        """Say that others have what is recorded; if the object is being deleted, forget that instead."""
        try:
            lost = self._claims.lost(subject, account)
        except Unknown:
            return None  # nothing is changed before it is known
        if not lost:
            return None
        if subject.resource.metadata.deletion_timestamp is None:
            return self._claims.managed(subject, lost.values())
        subject.note(subject.kind.disown(subject.resource.status, lost))
        return None

    def _note(self, subject: Subject, account: Account | None, updates: Updates) -> Step | None:
        """Record what was seen, before anything is made: so what is recorded of the new is not taken for the old."""
        mine = self._claims.claim(subject, account, updates, seen=True)
        if isinstance(mine, Hold):
            return mine
        subject.note(mine)
        return Record({}) if mine != updates else None

    def _look(self, subject: Subject, access: Access, world: World) -> tuple[Facts, Plan, dict[str, Any]]:
        resource, kind = subject.resource, subject.kind
        spec, status = resource.spec, resource.status
        deleting, intent = resource.metadata.deletion_timestamp is not None, status.pending is not None
        facts = Facts(
            deleting=deleting,
            orphan=subject.kept or (deleting and not intent and kind.has_left(resource)),
            paused=spec.paused,
            trouble=access.trouble,
            trouble_why=access.why,
            intent=intent,
            stop_wanted=spec.wants_stop,
            replace=spec.replaces,
            usable=is_true(status.conditions, SUCCEEDED if kind.condition == SUCCEEDED else READY),
            serving=is_true(status.conditions, AVAILABLE),
            unapplied=kind.unapplied(resource),
        )
        if facts.deleting:
            return self._leaving(facts, subject, access.account, world), Plan(Want.NOTHING), {}
        plan = Plan(Want.BLOCKED, Why(Reason.INVALID_SPEC, subject.invalid)) if subject.invalid else None
        if plan and access.why.reason is Reason.INVALID_SPEC:  # the whole list of mistakes, not this one alone
            facts = replace(facts, trouble_why=plan.why)
        plan = plan or _plan(subject, world)
        seen, updates = kind.recall(resource), dict[str, Any]()
        if access.account and not facts.intent and access.trouble is Trouble.NONE:  # a moment ago they were refused
            try:
                seen = kind.observe(world, access.account, resource)
                if _proves_account(seen, subject, access, world):
                    seen = replace(seen, looked=True)
            except CloudError as error:
                unsure = _is_unsure(subject, world)
                facts = self.troubled(subject, facts, error, access.account, unsure=unsure)
                if unsure and facts.trouble in {Trouble.RETRY, Trouble.STALL}:
                    raise Unsure(facts.trouble_why.message) from error
            else:
                world.claims.pop(_FAILED, None)
                updates = self._looked(subject, access.account, seen)
                if seen.warning and world.first_sight(("warned", seen.warning)) >= world.boot:
                    subject.warn(seen.warning)
        unseen = seen.others_working and not seen.looked and facts.trouble is Trouble.NONE
        facts = self._same_account(facts, subject, access.account, Phase.GONE if unseen else seen.phase)
        return _with(facts, plan, seen), plan, {**plan.updates, **updates}

    def _leaving(self, facts: Facts, subject: Subject, account: Account | None, world: World) -> Facts:
        """Before anything is released, see whether the object was deleted for itself, and whether its keys see it."""
        if facts.orphan:
            return facts
        if why := self._guard.leaving(subject.resource):
            if why.reason is Reason.ORPHANED:
                return replace(facts, orphan=True, orphan_why=why)
            return replace(facts, trouble=Trouble.STALL, trouble_why=why)
        if account is None:
            return facts
        if subject.resource.former:
            return self._same_account(facts, subject, account, Phase.ABSENT)
        if self._credentials.same_account(subject.resource.status.account, account):
            return facts
        try:
            seen = subject.kind.observe(world, account, subject.resource)
        except CloudError as error:
            return self.troubled(subject, facts, error, account)
        if seen.looked and seen.phase is not Phase.GONE and not seen.common:
            self._credentials.accepted(subject.resource, account)
        unseen = seen.others_working and not seen.looked  # what works is not shown to these keys
        return self._same_account(facts, subject, account, Phase.GONE if unseen else seen.phase)

    def _looked(self, subject: Subject, account: Account, seen: Observation) -> dict[str, Any]:
        updates = dict(seen.updates)
        if seen.looked and seen.phase is not Phase.GONE:
            if not seen.common:
                self._credentials.accepted(subject.resource, account)
            updates["account"] = account.name
            self._claims.has_read(subject, updates)
        return updates

    def _same_account(self, facts: Facts, subject: Subject, account: Account | None, phase: Phase) -> Facts:
        """Believe "none" and "gone" only from keys that are known to see the account of what is recorded (5.10)."""
        resource, former = subject.resource, subject.resource.former
        left = not facts.deleting and subject.kind.decided(resource)
        doubtful = (facts.intent and not left) or phase is Phase.GONE or former is not None
        recorded = former.accounts if former else {resource.status.account}
        if account is None or not doubtful or all(self._credentials.same_account(one, account) for one in recorded):
            return facts
        name = resource.spec.credentials_ref.name
        changed = f"The access key in Secret {name} has changed and may belong to another account"
        leave = "" if facts.deleting else ", or delete this object with deletionPolicy: Orphan"
        message = f"{changed}. Restore a key of the previous account{leave}."
        trouble = Trouble.STALL if facts.deleting else Trouble.WAIT
        return replace(facts, trouble=trouble, trouble_why=Why(Reason.ACCOUNT_CHANGED, message))

    def troubled(
        self, subject: Subject, facts: Facts, error: CloudError, account: Account | None, *, unsure: bool = False
    ) -> Facts:
        """Turn an error of the cloud into the trouble of this pass; raises Conflict if it met keys of yesterday.

        `unsure`: the call is repeated before anything is told of it.
        """
        subject.note_error(error)
        about = {
            **caller.about(), "object": str(subject.key), "operation": error.operation, "code": error.code,
            "error_class": error.error_class.value, "request_id": error.request_id, "retry_after": error.retry_after,
            "error": str(error),
        }  # fmt: skip
        single = unsure and error.reason is not Reason.CREDENTIALS_INVALID
        log.log(logging.INFO if single else logging.WARNING, "cloud call failed", extra=about)
        if error.reason is Reason.CREDENTIALS_INVALID and account:
            self._credentials.refused(subject.resource, account, error.words)
            access = self._credentials.access(subject.resource)
            if access.trouble is Trouble.NONE:
                raise Conflict(f"the keys of {subject.key} changed since its pass began")
            return replace(facts, trouble=access.trouble, trouble_why=access.why)
        if error.fate is Fate.STALL:
            return replace(facts, trouble=Trouble.STALL, trouble_why=Why(error.reason, str(error)))
        # GONE, and a free create whose outcome is unknown: the next pass sees what is there.
        reason = error.reason if error.fate in {Fate.WAIT, Fate.GONE} else Reason.CLOUD_UNAVAILABLE
        reason = Reason.THROTTLED if error.throttled else reason
        return replace(facts, trouble=Trouble.RETRY, trouble_why=Why(reason, str(error)))


def _proves_account(seen: Observation, subject: Subject, access: Access, world: World) -> bool:
    """Look once whether other keys than recorded see what was made last, if nothing else is looked at.

    What ended is never looked at again. Keys to which the cloud shows nothing of it prove nothing.
    """
    kind, resource, account = subject.kind, subject.resource, access.account
    if account is None or access.trouble is not Trouble.NONE or seen.looked or resource.former is not None:
        return False
    things, blind = kind.made_last(resource.status), ("blind", account.name)
    if resource.status.account in {None, account.name} or blind in world.claims:
        return False
    try:
        if any(kind.reads(account, resource.status, thing) for thing in things):
            return True
    except CloudError as error:
        if error.fate not in {Fate.GONE, Fate.STALL}:
            raise
    world.claims[blind] = True
    return False


def _plan(subject: Subject, world: World) -> Plan:
    try:
        return subject.kind.plan(world, subject.resource)
    except Unreadable as error:  # it refers to an object that nobody can read: it waits until that is mended
        return Plan(Want.WAIT, Why(Reason.DEPENDENCY_NOT_READY, f"{error}."))


def _is_unsure(subject: Subject, world: World) -> bool:
    """Say whether the last look had found all well: a cloud that comes and goes must not be heard at each turn."""
    status, first = subject.resource.status, _FAILED not in world.claims
    world.claims[_FAILED] = True
    known = status.observed_generation == subject.resource.metadata.generation and is_true(status.conditions, SYNCED)
    return first and known


def hears(facts: Facts, decision: Decision, *, tried: bool = False) -> bool:
    """Say whether a pass gets to what the annotation asks to be done; what is usable is asked for nothing.

    `tried`: what stands in the way is the cloud's answer to what was asked.
    """
    if facts.trouble is Trouble.NONE:
        return decision.verdict.reason is not Reason.PAUSED
    return facts.deleting or decision.verdict.keep or (tried and facts.trouble is Trouble.STALL)


def _with(facts: Facts, plan: Plan, seen: Observation) -> Facts:
    return replace(
        facts,
        want=plan.want,
        want_why=plan.why,
        phase=seen.phase,
        phase_why=seen.why,
        missing_why=plan.missing,
        others_working=seen.others_working,
        others_overdue=seen.others_overdue,
        replace=facts.replace and plan.want in {Want.CREATE, Want.ADOPT},  # no run is stopped for one that cannot begin
        deadline_passed=seen.deadline_passed,
    )
