"""The session of the informer, over real HTTP: pages that fit, and watches that end at nothing that is said in them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from qianfan_operator.controller.session import Refused, Session
from qianfan_operator.kube.access import Login
from qianfan_operator.kube.pages import LARGEST_PAGE

LIST = "/apis/qianfan.dev/v1alpha1/qianfanjobs"
LARGE = 400_000  # bytes


class Server:
    """Lists objects in pages, as the API server does, and says in a watch what a test has it say."""

    def __init__(self, sizes: list[int], said: bytes = b"") -> None:
        self._sizes, self._said = sizes, said
        self.limits: list[int] = []
        self.pauses: list[float] = []
        self.given_up: list[Refused] = []
        self.logins = 0

    def login(self) -> Login:
        return Login("", {"Authorization": f"Bearer {self.logins}"}, ssl.create_default_context())

    def refused(self) -> None:
        self.logins += 1

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return web.Response(body=self._said)
        limit, start = int(request.query["limit"]), int(request.query.get("continue") or 0)
        self.limits.append(limit)
        end = min(start + limit, len(self._sizes))
        items = [{"metadata": {"name": f"o{at}", "labels": {"x": "y" * self._sizes[at]}}} for at in range(start, end)]
        more = str(end) if end < len(self._sizes) else ""
        return web.json_response({"kind": "XList", "metadata": {"continue": more}, "items": items})


@asynccontextmanager
async def session(server: Server) -> AsyncIterator[tuple[Session, str]]:
    app = web.Application()
    app.router.add_get(LIST, server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours = Session(aiohttp.ClientSession(), server, server.pause, patience=0, on_refused=server.given_up.append)
    try:
        yield ours, f"http://127.0.0.1:{runner.addresses[0][1]}{LIST}"
    finally:
        await ours.close()
        await runner.cleanup()


def play(server: Server, story: Callable[[Session, str], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with session(server) as (ours, url):
            return await story(ours, url)

    return asyncio.run(main())


async def listed(ours: Session, url: str) -> list[str]:
    """List as kopf does: a fixed limit, and the token of the page before."""
    names: list[str] = []
    token = ""
    while True:
        reply = await ours.request("get", f"{url}?limit=100&continue={token}" if token else f"{url}?limit=100")
        async with reply:
            document = await reply.json()
        names += [item["metadata"]["name"] for item in document["items"]]
        assert all("labels" not in item["metadata"] for item in document["items"])
        token = document["metadata"]["continue"]
        if not token:
            return names


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([10] * 1500, id="small ones"),
        pytest.param([LARGE] * 30, id="large ones"),
        pytest.param([10] * 700 + [LARGE] * 30 + [10] * 700, id="large ones among small ones"),
        pytest.param([2 * LARGEST_PAGE] * 2, id="each larger than a page"),
        pytest.param([], id="none"),
    ],
)
def test_each_object_is_listed_once_in_pages_that_fit(sizes: list[int]) -> None:
    """Whatever the objects' sizes are."""
    server = Server(sizes)
    assert play(server, listed) == [f"o{at}" for at in range(len(sizes))]
    if sizes == [10] * 1500:
        assert server.limits == [10, 20, 40, 80, *[100] * 14], "small ones soon come in long pages"


def test_a_list_that_takes_too_long_begins_again() -> None:
    """kopf takes this error for a lost connection, and lists anew; the status 410 would end it."""

    async def story(ours: Session, url: str) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await ours.request("get", f"{url}?limit=100&continue=old")

    class Expired(Server):
        async def answer(self, request: web.Request) -> web.StreamResponse:
            return web.json_response({"kind": "Status", "code": 410}, status=410)

    play(Expired([]), story)


async def told(ours: Session, url: str) -> list[dict[str, Any]]:
    """Read a watch as kopf does."""
    async with await ours.request("get", f"{url}?watch=true") as reply:
        text = b"".join([chunk async for chunk in reply.content.iter_chunked(1024)])
    return [json.loads(line) for line in text.splitlines()]


def event(kind: str, name: str, size: int = 0, levels: int = 0) -> bytes:
    deep = '{"a":' * levels + "1" + "}" * levels
    body = {"metadata": {"name": name, "labels": {"x": "y" * size}, "managedFields": "(deep)"}}
    return (json.dumps({"type": kind, "object": body}, separators=(",", ":")).replace('"(deep)"', deep) + "\n").encode()


