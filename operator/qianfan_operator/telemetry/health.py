"""The HTTP endpoints `/healthz`, `/readyz` and `/metrics`.

Whoever can reach the port may ask, so no answer names an object, and nobody can keep others from being answered: a
connection is good for one request, ends after a while whatever it does, and the eldest one of the busiest address makes
room for a new one.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from qianfan_operator.telemetry import metrics

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Says what is wrong; empty if nothing is."""

Gate = Callable[[str], Awaitable[int]]
"""Takes the bearer token of a request ("" if there is none) and gives the HTTP status: 200 to answer it."""

CONNECTIONS = 64  # at a time
LIFETIME = 10.0  # seconds that one connection may last, for all of it
FRESH = 1.0  # seconds for which metrics that were rendered are good: so many scrapers cost as much as one
_LINE, _HEADERS = 8192, 32  # bytes of a line, which may hold a token; number of headers
_WORDS = {401: "a bearer token is needed", 403: "not allowed to get /metrics", 429: "too many unknown tokens"}

Answer = Callable[[web.BaseRequest], Awaitable[web.Response]]


async def everybody(_: str) -> int:
    """Let everybody read the metrics who can reach them."""
    return 200


async def serve(
    port: int, alive: Check, ready: Check, refresh: Callable[[], None], gate: Gate = everybody
) -> tuple[web.ServerRunner, int]:
    """Start to serve; returns the runner, to be cleaned up, and the port. `refresh` brings the gauges up to date."""
    pages = {"/healthz": _probe(alive), "/readyz": _probe(ready), "/metrics": _metrics(refresh, gate)}

    async def answer(request: web.BaseRequest) -> web.Response:
        try:
            response = await _answer(pages, request)
        except Exception:
            log.exception("A request could not be answered")
            response = web.Response(text="internal error\n", status=500)
        response.force_close()
        return response

    quiet = logging.getLogger(f"{__name__}.http")
    quiet.setLevel(logging.CRITICAL)  # it tells of every request that is none, in a traceback each
    server = _Server(
        answer, logger=quiet, access_log=None, keepalive_timeout=LIFETIME, lingering_time=0.0, max_line_size=_LINE,
        max_field_size=_LINE, max_headers=_HEADERS, read_bufsize=_LINE, auto_decompress=False,
    )  # fmt: skip
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, None, port)
    await site.start()
    # Port 0 becomes a port of its own for each family; the one told is IPv4's, whose addresses have two parts.
    address = min(runner.addresses, key=len)
    return runner, int(address[1])


async def _answer(pages: Mapping[str, Answer], request: web.BaseRequest) -> web.Response:
    page = pages.get(request.path)
    if page is None:
        return web.Response(text="not found\n", status=404)
    if request.method not in {"GET", "HEAD"}:
        return web.Response(text="method not allowed\n", status=405, headers={"Allow": "GET, HEAD"})
    return await page(request)


def _probe(check: Check) -> Answer:
    async def answer(_: web.BaseRequest) -> web.Response:
        wrong = check()
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

    return answer


def _metrics(refresh: Callable[[], None], gate: Gate) -> Answer:
    rendered: list[tuple[float, bytes]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        status = await gate(token.strip() if scheme.lower() == "bearer" else "")
        if status != 200:
            challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            words = _WORDS.get(status, "the API server could not be asked")
            return web.Response(text=f"{words}\n", status=status, headers=challenge)
        if not rendered or time.monotonic() - rendered[0][0] >= FRESH:
            refresh()
            rendered[:] = [(time.monotonic(), metrics.render())]
        return web.Response(body=rendered[0][1], content_type="text/plain", charset="utf-8")

    return answer


class _Server(web.Server):
    """Bounds how many connections there are, and how long each lasts."""

    def __init__(self, handler: Answer, **more: Any) -> None:
        super().__init__(handler, **more)
        self._open: dict[Any, tuple[asyncio.Transport, str]] = {}  # the eldest first, with the other side's address

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Make room for a connection, and give it its time."""
        super().connection_made(handler, transport)
        while len(self._open) >= CONNECTIONS:
            self._end(self._one_too_many())
        peer = transport.get_extra_info("peername")
        self._open[handler] = transport, str(peer[0]) if peer else ""
        asyncio.get_running_loop().call_later(LIFETIME, self._end, handler)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forget a connection that has ended."""
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)

    def _one_too_many(self) -> Any:
        addresses = [address for _, address in self._open.values()]
        (busiest, _), *_ = Counter(addresses).most_common(1)
        return next(one for one, (_, address) in self._open.items() if address == busiest)

    def _end(self, handler: Any) -> None:
        if handler in self._open:
            transport, _ = self._open.pop(handler)
            transport.abort()  # closing would wait for the other side to read
