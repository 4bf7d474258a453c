"""HTTP: one request in, one reply out, with the script's trouble in between."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from qianfan_simulator import control, operations, replies, signature
from qianfan_simulator.account import Account
from qianfan_simulator.body import Body, parse_object
from qianfan_simulator.calls import LONGEST_KEY, Call, summary
from qianfan_simulator.dates import http_date
from qianfan_simulator.errors import (
    ActionError,
    ConsoleError,
    IamError,
    denied,
    inappropriate,
    malformed,
    no_such_uri,
    not_simulated,
    param_invalid,
)
from qianfan_simulator.faults import Effect, Fault
from qianfan_simulator.operations import Operation
from qianfan_simulator.replies import Reply
from qianfan_simulator.things import Living
from qianfan_simulator.world import World

_STATUS_OF = {
    "AccessDenied": 403, "InvalidAccessKeyId": 403, "SignatureDoesNotMatch": 403, "OptInRequired": 403,
    "InvalidVersion": 404, "InvalidURI": 404, "PreconditionFailed": 412, "InternalError": 500,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end. `fields` is None if the body was no JSON object."""

    operation: Operation
    method: str
    target: str
    headers: Any
    fields: dict[str, Any] | None
    claimed: str


class Server:
    """Serves one world on a running event loop. `body_seconds`: how long the body of a request may take."""

    def __init__(self, world: World, body_seconds: float = 10.0) -> None:
        self._world, self._body_seconds = world, body_seconds
        self._deliveries: set[asyncio.Task[Reply]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        path, _, query = request.raw_path.partition("?")
        raw = await self._body(request)
        if isinstance(raw, Reply):
            return self._send(raw)
        if path == "/_sim" or path.startswith("/_sim/"):
            return control.answer(self._world, request.method, path, request.query, raw)
        action = parse_qs(query).get("Action", [""])[0]
        read = Request(
            operation=operations.find(path, action),
            method=request.method,
            target=request.raw_path,
            headers=request.headers,
            fields=parse_object(raw),
            claimed=signature.claimed_key(request.headers.get("Authorization", "")),
        )
        fault = self._world.faults.take(read.operation.name, read.claimed)
        if fault is None:
            return self._send(self._execute(read, None))
        return await self._spoil(request, read, fault)

    async def _body(self, request: web.BaseRequest) -> bytes | Reply:
        """Read the body to its end, or say why it cannot be read."""
        try:
            async with asyncio.timeout(self._body_seconds):
                try:
                    return await request.read()
                except web.HTTPRequestEntityTooLarge:
                    while await request.content.readany():  # else the client is cut off before it reads the answer
                        pass
                    return _refused(413, "EntityTooLarge", "The request body is too large.")
        except web.RequestPayloadError:
            return _refused(400, "InvalidHTTPRequest", "The request body cannot be unpacked.")
        except (TimeoutError, ConnectionResetError):  # a broken chunk ends here, too: aiohttp never ends its body
            return _refused(408, "RequestTimeout", "The end of the request body did not arrive.")

    async def close(self) -> None:
        """Forget what is still to be delivered late."""
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    async def _spoil(self, request: web.BaseRequest, read: Request, fault: Fault) -> web.StreamResponse:
        """Do to the call what the fault says."""
        effect, clock = fault.effect, self._world.clock
        if effect is Effect.DELIVER_LATE:
            delivery = asyncio.create_task(self._deliver(read, fault))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
            return self._hang_up(request) if fault.hang_up else self._send(await asyncio.shield(delivery))
        instead = effect in (Effect.HTML, Effect.STATUS, Effect.ERROR)
        if effect is Effect.LOSE_REQUEST or (instead and not fault.after):
            self._record(read, "not executed", fault)
            return self._send(self._instead(read, fault)) if instead else self._hang_up(request)
        reply = self._execute(read, fault)
        if effect is Effect.LOSE_REPLY:
            return self._hang_up(request)
        if effect is Effect.CUT_BODY:
            return await self._cut(request, reply)
        if effect is Effect.SLOW:
            await clock.reach(clock.now() + fault.seconds)
        return self._send(self._instead(read, fault) if instead else reply)

    async def _deliver(self, read: Request, fault: Fault) -> Reply:
        self._record(read, "held", fault)
        await self._world.clock.reach(self._world.clock.now() + fault.seconds)
        return self._execute(read, fault)

    def _execute(self, read: Request, fault: Fault | None) -> Reply:
        """Check who asks, do what is asked, record it."""
        world, api = self._world, read.operation.api
        with world.lock:
            try:
                account = self._admit(read)
                account.made.clear()
                reply = replies.success(api, self._result(account, read), world.cloud.ids)
                if fault is not None and not _mark(account, fault):
                    world.faults.give_back(fault)
            except (ConsoleError, ActionError) as error:
                reply = replies.refusal(error, world.cloud.ids)
                if fault is not None and fault.effect in _MARKS:
                    world.faults.give_back(fault)
            self._record(read, reply.outcome, fault)
        return reply

    def _admit(self, read: Request) -> Account:
        world = self._world

        def secret_of(access_key: str) -> str | None:
            key = world.keys.get(access_key)
            return key.secret_key if key else None

        access_key = signature.check(
            method=read.method,
            target=read.target,
            headers=read.headers,
            secret_of=secret_of,
            clocks=self._clocks(),
            tolerance=world.options.clock_tolerance,
        )
        return world.opened_by(access_key)

    def _clocks(self) -> tuple[float, ...]:
        clock = self._world.clock
        return (clock.now(), clock.machine()) if self._world.options.signature_clock == "either" else (clock.now(),)

    def _result(self, account: Account, read: Request) -> Any:
        operation = read.operation
        if operation.api == 1:
            if operation.do is None:
                raise ConsoleError(3, "Unsupported openapi method: the simulator does not serve this path")
            if read.method != "POST":
                raise ConsoleError(336101)
            if read.fields is None:
                raise ConsoleError(500001)
            return operation.do(account, Body(read.fields, param_invalid))
        if self._world.options.v2 == "denied":
            raise denied()
        if self._world.options.v2 == "missing":
            raise no_such_uri()
        if operation.do is None:
            raise not_simulated(read.target)
        if read.method != "POST":
            raise ActionError(400, "InvalidHTTPRequest", "There was an error in the body of your HTTP request.")
        if read.fields is None:
            raise malformed()
        return operation.do(account, Body(read.fields, inappropriate))

    def _instead(self, read: Request, fault: Fault) -> Reply:
        """Return the false reply of a fault, with the time that it asks to wait."""
        reply = self._false_reply(read, fault)
        asked = {"Retry-After": str(math.ceil(fault.seconds))} if fault.seconds else {}
        return replace(reply, headers={**reply.headers, **asked})

    def _false_reply(self, read: Request, fault: Fault) -> Reply:
        if fault.effect is Effect.HTML:
            return replies.page(fault.status or 502)
        if fault.effect is Effect.STATUS:
            return replies.empty(fault.status or 500)
        if isinstance(fault.code, int):
            return replies.refusal(ConsoleError(fault.code, fault.message), self._world.cloud.ids)
        status, message = fault.status or _STATUS_OF.get(fault.code, 400), fault.message or fault.code
        kind = IamError if read.operation.api == 1 else ActionError
        return replies.refusal(kind(status, fault.code, message), self._world.cloud.ids)

    def _record(self, read: Request, outcome: str, fault: Fault | None) -> None:
        world = self._world
        key = world.keys.get(read.claimed)
        call = Call(
            operation=read.operation.name,
            time=world.clock.now(),
            access_key=read.claimed[:LONGEST_KEY],
            parameters=summary(read.fields),
            outcome=outcome,
            fault=fault.effect if fault else "",
        )
        with world.lock:
            world.recorded.add(call, key.account if key else "")

    def _send(self, reply: Reply) -> web.Response:
        response = web.Response(body=reply.body, status=reply.status, content_type=reply.content_type)
        response.headers.update(reply.headers)
        response.headers["Date"] = http_date(self._world.clock.now())
        return response

    async def _cut(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Date": http_date(self._world.clock.now())})
        response.content_type, response.content_length = reply.content_type, len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
        return self._hang_up(request, response)

    def _hang_up(self, request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return response or web.Response()


_MARKS = (Effect.HIDE, Effect.DOOM)


def _mark(account: Account, fault: Fault) -> bool:
    """Mark what the call made, if the fault is about that; False if there was nothing to mark, so that it waits."""
    if fault.effect not in _MARKS:
        return True
    marked = [thing for thing in account.made if fault.effect is Effect.HIDE or isinstance(thing, Living)]
    for thing in marked:
        if isinstance(thing, Living) and fault.effect is Effect.DOOM:
            thing.life.doomed = True
        else:
            account.hide(thing, fault.looks)
    return bool(marked)


def _refused(status: int, code: str, message: str) -> Reply:
    return Reply(code, json.dumps({"code": code, "message": message}).encode(), status)
