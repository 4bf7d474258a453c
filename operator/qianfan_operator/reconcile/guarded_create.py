"""Never pay twice: how a create that costs money is sent, recorded and, if its reply was lost, looked for (design 5).

The cloud has no idempotency token. So the request is signed first, with an expiry that the cloud enforces; then an
intent is written, guarded by the resourceVersion; then it is sent, once. What is not proven refused is unknown, and is
looked for when no copy of the request can be accepted any more; only then may it be repeated.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qianfan_operator.api.common import Pending, Unreadable
from qianfan_operator.api.conditions import Synced, Verdict
from qianfan_operator.api.keys import Key, same
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.deadlines import cloud_now
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds.interface import CannotTell, Hold, Pay, Record, Seen, Updates, Why, World, confirming
from qianfan_operator.kube.client import Conflict, KubeError
from qianfan_operator.reconcile import repeating
from qianfan_operator.reconcile.crd_guard import CrdGuard
from qianfan_operator.reconcile.managed_object import Subject
from qianfan_operator.reconcile.ownership import Claims, Unknown
from qianfan_operator.telemetry import caller
from qianfan_operator.telemetry.caller import Cause

log = logging.getLogger(__name__)
_AGAIN = 10.0  # seconds, in which the process that sent a create may have written what it made
_NAMING = ("Id", "Uuid", "Name", "name")  # how inputs end that name a thing
_TRIES = 5  # of writing ids through conflicts within one pass; the next pass goes on


@dataclass(frozen=True)
class Landing:
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


class Protocol:
    """The create protocol. `leading` says whether this process may start something; `nonce` makes names of intents."""

    def __init__(self, leading: Callable[[], bool], nonce: Callable[[], str]) -> None:
        self._leading, self._nonce = leading, nonce
        self._landings: dict[Key, Landing] = {}
        self._lock = threading.Lock()
        self.claims: Claims | None = None
        """Who holds what; the engine sets it."""
        self.guard: CrdGuard | None = None
        """Tells what went with its CRD; the engine sets it."""

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

    def pay(self, subject: Subject, account: Account, world: World, step: Pay, verdict: Verdict) -> Hold | Record:
        """Send a create by steps 1 to 4 of design 5; raises CloudError if it was proven refused."""
        if why := repeating.forbidden(subject.resource, step):
            return Hold(_stalled(why))
        if not account.client.clock_known():
            account.client.measure_clock()
        prepared = step.prepare(account.client)
        pending = Pending(
            operation=step.operation, nonce=self._nonce(), attempt=step.attempt, inputs=step.inputs,
            account=account.name, started_at=cloud_now(account) or world.now,
        )  # fmt: skip
        try:
            subject.write({**step.updates, "pending": pending}, verdict, trying=True)
        except KubeError:  # it may be written all the same
            self._hand_over(subject, account, pending, None)
            raise
        world.claims.clear()
        world.first_sight(("intent", pending.nonce))
        if not self._leading():  # nothing was sent, which is known here and nowhere else
            self._hand_over(subject, account, pending, None)
            self.land(subject, verdict)
            return Hold(verdict)
        try:
            reply = prepared.send()
        except CloudError as error:
            subject.note_error(error)
            if error.refused:
                self._hand_over(subject, account, pending, None, subject.kind.refused(error))
                self.land(subject, verdict)
                raise
            about = {"operation": error.operation, "code": error.code, "error_class": error.error_class.value}
            told = {**about, "request_id": error.request_id, "error": str(error)}
            log.warning("The outcome of a create request is unknown", extra={**caller.about(), **told})
            return self.confirm(subject, account, world, now_if_there=error.exists)
        self._hand_over(subject, account, pending, reply)
        if not self.land(subject, verdict):
            raise Conflict(f"{subject.key} went on without this pass")
        return Record({})

    def confirm(self, subject: Subject, account: Account, world: World, *, now_if_there: bool = False) -> Hold | Record:
        """Look for what an open intent may have made, when its grace is over (design 5.5, 5.6).

        `now_if_there`: the cloud said that it exists, so what is found counts at once; what is not, counts later.
        """
        resource = subject.resource
        pending = resource.status.pending
        if pending is None:
            return Record({})
        left = world.grace_left("intent", pending.nonce)
        waiting = confirming(min(left, _AGAIN), Reason.CONFIRMING.sentence)
        if left and not now_if_there:
            return waiting
        found = subject.kind.look(world, account, resource, pending)
        if isinstance(found, Seen):
            log.info("Found the resource of an unconfirmed create request", extra={"object": str(subject.key)})
            updates = {**found.updates, **repeating.made_something(resource), "pending": None}
            return Record(updates, marked=found.marked)
        if left:
            return waiting
        if isinstance(found, CannotTell):
            updates = {"pending": None} if found.nothing_made else {}
            leaving = resource.metadata.deletion_timestamp is not None
            why = Why(Reason.DELETION_BLOCKED, found.why.message) if leaving else found.why
            return Hold(_stalled(why), updates=updates)
        return Record({"pending": None, **repeating.made_nothing(resource, pending)})

    def land(self, subject: Subject, verdict: Verdict) -> bool:
        """Write what came of an intent, if that is not written yet; raises KubeError or Unfinished: it goes on later.

        False: nothing was written for this object as this pass knew it, so that the pass has no more to say.
        """
        landing = self._landings.get(subject.key)
        if landing is None:
            return False
        if landing.reply is None:
            self._refused(subject, landing)
            return False
        for _ in range(_TRIES):
            try:
                landed = self._land(subject, verdict, landing)
            except Conflict:
                subject.reload()
                continue
            with self._lock:
                self._landings.pop(subject.key, None)
            return landed
        return False

    def _refused(self, subject: Subject, landing: Landing) -> None:
        """Have the pass write the end of an intent that was proven refused; it is known until the status shows it."""
        now = subject.resource.status.pending
        if now and now.nonce == landing.pending.nonce:
            subject.note({"pending": None, **landing.refusal})
            return
        with self._lock:
            self._landings.pop(subject.key, None)

    def abandon(self, key: Key) -> None:
        """Stop, if its policy says so, what was made for an object that is gone; raises Unfinished."""
        landing = self._landings.get(key)
        if landing is None:
            return
        if landing.reply is not None:
            caller.because(Cause.OBJECT_GONE)
            log.warning("Object deleted during a create request", extra=_about(key, landing))
            try:
                landing.undo()
            except (CloudError, KubeError, Unknown, Unreadable) as error:
                log.warning(
                    "Failed to stop the resource of a deleted object",
                    extra={**_about(key, landing), "error": str(error)},
                )
                raise Unfinished(f"{key} is gone, and {landing.reply} is not") from error
        with self._lock:
            self._landings.pop(key, None)

    def _hand_over(
        self, subject: Subject, account: Account, pending: Pending, reply: Any, refusal: Updates | None = None
    ) -> None:
        kind, resource = subject.kind, subject.resource

        def undo() -> None:
            made = kind.landed(resource, pending, reply)
            status = type(resource.status)().model_copy(update=dict(made))
            if self.claims and self.claims.is_held(subject.key, kind, status, account):
                return  # somebody else has taken it over meanwhile
            if self.guard and self.guard.went(resource):
                log.warning("Orphaned", extra={"object": str(subject.key), "ids": repr(reply)})
                return
            if resource.spec.deletion_policy_for(adopted=False) == "Delete":
                kind.abandon(account, resource, made)

        with self._lock:
            self._landings[subject.key] = Landing(resource.metadata.uid, pending, reply, undo, refusal or {})

    def _land(self, subject: Subject, verdict: Verdict, landing: Landing) -> bool:
        resource = subject.resource
        if resource.metadata.uid != landing.uid:  # a successor of the same name: only what it holds by now is left
            made = subject.kind.ids_of(subject.kind.landed(resource, landing.pending, landing.reply))
            bound = subject.kind.bound(resource, landing.pending)
            if bound is None or not same(bound, made):
                self.abandon(subject.key)
            return False
        now = resource.status.pending
        ended = {"pending": None} if now and now.nonce == landing.pending.nonce else {}
        updates = subject.kind.landed(resource, landing.pending, landing.reply)
        bound = subject.kind.bound(resource, landing.pending)
        if bound is None:
            subject.write({**updates, **ended, **repeating.made_something(resource)}, verdict)
            return True
        if same(bound, subject.kind.ids_of(updates)):
            if ended:
                subject.write(ended, verdict)
            return bool(ended)
        # The intent stays open, or is opened again, with what was made: it ends when a person has chosen one.
        ids = [name for name in subject.kind.ids_of(updates) if name is not None]
        kept = landing.pending.model_copy(update={"inputs": {**landing.pending.inputs, "made": ids}})
        log.error(
            "Two resources were created for one create request",
            extra={**_about(subject.key, landing), "bound": str(bound)},
        )
        why = Why(Reason.DUPLICATE_CLOUD_RESOURCE, Reason.DUPLICATE_CLOUD_RESOURCE.sentence)
        if now and not ended:
            raise Conflict(f"{subject.key} has another intent; what was made besides is recorded after it")
        subject.write({"pending": kept}, _stalled(why))
        return False


def _about(key: Key, landing: Landing) -> dict[str, Any]:
    return {"object": str(key), "ids": repr(landing.reply)}


def _stalled(why: Why) -> Verdict:
    return Verdict(False, why.reason, why.message, stalled=True, synced=Synced("Unknown"))
