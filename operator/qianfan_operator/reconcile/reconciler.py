"""The reconciler: one reconcile of one object, from read to requeue.

The only place where the parts meet: `policy` decides, `guarded_create` sends what is paid for, `kinds` know the cloud.
"""

import logging
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic.alias_generators import to_camel

from qianfan_operator.api.common import FINALIZER, Condition, Need, Resource, Unreadable
from qianfan_operator.api.conditions import READY, STALLED, ConditionSummary, is_true
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud import budget
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds.interface import (
    Adopt,
    Cause,
    Create,
    Kind,
    Plan,
    ReconcileContext,
    Step,
    UpdateStatus,
    Wait,
    Want,
)
from qianfan_operator.kube.client import (
    Conflict,
    ConflictRetriesExhausted,
    Forbidden,
    Invalid,
    Kube,
    KubeError,
    NotFound,
)
from qianfan_operator.kube.events import Events
from qianfan_operator.reconcile.backoff import Clocks, Schedule
from qianfan_operator.reconcile.crd_guard import CrdGuard
from qianfan_operator.reconcile.credentials import Access, Credentials
from qianfan_operator.reconcile.gatherer import REFUSED_SINCE, Gatherer, Unsure, handles_reconcile_request
from qianfan_operator.reconcile.guarded_create import GuardedCreates, Unfinished
from qianfan_operator.reconcile.key_checks import SECRETS, KeyChecks
from qianfan_operator.reconcile.managed_object import ManagedObject
from qianfan_operator.reconcile.outages import LASTING, Outages
from qianfan_operator.reconcile.ownership import Ownership
from qianfan_operator.reconcile.policy import CHANGES, Action, Blocker, Decision, Facts, cause_of, decide
from qianfan_operator.reconcile.predicates import dependency_state, is_finished, is_settled, update_index
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import PRESENT, Store, StoreEntry, Where, number
from qianfan_operator.telemetry import caller
from qianfan_operator.telemetry.caller import ChangeCause

log = logging.getLogger(__name__)
_MISSED = "missed"
"""What is first seen when a Secret is not there."""
FAILING = frozenset({Blocker.RETRY, Blocker.UNTRUSTED, Blocker.WAIT})
ENDS = frozenset({Action.STOP, Action.STOP_OTHER, Action.RELEASE})
FOLLOWED = frozenset(
    {Action.STOP, Action.STOP_OTHER, Action.RELEASE, Action.SWITCH, Action.CONFIRM, Action.RECOVER_STATUS}
)  # what changes the cloud or looks for a change: its next look goes before the polls


@dataclass(frozen=True)
class Result:
    """When a key wants its next reconcile, and how urgent that is; `after` None: not before something happens."""

    after: float | None
    priority: Priority = Priority.POLL
    result: str = "success"


