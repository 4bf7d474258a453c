"""What /healthz asks: whether passes are being made."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.workers import SHUTDOWN, STUCK, Workers
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.reconcile.reconciler import Reconciler, Result

KEY = Key("qianfanjobs", "team", "essay")
PATIENCE = 20.0  # seconds; only a broken operator takes so long


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class SlowEngine:
    """Makes passes that last until the test lets them end."""

    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_end: threading.Event = field(default_factory=threading.Event)
    told: bool = False

    def reconcile(self, _: Key) -> Result:
        self.began.release()
        assert self.may_end.wait(PATIENCE)
        return Result(None)

    def flush(self, _: float) -> None:
        """Have nothing to write."""

    def tell_unwritten(self) -> int:
        """Have nothing to tell."""
        self.told = True
        return 0


@contextmanager
def working(engine: SlowEngine, queue: WorkQueue[Key], clock: Clock) -> Iterator[Workers]:
    workers = Workers(1, queue, cast("Reconciler", engine), clock)
    workers.start()
    try:
        yield workers
    finally:
        engine.may_end.set()
        workers.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[Key]:
    return WorkQueue(1, clock, lambda _: None)


def test_idle_workers_are_well(clock: Clock, queue: WorkQueue[Key]) -> None:
    """Workers that had nothing to do for a day are not ailing."""
    with working(SlowEngine(), queue, clock) as workers:
        clock.now += 86400.0
        assert workers.liveness_error() == ""


def test_a_pass_that_does_not_end_is_told(
    clock: Clock, queue: WorkQueue[Key], caplog: pytest.LogCaptureFixture
) -> None:
    """A pass may last long, but not for ever; the object is named in the log, once, and not to whoever asks."""
    engine = SlowEngine()
    with working(engine, queue, clock) as workers:
        queue.add(KEY)
        assert engine.began.acquire(timeout=PATIENCE)
        clock.now += STUCK
        assert workers.liveness_error() == ""
        clock.now += 1.0
        assert workers.liveness_error() == workers.liveness_error() == "a reconcile has lasted for more than 600 s"
        assert [vars(record)["object"] for record in caplog.records] == [str(KEY)]


def test_keys_that_nobody_takes_are_told(clock: Clock) -> None:
    """A key that is due and not handed out is a queue that does not work; the time counts from the first question."""

    class Lame(WorkQueue[Key]):
        def get(self) -> Key | None:
            """Hand out nothing until the end."""
            with self._changed:
                self._changed.wait_for(lambda: self._closed)
            return None

    lame = Lame(1, clock, lambda _: None)
    with working(SlowEngine(), lame, clock) as workers:
        lame.add(KEY)
        clock.now += 86400.0
        assert workers.liveness_error() == ""
        clock.now += STUCK
        assert workers.liveness_error() == ""
        clock.now += 1.0
        assert "no worker has taken any" in workers.liveness_error()


def test_a_worker_that_died_is_told(clock: Clock, queue: WorkQueue[Key]) -> None:
    """Workers that have ended before they were stopped are ailing."""
    with working(SlowEngine(), queue, clock) as workers:
        assert workers.liveness_error() == ""
        queue.close()  # what they end by, whatever the reason is
        for thread in threading.enumerate():
            if thread.name.startswith("worker-"):
                thread.join(PATIENCE)
        assert workers.liveness_error() == "a worker has died"


def test_workers_that_do_not_work_yet_or_any_more_are_well(clock: Clock, queue: WorkQueue[Key]) -> None:
    """A process that stands by is healthy, also when it never led; one that writes ids is, for its time."""
    standing_by = Workers(1, queue, cast("Reconciler", SlowEngine()), clock)
    assert standing_by.liveness_error() == ""
    standing_by.stop()
    assert standing_by.liveness_error() == ""

    @dataclass
    class Late(SlowEngine):
        found: list[str] = field(default_factory=list)

        def flush(self, seconds: float) -> None:
            """Write an id at the end, which takes as long as the end may take, and then longer."""
            clock.now += seconds
            self.found = [workers.liveness_error()]
            clock.now += 1.0
            self.found.append(workers.liveness_error())

    engine = Late()
    with working(engine, WorkQueue(1, clock, lambda _: None), clock) as workers:
        assert workers.liveness_error() == ""
    assert engine.found == ["", f"the shutdown has lasted for more than {SHUTDOWN:.0f} s"]


def test_what_hangs_does_not_keep_the_process_from_ending(clock: Clock, queue: WorkQueue[Key]) -> None:
    """A pass that hangs in a call, and a write that does, end with the process; that not all is done is told."""

    @dataclass
    class Stuck(SlowEngine):
        def flush(self, _: float) -> None:
            """Hang, as a write does on an API server that does not answer."""
            assert self.may_end.wait(PATIENCE)

    engine = Stuck()
    workers = Workers(1, queue, cast("Reconciler", engine), clock, shutdown=0.0)
    workers.start()
    queue.add(KEY)
    assert engine.began.acquire(timeout=PATIENCE)
    try:
        assert not workers.stop()
        assert engine.told, "what is known is told all the same"
    finally:
        engine.may_end.set()


def test_the_time_of_the_end_begins_once(clock: Clock, queue: WorkQueue[Key]) -> None:
    """The signal begins it; that the watch takes its time to end gives none besides."""
    workers = Workers(1, queue, cast("Reconciler", SlowEngine()), clock)
    workers.end()
    clock.now += SHUTDOWN + 1.0
    workers.end()
    assert "the shutdown has lasted" in workers.liveness_error()


def test_ids_that_are_not_written_are_no_good_end(clock: Clock, queue: WorkQueue[Key]) -> None:
    """The process must say by its exit code that its log holds what a person has to adopt."""

    @dataclass
    class Left(SlowEngine):
        def tell_unwritten(self) -> int:
            """Tell of one."""
            return 1

    assert Workers(1, queue, cast("Reconciler", SlowEngine()), clock).stop()
    assert not Workers(1, queue, cast("Reconciler", Left()), clock).stop()


@dataclass
class BrokenEngine(SlowEngine):
    """Fails in a way that nobody expects, once."""

    passes: int = 0

    def reconcile(self, key: Key) -> Result:
        self.passes += 1
        if self.passes == 1:
            self.began.release()
            raise RuntimeError("nobody expects this")
        return super().reconcile(key)


def test_a_pass_that_fails_takes_no_worker_with_it(clock: Clock, queue: WorkQueue[Key]) -> None:
    """Its thread goes on, and the key comes again."""
    engine = BrokenEngine()
    with working(engine, queue, clock) as workers:
        queue.add(KEY)
        assert engine.began.acquire(timeout=PATIENCE)
        other = KEY._replace(name="other")
        queue.add(other)
        assert engine.began.acquire(timeout=PATIENCE)
        assert workers.liveness_error() == ""
