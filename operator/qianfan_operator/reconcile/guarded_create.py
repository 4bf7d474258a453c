"""Guarded creates: how a paid create is announced, sent once, recorded, and searched for if its reply is lost.

The cloud has no idempotency token. So the request is signed first, with an expiry that the cloud enforces; then an
intent is written, guarded by the resourceVersion; then it is sent, once. What is not proven refused is unknown, and is
looked for when no copy of the request can be accepted any more; only then may it be repeated.
"""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from qianfan_operator.api.common import Pending, Unreadable
from qianfan_operator.api.conditions import ConditionSummary, Synced
from qianfan_operator.api.keys import Key, same
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.deadlines import cloud_now
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds.interface import (
    Cause,
    Create,
    Present,
    ReconcileContext,
    Unknown,
    Updates,
    UpdateStatus,
    Wait,
    confirming,
)
from qianfan_operator.kube.client import Conflict, KubeError
from qianfan_operator.reconcile import repeating
from qianfan_operator.reconcile.crd_guard import CrdGuard
from qianfan_operator.reconcile.managed_object import ManagedObject
from qianfan_operator.reconcile.ownership import Ownership, OwnershipUnknown
from qianfan_operator.telemetry import caller
from qianfan_operator.telemetry.caller import ChangeCause

log = logging.getLogger(__name__)
_AGAIN = 10.0  # seconds, in which the process that sent a create may have written what it made
_NAMING = ("Id", "Uuid", "Name", "name")  # how inputs end that name a thing
_TRIES = 5  # of writing ids through conflicts within one reconcile; the next reconcile goes on


@dataclass(frozen=True)
class CreateResult:
    """What came of an intent and is not written yet: the cloud's reply, or None for a proven refusal."""

    uid: str
    pending: Pending
    reply: Any
    undo: Callable[[], None]
    """Stops what was made, for the case that its object is gone by now."""
    refusal: Updates = field(default_factory=dict)
    """What a proven refusal records besides the end of the intent."""


class Unfinished(Exception):
    """What was made for an object that is gone could not be stopped yet: its key must come again."""


