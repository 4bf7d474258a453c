"""The name of an object of ours: what the queue, the memory and the writer go by."""

from typing import NamedTuple


class Key(NamedTuple):
    """One object: the plural of its kind, its namespace and its name."""

    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.plural}/{self.namespace}/{self.name}"
