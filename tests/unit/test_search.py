"""A search that takes more than one reconcile: what it says of "none" is what complete rounds say."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from qianfan_operator.kinds.interface import ReconcileContext
from qianfan_operator.kinds.search import AT_A_TIME, Unfinished, search


class Walk:
    """Looks into numbers, of which `hit` is the one that is looked for."""

    def __init__(self, count: int, hit: int | None = None, rounds: int = 2) -> None:
        self.things, self.hit, self.rounds = [*range(count)], hit, rounds
        self.lists: list[int] = []
        self.looked: list[int] = []
        self.broken, self.what = False, ""
        self.world = cast("ReconcileContext", SimpleNamespace(claims={}))

    def _list(self) -> list[int]:
        self.lists.append(len(self.looked))
        return self.things

    def _look(self, thing: int) -> str | None:
        if self.broken:
            raise ConnectionError
        self.looked.append(thing)
        return "found" if thing == self.hit else None

    def go(self) -> Any:
        """Make one reconcile's part of it."""
        return search(self.world, "walk", self.what, self.rounds, self._list, self._look)


@pytest.mark.parametrize("count", [0, 3, AT_A_TIME // 2])
def test_none_is_two_rounds_each_with_a_list_of_its_own(count: int) -> None:
    """The second list is read when all of the first was looked into."""
    walk = Walk(count)
    assert walk.go() is None
    assert walk.looked == [*range(count), *range(count)]
    assert walk.lists == [0, count]
    assert walk.world.claims == {}


def test_a_long_search_is_gone_on_with() -> None:
    """No reconcile looks into more than its share, and nothing is looked into twice in one round."""
    walk = Walk(AT_A_TIME + 1, rounds=1)
    assert isinstance(walk.go(), Unfinished)
    assert len(walk.looked) == AT_A_TIME
    assert walk.go() is None
    assert (walk.looked, walk.lists) == ([*range(AT_A_TIME + 1)], [0, AT_A_TIME])


def test_what_failed_is_looked_into_again() -> None:
    """An error on the way leaves nothing out: what was being looked into comes first the next time."""
    walk = Walk(10, hit=7)
    walk.broken = True
    with pytest.raises(ConnectionError):
        walk.go()
    walk.broken = False
    assert walk.go() == "found"
    assert walk.looked == [*range(8)]


def test_what_comes_in_between_is_found_by_the_second_round() -> None:
    """What the first list missed, the second one shows."""
    walk = Walk(AT_A_TIME)
    assert isinstance(walk.go(), Unfinished) or walk.lists == [0]
    walk.things, walk.hit = [*walk.things, 4711], 4711
    for _ in range(4):
        if (found := walk.go()) == "found":
            break
    assert found == "found"


def test_what_goes_meanwhile_leaves_nothing_out() -> None:
    """The next reconcile goes on after what was looked into, wherever that is in the list by now."""
    walk = Walk(2 * AT_A_TIME, rounds=1)
    walk.go()
    walk.things = [thing for thing in reversed(walk.things) if thing % 2]
    assert walk.go() is None
    assert sorted(walk.looked) == [*range(AT_A_TIME), *range(AT_A_TIME + 1, 2 * AT_A_TIME, 2)]


def test_a_search_keeps_no_list() -> None:
    """However much there is to look into, and however often what is looked for changes, one place is remembered."""
    walk = Walk(20 * AT_A_TIME)
    for number in range(10):
        walk.what = f"run-{number}"
        assert isinstance(walk.go(), Unfinished)
        assert walk.looked == [*range(AT_A_TIME)] * (number + 1)  # another search begins anew
    assert len(walk.world.claims) == 1
    assert len(repr(walk.world.claims)) < 200


def test_a_restart_begins_anew() -> None:
    """What was looked into by a process that is gone proves nothing."""
    walk = Walk(AT_A_TIME + 1, rounds=1)
    walk.go()
    walk.world.claims.clear()
    assert isinstance(walk.go(), Unfinished)
    assert walk.lists == [0, AT_A_TIME]
