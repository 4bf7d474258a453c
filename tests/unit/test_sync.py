"""When the first listing counts as read.

See docs/design/architecture.md#ownership.
"""

import itertools
from collections.abc import Iterator

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.sync import InitialSync
from qianfan_operator.kube.client import KubeError
from unit.objects import JOB, MODEL, raw
from unit.test_event_handler import Desk


class Objects:
    """What the API server lists: uids by key; None: it does not answer."""

    def __init__(self, *keys: Key) -> None:
        self.listed: dict[Key, str] | None = dict.fromkeys(keys, "uid-1")

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        if self.listed is None:
            raise KubeError("it does not answer")
        return iter([(key, uid) for key, uid in self.listed.items() if key.plural == plural])


def listing(desk: Desk, objects: Objects) -> InitialSync:
    return InitialSync(objects, desk.store, ("qianfanjobs", "qianfanmodels"))


def test_it_is_read_when_the_watch_has_brought_every_object() -> None:
    """One object that the watch has not brought is enough for "not yet", of whatever kind it is."""
    desk = Desk()
    listed = listing(desk, Objects(JOB, MODEL))
    for key in (JOB, MODEL):
        assert not listed.look()
        assert not listed.has_synced()
        desk.event_handler.handle(key.plural, None, raw(key))
    assert listed.look()
    assert listed.has_synced()


def test_an_object_that_goes_unseen_is_waited_for_no_more() -> None:
    """What is gone by now need not be seen."""
    objects = Objects(JOB)
    listed = listing(Desk(), objects)
    assert not listed.look()
    objects.listed = {}
    assert listed.look()


def test_a_predecessor_of_the_same_name_is_another_object() -> None:
    """An object that was made again under its name must be seen itself."""
    desk, objects = Desk(), Objects(JOB)
    desk.event_handler.handle(JOB.plural, None, raw(JOB))
    objects.listed = {JOB: "uid-2"}
    assert not listing(desk, objects).look()


def test_nothing_is_read_while_the_api_server_does_not_answer() -> None:
    """An API server that lists nothing because it fails is not one that has nothing."""
    objects = Objects()
    objects.listed = None
    listed = listing(Desk(), objects)
    with pytest.raises(KubeError):
        listed.look()
    assert not listed.has_synced()


def test_what_was_read_once_stays_so() -> None:
    """An object that comes later takes nothing back, and the API server is asked no more."""
    objects = Objects()
    listed = listing(Desk(), objects)
    assert listed.look()
    objects.listed = None
    assert listed.look()


class Churn(Objects):
    """Somebody creates an object before each list, and deletes the one before it; the watch comes later each time."""

    def __init__(self, desk: Desk, *keys: Key) -> None:
        super().__init__(*keys)
        self._desk, self._names, self._fresh = desk, itertools.count(), list[Key]()

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        if plural == JOB.plural:
            for key in self._fresh:
                self._desk.event_handler.handle(key.plural, "ADDED", raw(key))
                self._desk.event_handler.handle(key.plural, "DELETED", raw(key))
            self._fresh = [JOB._replace(namespace="hostile", name=f"job-{next(self._names)}")]
        fresh = [(key, "uid-1") for key in self._fresh if key.plural == plural]
        return iter([*super().uids(plural), *fresh])


def test_objects_that_come_and_go_without_end_hold_nobody_up() -> None:
    """One namespace that creates and deletes all the time once kept the operator from acting for all the others."""
    desk = Desk()
    listed = listing(desk, Churn(desk, MODEL))
    assert not any(listed.look() for _ in range(10))  # the model was not brought
    desk.event_handler.handle(MODEL.plural, None, raw(MODEL))
    assert listed.look()


def test_an_object_that_was_seen_and_is_gone_by_now_was_seen() -> None:
    """Whoever asks finds no record of it, and none is needed."""
    desk, objects = Desk(), Objects(JOB, MODEL)
    listed = listing(desk, objects)
    assert not listed.look()
    desk.event_handler.handle(JOB.plural, "ADDED", raw(JOB))
    desk.event_handler.handle(JOB.plural, "DELETED", raw(JOB))
    desk.event_handler.handle(MODEL.plural, "ADDED", raw(MODEL))
    objects.listed = {MODEL: "uid-1"}
    assert listed.look()


def test_a_successor_of_the_same_name_is_waited_for_no_more() -> None:
    """It came after the process began."""
    objects = Objects(JOB)
    listed = listing(Desk(), objects)
    assert not listed.look()
    objects.listed = {JOB: "uid-2"}
    assert listed.look()


def test_a_list_that_breaks_off_is_no_list() -> None:
    """What was listed before the API server failed is not all that there is."""
    desk, objects = Desk(), Objects(MODEL)
    inner, broken = objects.uids, [True]

    def uids(plural: str) -> Iterator[tuple[Key, str]]:
        if plural == MODEL.plural and broken[0]:
            raise KubeError("it does not answer")
        return inner(plural)

    objects.uids = uids  # type: ignore[method-assign]
    listed = listing(desk, objects)
    with pytest.raises(KubeError):
        listed.look()
    broken[0] = False
    assert not listed.look()
    assert not listed.has_synced()


def test_a_kind_that_is_installed_later_has_no_object_of_before() -> None:
    """A kind that is not installed has no objects; those that it has later came after the process began."""
    desk, objects = Desk(), Objects(JOB)
    listed = listing(desk, objects)
    assert not listed.look()
    desk.event_handler.handle(JOB.plural, None, raw(JOB))
    objects.listed = {JOB: "uid-1", MODEL: "uid-1"}
    assert listed.look()
