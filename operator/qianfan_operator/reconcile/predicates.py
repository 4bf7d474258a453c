"""Predicates: whether an object needs a reconcile, and which of its state dependents use."""

from collections.abc import Hashable
from typing import Any

from qianfan_operator.api.common import FINALIZER, RECONCILE_ANNOTATION, Resource
from qianfan_operator.api.conditions import READY, STALLED, SUCCEEDED, SYNCED, find, is_true
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import Kind, Phase
from qianfan_operator.reconcile.store import Store, StoreEntry, number

_FOLLOWED = frozenset({Reason.STOPPING, Reason.UPDATING, Reason.CONFIRMING})
"""What a change that is under way in the cloud is told by; a deletion is known by its timestamp."""


def needs_reconcile(resource: Resource) -> tuple[Hashable, ...]:
    """Name what an object asks for that its status has not answered; empty if nothing."""
    metadata, status = resource.metadata, resource.status
    recorded = resource.is_foreign or status.pending is not None or status.account is not None
    lost = FINALIZER not in metadata.finalizers and recorded
    wishes: tuple[Hashable, ...] = ()
    if metadata.generation != status.observed_generation:
        wishes += (("generation", metadata.generation),)
    if metadata.deletion_timestamp and FINALIZER in metadata.finalizers:
        wishes += (("deleting", metadata.generation),)
    if resource.reconcile_requested:
        wishes += (("asked", metadata.annotations[RECONCILE_ANNOTATION]),)
    if lost and not metadata.deletion_timestamp:
        wishes += (("finalizer", metadata.resource_version),)
    if resource.is_foreign:  # what it has in the cloud, if anything, is not known
        wishes += (("foreign", metadata.uid),)
    return wishes


def is_settled(kind: Kind[Any], resource: Resource) -> bool:
    """Say whether nothing is going on with an object, so that its body need not be kept."""
    if needs_reconcile(resource) or resource.status.in_doubt or resource.metadata.deletion_timestamp:
        return False
    seen = kind.observe_recorded(resource)
    ended = seen.phase in {Phase.READY, Phase.STOPPED} and not seen.others_working
    told = resource.status.conditions
    complete = find(told, SYNCED) and find(told, kind.condition or READY)
    return ended and complete is not None and is_true(told, READY)


def is_finished(resource: Resource) -> bool:
    """Say whether an object needs no look ever again: a job whose run has ended, and whose conditions are complete."""
    told = resource.status.conditions
    ended, complete = find(told, SUCCEEDED), find(told, READY) is not None and find(told, SYNCED) is not None
    return complete and ended is not None and ended.status != "Unknown" and not resource.status.in_doubt


def is_in_between(resource: Resource) -> bool:
    """Say whether a changed spec is not judged yet: nobody need hear of it before it is, which is soon."""
    metadata = resource.metadata
    return metadata.generation != resource.status.observed_generation and metadata.deletion_timestamp is None


def dependency_state(kind: Kind[Any], resource: Resource) -> Hashable:
    """What others that refer to this object care about: if it stays the same, so does what they make of it."""
    if resource.metadata.deletion_timestamp is not None:
        return "deleting", kind.signal(resource)
    conditions = resource.status.conditions
    ready, succeeded = find(conditions, READY), find(conditions, SUCCEEDED)
    ended = succeeded.status if succeeded else None
    stalled = is_true(conditions, STALLED)
    why = ready.reason if ready and (stalled or ended == "False") else None
    return is_in_between(resource), is_true(conditions, READY), stalled, ended, why, kind.signal(resource)


def update_index(store: Store, record: StoreEntry, kind: Kind[Any], resource: Resource) -> None:
    """Take from a status what is asked of all objects together: accounts, uses, things that are held, and witnesses."""
    resource = resource.own()  # what another object's status records is held by nobody
    status, metadata = resource.status, resource.metadata
    record.account, record.finished = status.account, is_finished(resource)
    record.waits = not record.finished and not is_true(status.conditions, READY)
    begun = kind.begun(status)
    record.begun = 0 if begun is None else max(record.begun, begun)
    ready = find(status.conditions, READY)
    record.following = ready is not None and ready.reason in _FOLLOWED
    record.serves = kind.serves(resource)
    record.created = metadata.creation_timestamp.timestamp() if metadata.creation_timestamp else 0.0
    key = Key(resource.plural, metadata.namespace, metadata.name)
    store.need(key, resource.needs, resource.asks_for)
    intends = kind.intends(resource.former or status)  # a restored object looks for what it had announced
    store.hold(key, kind.holds(status), kind.takes(status), intends)
    record.foreign = resource.former is not None
    store.remember_ended(key, number(metadata.resource_version), kind.ended(status))
    record.incomplete = status.in_doubt or not kind.complete(status)
    run = kind.list_probe_of(status)
    if status.account and run:
        store.add_list_probe(status.account, run, old=record.finished, read=bool(kind.holds(status) & record.read))
