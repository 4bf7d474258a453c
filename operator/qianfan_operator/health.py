"""The HTTP endpoints of the process: `/healthz`, `/readyz` and `/metrics`; the only import of `aiohttp`."""

from collections.abc import Callable

from aiohttp import web

from qianfan_operator import metrics

Check = Callable[[], str]
"""Says what is wrong; empty if nothing is."""


async def serve(port: int, alive: Check, ready: Check, refresh: Callable[[], None]) -> tuple[web.AppRunner, int]:
    """Start to serve; returns the runner, to be cleaned up, and the port. `refresh` brings the gauges up to date."""

    def probe(check: Check) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            wrong = check()
            return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

        return answer

    async def measure(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.router.add_get("/healthz", probe(alive))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", measure)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, None, port)
    await site.start()
    # Port 0 becomes a port of its own for each family; the one told is IPv4's, whose addresses have two parts.
    address = min(runner.addresses, key=len)
    return runner, int(address[1])