class Reconciler:
    """Reconciles the objects of keys. Thread-safe, as long as each key is reconciled once at a time."""

    def __init__(
        self, *, kinds: Mapping[str, Kind[Any]], kube: Kube, credentials: Credentials, store: Store, schedule: Schedule,
        protocol: GuardedCreates, events: Events, clocks: Clocks, cluster: str, grace: float,
        listed: Callable[[], bool],
        leading: Callable[[], bool], checks: KeyChecks, adopt: str = "", limits: budget.Limits = budget.LIMITS,
        lasting: float = LASTING,
    ) -> None:  # fmt: skip
        self._kinds, self._kube, self._credentials, self._store = kinds, kube, credentials, store
        self._schedule, self._protocol, self._events, self._clocks = schedule, protocol, events, clocks
        store.unused, credentials.used = credentials.forget, store.is_keyed
        credentials.first_missed = self._first_missed
        self._claims = Ownership(store, self._fetch, listed, credentials, kinds.__getitem__)
        protocol.claims, protocol.guard = self._claims, CrdGuard(kube)
        self._gatherer = Gatherer(credentials, checks, self._claims, protocol.guard)
        self._cluster, self._grace, self._listed, self._leading = cluster, grace, listed, leading
        self._adopt = Adopt(adopt) if adopt else None  # None: it depends on whose keys they are
        self._limits, self._checks = limits, checks
        self._outages = Outages(events, clocks.boot, lasting)

    def reconcile(self, key: Key) -> Result:
        """Reconcile one object, or check a Secret; never raises, so that no key is ever lost."""
        return self._safely(self._check if key.plural == SECRETS else self._tracked, key)

    def _check(self, key: Key) -> Result:
        return Result(self._checks.check(key))

    def flush(self, within: float = math.inf) -> None:
        """Write the ids that only this process knows, for so many seconds, and begin nothing; for its end."""
        until = self._clocks.boot() + within
        while (keys := self._protocol.unwritten()) and self._clocks.boot() < until:
            for key in keys:
                self._safely(self._taken, key)
            self._clocks.pause(1.0)

    def tell_unwritten(self) -> int:
        """Log the ids that only this process knows, which ends, so that they can be taken over by hand; count them."""
        return self._protocol.tell_unwritten()

    def _safely(self, turn: Callable[[Key], object], key: Key) -> Result:
        spent = budget.Budget(self._limits, self._clocks.boot)
        with budget.within(spent), caller.within(caller.Caller(str(key))):
            again = self._without_raising(turn, key)
        return self._not_too_soon(key, again, spent)

    def _not_too_soon(self, key: Key, again: Result, spent: budget.Budget) -> Result:
        """Ask a cloud that throttles no sooner than it would be polled, and none before the time that it has named."""
        if again.after is None:
            return again
        after, record = max(again.after, spent.retry_after), self._store.get(key)
        if spent.throttled:
            interval = (record.interval if record else None) or self._schedule.poll(0)
            after = max(after, self._schedule.throttled(interval, record.failures if record else 1))
        return replace(again, after=after)

    def _without_raising(self, turn: Callable[[Key], object], key: Key) -> Result:
        result, asked = "error", 0.0
        try:
            again = turn(key)
            self._store.give_back(key)  # not after an error: what was being recorded may be written
            return again if isinstance(again, Result) else Result(None)
        except ConflictRetriesExhausted:  # no failure: whoever annotates without end does not make the waits grow
            self._store.forget_body(key)
            return Result(self._schedule.retry(1), Priority.RETRY, "conflict")
        except Conflict:
            result = "conflict"
        except Unsure:  # logged, and told if it happens again
            if record := self._store.get(key):
                self._outages.begin(record)
        except NotFound:
            return self._gone(key)
        except Unfinished:
            return Result(self._schedule.poll(0), Priority.RETRY, result)
        except Unreadable as error:  # nothing is done without knowing what is recorded
            log.warning(
                "An object cannot be read: nothing is done for it", extra={"object": str(key), "error": str(error)}
            )
        except KubeError as error:
            log.warning("API server request failed", extra={"object": str(key), "error": str(error)})
            asked = error.retry_after or 0.0
        except Exception:
            log.exception("Reconcile failed", extra={"object": str(key)})
        self._store.forget_body(key)
        return self._retry(key, result, asked)

    def _gone(self, key: Key) -> Result:
        self._store.forget(key)
        try:
            self._protocol.abandon(key)
        except Unfinished:
            return Result(self._schedule.poll(0), Priority.RETRY, "error")
        except Exception:  # what was made is known here only
            log.exception("What was made for an object that is gone was not ended", extra={"object": str(key)})
            return self._retry(key, "error")
        return Result(None)

    def _retry(self, key: Key, result: str, asked: float = 0.0) -> Result:
        record = self._store.get(key)
        if record:
            record.failures += 1
        return Result(max(asked, self._schedule.retry(record.failures if record else 1)), Priority.RETRY, result)

    def _taken(self, key: Key) -> ManagedObject | None:
        """Take an object in hand, and write first what was made for it; None: it is none of ours any more."""
        managed = ManagedObject(key, self._kinds[key.plural], self._kube, self._store, self._events, self._clocks.now())
        caller.read(managed.resource.metadata.generation)
        if managed.resource.metadata.deletion_timestamp and FINALIZER not in managed.resource.metadata.finalizers:
            self._protocol.abandon(key)  # it is others that keep the object; nobody would release what was made for it
            return None
        summary = ConditionSummary(False, Reason.CREATING, "Recording what was created.", reconciling=True)
        try:
            self._protocol.persist(managed, summary)
        finally:  # neither waits for the other: a policy may refuse the finalizer for ever
            if managed.exposed:
                managed.hold()
        return managed

    def _report(self, key: Key) -> None:
        """Post an event about what cannot be read of an object, once for as long as that does not change."""
        record = self._store.get(key)
        if record and record.unreadable != record.reported:
            record.reported = record.unreadable
            self._events.unreadable(self._kinds[key.plural].resource, key, record.uid, record.unreadable)

    def _tracked(self, key: Key) -> Result:
        reads = dict[Key, Hashable]()
        self._store.begin_reads(key)
        again = self._reconcile(key, reads)
        self._store.end_reads(key, reads)
        return again

    def _reconcile(self, key: Key, reads: dict[Key, Hashable]) -> Result:
        self._report(key)
        managed = self._taken(key)
        if managed is None:
            return Result(None)
        altered = 0
        if record := self._store.get(key):
            record.interval = self._interval(managed.resource, record.looks)
            altered = min(record.altered, number(managed.resource.metadata.resource_version))  # as far as it is read
            _restore(managed, record)
        access = self._credentials.access(managed.resource)
        ctx = self._context(managed, access, reads)
        facts, plan, held_up = self._gatherer.gather(managed, access, ctx)
        decision = decide(facts)
        if record and facts.blocker is Blocker.NONE and decision.action not in ENDS:
            record.accepted.clear()  # no end is wished any more: the next wish is another one
        managed.reconcile_request_handled = handles_reconcile_request(facts, decision)
        if held_up:
            return self._finish(managed, facts, decision, held_up, access.account, altered)
        caller.because(cause_of(facts, decision.action))
        try:
            step = self._act(managed, access, ctx, decision, plan)
        except CloudError as error:
            facts = self._gatherer.error_policy(managed, facts, error, access.account, ctx)
            decision = decide(facts)
            managed.reconcile_request_handled = handles_reconcile_request(facts, decision, tried=True)
            step = Wait(decision.summary, error.retry_after)
        return self._finish(managed, facts, decision, step, access.account, altered)

    def _context(self, managed: ManagedObject, access: Access, reads: dict[Key, Hashable]) -> ReconcileContext:
        key, store, boot = managed.key, self._store, self._clocks.boot()
        record = store.get(key)

        def fetch(other: Key) -> Any:
            resource = self._fetch(other)
            resource = self._as_known(other, resource) if resource else None
            reads[other] = dependency_state(self._kinds[other.plural], resource.own()) if resource else None
            return resource

        def exists(other: Key) -> bool:
            known = store.get(other)
            reads.setdefault(other, PRESENT if known else None)
            return known is not None or not self._listed()

        return ReconcileContext(
            cluster=self._cluster,
            grace=self._grace,
            boot=boot,
            now=managed.now,
            fetch=fetch,
            chain=store.chain,
            first_seen_at=lambda what: store.first_seen_at(key, what, self._clocks.boot()),
            ask_once=lambda what, state, send: store.ask_once(key, what, state, boot, send),
            begun=record.begun if record else 0,
            foreign_version=record.foreign_version if record else 0,
            claims=store.claims(key),
            unpaid=store.unpaid(key),
            users_of=store.referrers,
            serving=store.serving,
            needing=lambda things, reads: self._needing(managed, things, reads),
            listed=self._listed(),
            adopt=self._adopt or (Adopt.ANY if access.own else Adopt.OWN_MARK),
            names=store.names,
            exists=exists,
            list_probe=store.list_probe,
            altered=record is not None and record.altered > 0,
        )

    def _first_missed(self, resource: Resource, where: Where) -> float:
        key = Key(resource.plural, resource.metadata.namespace, resource.metadata.name)
        return self._store.first_seen_at(key, (_MISSED, where), self._clocks.boot())

    def _needing(
        self, managed: ManagedObject, things: Iterable[Need], reads: Callable[[Account], bool]
    ) -> Iterator[Key]:
        account = self._credentials.known(managed.resource)
        return self._claims.needing(managed, account, things, reads) if account else iter(())

    def _fetch(self, key: Key) -> Any:
        kind = self._kinds[key.plural].resource
        if not budget.take_read():
            raise KubeError(f"one reconcile may read {self._limits.reads} other objects, and needs more")
        try:
            return kind.parse_lenient(self._kube.get(key)).own()
        except NotFound:
            return None
        except Unreadable as error:
            raise Unreadable(f"{kind.kind} {key.name} cannot be read: {error}") from error

    def _as_known(self, key: Key, resource: Resource) -> Resource:
        """Return another object with the ids that this process knows, if somebody else has changed them."""
        record, kind = self._store.get(key), self._kinds[key.plural]
        known = record is not None and record.uid == resource.metadata.uid and resource.former is None
        if record is None or record.ended is None or not known:
            return resource
        restored = kind.restored(resource, record.ended)
        status = resource.status.model_copy(update=dict(restored))
        return resource.model_copy(update={"status": status}) if restored else resource

    # Act: at most one thing.
    def _act(
        self, managed: ManagedObject, access: Access, ctx: ReconcileContext, decision: Decision, plan: Plan
    ) -> Step:
        action, summary, kind, account = decision.action, decision.summary, managed.kind, access.account
        if action is Action.NOTHING:
            return Wait(summary, access.again)
        if not self._leading():
            raise Conflict("another process may lead by now")
        if action is Action.FORGET:
            if summary.reason is Reason.ORPHANED:
                if managed.resource.status.pending or not kind.has_left(managed.resource):
                    _tell_left(managed, summary)
                caller.because(ChangeCause.CRD_DELETED)
            elif not managed.kept:
                caller.because(ChangeCause.NOTHING_LEFT)
            managed.let_go()
            return Wait(summary)
        if account is None:
            raise AssertionError(f"{action} without an account")
        if action is Action.CONFIRM:
            return self._protocol.confirm(managed, account, ctx)
        if action in {*CHANGES, Action.RELEASE} and (blocked := self._claims.blocked(managed, account)):
            return blocked
        if action is Action.RELEASE:
            return self._release(managed, account, ctx, summary)
        if action in {Action.STOP, Action.STOP_OTHER}:
            managed.confirm()
            first = kind.stop(ctx, account, managed.resource, selected=action is Action.STOP)
            return UpdateStatus(first) if first else Wait(summary)
        managed.begin(account.name, summary, ctx, first=not (account.list_probe_passed or ctx.list_probe(account.name)))
        act = {
            Action.RECOVER_STATUS: kind.recover_status, Action.CREATE: kind.create, Action.ADOPT: kind.create,
            Action.SWITCH: kind.switch,
        }[action]  # fmt: skip
        step = act(ctx, account, managed.resource, plan)
        if action is Action.ADOPT and isinstance(step, Create):
            raise AssertionError("what is taken over is not paid for")
        return self._protocol.pay(managed, account, ctx, step, summary) if isinstance(step, Create) else step

    def _release(
        self, managed: ManagedObject, account: Account, ctx: ReconcileContext, summary: ConditionSummary
    ) -> Step:
        managed.confirm()
        released = managed.kind.release(ctx, account, managed.resource)
        if released.done:
            if released.left:
                summary = replace(summary, available=False, reason=Reason.LEFT_IN_CLOUD, message=released.left)
                _tell_left(managed, summary)
            managed.let_go()
            return Wait(summary)
        updates = self._claims.claim(managed, account, released.updates, marked=True)
        if isinstance(updates, Wait):
            if updates.summary.reason is Reason.ALREADY_MANAGED:
                caller.because(ChangeCause.ALREADY_MANAGED)
                managed.let_go()  # what was found is not ours to release
            return updates
        self._store.wait_for(managed.key, released.waits_for)
        blocked, message = released.stalled, released.why.message
        reason = Reason.DELETION_BLOCKED if blocked else released.why.reason
        summary = replace(summary, available=summary.available and blocked)  # nobody relies on what is taken offline
        said = replace(summary, reason=reason, message=message, reconciling=not blocked, stalled=blocked)
        return Wait(said, updates=updates)

    # Write, and when again.
    def _finish(
        self,
        managed: ManagedObject,
        facts: Facts,
        decision: Decision,
        step: Step,
        account: Account | None,
        altered: int,
    ) -> Result:
        if managed.released:
            return Result(None)
        if isinstance(step, Create):
            raise TypeError("a step to pay was not paid")
        if isinstance(step, UpdateStatus):
            step = self._claims.record(managed, account, step)
        summary = decision.summary if isinstance(step, UpdateStatus) else step.summary
        if decision.action in CHANGES:
            summary = replace(summary, available=decision.summary.available)
        if isinstance(step, Wait):
            managed.note_success(facts, summary)
        before, told = managed.writes, managed.told
        managed.write(step.updates, summary)
        record = self._store.get(managed.key)
        if record is None:
            return Result(None)
        resource = managed.resource
        self._note(managed, record, facts, told, altered)
        if record.altered > altered:  # meanwhile; the watch has left it to us to come again
            return Result(self._schedule.altered(record.altered_again), Priority.RETRY)
        if is_settled(managed.kind, resource):
            self._store.forget_body(managed.key)
            record.first_seen = {what: since for what, since in record.first_seen.items() if _is_kept(what)}
        if isinstance(step, UpdateStatus):
            if decision.action is not Action.RECOVER_STATUS:
                record.claims.clear()
            return Result(0.0, Priority.DELETION if facts.deleting else Priority.URGENT)
        if facts.blocker not in FAILING:  # a look that failed says nothing of how closely to look
            news = managed.writes > before and record.altered_again <= 1  # else it may be that others are written over
            record.looks = 0 if news else record.looks + 1
        unasked = facts.blocker in {Blocker.RETRY, Blocker.UNTRUSTED}
        unproven = unasked and account is not None and record.account != account.name
        over = is_finished(resource) and not facts.others_working and not unproven
        followed = facts.deleting or decision.action in FOLLOWED
        return self._again(record, facts, step, over=over, followed=followed)

    def _note(
        self, managed: ManagedObject, record: StoreEntry, facts: Facts, told: tuple[Condition, ...], altered: int
    ) -> None:
        """Remember what the object is now, and what of it was dealt with; `told` is what its conditions said before."""
        if facts.blocker is Blocker.NONE:
            record.first_seen.pop(REFUSED_SINCE, None)
        if facts.blocker is Blocker.NONE or not altered:
            ended = managed.kind.ended(managed.resource.own().status)
            self._store.end_altered(managed.key, altered, ended)
        self._outages.note(record, managed.resource, told, managed.now)
        update_index(self._store, record, managed.kind, managed.resource)
        self._count_altered(record, altered)

    def _count_altered(self, record: StoreEntry, altered: int) -> None:
        """Count the changes by others that follow one another, so that two writers do not fight at full speed."""
        now = self._clocks.boot()
        if not self._schedule.in_a_row(now - record.altered_at):
            record.altered_again = 0
        if altered:
            record.altered_again, record.altered_at = record.altered_again + 1, now

    def _again(self, record: StoreEntry, facts: Facts, step: Wait, *, over: bool, followed: bool) -> Result:
        summary, schedule = step.summary, self._schedule
        failing = facts.blocker in FAILING
        record.failures = record.failures + 1 if failing else 0
        if over and not record.altered:
            return Result(None)
        if failing:
            retry = schedule.untrusted if facts.blocker is Blocker.UNTRUSTED else schedule.retry
            return Result(max(retry(record.failures), step.after or 0.0), Priority.RETRY, "error")
        if step.after is not None:
            return Result(step.after, Priority.RETRY)
        if summary.ready or (facts.want is Want.WAIT and not facts.others_working):
            return Result(schedule.settled())
        if summary.stalled or summary.reason is Reason.PAUSED:
            return Result(schedule.stalled(), Priority.RETRY if followed else Priority.POLL)
        if followed:  # what waits for another object is woken by it
            waits = summary.reason is Reason.IN_USE
            return Result(schedule.poll(record.looks) if waits else schedule.follow(record.looks), Priority.RETRY)
        return Result(schedule.poll(record.looks))

    def _interval(self, resource: Resource, looks: int) -> float:
        """Return how long an object would wait for its next look, if all were well with the cloud."""
        metadata, status = resource.metadata, resource.status
        if metadata.deletion_timestamp or metadata.generation != status.observed_generation:
            return self._schedule.poll(0)
        if is_true(status.conditions, READY):
            return self._schedule.settled()
        return self._schedule.stalled() if is_true(status.conditions, STALLED) else self._schedule.poll(looks)


