"""The object of a reconcile: its reads and its guarded writes."""

import logging
import shlex
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from qianfan_operator.api.common import (
    FINALIZER,
    RECONCILE_ANNOTATION,
    SAID,
    CommonStatus,
    Condition,
    LastError,
    Part,
    Resource,
)
from qianfan_operator.api.conditions import (
    AVAILABLE,
    MESSAGE_LIMIT,
    OURS,
    READY,
    STALLED,
    SUCCEEDED,
    ConditionSummary,
    Synced,
    conditions,
    find,
    is_true,
)
from qianfan_operator.api.keys import Key
from qianfan_operator.api.mistakes import explain
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds.interface import Cause, Kind, Phase, ReconcileContext, Updates
from qianfan_operator.kube.client import (
    Conflict,
    ConflictRetriesExhausted,
    Forbidden,
    Invalid,
    Kube,
    KubeError,
    NotFound,
)
from qianfan_operator.kube.events import STATUS_RESTORED, Events
from qianfan_operator.reconcile.policy import Blocker, Facts
from qianfan_operator.reconcile.predicates import update_index
from qianfan_operator.reconcile.store import Source, Store, essence, number
from qianfan_operator.telemetry import caller
from qianfan_operator.text import clean

log = logging.getLogger(__name__)
_WORDS = 500  # characters of the API server that a condition shows
_BEGUN = "begun"  # when this process put the finalizer on
_INVITING = frozenset(
    {
        Reason.PUBLISHING_FAILED,
        Reason.GONE,
        Reason.DRIFTED,
        Reason.UPDATE_FAILED,
        Reason.REFUSED,
        Reason.ACCOUNT_CHANGED,
    }
)  # what a change of the annotation has tried again or undone, and what is only known when the cloud can be asked

_IDS = ("Id", "Uuid", "IdStr", "taskName", "serviceName", "modelName", "published")
_SHOWN = ("vdl_link", "console_url", "url", "train_type", "versions", "version_count")
"""Fields of a status that only show something: no decision is made by them."""

Path = tuple[str, ...]
"""The names that lead to a field; what is in a list is named as if there were no list."""

_TRIES = 5  # of a write, while others write annotations or labels
_LOOKING = frozenset({Reason.CONFIRMING, Reason.CREATE_OUTCOME_UNKNOWN, Reason.ACCOUNT_CHANGED})


