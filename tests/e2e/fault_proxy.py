"""A way between one process and the API server on which single requests can be answered wrongly, and watches broken."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from qianfan_devcluster.cluster import Cluster

Answer = Callable[[], web.Response]
Rule = Callable[[web.BaseRequest], Answer | None]
"""Decides about a request: None lets it through."""


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for loopback that signs itself, with its key."""
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    words += f" -addext basicConstraints=critical,CA:TRUE -keyout {key} -out {made}"
    subprocess.run(words.split(), check=True, capture_output=True)
    return made, key


class FaultProxy:
    """Ends TLS with certificates of its own, and speaks for whoever asks: it passes on what they say who they are."""

    def __init__(self, cluster: Cluster, made: Path, key: Path) -> None:
        self._target = cluster.server
        self._trust = ssl.create_default_context(cafile=cluster.certificate_authority)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._rule: Rule = lambda _: None
        self._broken = asyncio.Event()
        self._deaf: Callable[[web.BaseRequest], bool] = lambda _: False
        self._half = b""
        self.port = 0
        self._do(self._begin(made, key))

    def close(self) -> None:
        """End it."""
        self._do(self._end_quietly())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restart(self, made: Path, key: Path) -> None:
        """Break all connections, and go on with another certificate."""
        self._do(self._restart(made, key))

    def answer(self, rule: Rule) -> None:
        """Have a rule decide about every request from now on."""
        self._rule = rule

    def break_watches(self, half: bytes = b"") -> None:
        """End every watch in the way of the network, after some more bytes."""
        self._half = half
        self._loop.call_soon_threadsafe(self._break)

    def swallow(self, which: Callable[[web.BaseRequest], bool] = lambda _: False) -> None:
        """Let nothing more through of the watches of some requests, and keep them open."""
        self._deaf = which

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _break(self) -> None:
        self._broken.set()
        self._broken = asyncio.Event()

    async def _begin(self, made: Path, key: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(made, key)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust, limit=0, force_close=True), auto_decompress=False
        )
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def _end(self) -> None:
        self._break()
        await self._runner.cleanup()
        await self._session.close()

    async def _end_quietly(self) -> None:
        """End, and let the sockets close, which takes the loop some more turns: nothing tells when that is done."""
        await self._end()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.25)

    async def _restart(self, made: Path, key: Path) -> None:
        await self._end()
        await self._begin(made, key)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        broken = asyncio.create_task(self._broken.wait())  # from the first moment: no watch slips through a break
        forwarded = asyncio.create_task(self._forward(request, broken))
        try:
            if "watch" in request.query:
                await asyncio.wait({forwarded, broken}, return_when=asyncio.FIRST_COMPLETED)
                if not forwarded.done() and request.transport and not self._half:
                    forwarded.cancel()
                    request.transport.abort()
            return await forwarded
        finally:
            broken.cancel()
            forwarded.cancel()

    async def _forward(self, request: web.BaseRequest, broken: "asyncio.Task[Any]") -> web.StreamResponse:
        if wrong := self._rule(request):
            return wrong()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        body = await request.read()
        async with self._session.request(
            request.method, self._target + request.path_qs, headers=headers, data=body or None, allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as found:  # fmt: skip
            kept = {"Content-Type", "Content-Encoding"}
            response = web.StreamResponse(
                status=found.status, headers={name: value for name, value in found.headers.items() if name in kept}
            )
            with suppress(ConnectionError):
                await response.prepare(request)
                await self._pass_on(request, found, response, broken)
            return response

    async def _pass_on(
        self, request: web.BaseRequest, found: aiohttp.ClientResponse, response: web.StreamResponse,
        broken: "asyncio.Task[Any]",
    ) -> None:  # fmt: skip
        deaf = False
        while True:
            more = asyncio.create_task(found.content.readany())
            await asyncio.wait({more, broken}, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                more.cancel()
                if self._half:
                    await response.write(self._half)
                assert request.transport
                if self._half:
                    request.transport.close()
                else:
                    request.transport.abort()
                return
            chunk = await more
            deaf = deaf or ("watch" in request.query and self._deaf(request))
            if not chunk:
                return
            if not deaf:
                await response.write(chunk)