def _is_kept(what: Hashable) -> bool:
    """Say whether also a settled object remembers when it first saw this, else it would see it anew each time."""
    return what == REFUSED_SINCE or (isinstance(what, tuple) and what[:1] == (_MISSED,))


def _restore(managed: ManagedObject, record: StoreEntry) -> None:
    """Record again what somebody else has changed in the status and this process knows better."""
    if not record.altered or record.ended is None or managed.resource.former is not None:
        return
    if restored := managed.kind.restored(managed.resource, record.ended):
        fields = ", ".join(_told_restored(name, value) for name, value in restored.items())
        managed.note(restored)
        managed.warn_restored(fields)


def _told_restored(name: str, value: object) -> str:
    if isinstance(value, tuple):
        listed = ", ".join(str(one) for one in value if isinstance(one, int | str)) or "empty"
        return f"status.{to_camel(name)}" if name == "runs" else f"status.{to_camel(name)} ({listed})"
    return f"status.{to_camel(name)} ({'removed' if value is None else value})"


def _tell_left(managed: ManagedObject, summary: ConditionSummary) -> None:
    """Say, before an object goes, what of it is left in the cloud; a status that is refused does not keep it."""
    about: dict[str, Any] = {"object": str(managed.key), "uid": managed.resource.metadata.uid}
    try:
        managed.write({}, summary)
    except (Forbidden, Invalid) as error:
        log.warning("The last status of a deleted object was refused", extra={**about, "error": str(error)})
        managed.warn(Cause(summary.reason, summary.message))
    about |= {"ids": managed.ids, "left": summary.message}
    if summary.reason is Reason.ORPHANED:
        log.warning("Orphaned", extra={**about, "cause": ChangeCause.CRD_DELETED})
    else:
        log.warning("Left in the cloud", extra={**about, "cause": ChangeCause.DELETION})