class GuardedCreates:
    """The create protocol. `leading` says whether this process may start something; `nonce` makes names of intents."""

    def __init__(self, leading: Callable[[], bool], nonce: Callable[[], str]) -> None:
        self._leading, self._nonce = leading, nonce
        self._landings: dict[Key, CreateResult] = {}
        self._lock = threading.Lock()
        self.claims: Ownership | None = None
        """Who holds what; the reconciler sets it."""
        self.guard: CrdGuard | None = None
        """Tells what went with its CRD; the reconciler sets it."""

    def unwritten(self) -> tuple[Key, ...]:
        """Return the objects whose ids are known to this process only; it must not end before they are written."""
        with self._lock:
            return tuple(key for key, landing in self._landings.items() if landing.reply is not None)

    def tell_unwritten(self) -> int:
        """Log what `unwritten` names, one line for each object, with all that it takes to adopt it; count them."""
        with self._lock:
            unwritten = [(key, landing) for key, landing in self._landings.items() if landing.reply is not None]
        for key, landing in unwritten:
            pending = landing.pending
            named = {name: value for name, value in pending.inputs.items() if name.endswith(_NAMING) and value}
            about = {"uid": landing.uid, "operation": pending.operation, "attempt": pending.attempt, "inputs": named}
            log.error(
                "Resource created but its id was not saved. Set spec.adopt, or delete it in the console.",
                extra={**_about(key, landing), **about},
            )
        return len(unwritten)

    def pay(
        self, managed: ManagedObject, account: Account, ctx: ReconcileContext, step: Create, summary: ConditionSummary
    ) -> Wait | UpdateStatus:
        """Announce a create and send it once; raises CloudError if it was proven refused.

        See docs/design/create-protocol.md#sending.
        """
        if why := repeating.forbidden(managed.resource, step):
            return Wait(_stalled(why))
        if not account.client.clock_known():
            account.client.measure_clock()
        prepared = step.prepare(account.client)
        pending = Pending(
            operation=step.operation, nonce=self._nonce(), attempt=step.attempt, inputs=step.inputs,
            account=account.name, started_at=cloud_now(account) or ctx.now,
        )  # fmt: skip
        try:
            managed.write({**step.updates, "pending": pending}, summary, trying=True)
            _make_sure(managed, ctx, pending)
        except KubeError:  # it may be written all the same
            self._hand_over(managed, account, pending, None)
            raise
        ctx.claims.clear()
        ctx.first_seen_at(("intent", pending.nonce))
        if not self._leading():  # nothing was sent, which is known here and nowhere else
            self._hand_over(managed, account, pending, None)
            self.persist(managed, summary)
            return Wait(summary)
        ctx.unpaid.clear()
        try:
            reply = prepared.send()
        except CloudError as error:
            managed.note_error(error)
            if error.refused:
                self._hand_over(managed, account, pending, None, managed.kind.refused(error))
                self.persist(managed, summary)
                raise
            about = {"operation": error.operation, "code": error.code, "error_class": error.error_class.value}
            told = {**about, "request_id": error.request_id, "error": str(error)}
            log.warning("The outcome of a create request is unknown", extra={**caller.about(), **told})
            return self.confirm(managed, account, ctx, now_if_there=error.exists)
        self._hand_over(managed, account, pending, reply)
        if not self.persist(managed, summary):
            raise Conflict(f"{managed.key} went on without this reconcile")
        return UpdateStatus({})

    def confirm(
        self, managed: ManagedObject, account: Account, ctx: ReconcileContext, *, now_if_there: bool = False
    ) -> Wait | UpdateStatus:
        """Look for what an open intent may have made, when its grace is over.

        `now_if_there`: the cloud said that it exists, so what is found counts at once; what is not, counts later.

        See docs/design/create-protocol.md#grace.
        """
        resource = managed.resource
        pending = resource.status.pending
        if pending is None:
            return UpdateStatus({})
        left = ctx.grace_left("intent", pending.nonce)
        waiting = confirming(min(left, _AGAIN), Reason.CONFIRMING.sentence)
        if left and not now_if_there:
            return waiting
        found = managed.kind.look(ctx, account, resource, pending)
        if isinstance(found, Present):
            log.info("Found the resource of an unconfirmed create request", extra={"object": str(managed.key)})
            updates = {**found.updates, **repeating.made_something(resource), "pending": None}
            return UpdateStatus(updates, marked=found.marked)
        if left:
            return waiting
        if isinstance(found, Unknown):
            updates = {"pending": None} if found.nothing_made else {}
            leaving = resource.metadata.deletion_timestamp is not None
            why = Cause(Reason.DELETION_BLOCKED, found.why.message) if leaving else found.why
            return Wait(_stalled(why), updates=updates)
        ctx.unpaid.add(managed.kind.intends(resource.status))
        return UpdateStatus({"pending": None, **repeating.made_nothing(resource, pending)})

    def persist(self, managed: ManagedObject, summary: ConditionSummary) -> bool:
        """Write what came of an intent, if that is not written yet; raises KubeError or Unfinished: it goes on later.

        False: nothing was written for this object as this reconcile knew it, so that the reconcile has no more to say.
        """
        landing = self._landings.get(managed.key)
        if landing is None:
            return False
        if landing.reply is None:
            self._refused(managed, landing)
            return False
        for _ in range(_TRIES):
            try:
                status_after_create = self._land(managed, summary, landing)
            except Conflict:
                managed.reload()
                continue
            with self._lock:
                self._landings.pop(managed.key, None)
            return status_after_create
        return False

    def _refused(self, managed: ManagedObject, landing: CreateResult) -> None:
        """Have the end of a refused intent written by the reconcile; it is remembered until the status shows it."""
        now = managed.resource.status.pending
        if now and now.nonce == landing.pending.nonce:
            place = managed.kind.intends(managed.resource.status)
            managed.unpaid.clear()
            managed.unpaid.update({place, frozenset[Hashable]()})  # the latter: a task that is gone is forgotten
            managed.note({"pending": None, **landing.refusal})
            return
        with self._lock:
            self._landings.pop(managed.key, None)

    def abandon(self, key: Key) -> None:
        """Stop, if its policy says so, what was made for an object that is gone; raises Unfinished."""
        landing = self._landings.get(key)
        if landing is None:
            return
        if landing.reply is not None:
            caller.because(ChangeCause.OBJECT_GONE)
            log.warning("Object deleted during a create request", extra=_about(key, landing))
            try:
                landing.undo()
            except (CloudError, KubeError, OwnershipUnknown, Unreadable) as error:
                log.warning(
                    "Failed to stop the resource of a deleted object",
                    extra={**_about(key, landing), "error": str(error)},
                )
                raise Unfinished(f"{key} is gone, and {landing.reply} is not") from error
        with self._lock:
            self._landings.pop(key, None)

    def _hand_over(
        self, managed: ManagedObject, account: Account, pending: Pending, reply: Any, refusal: Updates | None = None
    ) -> None:
        kind, resource = managed.kind, managed.resource

        def undo() -> None:
            made = kind.status_after_create(resource, pending, reply)
            status = type(resource.status)().model_copy(update=dict(made))
            if self.claims and self.claims.is_held(managed.key, kind, status, account):
                return  # somebody else has taken it over meanwhile
            if self.guard and self.guard.went(resource):
                log.warning("Orphaned", extra={"object": str(managed.key), "ids": repr(reply)})
                return
            if resource.spec.deletion_policy_for(adopted=False) == "Delete":
                kind.abandon(account, resource, made)

        with self._lock:
            self._landings[managed.key] = CreateResult(resource.metadata.uid, pending, reply, undo, refusal or {})

    def _land(self, managed: ManagedObject, summary: ConditionSummary, landing: CreateResult) -> bool:
        resource = managed.resource
        if resource.metadata.uid != landing.uid:  # a successor of the same name: only what it holds by now is left
            made = managed.kind.ids_of(managed.kind.status_after_create(resource, landing.pending, landing.reply))
            recorded_ids = managed.kind.recorded_ids(resource, landing.pending)
            if recorded_ids is None or not same(recorded_ids, made):
                self.abandon(managed.key)
            return False
        now = resource.status.pending
        ended = {"pending": None} if now and now.nonce == landing.pending.nonce else {}
        updates = managed.kind.status_after_create(resource, landing.pending, landing.reply)
        recorded_ids = managed.kind.recorded_ids(resource, landing.pending)
        if recorded_ids is None:
            managed.write({**updates, **ended, **repeating.made_something(resource)}, summary)
            return True
        if same(recorded_ids, managed.kind.ids_of(updates)):
            if ended:
                managed.write(ended, summary)
            return bool(ended)
        # The intent stays open, or is opened again, with what was made: it ends when a person has chosen one.
        ids = [name for name in managed.kind.ids_of(updates) if name is not None]
        kept = landing.pending.model_copy(update={"inputs": {**landing.pending.inputs, "made": ids}})
        log.error(
            "Two resources were created for one create request",
            extra={**_about(managed.key, landing), "bound": str(recorded_ids)},
        )
        why = Cause(Reason.DUPLICATE_CLOUD_RESOURCE, Reason.DUPLICATE_CLOUD_RESOURCE.sentence)
        if now and not ended:
            raise Conflict(f"{managed.key} has another intent; what was made besides is recorded after it")
        managed.write({"pending": kept}, _stalled(why))
        return False


def _make_sure(managed: ManagedObject, ctx: ReconcileContext, pending: Pending) -> None:
    """Raise KubeError unless the API server has kept the intent: a CRD or a webhook may drop fields silently."""
    status = managed.resource.status
    if status.pending and status.pending.nonce == pending.nonce:
        return
    ctx.unpaid.clear()  # nothing was sent, which is known here and nowhere else
    ctx.unpaid.add(managed.kind.intends(status.model_copy(update={"pending": pending})))
    raise KubeError(f"the API server dropped status.pending of {managed.key}; nothing is sent. Apply crds/ again")


def _about(key: Key, landing: CreateResult) -> dict[str, Any]:
    return {"object": str(key), "ids": repr(landing.reply)}


def _stalled(why: Cause) -> ConditionSummary:
    return ConditionSummary(False, why.reason, why.message, stalled=True, synced=Synced("Unknown"))
