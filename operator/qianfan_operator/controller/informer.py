"""The informer: kopf, used for its watches only; the only module that imports `kopf`.

One event handler per kind passes what it sees to EventHandler. There are no change handlers, daemons or timers, so that
nothing of kopf's is ever written on a user's object.

See docs/design/architecture.md#one-reconcile.
"""

import asyncio
import logging
import signal
from collections.abc import Iterable, Mapping
from typing import Any, cast

import aiohttp
import kopf
from kopf._cogs.clients.scanning import scan_resources
from kopf._cogs.structs.references import Insights
from kopf._core.reactor.observation import process_discovered_resource_event

from qianfan_operator.api.common import GROUP, SECRET_NAME, VERSION
from qianfan_operator.controller.event_handler import EventHandler
from qianfan_operator.controller.session import Session
from qianfan_operator.kube.access import Access
from qianfan_operator.kube.client import decode_secret
from qianfan_operator.kube.pages import MOST
from qianfan_operator.network import described
from qianfan_operator.telemetry import metrics

log = logging.getLogger(__name__)
_ENDS = 8.0  # seconds that kopf may take to end
_MISSING = 2.0  # seconds between two looks for a definition that is not there

INSTALL = "kubectl apply --server-side -k crds/"
"""What installs the CRDs, in a checkout of the operator's version."""


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

    def __init__(self, plurals: Iterable[str], event_handler: EventHandler, access: Access, patience: float) -> None:
        """`patience`: seconds after which refused credentials end the watch."""
        self._plurals, self._event_handler = tuple(plurals), event_handler
        self._access, self._patience = access, patience
        self._started = asyncio.Event()
        self._insights = Insights()
        self._settings = _settings()
        self._session: Session | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def age(self, plural: str) -> float | None:
        """Tell the seconds since the watch of a kind brought something, be it a bookmark; None if it never did."""
        return self._session.age(plural) if self._session else None

    def missing_crds(self) -> list[str]:
        """Name the CRDs that the API server does not serve; empty until it was asked for them."""
        if not self._insights.ready_resources.is_set():
            return []
        watched = {resource.plural for resource in self._insights.watched_resources}
        return [
            f"{plural}.{GROUP}"
            for plural in self._plurals
            if plural not in watched or (self._session and self._session.not_found(plural))
        ]

    def begin_anew(self, plural: str) -> None:
        """Have a kind listed anew."""
        if self._session:
            self._session.begin_anew(plural)

    def fail(self, error: Exception) -> None:
        """End the watch: it cannot go on."""
        if not self._failed.done():
            self._failed.set_exception(error)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until a signal or `stop`, which is set in the end in any case; raises if a watch cannot go on.

        Whatever ends it, kopf has some seconds for its own end, and is left behind if they do not suffice.
        """
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
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
        for number in (signal.SIGINT, signal.SIGTERM):  # in the place of kopf's, which only kopf would hear of
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        running = asyncio.create_task(kopf.run_tasks(tasks, ignored=others))
        await asyncio.wait({*tasks, running, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait({running}, timeout=_ENDS)
        if self._failed.done():
            self._failed.result()
        if running.done():
            running.result()
            return
        log.error("kopf does not end; the process ends without it")
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    def _registry(self, stop: asyncio.Event) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        for plural in self._plurals:
            self._watch(registry, plural)

        async def secret(event: Mapping[str, Any], **_: Any) -> None:
            raw = event["object"]
            if raw["metadata"]["name"] == SECRET_NAME:
                metrics.LAST_EVENT.set_to_current_time()
                self._event_handler.secret_seen(event["type"], raw, decode_secret(raw))

        async def login(**_: Any) -> kopf.AiohttpSession:
            return self._connect()

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

    def _connect(self) -> kopf.AiohttpSession:
        """Have kopf ask by a session of ours; there is one at a time."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Accept-Encoding": "identity"},  # compressed, 140 MB are 140 KB, and decompressed at once
        )
        self._session = Session(session, self._access, patience=self._patience, on_refused=self.fail)
        return kopf.AiohttpSession(
            server=self._access.login().server, aiohttp_session=cast(aiohttp.ClientSession, self._session)
        )

    def _watch(self, registry: kopf.OperatorRegistry, plural: str) -> None:
        async def resource(event: Mapping[str, Any], **_: Any) -> None:
            metrics.LAST_EVENT.set_to_current_time()
            try:
                self._event_handler.handle(plural, event["type"], event["object"])
            except Exception as error:  # kopf would log it, too, and then the object would never count as seen
                log.exception("An event could not be taken in")
                if event["type"] == "DELETED":
                    return
                self._event_handler.unreadable(plural, event["object"], f"{type(error).__name__} in the operator")

        kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(resource)

    async def _look_for_definitions(self, registry: kopf.OperatorRegistry) -> None:
        """Find the definitions that are installed while we run, for the first time or again.

        kopf looks for a definition when it is told of it, and that is a moment before the API server serves the kind:
        it would never look again.
        """
        changed: Any = {"type": "MODIFIED", "object": {"spec": {"group": GROUP}}}
        told: list[str] = []
        while True:
            told = _tell(self.missing_crds(), told)
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
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("Could not check for missing CRDs", extra={"error": described(error)})
            except Exception:
                log.exception("Could not check for missing CRDs")


def _tell(missing: list[str], told: list[str]) -> list[str]:
    """Log which CRDs are missing if that has changed; returns it."""
    if missing and missing != told:
        log.warning("CRDs are not installed", extra={"crds": ", ".join(missing), "command": INSTALL})
    elif told and not missing:
        log.info("All CRDs are installed")
    return missing


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
    settings.networking.error_backoffs = (1, 1, 2, 2, 3, 3, *[5] * 8)  # so that nothing is deaf for long
    settings.process.ultimate_exiting_timeout = None  # it would kill a process that still has ids to write
    settings.execution.max_workers = 1
    return settings
