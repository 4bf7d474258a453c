"""An ordered collection of the cloud's things, found by either id or by name, read in pages."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """What a shelf needs to know of a thing."""

    id: int
    uid: str
    name: str


T = TypeVar("T", bound=Named)


class Shelf(Generic[T]):
    """Things of one kind, oldest first. Integer ids rise with age, so a page costs no more than its length."""

    def __init__(self) -> None:
        self._by_id: dict[int | str, T] = {}
        self._by_name: dict[str, T] = {}
        self._order: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[T]:
        return (self._by_id[number] for number in tuple(self._order))

    def __reversed__(self) -> Iterator[T]:
        return (self._by_id[number] for number in reversed(tuple(self._order)))

    def add(self, thing: T) -> T:
        """Keep a new thing."""
        self._by_id[thing.id] = self._by_id[thing.uid] = thing
        self._by_name.setdefault(thing.name, thing)
        insort(self._order, thing.id)
        return thing

    def remove(self, thing: T) -> None:
        """Forget a thing."""
        del self._by_id[thing.id], self._by_id[thing.uid]
        if self._by_name.get(thing.name) is thing:
            del self._by_name[thing.name]
        self._order.remove(thing.id)

    def find(self, reference: int | str) -> T | None:
        """Return the thing with this id, integer or string."""
        return self._by_id.get(reference)

    def named(self, name: str) -> T | None:
        """Return the (oldest) thing of this name."""
        return self._by_name.get(name)

    def page(
        self, marker: T | None, size: int, wanted: Callable[[T], bool], *, oldest_first: bool
    ) -> tuple[list[T], T | None]:
        """Up to `size` wanted things from `marker` on (from the end of the order, if None), and the one after them."""
        step = 1 if oldest_first else -1
        index = bisect_left(self._order, marker.id) if marker else (0 if oldest_first else len(self._order) - 1)
        found: list[T] = []
        while 0 <= index < len(self._order):
            thing = self._by_id[self._order[index]]
            if wanted(thing):
                if len(found) == size:
                    return found, thing
                found.append(thing)
            index += step
        return found, None
