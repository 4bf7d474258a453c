"""When the watch counts as deaf: not while the API server is away, and not because an object changes all the time."""

from collections.abc import Iterator
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.informer_check import InformerCheck
from qianfan_operator.kube.client import KubeError
from unit.objects import JOB, MODEL, raw
from unit.test_event_handler import Desk

PATIENCE = 60.0


class World:
    """What is listed, and a clock that goes on between two looks."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.listed: dict[Key, tuple[str, int]] | None = {}
        self.now = 0.0
        self.check = InformerCheck(
            self,
            self.desk.store,
            ("qianfanjobs",),
            self,
            lambda: self.now,
            self.desk.event_handler.handle,
            patience=PATIENCE,
        )
        self.anew: list[str] = []
        self.failed: list[Exception] = []

    def versions(self, plural: str) -> Iterator[tuple[Key, str, int]]:
        if self.listed is None:
            raise KubeError("it does not answer")
        return iter([(key, *found) for key, found in self.listed.items()])

    def begin_anew(self, plural: str) -> None:
        self.anew.append(plural)

    def fail(self, error: Exception) -> None:
        self.failed.append(error)

    def brings(self, version: int, uid: str = "uid-1", **more: Any) -> None:
        body = raw(JOB, **more)
        body["metadata"] |= {"resourceVersion": str(version), "uid": uid}
        self.desk.event_handler.handle(JOB.plural, "MODIFIED", body)

    def looks(self, times: int, pause: float = 20.0) -> None:
        for _ in range(times):
            if self.listed is None:
                with pytest.raises(KubeError):
                    self.check.look(JOB.plural)
            else:
                self.check.act(JOB.plural, self.check.look(JOB.plural))
            self.now += pause


def test_an_object_that_is_missed_for_too_long_is_told() -> None:
    """First the kind is listed anew; if that does not help, it is unwell, and in the end the process ends."""
    world = World()
    world.listed = {JOB: ("uid-1", 5)}
    world.looks(1)
    assert not world.anew
    world.looks(1)
    assert world.anew == ["qianfanjobs"]
    assert not world.check.liveness_error()
    world.looks(2)
    assert "qianfanjobs" in world.check.liveness_error()
    assert JOB.name not in world.check.liveness_error()
    assert not world.failed
    world.looks(6)
    assert world.failed
    assert world.anew == ["qianfanjobs"]
    world.brings(5)
    world.looks(1)
    assert not world.check.liveness_error()


def test_a_version_that_is_missed_counts_too_and_one_that_came_does_not() -> None:
    """An object that changes before each look is not missed, as long as what was listed before has come."""
    world = World()
    for version in range(1, 20):
        world.listed = {JOB: ("uid-1", version)}
        world.looks(1)
        world.brings(version)
    assert not world.check.liveness_error()
    for version in range(20, 25):
        world.listed = {JOB: ("uid-1", version)}
        world.looks(1)
    assert world.check.liveness_error()


def test_a_successor_of_the_same_name_begins_to_count_anew() -> None:
    """What was missed of the one before cannot come any more."""
    world = World()
    for number in range(10):
        world.listed = {JOB: (f"uid-{number}", number)}
        world.looks(1)
    assert not world.check.liveness_error()


def test_no_time_passes_while_nothing_can_be_listed() -> None:
    """That the API server is away is not the watch's fault; when it is back, the watch has its time."""
    world = World()
    world.listed = {JOB: ("uid-1", 5)}
    world.looks(2)
    world.listed = None
    world.looks(100)
    world.listed = {JOB: ("uid-1", 5)}
    world.looks(1)
    assert not world.check.liveness_error()


def test_a_process_that_slept_has_not_missed_anything_by_that() -> None:
    """Its clock jumps; one look after that proves nothing."""
    world = World()
    world.listed = {JOB: ("uid-1", 5)}
    world.looks(2, pause=86_400)
    assert not world.check.liveness_error()


def test_what_went_unseen_is_forgotten() -> None:
    """A watch that was opened anew tells nothing of what went meanwhile."""
    world = World()
    world.brings(5)
    world.listed = {}
    world.looks(2)
    assert world.desk.store.get(JOB) is None
    world.looks(10)
    assert not world.check.liveness_error()


def test_what_is_made_during_a_look_is_not_missed() -> None:
    """The watch may be ahead of a list."""
    world = World()
    world.brings(5)
    world.listed = {}
    world.looks(1)
    world.listed = {JOB: ("uid-1", 5)}
    world.looks(10)
    assert not world.check.liveness_error()
    assert world.desk.store.get(JOB)
    assert MODEL not in world.desk.store.known()
