"""Ownership: which object holds which cloud resource; no two objects act on one.

Objects exclude each other by the id alone, and a holder counts only if its own keys see that very thing: who writes an
id into a status, or has another thing of the same integer in another account, holds nothing. Of two that count and
record one thing, it is whose mark it bears; else who made it comes before who took it over, then the older one.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from qianfan_operator.api.common import CommonStatus, Need, Resource, Unreadable
from qianfan_operator.api.conditions import ConditionSummary, Synced
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.kinds.interface import Kind, Updates, UpdateStatus, Wait, confirming
from qianfan_operator.kinds.marks import Mark, short_hash
from qianfan_operator.reconcile.credentials import Credentials
from qianfan_operator.reconcile.managed_object import ManagedObject
from qianfan_operator.reconcile.store import Store

log = logging.getLogger(__name__)
_SOON = 1.0  # seconds; the first listing is read by then, mostly
_LISTED_BY = 3.0  # nothing is lost while it waits, and the list may be long
_LATER = 10.0  # seconds, after which the keys of another object are tried again
_UNLISTED = (
    "The operator has just started and is still listing all objects."
    " Waiting, because another object may own this cloud resource."
)
_UNSURE = "Cannot determine yet whether another object owns this cloud resource. Retrying."
_UNDECIDED = frozenset({Fate.RETRY, Fate.WAIT})


class OwnershipUnknown(Exception):
    """Whether the keys of another object see a thing cannot be told now."""


class Ownership:
    """Reserves what is about to be recorded; what is recorded is held from the status on."""

    def __init__(
        self,
        store: Store,
        fetch: Callable[[Key], Resource | None],
        listed: Callable[[], bool],
        credentials: Credentials,
        kinds: Callable[[str], Kind[Any]],
    ) -> None:
        self._store, self._fetch, self._listed = store, fetch, listed
        self._credentials, self._kinds = credentials, kinds

    def claim(
        self,
        managed: ManagedObject,
        account: Account | None,
        updates: Updates,
        *,
        marked: bool = False,
        seen: bool = False,
    ) -> Updates | Wait:
        """Return what of `updates` the object may record, without what others hold; a Hold if that leaves no sense.

        `marked`: it bears the object's mark, so that no open intent of another object made it.
        `seen`: a look at what is recorded showed it, so that it is nothing new.
        """
        wanted = _new(managed, updates)
        if wanted and not self._listed():
            return confirming(_SOON, _UNLISTED)
        status = managed.resource.status.model_copy(update=dict(updates))
        try:
            own = managed if marked else None
            held = {one: holder for one in wanted if (holder := self._holder(managed.key, account, status, one, own))}
            intending = None if marked or not wanted else self._intending(managed, account, status, wanted)
            if intending is None and not marked and not seen:
                intending = self._recovering(managed.key, account, status, wanted)
        except OwnershipUnknown:
            return confirming(_LATER, _UNSURE)
        if not held and intending is None:
            return updates
        if intending is not None:
            return self._managed(managed, intending, announced=True)
        mine = managed.kind.without(managed.resource, updates, held)
        still = [held[thing] for thing in _new(managed, mine) if thing in held]
        return self._managed(managed, min(still)) if still else mine

    def record(self, managed: ManagedObject, account: Account | None, step: UpdateStatus) -> UpdateStatus | Wait:
        """Turn a step into what of it the object may record."""
        mine = self.claim(managed, account, step.updates, marked=step.marked)
        if not isinstance(mine, Wait):
            return UpdateStatus(mine)
        if mine.summary.reason is Reason.ALREADY_MANAGED and managed.resource.metadata.deletion_timestamp:
            return UpdateStatus({"pending": None})  # what was found is not ours to release
        return mine

    def lost(self, managed: ManagedObject, account: Account | None) -> dict[ExternalId, Key]:
        """Return what the object records and others have, with who has it; raises Unknown."""
        if account is None:
            return {}
        owners = ((one, self._owner(managed, account, one)) for one in managed.kind.holds(managed.resource.status))
        return {thing: owner for thing, owner in owners if owner is not None}

    def _owner(self, managed: ManagedObject, account: Account, thing: ExternalId) -> Key | None:
        """Return who else has a recorded thing: whose mark it bears, else who comes before this object."""
        rivals = self._store.rivals(managed.key, thing)
        if not rivals:
            return None
        kind, status = managed.kind, managed.resource.status
        mark = self._mark(kind, account, status, thing)
        what = managed.resource.kind
        if mark and mark.names(what, managed.key.namespace, managed.key.name):
            return None
        marked = [other for other, _ in rivals if mark and mark.names(what, other.namespace, other.name)]
        candidates = marked or [other for other, first in rivals if first]
        return next((one for one in candidates if self._counts(one, account, kind, status, thing)), None)

    def _mark(self, kind: Kind[Any], account: Account, status: CommonStatus, thing: ExternalId) -> Mark | None:
        try:
            return kind.mark_of(account, status, thing)
        except CloudError as error:
            if error.fate in _UNDECIDED:
                raise OwnershipUnknown(f"whose {thing} is") from error
            return None

    def blocked(self, managed: ManagedObject, account: Account) -> Wait | None:
        """Say why what is recorded may not be stopped, released or switched by this object now; None: it may."""
        if not self._listed():
            return confirming(_LISTED_BY, _UNLISTED)
        status = managed.resource.status
        try:
            lost = self.lost(managed, account)
            adopted = frozenset[ExternalId]() if lost else managed.kind.takes(status)
            other = self._recovering(managed.key, account, status, adopted, same_life=True)
        except OwnershipUnknown:
            return confirming(_LATER, _UNSURE)
        if other is not None:
            return self._managed(managed, other, announced=True)
        return self._managed(managed, min(lost.values())) if lost else None

    def has_read(self, managed: ManagedObject, updates: Updates) -> None:
        """Remember that the object's own keys see what it records."""
        if record := self._store.get(managed.key):
            record.read = managed.kind.holds(managed.resource.status.model_copy(update=dict(updates)))

    def managed(self, managed: ManagedObject, lost: Iterable[Key]) -> Wait:
        """Say that others have what the object records."""
        return self._managed(managed, min(lost))

    def is_held(self, key: Key, kind: Kind[Any], status: CommonStatus, account: Account) -> bool:
        """Say whether another object has what was made for one that is gone; raises Unknown."""
        return any(self._holder(key, account, status, thing) for thing in kind.holds(status))

    def needing(
        self, managed: ManagedObject, account: Account, things: Iterable[Need], reads: Callable[[Account], bool]
    ) -> Iterator[Key]:
        """Return the other objects that need one of these things, each when it is asked for: that may take calls.

        Of other namespaces only what is recorded or announced counts, under the same account; `reads` tells whether
        keys see the things themselves.
        """
        wanted, here = tuple(things), managed.key.namespace
        asking, recorded = self._store.needing(wanted, recorded=False), self._store.needing(wanted)
        nearby = {key for key in (*asking, *recorded) if key.namespace == here} - {managed.key}
        far = (key for key in recorded if key.namespace != here and self._needs(key, managed, account, reads))
        return itertools.chain(sorted(nearby), far)

    def _needs(self, key: Key, managed: ManagedObject, account: Account, reads: Callable[[Account], bool]) -> bool:
        known = {account.name, managed.resource.status.account}
        resource = self._readable(key)
        if isinstance(resource, Unreadable):
            record = self._store.get(key)
            return record is not None and record.account in known
        if resource is None or resource.is_foreign:
            return False
        theirs = self._credentials.known(resource)
        if theirs is not None and theirs.keys == account.keys:
            return True
        if theirs is not None:
            try:
                return reads(theirs)
            except CloudError as error:
                if error.fate in _UNDECIDED and self._shows(account, resource):
                    return True
        return bool(resource.status.accounts & known)

    def _shows(self, account: Account, resource: Resource) -> bool:
        """Say whether these keys see what another object records; rather too often than too seldom."""
        kind: Kind[Any] = self._kinds(resource.plural)
        for thing in sorted(kind.holds(resource.status), key=str):
            try:
                if kind.reads(account, resource.status, thing):
                    return True
            except CloudError as error:
                if error.fate in _UNDECIDED:
                    return True
        return False

    def _holder(
        self,
        key: Key,
        account: Account | None,
        status: CommonStatus,
        thing: ExternalId,
        own: ManagedObject | None = None,
    ) -> Key | None:
        """Reserve a thing, or return who has it; raises Unknown. `own`: it bears the mark of this object."""
        others = set[Key]()
        while (holder := self._store.claim(key, thing, others)) is not None:
            if account is None or self._counts(holder, account, self._kinds(key.plural), status, thing):
                elsewhere = holder.namespace != key.namespace
                if not (own and account and elsewhere and self._made_it(own, account, status, thing)):
                    return holder
            others.add(holder)
        return None

    def _made_it(self, managed: ManagedObject, account: Account, status: CommonStatus, thing: ExternalId) -> bool:
        """Say whether this very object, or its former life, made a thing: only it takes that back from a holder.

        An object that was applied anew under the same name does not: what it finds may have been handed over.
        """
        resource = managed.resource
        mark = self._mark(managed.kind, account, status, thing)
        return mark is not None and _is_life(resource, mark)

    def _recovering(
        self,
        key: Key,
        account: Account | None,
        status: CommonStatus,
        things: Iterable[ExternalId],
        *,
        same_life: bool = False,
    ) -> Key | None:
        """Return who made one of these things, by its mark, and does not know it: its status was wiped or restored.

        Within a namespace a paused object keeps nothing from others. `same_life`: only whose uid the mark tells, and
        that of another namespace: what the object has already is not asked of those that were applied anew.
        """
        kind = self._kinds(key.plural)
        unknowing = [other for other in self._store.incomplete(key.plural) if other != key] if account else []
        for thing in things if unknowing else ():
            mark = self._mark(kind, account, status, thing) if account else None
            what = kind.resource.kind
            named = (one for one in unknowing if mark and mark.names(what, one.namespace, one.name))
            for other in named:
                resource, here = self._readable(other), other.namespace == key.namespace
                if isinstance(resource, Unreadable) and not same_life:
                    return other
                if not isinstance(resource, Resource) or mark is None or account is None:
                    continue
                waived = here and (resource.spec.paused or same_life)
                if waived or (same_life and not _is_life(resource, mark)):
                    continue
                if self._may_see(resource, account, status, thing):
                    return other
        return None

    def _may_see(self, resource: Resource, mine: Account, status: CommonStatus, thing: ExternalId) -> bool:
        """Say whether another object may have made what bears its mark: unless its keys surely do not see it."""
        theirs = self._credentials.known(resource)
        if theirs is None or theirs.keys == mine.keys:
            return True
        try:
            return self._kinds(resource.plural).reads(theirs, status, thing)
        except CloudError as error:
            return error.fate in _UNDECIDED

    def _intending(
        self, managed: ManagedObject, account: Account | None, status: CommonStatus, wanted: frozenset[ExternalId]
    ) -> Key | None:
        """Return whose open intent may have made what is to be recorded; raises Unknown."""
        kind, record = managed.kind, self._store.get(managed.key)
        places = kind.places(status, wanted)
        own = record.intends if record else frozenset()
        for other in self._store.intending(managed.key, places):
            theirs = self._store.get(other)
            first = record is None or theirs is None or (theirs.created, other) < (record.created, managed.key)
            first = first and not (theirs and theirs.foreign)  # a copy of an intent does not come before an intent
            if own & places and not first:  # both may have made it: the older one looks first
                continue
            if account is None or any(self._announces(other, account, kind, status, one) for one in wanted):
                return other
        return None

    def _announces(self, other: Key, mine: Account, kind: Kind[Any], status: CommonStatus, thing: ExternalId) -> bool:
        resource = self._readable(other)
        if isinstance(resource, Unreadable):
            record = self._store.get(other)
            return record is not None and record.account == mine.name
        pending = (resource.former or resource.status).pending if resource else None
        if resource is None or pending is None:
            return False
        return pending.account == mine.name or self._sees(other, resource, mine, kind, status, thing)

    def _counts(self, other: Key, mine: Account, kind: Kind[Any], status: CommonStatus, thing: ExternalId) -> bool:
        """Say whether another object that records a thing of ours sees it with its own keys; raises Unknown."""
        resource = self._readable(other)
        if isinstance(resource, Unreadable):
            record = self._store.get(other)
            return record is not None and thing.alias in record.read  # as far as its keys have read what it records
        there = resource is not None and not resource.is_foreign
        return there and resource is not None and self._sees(other, resource, mine, kind, status, thing)

    def _sees(
        self, other: Key, resource: Resource, mine: Account, kind: Kind[Any], status: CommonStatus, thing: ExternalId
    ) -> bool:
        theirs = self._credentials.known(resource)
        if theirs is not None and theirs.keys == mine.keys:
            return True
        record = self._store.get(other)
        read = record is not None and thing.alias in record.read
        seen = _sees(kind, theirs, status, thing) if theirs else False
        if seen or (seen is False and not read):
            return seen
        # Its keys cannot tell just now, or are not there; whether what it records is ours tells the same question of
        # our own keys. That its keys have read it is known, or is not.
        shown = _sees(kind, mine, resource.status, thing.alias)
        if shown is None or (shown and not read):
            raise OwnershipUnknown(f"whether {other} holds {thing}")
        return shown

    def _readable(self, key: Key) -> Resource | Unreadable | None:
        """Read another object, which must not keep this one from anything if it cannot be read."""
        try:
            resource = self._fetch(key)
        except Unreadable as error:
            log.warning("Another object cannot be read", extra={"object": str(key), "error": str(error)})
            return error
        if resource is None:
            self._store.forget(key)  # it went during a gap of the watch
        return resource

    def _managed(self, managed: ManagedObject, holder: Key, *, announced: bool = False) -> Wait:
        self._store.wait_for(managed.key, [holder])
        kind = managed.resource.kind  # a thing is held by objects of one kind only
        here = holder.namespace == managed.key.namespace
        whose = f"{kind} {holder.name}" if here else f"a {kind} in another namespace"
        that = whose if here else "the other object"
        way = f"To move the resource here instead, set deletionPolicy: Orphan on {that}, then delete {that}."
        message = f"The cloud resource is already managed by {whose}. Delete this object. {way}"
        if announced:
            made = f"The cloud resource may have been created by {whose}, whose create request is not confirmed yet"
            message = f"{made}. Waiting."
        return Wait(ConditionSummary(False, Reason.ALREADY_MANAGED, message, stalled=True, synced=Synced("False")))


def _new(managed: ManagedObject, updates: Updates) -> frozenset[ExternalId]:
    kind: Kind[Any] = managed.kind
    status = managed.resource.status
    return kind.holds(status.model_copy(update=dict(updates))) - kind.holds(status)


def _is_life(resource: Resource, mark: Mark) -> bool:
    """Say whether a mark is of this very object or of its former life, and not of a namesake."""
    metadata = resource.metadata
    own = mark.names(resource.kind, metadata.namespace, metadata.name)
    return own and mark.uid in {short_hash(metadata.uid), short_hash(resource.marked_metadata.uid)}


def _sees(kind: Kind[Any], account: Account, status: CommonStatus, thing: ExternalId) -> bool | None:
    """Say whether keys see a recorded thing; None: that cannot be told now."""
    try:
        return kind.reads(account, status, thing)
    except CloudError as error:
        return None if error.fate in _UNDECIDED else False