def test_large_and_deep_events_are_told_in_a_few_bytes() -> None:
    """In their order, between others that are passed on as they are."""
    said = (
        event("ADDED", "a") + event("MODIFIED", "b", LARGE) + event("MODIFIED", "c", 0, 9_000) + event("DELETED", "d")
    )
    heard = play(Server([], said), told)
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in heard] == [
        ("ADDED", "a"), ("MODIFIED", "b"), ("MODIFIED", "c"), ("DELETED", "d"),
    ]  # fmt: skip
    assert heard[0]["object"]["metadata"]["managedFields"] == 1
    assert heard[1]["object"] == {"metadata": {"name": "b"}}
    assert heard[2]["object"]["unreadable"] == "metadata.managedFields"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b"<html><body>Bad gateway</body></html>\n", id="html"),
        pytest.param(event("MODIFIED", "b")[:-9], id="a cut line"),
        pytest.param(b'{"type":"ERROR","object":{"code":500,"message":"x"}}\n', id="an error"),
        pytest.param(b"[]\n", id="no object"),
        pytest.param(b'{"type":"ADDED"}\n', id="no event"),
    ],
)
def test_an_odd_line_ends_the_watch_and_nothing_else(odd: bytes) -> None:
    """kopf watches on from the last event that made sense."""
    heard = play(Server([], event("ADDED", "a") + odd + event("ADDED", "c")), told)
    assert [one["object"]["metadata"]["name"] for one in heard] == ["a"]


def test_a_watch_that_is_odd_again_and_again_has_its_kind_listed() -> None:
    """With longer and longer waits, which begin anew once it makes sense."""
    server = Server([], b"odd\n")

    async def story(ours: Session, url: str) -> list[list[dict[str, Any]]]:
        return [await told(ours, url) for _ in range(4)]

    *first, last = play(server, story)
    assert server.pauses == [0.5, 1, 2, 4]
    assert first == [[], [], []]
    assert [(one["type"], one["object"]["code"]) for one in last] == [("ERROR", 410)]


def test_a_version_that_is_too_old_is_passed_on() -> None:
    """kopf knows what to do then."""
    said = b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'
    assert play(Server([], said), told) == [{"type": "ERROR", "object": {"kind": "Status", "code": 410}}]


@pytest.mark.parametrize(
    ("status", "headers", "waits", "ends"),
    [
        (401, {}, [0.5, 1.0], True),
        (403, {}, [0.5, 1.0], True),
        (404, {}, [0.5, 1.0], False),
        (429, {"Retry-After": "120"}, [5.0, 5.0], False),
        (429, {"Retry-After": "Fri, 31 Dec 2199 23:59:59 GMT"}, [5.0, 5.0], False),
        (429, {"Retry-After": "nan"}, [0.5, 1.0], False),
        (500, {}, [0.5, 1.0], False),
    ],
)
@pytest.mark.parametrize("query", ["watch=true", "limit=100"])
def test_what_is_refused_is_asked_for_again_as_whoever_we_are_by_then(
    query: str, status: int, headers: dict[str, str], waits: list[float], ends: bool
) -> None:
    """kopf sees none of it; only credentials that stay refused are told."""

    class Refusing(Server):
        async def answer(self, request: web.Request) -> web.StreamResponse:
            if request.headers["Authorization"] != "Bearer 2":
                return web.Response(status=status, headers=headers)
            return await super().answer(request)

    async def story(ours: Session, url: str) -> int:
        async with await ours.request("get", f"{url}?{query}") as reply:
            return reply.status

    server = Refusing([])
    assert play(server, story) == 200
    assert server.pauses == waits
    assert bool(server.given_up) == ends


@pytest.mark.parametrize("query", ["watch=true", "limit=100"])
@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_kind_that_is_not_served_is_known_until_it_is(query: str, status: int) -> None:
    """The answer 404 says it, for as long as nothing else is answered; other refusals say nothing about it."""
    seen: list[bool] = []

    class Away(Server):
        async def answer(self, request: web.Request) -> web.StreamResponse:
            if request.headers["Authorization"] != "Bearer 2":
                return web.Response(status=status)
            return await super().answer(request)

        async def pause(self, seconds: float) -> None:
            seen.append(sessions[0].not_found("qianfanjobs"))

    sessions: list[Session] = []

    async def story(ours: Session, url: str) -> bool:
        sessions.append(ours)
        async with await ours.request("get", f"{url}?{query}"):
            return ours.not_found("qianfanjobs")

    assert not play(Away([]), story)
    assert seen == [status == 404] * 2


def test_a_watch_that_cannot_go_on_begins_with_a_list() -> None:
    """Statuses that say so are what kopf takes for the end of everything."""

    class Gone(Server):
        async def answer(self, request: web.Request) -> web.StreamResponse:
            return web.Response(status=410)

    assert play(Gone([]), told)[0]["object"]["code"] == 410
