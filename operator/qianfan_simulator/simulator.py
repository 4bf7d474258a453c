"""The simulator as an object: a world, served by an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from aiohttp import web

from qianfan_simulator.options import Options
from qianfan_simulator.server import Server
from qianfan_simulator.world import DEFAULT_KEYS, Key, World

# Held requests are dropped when the simulator stops; nothing else takes longer than this.
_SHUTDOWN_SECONDS = 0.2


class Simulator(World):
    """A Qianfan console on a port of the loopback (0: any free one).

    `with Simulator() as sim:` serves at `sim.url`. Any number of them can run in one process. `clock` gives unix
    seconds; `sim.advance(seconds)` moves it forward. `body_seconds`: how long the body of a request may take to arrive.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        keys: Iterable[Key] = DEFAULT_KEYS,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        body_seconds: float = 10.0,
    ) -> None:
        super().__init__(options, keys=keys, clock=clock, seed=seed)
        self._host, self._port, self._body_seconds = host, port, body_seconds
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self.url = ""

    def start(self) -> Self:
        """Serve; returns when requests are accepted. Raises OSError if the port is taken."""
        self._thread = threading.Thread(target=self._run, name="qianfan-simulator", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection and the port; what the accounts hold can still be read."""
        if self._thread is not None and self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits in start()
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = Server(self, self._body_seconds)
        runner = web.ServerRunner(
            web.Server(server.handle, access_log=None, lingering_time=0),
            shutdown_timeout=_SHUTDOWN_SECONDS,
            handle_signals=False,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._started.set()
            await self._stopping.wait()
        finally:
            await server.close()
            await runner.cleanup()