class ManagedObject:
    """One object during one reconcile. Methods raise KubeError."""

    def __init__(self, key: Key, kind: Kind[Any], kube: Kube, store: Store, events: Events, now: str) -> None:
        self.key, self.kind, self.now = key, kind, now
        self._kube, self._store, self._events = kube, store, events
        self._noted: dict[str, Any] = {}
        self.writes = 0
        self.released = False
        self.resource: Resource
        self.reconcile_request_handled = True
        """Whether this reconcile handles the request of the annotation; until one does, the request stays pending."""
        self.invalid = ""
        """Why the spec cannot be used, if it cannot."""
        if remembered := store.body(key):
            self._read(remembered)
        else:
            self._take(kube.get(key))

    @property
    def exposed(self) -> bool:
        """Whether something is recorded and the finalizer, without which it would be forgotten, was taken off."""
        metadata, status = self.resource.metadata, self.resource.status
        kept = FINALIZER in metadata.finalizers or metadata.deletion_timestamp is not None
        return not kept and (self.resource.is_foreign or status.pending is not None or status.account is not None)

    @property
    def kept(self) -> bool:
        """Whether deleting the object leaves the cloud as it is, by its policy."""
        adopted = self.kind.adopted(self.resource)
        return self.resource.spec.deletion_policy_for(adopted=adopted) == "Orphan"

    @property
    def ids(self) -> list[str]:
        """What the status records in the cloud, for the log: each id as `name=value`, those of an earlier run together.

        What may still cost something is before what has ended: of a long list, a line tells the beginning.
        """
        status = self.resource.status
        runs = (" ".join(_ids(run, "attempt", *_IDS)) for run in self.kind.earlier(status))
        return [*_ids(status, *_IDS), *(f"run {run}" for run in runs)]

    @property
    def told(self) -> tuple[Condition, ...]:
        """The conditions as the object has them."""
        return self._written.conditions

    @property
    def unpaid(self) -> set[Hashable]:
        """The places in which this process knows that nothing was made: see ReconcileContext."""
        return self._store.unpaid(self.key)

    def reload(self) -> None:
        """Read the object as it is now; raises NotFound."""
        self._take(self._kube.get(self.key))

    def confirm(self) -> None:
        """Make sure, before the cloud is changed, that the object is as it was read; raises Conflict."""
        for _ in range(_TRIES):
            raw = self._kube.get(self.key)
            if raw["metadata"]["resourceVersion"] == self.resource.metadata.resource_version or self._follows(raw):
                return
        raise ConflictRetriesExhausted(f"{self.key} is annotated all the time")

    def _follows(self, raw: Mapping[str, Any]) -> bool:
        """Go on with the object as it is now, if others wrote no more of it than annotations and labels.

        Raises Conflict if they did; False: that is not known yet. A status that records nothing can be as it was and
        still have been another meanwhile, which was wiped: only the watch can tell.
        """
        if essence(raw) != self._essence:
            self._store.forget_body(self.key)
            raise Conflict(f"{self.key} changed since it was read")
        since, now = number(self.resource.metadata.resource_version), number(raw["metadata"]["resourceVersion"])
        recorded = self._written.records and self.resource.former is None
        if not recorded and not self._store.unbroken(self.key, since, now):
            return False
        self._take(raw)
        return True

    def _guarded(self, write: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Write for the version that was read, and for later ones as long as only annotations and labels change."""
        for _ in range(_TRIES):
            try:
                return self._written_once(write)
            except Conflict:
                self._follows(self._kube.get(self.key))
        raise ConflictRetriesExhausted(f"{self.key} is annotated all the time")

    def _written_once(self, write: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Write, and let the store know which version is ours: the watch may bring it before the answer comes."""
        self._store.begin_write(self.key)
        version, lost = None, True
        try:
            raw = write(self.resource.metadata.resource_version)
            version = number(raw["metadata"]["resourceVersion"])
        except (Conflict, Forbidden, Invalid, NotFound):
            lost = False
            raise
        else:
            return raw
        finally:
            self._store.end_write(self.key, version, lost=lost and version is None)

    def begin(self, account: str, summary: ConditionSummary, ctx: ReconcileContext, *, first: bool) -> None:
        """Hold the object; of a new one record that it begins with nothing: a status that does not say so was wiped.

        `first`: in a write of its own before the finalizer. As long as the cloud's lists prove nothing, a kill between
        the two would leave a question that nobody can answer. A process that was only interrupted between them knows
        that the object is new, for a grace: a recovery of any other takes as long.
        """
        new = FINALIZER not in self.resource.metadata.finalizers
        since = ctx.claims.get(_BEGUN)
        if self.resource.former is None and (new or (since is not None and ctx.boot - since < ctx.grace)):
            mark = self.kind.begin(self.resource)
            self.note({"account": self.resource.status.account or account, **mark})
            if new and first and mark:
                self.write({}, summary, trying=True)
        self.hold()
        if new:
            ctx.claims[_BEGUN] = ctx.boot

    def hold(self) -> None:
        """Make sure that the finalizer is there, and with it that the object is as this reconcile read it."""
        finalizers = self.resource.metadata.finalizers
        if FINALIZER in finalizers:
            self.confirm()
            return
        held = [*finalizers, FINALIZER]
        try:
            raw = self._guarded(lambda version: self._kube.patch_finalizers(self.key, version, held))
        except (Forbidden, Invalid) as error:
            self._tell_refused(error)
            raise
        self._take(raw, Source.OURS)

    def _tell_refused(self, error: KubeError) -> None:
        """Tell, in the API server's words, that the object cannot be held; what is usable stays so."""
        self._noted.clear()  # nothing was begun
        words = clean(str(error).partition(": ")[2].rstrip("."), _WORDS)
        reason, what = Reason.FINALIZER_REFUSED, f"The API server refuses the operator's finalizer {FINALIZER}"
        message = f"{what}: {words}. Nothing is created without it. Change the policy that refuses it."
        told, generation = self._written.conditions, self.resource.metadata.generation
        ready, ended, synced = find(told, READY), find(told, SUCCEEDED), Synced("False", reason, message)
        if ready and ready.status == "True" and ready.observed_generation == generation:
            return self.write({}, ConditionSummary(True, reason, keep=True, synced=synced))
        known = {"True": True, "False": False}.get(ended.status) if ended else None
        answers = is_true(told, AVAILABLE)
        summary = ConditionSummary(False, reason, message, stalled=True, synced=synced, ended=known, available=answers)
        return self.write({}, summary)

    def let_go(self) -> None:
        """Take the finalizer off."""
        metadata = self.resource.metadata
        if FINALIZER in metadata.finalizers:
            rest = [name for name in metadata.finalizers if name != FINALIZER]
            self._guarded(lambda version: self._kube.patch_finalizers(self.key, version, rest))
            log.info("finalizer removed", extra={**caller.about(), "object": str(self.key), "ids": self.ids})
        self.released = True

    def note(self, updates: Updates) -> None:
        """Have the next write record this, too; until then the object of this reconcile already shows it."""
        self._noted.update(updates)
        self._show(updates)

    def warn(self, why: Cause) -> None:
        """Post a warning that changes nothing."""
        self._events.post(self.resource, "Warning", why.reason, why.message)

    def warn_restored(self, fields: str) -> None:
        """Post a warning that somebody else had changed these fields of the status, which are written again."""
        about = {**caller.about(), "object": str(self.key), "restored": fields}
        log.warning("Another writer changed the status; it is restored", extra=about)
        message = f"Another writer changed the status. Restored: {fields}."
        self._events.post(self.resource, "Warning", STATUS_RESTORED, message)

    def note_error(self, error: CloudError) -> None:
        """Record the cloud's own words; they change only with the operation or the code."""
        known, pending = self.resource.status.last_error, self.resource.status.pending
        again = known is not None and (known.operation, known.code) == (error.operation, error.code)
        if known and again and known.resolved_at is None:
            return
        open_ = pending is not None and known is not None and pending.operation == known.operation
        if known and (open_ or known.made_nothing) and error.operation != known.operation:
            return  # what a create was answered is known until its outcome is
        words = LastError(
            operation=error.operation,
            code=error.code,
            message=error.message,
            request_id=error.request_id,
            time=self.now,
            made_nothing=known.made_nothing if known and again else None,  # the count goes on
            inputs_hash=known.inputs_hash if known and again else None,
        )
        self.note({"last_error": words})

    def note_success(self, facts: Facts, summary: ConditionSummary) -> None:
        """Record that the last error is over, if this reconcile got by what it stood in the way of.

        An error stays current while the outcome of a create is open, or while it is why one is not repeated.
        """
        last, pending = self.resource.status.last_error, self.resource.status.pending
        if last is None or last.resolved_at or last.made_nothing or pending or facts.blocker is not Blocker.NONE:
            return
        seen = facts.phase is not Phase.ABSENT and summary.reason is facts.phase_cause.reason  # what the cloud told
        if summary.reason is not Reason.PAUSED and (summary.synced.status == "True" or seen):
            self.note({"last_error": last.model_copy(update={"resolved_at": self.now})})

    def write(self, updates: Updates, summary: ConditionSummary, *, trying: bool = False) -> None:
        """Write the status, once, and only what differs: ids, observedGeneration and conditions together.

        `trying`: the outcome is not known yet. An object that is Stalled stays it until then, so that trying again
        whether a person has mended the cause makes no noise.
        """
        before, summary = self._written, self._with_way_out(self._with_origin(self._unanswered(summary)))
        changes = {**self._noted, **updates}
        told = trying and self._told_stalled()
        recorded = self._bound(before, changes)
        after = recorded if told else recorded.model_copy(update=self._judged(summary))
        patch = difference(before.to_dict(), after.to_dict())
        if not patch or self._says_nothing_new(before, after):
            return
        sent: CommonStatus | None = after
        try:
            raw = self._guarded(lambda version: self._kube.patch_status(self.key, version, patch))
        except (Forbidden, Invalid) as error:
            raw, sent = self._write_less(error, before, recorded), None
        self.writes += 1
        self._noted.clear()
        self._take(raw, Source.OURS)
        if sent and (record := self._store.get(self.key)) is not None:
            dropped = missing(sent.to_dict(), self._written.to_dict())
            record.dropped = frozenset(path for path in dropped if path[0] != "pending")  # an intent is always written
        self._events.transition(self.resource, before.conditions)

    def _says_nothing_new(self, before: CommonStatus, after: CommonStatus) -> bool:
        """Say whether two statuses differ only in what the API server dropped, or in conditions of other writers.

        That would be written for ever. It is sent again with the next change: the definitions may have been renewed.
        """
        record = self._store.get(self.key)
        dropped = record.dropped if record else frozenset[Path]()
        one, other = (without(_own_conditions(status).to_dict(), dropped) for status in (before, after))
        return one == other

    def _write_less(self, error: KubeError, before: CommonStatus, recorded: CommonStatus) -> Mapping[str, Any]:
        """Write what is recorded although the API server refuses the status as a whole; ids must always land.

        First without the conditions, then also without the fields that only show something. Raises the last refusal.
        """
        shown = {name: getattr(before, name) for name in _SHOWN if hasattr(before, name)}
        for less in (recorded, recorded.model_copy(update=shown)):
            about = {"object": str(self.key), "error": clean(str(error), _WORDS)}
            log.warning("The API server refused the status. Writing less of it", extra=about)
            patch = difference(before.to_dict(), less.to_dict())
            try:
                return self._guarded(lambda version, patch=patch: self._kube.patch_status(self.key, version, patch))  # type: ignore[misc]
            except (Forbidden, Invalid) as again:
                error = again
        raise error

    def _bound(self, before: CommonStatus, changes: Updates) -> CommonStatus:
        """Return the status with the changes, and bound to this object by its uid as soon as it records anything.

        A status that was written for another object is replaced when it is known what this one has in the cloud, and
        stays as it came until then: other processes must know as much.
        """
        if self.resource.former is None:
            after = before.model_copy(update=dict(changes))
        else:
            own = self._own.model_copy(update=dict(changes))
            if not own.records:
                return before.model_copy(update={name: value for name, value in changes.items() if name in SAID})
            after = own.model_copy(update={"conditions": before.conditions})
        if not after.records:
            return after
        return after.model_copy(update={"object_uid": self.resource.metadata.uid})

    def _with_origin(self, summary: ConditionSummary) -> ConditionSummary:
        """Tell why what the status shows is looked for as if it were not there."""
        if self.resource.former is None or summary.reason not in _LOOKING:
            return summary
        said = "status.objectUid belongs to another object (a copy or a restore)"
        looking = "Looking in the cloud for resources marked for this object"
        return _saying(summary, f"{summary.message} {said}. {looking}.")

    def _with_way_out(self, summary: ConditionSummary) -> ConditionSummary:
        """Tell with every block of a deletion how to let the object go all the same.

        See docs/design/api.md#deleting.
        """
        if summary.reason is not Reason.DELETION_BLOCKED:
            return summary
        what = ["-n", self.key.namespace, "patch", self.resource.singular, self.key.name]
        way = shlex.join(["kubectl", *what, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Orphan"}}'])
        first = "first stop billable resources in the console"
        leave = f". To delete this object without contacting the cloud, {first}, then run: {way}"
        said = clean(summary.message.removesuffix("."), MESSAGE_LIMIT - len(leave))  # the way out is never cut off
        return _saying(summary, said + leave)

    def _unanswered(self, summary: ConditionSummary) -> ConditionSummary:
        """Keep Ready's reason until a reconcile handles the request that it invites to: nothing else remembers that."""
        told, generation = self._inviting(), self.resource.metadata.generation
        known = told is not None and told.observed_generation == generation and summary.retrying
        if told is None or not (known or self.resource.reconcile_requested):
            return summary
        words, stays = summary.retrying or summary.message, not summary.reconciling
        reason = next(one for one in _INVITING if one == told.reason)
        return replace(summary, reason=reason, message=words, stalled=stays)

    def _inviting(self) -> Condition | None:
        """Return Ready as it is recorded, if it invites to the annotation and this reconcile does not handle that."""
        told = find(self._written.conditions, READY)
        return told if told and told.reason in _INVITING and not self.reconcile_request_handled else None

    def _told_stalled(self) -> bool:
        stalled = find(self._written.conditions, STALLED)
        generation = self.resource.metadata.generation
        return stalled is not None and stalled.observed_generation == self._written.observed_generation == generation

    def _judged(self, summary: ConditionSummary) -> dict[str, Any]:
        metadata, status = self.resource.metadata, self._written
        asked = metadata.annotations.get(RECONCILE_ANNOTATION)
        return {
            "observed_generation": metadata.generation,
            "conditions": tuple(
                conditions(summary, status.conditions, metadata.generation, self.now, self.kind.condition)
            ),
            "last_handled_reconcile_at": status.last_handled_reconcile_at if self._inviting() else asked,
        }

    def _take(self, raw: Mapping[str, Any], source: Source = Source.READ) -> None:
        record = self._store.put(self.key, raw, keep_body=True, source=source)
        self._read(raw)
        if record:  # an intent is known to all before it is sent
            resource = self.resource.model_copy(update={"status": self._own})
            update_index(self._store, record, self.kind, resource)

    def _read(self, raw: Mapping[str, Any]) -> None:
        self._essence = essence(raw)
        try:
            self.resource, self.invalid = self.kind.resource.parse(raw), ""
        except ValidationError as error:
            self.resource, self.invalid = self.kind.resource.parse_lenient(raw), explain(error)
        self._written, self.resource = self.resource.status, self.resource.own()
        self._own = self.resource.status
        if self._noted:
            self._show(self._noted)

    def _show(self, updates: Updates) -> None:
        status = self.resource.status.model_copy(update=dict(updates))
        self.resource = self.resource.model_copy(update={"status": status})


def _saying(summary: ConditionSummary, message: str) -> ConditionSummary:
    """Say this in every condition: `kubectl get` shows the message of Synced."""
    synced = replace(summary.synced, message=message) if summary.synced.message else summary.synced
    return replace(summary, message=message, synced=synced)


def _own_conditions(status: CommonStatus) -> CommonStatus:
    return status.model_copy(update={"conditions": tuple(one for one in status.conditions if one.type in OURS)})


def missing(sent: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[Path]:
    """Name the fields of what was sent that are not in what was kept; those of all items of a list by one path."""
    for name, value in sent.items():
        if name not in kept:
            yield (name,)
            continue
        for one, other in zip(_items(value), _items(kept[name]), strict=False):
            yield from ((name, *path) for path in missing(one, other))


def without(status: Mapping[str, Any], paths: Collection[Path]) -> dict[str, Any]:
    """Return a status without some fields."""
    rest: dict[str, Any] = {}
    for name, value in status.items():
        inner = [path[1:] for path in paths if path[0] == name]
        if () in inner:
            continue
        rest[name] = _without(value, inner) if inner else value
    return rest


def _without(value: Any, paths: Collection[Path]) -> Any:
    if isinstance(value, list):
        return [_without(one, paths) for one in value]
    return without(value, paths) if isinstance(value, Mapping) else value


def _items(value: object) -> list[Mapping[str, Any]]:
    """Return the objects in a value: itself, or the items of a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Make the JSON merge patch that turns `before` into `after`; empty if they are equal."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if name in before and old == value:
            continue
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        patch[name] = difference(old, value) if both else value  # type: ignore[arg-type]
    return patch


def _ids(recorded: Part, *ends: str) -> list[str]:
    return [f"{name}={value}" for name, value in recorded.to_dict().items() if name.endswith(ends)]
