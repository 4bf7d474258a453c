"""Conditions, in the terms of kubectl, kstatus, Flux, Helm and Argo CD.

`ConditionSummary` is what one situation says; `conditions` turns it into the list that is written. Nobody else makes
conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from qianfan_operator.api.common import Condition
from qianfan_operator.api.reasons import Reason
from qianfan_operator.text import clean

READY, SYNCED, RECONCILING, STALLED = "Ready", "Synced", "Reconciling", "Stalled"
SUCCEEDED, AVAILABLE = "Succeeded", "Available"
OURS = frozenset({READY, SYNCED, RECONCILING, STALLED, SUCCEEDED, AVAILABLE})
MESSAGE_LIMIT = 1024  # characters
_FOREIGN = 8  # conditions of other types that are kept


@dataclass(frozen=True)
class Synced:
    """Whether the cloud matches what the owner wrote, as far as is known."""

    status: str = "True"
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True)
class ConditionSummary:
    """What a reconcile found. `ready` answers the consumer, `synced` the owner, the rest the tool that waits.

    `keep` leaves Ready (and what depends on it) as it was: we could not look, and that changes nothing for a consumer.
    `ended` is the Succeeded of a job: True, False, or None while it is open. `available` is a service's "answers now".
    """

    ready: bool
    reason: Reason
    message: str = ""
    reconciling: bool = False
    stalled: bool = False
    synced: Synced = Synced()
    keep: bool = False
    ended: bool | None = None
    available: bool = False
    retrying: str = ""

    def __post_init__(self) -> None:
        """Refuse what no tool could read."""
        if self.reconciling and self.stalled:
            raise ValueError("never Reconciling and Stalled together")
        if self.ready and (self.reconciling or self.stalled):
            raise ValueError("never Ready and Reconciling or Stalled together")


def find(existing: Sequence[Condition], kind: str) -> Condition | None:
    """Find the condition of a type."""
    return next((condition for condition in existing if condition.type == kind), None)


def is_true(existing: Sequence[Condition], kind: str) -> bool:
    """Say whether the condition of a type is there and True."""
    found = find(existing, kind)
    return found is not None and found.status == "True"


def conditions(
    summary: ConditionSummary, existing: Sequence[Condition], generation: int, now: str, extra: str | None
) -> list[Condition]:
    """Turn a summary into the whole list; `extra` is the kind's own condition type (Succeeded, Available or None).

    Conditions of other types are somebody else's and stay as they are, but for those that are many, long or unreadable.
    Every condition has a message and the generation; `lastTransitionTime` (`now`, RFC 3339) moves only with `status`.
    """

    def make(kind: str, status: str, reason: str, message: str) -> Condition:
        before = find(existing, kind)
        since = before.last_transition_time if before and before.status == status else now
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=clean(message, MESSAGE_LIMIT),
            observed_generation=generation,
            last_transition_time=since,
        )

    def carry(kind: str, status: str, reason: str, message: str) -> Condition:
        """Keep what stood there, rewritten for this generation."""
        before = find(existing, kind)
        return (
            make(kind, before.status, before.reason, before.message) if before else make(kind, status, reason, message)
        )

    put, message = carry if summary.keep else make, summary.message or summary.reason.sentence
    result = [put(READY, str(summary.ready), summary.reason, message)]
    synced = summary.synced
    result.append(make(SYNCED, synced.status, synced.reason or summary.reason, synced.message or message))
    if summary.reconciling:
        reason = Reason.PROGRESSING_WITH_RETRY if summary.retrying else summary.reason
        result.append(make(RECONCILING, "True", reason, summary.retrying or message))
    if summary.stalled:
        result.append(make(STALLED, "True", summary.reason, message))
    if extra == SUCCEEDED:
        status = "Unknown" if summary.ended is None else str(summary.ended)
        result.append(put(SUCCEEDED, status, summary.reason, message))
    elif extra == AVAILABLE:
        result.append(put(AVAILABLE, str(summary.available), summary.reason, message))
    return [*result, *(one for one in existing if _is_kept(one))][: len(result) + _FOREIGN]


def _is_kept(condition: Condition) -> bool:
    """Say whether a condition is of another writer, and fit to be written again."""
    words = condition.type, condition.status, condition.reason, condition.message, condition.last_transition_time
    return condition.type not in OURS and all(clean(word, MESSAGE_LIMIT) == word for word in words)
