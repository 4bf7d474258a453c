"""The HTTP session of the informer: what kopf asks goes through here, and what it is given cannot stop it.

kopf decodes whole pages and lines, ends at the first one that it cannot decode, and asks for pages of a fixed number of
objects. It takes a session of ours in place of its own (`kopf.AiohttpSession`). This one has replies decoded by
`decoder`, keeps the pages of a list within a number of bytes, and opens a watch anew at a line that is none.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from qianfan_operator.decoder import LARGE, decode, decode_event, decode_page, is_shallow
from qianfan_operator.pages import LARGEST_OBJECT, PageSize

log = logging.getLogger(__name__)

SMALL_LINE = 16 * 1024
"""Bytes of a line that kopf may decode itself, if it is shallow."""
_CHUNK = 64 * 1024
_LIST_AGAIN = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).encode()
"""What the API server says when a watch cannot go on from where it was; kopf then lists everything again."""
_ODD_WAIT, _ODD_WAIT_MOST = 0.5, 30.0  # seconds before what cannot be read is asked for again
_RESUME = 2.0  # seconds of wait up to which a watch goes on from where it was
_USUAL = re.compile(rb'\{"type":"(?:ADDED|MODIFIED|DELETED|BOOKMARK)","object":\{')


class Session:
    """What kopf uses of an `aiohttp.ClientSession`."""

    def __init__(
        self, session: aiohttp.ClientSession, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._session, self._pause = session, pause
        self._pages: dict[str, PageSize] = {}
        self._odd: dict[str, float] = {}

    @property
    def headers(self) -> Any:
        """The headers of every request."""
        return self._session.headers

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._session.closed

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    async def request(self, method: str, url: str, **more: Any) -> "Reply":
        """Send a request; the reply is not read yet, except that a page of a list is. Raises aiohttp's errors."""
        address = URL(url)
        if method.upper() == "GET" and "watch" in address.query:
            return Reply(await self._session.request(method, url, **more), self._lines)
        if method.upper() == "GET" and "limit" in address.query:
            return await self._page(address, more)
        return Reply(await self._session.request(method, url, **more), self._lines)

    async def _page(self, address: URL, more: Mapping[str, Any]) -> "Reply":
        """Read a page of as many objects as fit; a smaller page goes on from the same token just as well."""
        path = address.path
        size = self._pages.setdefault(path, PageSize())
        while True:
            try:
                response = await self._session.request("GET", address.update_query(limit=size.limit), **more)
                text = await _read(response, size.budget) if response.status == 200 else b""
            except TimeoutError:
                size.was_too_large()
                raise
            if response.status == 410 and "continue" in address.query:
                response.close()
                raise aiohttp.ClientPayloadError(f"the list of {path} took so long that it has to begin again")
            if response.status != 200:
                return Reply(response, self._lines)
            if text is not None:
                break
            if size.limit == 1:
                raise aiohttp.ClientPayloadError(f"one object of {path} is larger than {LARGEST_OBJECT} bytes")
            size.was_too_large()
        try:
            page = await _aside(decode_page, text)
        except ValueError as error:
            await self._wait_for_sense(path, error)
            raise aiohttp.ClientPayloadError(f"the list of {path} cannot be read") from error
        self._odd.pop(path, None)
        size.was(page.size, len(page.document["items"]))
        return Reply(response, self._lines, page.document)

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Give the lines of a watch, none of which kopf cannot decode; at one that makes no sense the watch ends."""
        path = response.url.path
        async for line in _split(response.content):
            try:
                told = await _told(line)
            except ValueError as error:
                if await self._wait_for_sense(path, error) > _RESUME:
                    yield _LIST_AGAIN + b"\n"
                return
            self._odd.pop(path, None)
            yield told + b"\n"
            if len(line) > SMALL_LINE:
                await asyncio.sleep(0)  # what was read is worked off before more is: kopf's queues have no bound

    async def _wait_for_sense(self, path: str, error: ValueError) -> float:
        """Wait, the longer the more often in a row; returns how long it was."""
        wait = self._odd[path] = min(2 * self._odd.get(path, _ODD_WAIT / 2), _ODD_WAIT_MOST)
        log.warning(
            "The API server said what cannot be read", extra={"path": path, "error": str(error), "again_in": wait}
        )
        await self._pause(wait)
        return wait


class Reply:
    """What kopf uses of an `aiohttp.ClientResponse`."""

    def __init__(self, response: aiohttp.ClientResponse, lines: Any, document: Any = None) -> None:
        self._response, self._lines, self._document = response, lines, document

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Any:
        """The headers."""
        return self._response.headers

    @property
    def content(self) -> "Self":
        """The lines of a watch; see `iter_chunked`."""
        return self

    def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """Read the lines of a watch, one at a time."""
        lines: AsyncIterator[bytes] = self._lines(self._response)
        return lines

    async def json(self) -> Any:
        """Read and decode; raises json.JSONDecodeError."""
        if self._document is None:
            try:
                self._document = await _aside(decode, await self._response.read())
            except ValueError as error:
                raise json.JSONDecodeError(str(error), "", 0) from error
        return self._document

    async def text(self) -> str:
        """Read as text."""
        return await self._response.text()

    def raise_for_status(self) -> None:
        """Raise aiohttp.ClientResponseError if the status is one of an error."""
        self._response.raise_for_status()

    def close(self) -> None:
        """End the connection."""
        self._response.close()

    async def __aenter__(self) -> Self:
        await self._response.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._response.__aexit__(kind, error, at)


async def _told(line: bytes) -> bytes:
    """Say a line of a watch in a way that kopf can decode; ValueError if it is none."""
    if len(line) <= SMALL_LINE and _USUAL.match(line) and line.endswith(b"}}") and is_shallow(line):
        return line  # brackets that match are proof that nothing is missing
    event = await _aside(decode_event, line)
    if event["type"] == "ERROR" and event["object"].get("code") != 410:
        raise ValueError(f"an error: {str(event['object'].get('message'))[:200]!r}")
    return json.dumps(event, separators=(",", ":")).encode()


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split into lines; aiohttp's own way has a bound of 128 KB, and kopf's copies a long line with every chunk."""
    parts: list[bytes] = []
    size = 0
    async for chunk in content.iter_chunked(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            text = b"".join((*parts, line))
            parts, size = [], 0
            if text:
                yield text
        parts.append(rest)
        size += len(rest)
        if size > LARGEST_OBJECT:
            raise aiohttp.ClientPayloadError(f"a line of a watch is longer than {LARGEST_OBJECT} bytes")
    if text := b"".join(parts):
        yield text


async def _read(response: aiohttp.ClientResponse, budget: int) -> bytes | None:
    """Read all of a reply; None, with the connection ended, if it is longer than the budget."""
    parts: list[bytes] = []
    size = 0
    async with response:
        async for chunk in response.content.iter_chunked(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > budget:
                response.close()
                return None
    return b"".join(parts)


async def _aside(read: Any, text: bytes) -> Any:
    """Decode what takes long in a thread of its own, so that everything else goes on."""
    return await asyncio.to_thread(read, text) if len(text) > LARGE else read(text)
