"""The workers: threads that reconcile keys, and their graceful shutdown."""

import logging
import threading
import time
from collections.abc import Callable

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.reconciler import Reconciler, Result
from qianfan_operator.telemetry import metrics

log = logging.getLogger(__name__)

STUCK = 600.0  # seconds; twice the budget of a reconcile, since its last call and its writes come on top of that
SHUTDOWN = 50.0  # seconds, if nobody says otherwise
_AGAIN = 10.0  # seconds, after which a key is tried again whose reconcile ended with what nobody expected
_FLUSH = 0.2  # of them, which a reconcile that hangs leaves to the ids of others


class Workers:
    """`count` threads that take keys, have them reconciled, and ask for their next reconcile.

    Their end takes at most `shutdown` seconds; a reconcile that lasts longer than `stuck` seconds hangs.
    """

    def __init__(
        self, count: int, queue: WorkQueue[Key], reconciler: Reconciler, clock: Callable[[], float] = time.monotonic,
        *, shutdown: float = SHUTDOWN, stuck: float = STUCK,
    ) -> None:  # fmt: skip
        self._queue, self._reconciler, self._clock = queue, reconciler, clock
        self._shutdown, self._stuck = shutdown, stuck
        self._ends_by: float | None = None  # when the end must be over; None before it begins
        self._passes: dict[Key, float] = {}  # when each reconcile that is under way began
        self._told: tuple[Key, float] | None = None  # the reconcile that does not end and was logged
        self._due_since: float | None = None  # when keys were first seen to be due; None once one is taken
        self._working = False
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        """Start the threads."""
        self._working = True
        for thread in self._threads:
            thread.start()

    def liveness_error(self) -> str:
        """Say what keeps reconciles from being made that should be made; empty if nothing does.

        Whoever may reach the port reads it: the object that it is about is in the log.
        """
        now = self._clock()
        if self._ends_by is not None:
            return f"the shutdown has lasted for more than {self._shutdown:.0f} s" if now > self._ends_by else ""
        if not self._working:
            return ""
        if not all(thread.is_alive() for thread in self._threads):
            return "a worker has died"
        for key, began in list(self._passes.items()):
            if now - began > self._stuck:
                if (key, began) != self._told:
                    self._told = key, began
                    log.error("A reconcile does not end", extra={"object": str(key), "seconds": int(now - began)})
                return f"a reconcile has lasted for more than {self._stuck:.0f} s"
        if not any(self._queue.depth().values()):
            self._due_since = None
        elif self._due_since is None:
            self._due_since = now
        elif now - self._due_since > self._stuck:
            return f"work is queued, but no worker has taken any for more than {self._stuck:.0f} s"
        return ""

    def end(self) -> None:
        """Begin the end: hand out no more keys. From now on its time runs."""
        self._queue.close()
        if self._ends_by is None:
            self._ends_by = self._clock() + self._shutdown

    def stop(self) -> bool:
        """Let running reconciles end, and write the ids that are not written yet, within the time of the end.

        False: not all has ended, or not all is written. What hangs ends with the process.
        """
        self.end()
        started, self._working = self._working, False
        for thread in self._threads if started else ():
            thread.join(self._left(_FLUSH * self._shutdown))
        if hung := [str(key) for key in tuple(self._passes)]:
            log.error("Reconciles did not end in time", extra={"objects": hung})
        flush = threading.Thread(target=self._reconciler.flush, args=[self._left()], name="flush", daemon=True)
        flush.start()
        flush.join(self._left())
        unwritten = self._reconciler.tell_unwritten()
        return not (hung or unwritten or flush.is_alive())

    def _left(self, less: float = 0.0) -> float:
        return max(0.0, (self._ends_by or 0.0) - less - self._clock())

    def _work(self) -> None:
        while (key := self._queue.get()) is not None:
            started = self._passes[key] = self._clock()
            self._due_since = None
            try:
                again = self._reconciler.reconcile(key)
            except Exception:  # a thread that ends takes its key with it
                log.exception("A reconcile ended with an unexpected error", extra={"object": str(key)})
                again = Result(_AGAIN, Priority.RETRY, "error")
            finally:
                del self._passes[key]
                self._queue.done(key)
            metrics.passed(key.plural, again.result, self._clock() - started)
            if again.after is not None:
                self._queue.add(key, again.after, again.priority)
