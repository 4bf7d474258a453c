"""The threads that work the queue off, and how they end: nothing that was paid for is forgotten."""

import logging
import threading
import time
from collections.abc import Callable

from qianfan_operator import metrics
from qianfan_operator.engine import Engine
from qianfan_operator.keys import Key
from qianfan_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

STUCK = 600.0  # seconds; a pass is some calls of the cloud and of the API server, each with a timeout of its own


class Workers:
    """`count` threads that take keys, have them reconciled, and ask for their next pass."""

    def __init__(
        self, count: int, queue: WorkQueue[Key], engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue, self._engine, self._clock = queue, engine, clock
        self._passes: dict[Key, float] = {}  # when each pass that is under way began
        self._told: tuple[Key, float] | None = None  # the pass that does not end and was logged
        self._due_since: float | None = None  # when keys were first seen to be due; None once one is taken
        self._working = False
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        """Start the threads."""
        self._working = True
        for thread in self._threads:
            thread.start()

    def ailing(self) -> str:
        """Say what keeps passes from being made that should be made; empty if nothing does.

        Whoever may reach the port reads it: the object that it is about is in the log.
        """
        if not self._working:  # not yet, or not any more: then ids are written for as long as it takes
            return ""
        now = self._clock()
        if not all(thread.is_alive() for thread in self._threads):
            return "a worker has died"
        for key, began in list(self._passes.items()):
            if now - began > STUCK:
                if (key, began) != self._told:
                    self._told = key, began
                    log.error("A pass does not end", extra={"object": str(key), "seconds": int(now - began)})
                return f"a pass has lasted for more than {STUCK:.0f} s"
        if not any(self._queue.depth().values()):
            self._due_since = None
        elif self._due_since is None:
            self._due_since = now
        elif now - self._due_since > STUCK:
            return f"keys are due, and none was taken for more than {STUCK:.0f} s"
        return ""

    def stop(self) -> None:
        """Take no more keys, let the passes under way end, and write the ids that are not written yet."""
        self._queue.close()
        started, self._working = self._working, False
        for thread in self._threads if started else ():
            thread.join()
        self._engine.flush()

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            started = self._passes[key] = self._clock()
            self._due_since = None
            again = self._engine.reconcile(key)
            del self._passes[key]
            metrics.passed(key.plural, again.result, self._clock() - started)
            self._queue.done(key)
            if again.after is not None:
                self._queue.add(key, again.after, again.lane)
