"""Repeats of creates: how often a create that has provably created nothing may be sent again.

Once. The same answer again is for a person; the status remembers it in `lastError`, so that no other process begins to
count anew, and nothing else is held up by it.
"""

import hashlib
import json

from qianfan_operator.api.common import RECONCILE_ANNOTATION, Pending, Resource
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.errors import classify
from qianfan_operator.kinds.interface import Cause, Create, Updates


def forbidden(resource: Resource, step: Create) -> Cause | None:
    """Say why this create is not sent: it was twice, was answered alike, and made nothing. None: it may be sent."""
    last = resource.status.last_error
    if last is None or (last.made_nothing or 0) < 2 or last.operation != step.operation or resource.reconcile_requested:
        return None
    if last.inputs_hash != _sent(step, step.updates.get("inputs_hash", resource.status.inputs_hash)):
        return None
    message = f"{last.operation} was answered twice with {last.message} ({last.code}) and made nothing."
    remedy = f"It is sent again when the spec asks for another one, or when annotation {RECONCILE_ANNOTATION} changes."
    return Cause(Reason.REFUSED, f"{message} {remedy}")


def made_nothing(resource: Resource, pending: Pending) -> Updates:
    """Record that the create of an intent made nothing, if the cloud's answer had left that open."""
    last = resource.status.last_error
    if last is None or last.operation != pending.operation or classify(last.operation, last.code or "", None).refused:
        return {}
    sent = _sent(pending, resource.status.inputs_hash)
    times = (last.made_nothing or 0) + 1 if last.inputs_hash == sent else 1
    return {"last_error": last.model_copy(update={"made_nothing": times, "inputs_hash": sent})}


def made_something(resource: Resource) -> Updates:
    """End the count: what the create was to make is there."""
    last = resource.status.last_error
    if last is None or last.made_nothing is None:
        return {}
    return {"last_error": last.model_copy(update={"made_nothing": None, "inputs_hash": None})}


def _sent(create: Pending | Create, inputs_hash: str | None) -> str:
    inputs = {name: value for name, value in create.inputs.items() if value is not None}
    text = json.dumps([create.operation, create.attempt, inputs, inputs_hash], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
