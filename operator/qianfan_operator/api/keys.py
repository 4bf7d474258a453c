"""Keys of our objects and ids of cloud resources."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Key(NamedTuple):
    """One object: the plural of its kind, its namespace and its name."""

    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.plural}/{self.namespace}/{self.name}"


class ExternalId(NamedTuple):
    """One thing of the cloud that only one object may act on."""

    what: tuple[Hashable, ...]
    known_by: str = ""
    """"integers" or "strings" where only these are known of it, so that `what` is not its id but what both consoles
    tell: who knows the other ids of it may mean the same thing."""

    @property
    def alias(self) -> "ExternalId":
        """What another object may not hold besides."""
        return self._replace(known_by={"integers": "strings", "strings": "integers"}.get(self.known_by, self.known_by))


def same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Say whether the integer and the string id of two things name one: by either that both know.

    See docs/design/wire.md#v1-and-v2-words.
    """
    return any(a == b and a is not None for a, b in zip(one, other, strict=True))
