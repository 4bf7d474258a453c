"""The threads that work the queue off, and how they end: nothing that was paid for is forgotten."""

import logging
import threading
import time

from qianfan_operator import metrics
from qianfan_operator.engine import Engine
from qianfan_operator.keys import Key
from qianfan_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Workers:
    """`count` threads that take keys, have them reconciled, and ask for their next pass."""

    def __init__(self, count: int, queue: WorkQueue[Key], engine: Engine) -> None:
        self._queue, self._engine = queue, engine
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Say whether every thread lives."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Take no more keys, let the passes under way end, and write the ids that are not written yet."""
        self._queue.close()
        for thread in self._threads:
            thread.join()
        self._engine.flush()

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            started = time.monotonic()
            again = self._engine.reconcile(key)
            metrics.passed(key.plural, again.result, time.monotonic() - started)
            self._queue.done(key)
            if again.after is not None:
                self._queue.add(key, again.after, again.lane)
