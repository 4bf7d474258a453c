"""The HTTP session of the informer: shields kopf from refused requests and malformed replies.

kopf decodes whole pages and lines, ends at the first one that it cannot decode, and asks for pages of a fixed number of
objects. It takes a session of ours in place of its own (`kopf.AiohttpSession`). This one has replies decoded by
`decoder`, keeps the pages of a list within a number of bytes, and opens a watch anew at a line that is none.

Nor does kopf see a list or a watch refused: after 401 it takes the same token for a wrong one and stops, after 429 it
waits for as long as it is told. Here both are asked for again, each time with what `Access` says then.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
from yarl import URL

from qianfan_operator.kube.access import Login
from qianfan_operator.kube.decoder import LARGE, decode, decode_event, decode_page, is_shallow
from qianfan_operator.kube.pages import LARGEST_OBJECT, PageSize
from qianfan_operator.network import described

log = logging.getLogger(__name__)

SMALL_LINE = 16 * 1024
"""Bytes of a line that kopf may decode itself, if it is shallow."""
_CHUNK = 64 * 1024
_LIST_AGAIN = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).encode()
"""What the API server says when a watch cannot go on from where it was; kopf then lists everything again."""
_ODD_WAIT, _ODD_WAIT_MOST = 0.5, 30.0  # seconds before what cannot be read is asked for again
_RESUME = 2.0  # seconds of wait up to which a watch goes on from where it was
_AGAIN, _AGAIN_MOST = 0.5, 5.0  # seconds before what was refused is asked for again, whatever `Retry-After` says
_OUTDATED = frozenset({400, 410, 504})  # statuses of a watch whose resourceVersion the API server may not know
_PATIENCE = 60.0  # seconds for which credentials may be refused, if nobody says otherwise
_USUAL = re.compile(rb'\{"type":"(?:ADDED|MODIFIED|DELETED|BOOKMARK)","object":\{')


class Refused(Exception):
    """The API server has not taken our credentials, or has shown a certificate that is not trusted, for too long."""


class Logins(Protocol):
    """The part of `Access` that is needed here."""

    def login(self) -> Login:
        """Say how to connect now."""

    def refused(self) -> None:
        """Read again what `login` says."""


class Session:
    """What kopf uses of an `aiohttp.ClientSession`. `on_refused` is called once credentials were refused too long."""

    def __init__(
        self, session: aiohttp.ClientSession, access: Logins,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep, *, patience: float = _PATIENCE,
        on_refused: Callable[[Refused], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._session, self._access, self._pause, self._clock = session, access, pause, clock
        self._patience, self._on_refused = patience, on_refused
        self._pages: dict[str, PageSize] = {}
        self._odd: dict[str, float] = {}
        self._waits: dict[str, float] = {}  # how long was waited last, by path; what was answered waits for nothing
        self._refused: dict[str, float] = {}  # since when, by path
        self._heard: dict[str, float] = {}  # when something came last, by the name of the kind in the path
        self._watches: dict[str, aiohttp.ClientResponse] = {}  # by the same
        self._anew: set[str] = set()
        self._not_found: set[str] = set()  # kinds of which the last answer was 404

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

    def age(self, plural: str) -> float | None:
        """Tell the seconds since a watch, or a list, of a kind brought something; None if none ever did."""
        heard = self._heard.get(plural)
        return None if heard is None else self._clock() - heard

    def not_found(self, plural: str) -> bool:
        """Say whether the last answer about a kind was that the API server does not serve it."""
        return plural in self._not_found

    def begin_anew(self, plural: str) -> None:
        """Have the kind listed anew: its watch has missed something."""
        if response := self._watches.pop(plural, None):
            self._anew.add(plural)
            response.close()

    async def request(self, method: str, url: str, **more: Any) -> "Reply":
        """Send a request; the reply is not read yet, except that a page of a list is. Raises aiohttp's errors."""
        address = URL(url)
        if method.upper() == "GET" and "watch" in address.query:
            return await self._watch(address, more)
        if method.upper() == "GET" and "limit" in address.query:
            return await self._page(address, more)
        while True:
            response = await self._ask(address, more, method)
            if response.status not in {401, 429}:
                return Reply(response, self._lines)
            await self._wait(address.path, response)

    async def _watch(self, address: URL, more: Mapping[str, Any]) -> "Reply":
        """Open a watch, however often that takes; one that cannot go on from where it was lists everything again."""
        plural = address.name
        while True:
            response = await self._ask(address, more)
            if response.status == 200:
                self._answered(address)
                self._watches[plural] = response
                return Reply(response, self._lines)
            if response.status in _OUTDATED and address.path in self._waits:
                await self._wait(address.path, response)
                return Reply(response, _list_again, status=200)
            await self._wait(address.path, response)

    async def _ask(self, address: URL, more: Mapping[str, Any], method: str = "GET") -> aiohttp.ClientResponse:
        """Ask until there is an answer of any kind, or none in time."""
        while True:
            login = await asyncio.to_thread(self._access.login)
            headers = {**(more.get("headers") or {}), **login.headers}
            way = {"ssl": login.trust, "proxy": login.proxy, "server_hostname": login.server_name}
            try:
                return await self._session.request(method, address, **{**more, "headers": headers, **way})
            except (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError) as error:
                await self._wait(address.path, error)
            except (aiohttp.ClientConnectionError, TimeoutError):
                self._refused.pop(address.path, None)  # who is away refuses nothing
                raise

    async def _wait(self, path: str, why: "aiohttp.ClientResponse | aiohttp.ClientConnectorError") -> None:
        """Wait before the next try: longer each time, never long."""
        wait = self._waits[path] = min(2 * self._waits.get(path, _AGAIN / 2), _AGAIN_MOST)
        if isinstance(why, aiohttp.ClientResponse):
            what = str(why.status)
            why.close()
            if why.status == 404:
                self._not_found.add(URL(path).name)
            if why.status == 429:
                wait = max(wait, min(_retry_after(why.headers.get("Retry-After", "")), _AGAIN_MOST))
        else:
            what = described(why)
        log.warning("The API server refuses", extra={"path": path, "answer": what, "retry_after": wait})
        await asyncio.to_thread(self._access.refused)
        if isinstance(why, aiohttp.ClientConnectorCertificateError) or what in {"401", "403"}:
            since = self._refused.setdefault(path, self._clock())
            if self._clock() - since >= self._patience:
                self._on_refused(Refused(f"{path} has been refused for more than {self._patience:g} s: {what}"))
        else:
            self._refused.pop(path, None)
        await self._pause(wait)

    def _answered(self, address: URL) -> None:
        self._waits.pop(address.path, None)
        self._refused.pop(address.path, None)
        self._not_found.discard(address.name)
        self._heard[address.name] = self._clock()

    async def _page(self, address: URL, more: Mapping[str, Any]) -> "Reply":
        """Read a page of as many objects as fit; a smaller page goes on from the same token just as well."""
        path = address.path
        size = self._pages.setdefault(path, PageSize())
        while True:
            try:
                response = await self._ask(address.update_query(limit=size.limit), more)
                text = await _read(response, size.budget) if response.status == 200 else b""
            except TimeoutError:
                size.was_too_large()
                raise
            if response.status == 410 and "continue" in address.query:
                response.close()
                raise aiohttp.ClientPayloadError(f"the list of {path} took so long that it has to begin again")
            if response.status != 200:
                await self._wait(path, response)
                continue
            self._answered(address)
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
        path, plural = response.url.path, response.url.name
        async for line in self._until_closed(plural, response):
            self._heard[plural] = self._clock()
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

    async def _until_closed(self, plural: str, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Give the lines; after `begin_anew` the last one asks for a list."""
        try:
            async for line in _split(response.content):
                yield line
        except aiohttp.ClientError:
            if plural not in self._anew:
                raise
        if plural in self._anew:
            self._anew.discard(plural)
            yield _LIST_AGAIN

    async def _wait_for_sense(self, path: str, error: ValueError) -> float:
        """Wait, the longer the more often in a row; returns how long it was."""
        wait = self._odd[path] = min(2 * self._odd.get(path, _ODD_WAIT / 2), _ODD_WAIT_MOST)
        log.warning(
            "The API server said what cannot be read", extra={"path": path, "error": str(error), "retry_after": wait}
        )
        await self._pause(wait)
        return wait


class Reply:
    """What kopf uses of an `aiohttp.ClientResponse`."""

    def __init__(
        self, response: aiohttp.ClientResponse, lines: Any, document: Any = None, status: int | None = None
    ) -> None:
        self._response, self._lines, self._document = response, lines, document
        self._status = response.status if status is None else status

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._status

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


async def _list_again(_: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    yield _LIST_AGAIN + b"\n"


def _retry_after(value: str) -> float:
    """Read a Retry-After, seconds or a date; 0 if it is neither."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


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
