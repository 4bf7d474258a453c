"""When the first listing counts as read (design 5.11)."""

from collections.abc import Iterator

import pytest

from qianfan_operator.keys import Key
from qianfan_operator.kube import KubeError
from qianfan_operator.listing import Listing
from unit.objects import JOB, MODEL, raw
from unit.test_intake import Desk


class Objects:
    """What the API server lists: uids by key; None: it does not answer."""

    def __init__(self, *keys: Key) -> None:
        self.listed: dict[Key, str] | None = dict.fromkeys(keys, "uid-1")

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        if self.listed is None:
            raise KubeError("it does not answer")
        return iter([(key, uid) for key, uid in self.listed.items() if key.plural == plural])


def listing(desk: Desk, objects: Objects) -> Listing:
    return Listing(objects, desk.store, ("qianfanjobs", "qianfanmodels"))


def test_it_is_read_when_the_watch_has_brought_every_object() -> None:
    """One object that the watch has not brought is enough for "not yet", of whatever kind it is."""
    desk = Desk()
    listed = listing(desk, Objects(JOB, MODEL))
    for key in (JOB, MODEL):
        assert not listed.look()
        assert not listed.read()
        desk.intake.seen(key.plural, None, raw(key))
    assert listed.look()
    assert listed.read()


def test_an_object_that_goes_unseen_is_waited_for_no_more() -> None:
    """Every look lists anew, so that nothing has to be seen which is there no more."""
    objects = Objects(JOB)
    listed = listing(Desk(), objects)
    assert not listed.look()
    objects.listed = {}
    assert listed.look()


def test_a_predecessor_of_the_same_name_is_another_object() -> None:
    """An object that was made again under its name must be seen itself."""
    desk, objects = Desk(), Objects(JOB)
    desk.intake.seen(JOB.plural, None, raw(JOB))
    objects.listed = {JOB: "uid-2"}
    assert not listing(desk, objects).look()


def test_nothing_is_read_while_the_api_server_does_not_answer() -> None:
    """An API server that lists nothing because it fails is not one that has nothing."""
    objects = Objects()
    objects.listed = None
    listed = listing(Desk(), objects)
    with pytest.raises(KubeError):
        listed.look()
    assert not listed.read()


def test_what_was_read_once_stays_so() -> None:
    """An object that comes later takes nothing back, and the API server is asked no more."""
    objects = Objects()
    listed = listing(Desk(), objects)
    assert listed.look()
    objects.listed = None
    assert listed.look()
