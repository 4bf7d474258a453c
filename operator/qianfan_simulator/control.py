"""`/_sim/`: what happens outside the API, over HTTP. Every verb is also a method of the simulator object."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from qianfan_simulator import operations
from qianfan_simulator.dump import dump_call, dump_state
from qianfan_simulator.faults import Effect, Fault
from qianfan_simulator.lifecycle import parse_progression
from qianfan_simulator.options import PACES, Options
from qianfan_simulator.world import World

Query = Mapping[str, str]
_MOST = 10**9  # of anything that is counted


def _state(world: World, _query: Query, _body: Any) -> Any:
    """GET: tasks with runs, models with versions, services of every account, and the counts of calls."""
    return dump_state(world)


def _calls(world: World, query: Query, _body: Any) -> Any:
    """GET: the recorded calls; `operation=` and `since=` (a number of calls to leave out) limit them."""
    calls = world.calls[_count(query.get("since", "0")) :]
    return [dump_call(call) for call in calls if query.get("operation", call.operation) == call.operation]


def _faults(world: World, _query: Query, body: Any) -> Any:
    """GET: the faults that are left. POST one fault or a list of them: append. POST `[]`: remove all."""
    if body == []:
        world.faults.clear()
    elif body is not None:
        values = body if isinstance(body, list) else [body]
        world.faults.add(*[Fault.from_json(value, operations.NAMES) for value in values])
    return world.faults.left()


def _reset(world: World, _query: Query, _body: Any) -> Any:
    """POST: forget all things, faults and calls."""
    world.reset()
    return {}


def _advance(world: World, query: Query, _body: Any) -> Any:
    """POST `seconds=`: move the clock forward."""
    world.advance(float(_need(query, "seconds")))
    return {"now": world.clock.now()}


def _pay(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: pay for a service; without an id, for all that wait."""
    return {"paid": world.pay(_id(query) if "id" in query else None)}


def _fail(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: make a working run, version or service fail; with `when=end`, only when its work would be done."""
    when = query.get("when", "now")
    if when not in ("now", "end"):
        raise ValueError("`when` must be now or end")
    world.fail(_id(query), at_the_end=when == "end")
    return {}


def _hold(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: keep a working run, version or service in its state until somebody ends it."""
    world.hold(_id(query))
    return {}


def _stop(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: stop a run in the console."""
    world.stop_run(_id(query))
    return {}


def _expire(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: let a service's paid time run out."""
    world.expire(_id(query))
    return {}


def _delete(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`: delete anything in the console, with what it holds."""
    world.delete(_id(query))
    return {}


def _hide(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`, `looks=`: leave a thing out of the next complete readings of lists."""
    world.hide(_id(query), _count(_need(query, "looks")))
    return {}


def _dataset(world: World, query: Query, _body: Any) -> Any:
    """POST `id=`, `code=`: training refuses this data set with 510101 or 510102; `code=0`: it is good again.

    The `id` is V1's integer or path, or V2's `ds-...` string or path.
    """
    reference, code = _id(query), _count(_need(query, "code"))
    if code not in (0, 510101, 510102):
        raise ValueError("`code` must be 510101, 510102 or 0")
    with world.lock:
        for account in world.accounts.values():
            if code:
                account.bad_datasets[reference] = code
            else:
                account.bad_datasets.pop(reference, None)
    return {}


def _options(world: World, _query: Query, body: Any) -> Any:
    """GET: the options. POST an object: change some, for example `{"list_lag": 5, "training": "seconds:20"}`."""
    if body is not None:
        if not isinstance(body, dict):
            raise ValueError("options must be a JSON object")
        if unknown := set(body) - {item.name for item in dataclasses.fields(Options)}:
            raise ValueError(f"there is no option {min(unknown)!r}")
        changes = {key: parse_progression(str(value)) if key in PACES else value for key, value in body.items()}
        world.configure(**changes)
    return {key: value if value is None else str(value) for key, value in vars(world.options).items()}


def _v2(world: World, query: Query, _body: Any) -> Any:
    """POST `mode=`: V2 is `on`, `denied` (403) or `missing` (404)."""
    world.configure(v2=_need(query, "mode"))
    return {}


VERBS: dict[str, Callable[[World, Query, Any], Any]] = {
    verb.__name__[1:]: verb
    for verb in (
        _state, _calls, _faults, _reset, _advance, _pay, _fail, _hold, _stop, _expire, _delete, _hide, _dataset,
        _options, _v2,
    )
}  # fmt: skip
_READS = {"state", "calls", "faults", "options"}


def answer(world: World, method: str, path: str, query: Query, raw: bytes) -> web.Response:
    """Answer a control request: 200 with JSON, 400 for a bad value, 404 for an unknown verb or id, 405."""
    name = path.removeprefix("/_sim").strip("/")
    if not name:
        return web.Response(text=_help(world), content_type="text/html")
    if (verb := VERBS.get(name)) is None:
        return _json(404, {"error": f"there is no /_sim/{name}; /_sim/ lists what there is"})
    if method != "POST" and not (method == "GET" and name in _READS):
        return _json(405, {"error": "POST it"})
    try:
        return _json(200, verb(world, query, json.loads(raw) if raw and method == "POST" else None))
    except KeyError as error:
        return _json(404, {"error": f"there is no {error}"})
    except (ValueError, TypeError, OverflowError) as error:
        return _json(400, {"error": str(error)})
    except RecursionError:
        return _json(400, {"error": "the JSON is nested too deeply"})


def _json(status: int, value: Any) -> web.Response:
    return web.json_response(value, status=status)


def _id(query: Query) -> int | str:
    text = _need(query, "id")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text


def _count(text: str) -> int:
    """Read a whole number that is not negative; raises ValueError."""
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= _MOST):
        raise ValueError(f"{text[:40]!r} must be a whole number from 0 to {_MOST}")
    return int(text)


def _need(query: Query, name: str) -> str:
    if name not in query:
        raise ValueError(f"`{name}=` is missing")
    return query[name]


def _help(world: World) -> str:
    verbs = "".join(
        f"<dt><code>/_sim/{name}</code></dt><dd>{html.escape(verb.__doc__ or '')}</dd>" for name, verb in VERBS.items()
    )
    keys = "".join(
        f"<li><code>{html.escape(k.access_key)}</code>: {html.escape(k.account)}</li>" for k in world.keys.values()
    )
    fields = ", ".join(item.name for item in dataclasses.fields(Fault))
    return f"""<!doctype html><html lang="en"><title>Qianfan simulator</title>
<h1>Qianfan simulator</h1>
<p>A Qianfan console on this address: point <code>QIANFAN_CONSOLE_API_BASE_URL</code> here.</p>
<h2>Access keys and their accounts</h2><ul>{keys}</ul>
<h2>Control</h2><dl>{verbs}</dl>
<p>An <code>id</code> is an integer or a string such as <code>task-...</code>; both stand in every reply.</p>
<h2>Faults</h2><p>Fields: {fields}. Effects: {", ".join(Effect)}.
Example: <code>[{{"effect": "lose-reply", "operation": "createJob"}}]</code></p>
<h2>Operations</h2><p>{", ".join(operations.NAMES)}</p></html>"""
