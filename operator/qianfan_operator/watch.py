"""The watch: kopf as an informer and nothing else; the only import of `kopf`.

One event handler per kind puts what it sees into the intake. There are no change handlers, daemons or timers, so that
nothing of kopf's is ever written on a user's object (design 4).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

import aiohttp
import kopf
from kopf._cogs.clients.scanning import scan_resources
from kopf._cogs.structs.references import Insights
from kopf._core.reactor.observation import process_discovered_resource_event

from qianfan_operator import metrics
from qianfan_operator.api.common import GROUP, SECRET_NAME, VERSION
from qianfan_operator.intake import Intake
from qianfan_operator.kube import decode_secret
from qianfan_operator.pages import MOST
from qianfan_operator.session import Session

log = logging.getLogger(__name__)
_MISSING = 2.0  # seconds between two looks for a definition that is not there


class _NoDiffBase(kopf.DiffBaseStorage):
    """Remembers no last state: only change handlers would need it, and it is half of the cost of an event."""

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})


class _NoProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers: there is none."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class Memo:
    """kopf copies its memo for every object; this one stays what it is."""

    def __copy__(self) -> "Memo":
        return self


class Watch:
    """Watches our kinds and the Secrets of the default name, until a signal ends the process."""

    def __init__(self, plurals: Iterable[str], intake: Intake) -> None:
        self._plurals, self._intake = tuple(plurals), intake
        self._started = asyncio.Event()
        self._insights = Insights()
        self._settings = _settings()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until a signal or `stop`, which is set in the end in any case; raises if a watch cannot go on."""
        await kopf.operator(
            registry=self._registry(stop),
            settings=self._settings,
            insights=self._insights,
            clusterwide=True,
            standalone=True,
            identity="qianfan-operator",  # type: ignore[arg-type]  # else kopf asks for the user's name, who may have none
            ready_flag=self._started,
            stop_flag=stop,
            memo=Memo(),
        )

    def _registry(self, stop: asyncio.Event) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        for plural in self._plurals:
            self._watch(registry, plural)

        async def secret(event: Mapping[str, Any], **_: Any) -> None:
            raw = event["object"]
            if raw["metadata"]["name"] == SECRET_NAME:
                metrics.LAST_EVENT.set_to_current_time()
                self._intake.secret_seen(event["type"], raw, decode_secret(raw))

        async def login(**context: Any) -> kopf.AiohttpSession | None:
            info = kopf.login_via_client(**context)
            return _session(info) if info else None

        looking: list[asyncio.Task[None]] = []

        async def start(**_: Any) -> None:
            looking.append(asyncio.create_task(self._look_for_definitions(registry)))

        async def end(**_: Any) -> None:
            looking.pop().cancel()  # else kopf waits for it,
            stop.set()  # and after a signal five seconds for this

        kopf.on.startup(registry=registry, id="start")(start)
        kopf.on.cleanup(registry=registry, id="end")(end)
        kopf.on.login(registry=registry, id="login")(login)
        kopf.on.event("", "v1", "secrets", registry=registry, id="secrets")(secret)
        return registry

    def _watch(self, registry: kopf.OperatorRegistry, plural: str) -> None:
        async def resource(event: Mapping[str, Any], **_: Any) -> None:
            metrics.LAST_EVENT.set_to_current_time()
            try:
                self._intake.seen(plural, event["type"], event["object"])
            except Exception as error:  # kopf would log it, too, and then the object would never count as seen
                log.exception("An event could not be taken in")
                if event["type"] == "DELETED":
                    return
                self._intake.unreadable(plural, event["object"], f"{type(error).__name__} in the operator")

        kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(resource)

    async def _look_for_definitions(self, registry: kopf.OperatorRegistry) -> None:
        """Find the definitions that are installed while we run, for the first time or again.

        kopf looks for a definition when it is told of it, and that is a moment before the API server serves the kind:
        it would never look again.
        """
        changed: Any = {"type": "MODIFIED", "object": {"spec": {"group": GROUP}}}
        while True:
            await asyncio.sleep(_MISSING)
            missing = set(self._plurals) - {resource.plural for resource in self._insights.watched_resources}
            if not missing or not self._started.is_set():
                continue
            try:
                served = await scan_resources(groups={GROUP}, settings=self._settings, logger=log)
                if missing & {resource.plural for resource in served}:
                    await process_discovered_resource_event(
                        raw_event=changed, settings=self._settings, registry=registry, insights=self._insights
                    )
            except Exception:
                log.exception("Could not check for missing CRDs")


def _session(info: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    """Connect as kopf would, by a session of ours."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        # Compressed, a reply of 140 MB is one of 140 KB, and decompressed at once.
        headers={**info.as_http_headers(), "Accept-Encoding": "identity"},
        proxy=info.proxy_url,
        trust_env=info.trust_env,
    )
    return kopf.AiohttpSession(
        server=info.server, default_namespace=info.default_namespace, priority=info.priority,
        aiohttp_session=cast(aiohttp.ClientSession, Session(session)),
    )  # fmt: skip


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.finalizer = f"{GROUP}/never-written"
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.1  # idle workers hold 20 KB each
    settings.watching.field_selectors["secrets"] = f"metadata.name={SECRET_NAME}"
    settings.watching.chunk_size = MOST  # so that it asks for pages at all; how long they are is the session's to say
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.process.ultimate_exiting_timeout = None  # it would kill a process that still has ids to write
    settings.execution.max_workers = 1
    return settings
