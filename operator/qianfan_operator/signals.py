"""What an object asks for, and what of it matters to others: pure readings of one object (design 4)."""

from collections.abc import Hashable
from typing import Any

from qianfan_operator.api.common import FINALIZER, RECONCILE_ANNOTATION, Resource
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.service import QianfanService
from qianfan_operator.conditions import READY, STALLED, SUCCEEDED, find, is_true
from qianfan_operator.decide import Phase
from qianfan_operator.external import Kind
from qianfan_operator.keys import Key
from qianfan_operator.store import Entry, Store


def todo(resource: Resource) -> tuple[Hashable, ...]:
    """Name what an object asks for that its status has not answered; empty if nothing."""
    metadata, status = resource.metadata, resource.status
    asked = metadata.annotations.get(RECONCILE_ANNOTATION)
    lost = FINALIZER not in metadata.finalizers and (status.pending is not None or status.account is not None)
    wishes: tuple[Hashable, ...] = ()
    if metadata.generation != status.observed_generation:
        wishes += (("generation", metadata.generation),)
    if metadata.deletion_timestamp and FINALIZER in metadata.finalizers:
        wishes += (("deleting", metadata.generation),)
    if asked is not None and asked != status.last_handled_reconcile_at:
        wishes += (("asked", asked),)
    if lost and not metadata.deletion_timestamp:
        wishes += (("finalizer", metadata.resource_version),)
    return wishes


def is_settled(kind: Kind[Any], resource: Resource) -> bool:
    """Say whether nothing is going on with an object, so that its body need not be kept."""
    if todo(resource) or _unknown(resource) or resource.metadata.deletion_timestamp:
        return False
    seen = kind.recall(resource)
    ended = seen.phase in {Phase.READY, Phase.STOPPED} and not seen.others_working
    return ended and is_true(resource.status.conditions, READY)


def is_finished(resource: Resource) -> bool:
    """Say whether an object needs no look ever again: a job whose run has ended."""
    ended = find(resource.status.conditions, SUCCEEDED)
    return ended is not None and ended.status != "Unknown" and not _unknown(resource)


def _unknown(resource: Resource) -> bool:
    """Say whether the outcome of a create, be it an earlier attempt's, is not known yet."""
    status = resource.status
    return status.pending is not None or any(run.pending for run in getattr(status, "runs", ()))


def signal_of(kind: Kind[Any], resource: Resource) -> Hashable:
    """What others that refer to this object care about."""
    status = resource.status
    return (
        resource.metadata.generation == status.observed_generation,
        resource.metadata.deletion_timestamp is not None,
        is_true(status.conditions, READY),
        is_true(status.conditions, STALLED),
        is_true(status.conditions, SUCCEEDED),
        kind.signal(status),
    )


def uses(resource: Resource) -> frozenset[Hashable]:
    """Name the models and versions that an object needs in the cloud, by whatever ids are known (design 6)."""
    needed: list[tuple[str, int | str | None]] = []
    if isinstance(resource, QianfanModel) and (target := resource.spec.target):
        needed.append(("model", target.model_id))
    if isinstance(resource, QianfanService):
        source, status = resource.spec.source, resource.status
        ids: list[int | str | None] = [status.model_version_id]
        if source and source.model_version:
            ids.append(source.model_version.model_version_id)
        if status.switch:
            ids += [status.switch.to.model_version_id, status.switch.to.model_version_id_str]
        if status.pending:
            ids.append(status.pending.inputs.get("modelVersionId"))
        needed += [("version", number) for number in ids]
    return frozenset(thing for thing in needed if thing[1] is not None)


def note(store: Store, record: Entry, kind: Kind[Any], resource: Resource) -> None:
    """Take from a status what is asked of all objects together: accounts, uses, things that are held, and witnesses."""
    status, metadata = resource.status, resource.metadata
    record.account, record.uses, record.finished = status.account, uses(resource), is_finished(resource)
    key = Key(resource.plural, metadata.namespace, metadata.name)
    store.hold(key, kind.holds(status))
    task, job = getattr(status, "task_uuid", None), getattr(status, "job_uuid", None)
    by_v1 = getattr(status, "job_id", None) is not None
    old = record.finished or store.witness(status.account or "") is None
    if status.account and task and job and by_v1 and old:
        store.testify(status.account, task, job)  # rather an old run: lists may lag behind a new one
