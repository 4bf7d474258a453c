"""Marks and names: how this operator recognises its own resources in the cloud.

A task's unique name is the lock of one (cluster, object, attempt, inputs). The mark, first in every description that we
send and can read back, says the same in full. The object's name stands in both, not its uid: a deleted and re-applied
manifest finds its own paid run again.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from qianfan_operator.api.common import Metadata, Part

_MARK = re.compile(r"^\[qf1 (\w{8}) (\w{8}) ([0-9]{1,10}) (\w{8}) (\w{8})\]")
_ATTEMPTS = 2**31  # an attempt is an int32
_NOT_A_NAME = re.compile(r"[^a-z0-9_]+")
# docs/design/wire.md#createtask
_HEAD = 11  # of the object's name: 11 + "_" + 8 fit the cloud's 20 characters


def short_hash(*parts: object) -> str:
    """Hash the parts to 8 lower-case base32 characters (40 bits)."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return base64.b32encode(digest[:5]).decode().lower()


def source_hash(source: Part | None) -> str:
    """Hash the spec's own words for a source, under a scheme version: whether it was changed is seen by it."""
    words = source.to_dict() if source else {}
    return f"v1:{short_hash(sorted(words.items()))}"


@dataclass(frozen=True)
class Mark:
    """The owner's stamp in a cloud object's description. Hashes are 8 characters of `short_hash`."""

    cluster: str
    object: str
    attempt: int
    inputs: str
    uid: str

    @classmethod
    def of(cls, cluster: str, metadata: Metadata, kind: str, attempt: int, inputs_hash: str) -> "Mark":
        """Make the mark of what `metadata` wants for `attempt`; `cluster` is the setting, not yet hashed."""
        owner = short_hash(kind, metadata.namespace, metadata.name)
        return cls(short_hash(cluster), owner, attempt, short_hash(inputs_hash), short_hash(metadata.uid))

    def names(self, kind: str, namespace: str, name: str) -> bool:
        """Say whether it is the mark of an object of this name, in whichever cluster."""
        return self.object == short_hash(kind, namespace, name)

    @classmethod
    def read(cls, description: str | None) -> "Mark | None":
        """Read a mark from the beginning of a description; None if there is none."""
        if not (found := _MARK.match(description or "")):
            return None
        cluster, owner, attempt, inputs, uid = found.groups()
        return cls(cluster, owner, int(attempt), inputs, uid) if int(attempt) < _ATTEMPTS else None

    def same_object(self, other: "Mark | None") -> bool:
        """Say whether both stand for one object of one cluster, whatever the attempt."""
        return other is not None and (self.cluster, self.object) == (other.cluster, other.object)

    def ours(self, other: "Mark | None") -> bool:
        """Say whether the other is our mark: everything but the uid is equal."""
        return (
            self.same_object(other)
            and other is not None
            and ((self.attempt, self.inputs) == (other.attempt, other.inputs))
        )

    def describe(self, text: str | None) -> str:
        """Put the mark in front of the user's description: what a cloud cuts, it cuts at the end."""
        return f"{self} {text}" if text else str(self)

    def __str__(self) -> str:
        return f"[qf1 {self.cluster} {self.object} {self.attempt} {self.inputs} {self.uid}]"


def task_name(mark: Mark, object_name: str, wanted: str | None, sequence: int) -> str:
    """Name the task for a mark; `wanted` (spec.taskName) is used as it is for attempt 1, sequence 1 only.

    2 to 20 characters of [a-z0-9_], or what the user wrote.

    See docs/design/wire.md#createtask.
    """
    if wanted and mark.attempt == 1 and sequence == 1:
        return wanted
    head = wanted[:_HEAD] if wanted else _NOT_A_NAME.sub("_", object_name.lower())[:_HEAD]
    tail = short_hash(mark.cluster, mark.object, mark.attempt, mark.inputs, sequence)
    return f"{head}_{tail}"
