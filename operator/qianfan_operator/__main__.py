"""The composition root: `python -m qianfan_operator` connects all parts and runs them."""

import asyncio
import logging
import os
import socket
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from qianfan_operator import core_dumps, environment, network
from qianfan_operator.allocator import give_large_blocks_back
from qianfan_operator.api.common import GROUP
from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.budget import LIMITS
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.clock import SystemClock
from qianfan_operator.cloud.config import INSECURITIES, CloudSettings
from qianfan_operator.cloud.transport import Transport
from qianfan_operator.controller.event_handler import EventHandler
from qianfan_operator.controller.flows import Flows
from qianfan_operator.controller.informer import INSTALL, Watch
from qianfan_operator.controller.informer_check import InformerCheck
from qianfan_operator.controller.session import Refused
from qianfan_operator.controller.sync import InitialSync
from qianfan_operator.controller.workers import STUCK, Workers
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.kube.access import Access, ConfigException
from qianfan_operator.kube.client import Kube, KubeError, Unreachable
from qianfan_operator.kube.events import Events
from qianfan_operator.kube.leader_election import RENEW, Election, NoElection
from qianfan_operator.kube.reviews import AT_A_TIME, Reviews
from qianfan_operator.reconcile.backoff import Clocks, Schedule
from qianfan_operator.reconcile.credentials import Credentials, Default
from qianfan_operator.reconcile.guarded_create import GuardedCreates
from qianfan_operator.reconcile.key_checks import KeyChecks
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_operator.reconcile.store import Store
from qianfan_operator.selector import Selector
from qianfan_operator.settings import NAMES, Settings, problems
from qianfan_operator.telemetry import health, logs, metrics

log = logging.getLogger("qianfan_operator")

_LAST = 5.0  # seconds after the end for what hangs, such as a watch
_WRITES = 120.0  # seconds that a reconcile may take besides the cloud's calls

LOST, REFUSED, UNFINISHED = 1, 2, 3
"""Exit codes: another may lead, or a fault; the settings are refused; the end took too long, see the log for ids."""


def main() -> int:
    """Run until a signal, or until another process may lead; returns the exit code."""
    logs.configure("text" if os.environ.get("QIANFAN_LOG_FORMAT") == "text" else "json", "INFO")
    unknown = environment.unknown(os.environ, NAMES)
    try:
        settings = Settings()
    except ValidationError as error:
        _warn_unknown(unknown)
        for problem in problems(error):
            log.critical("Invalid setting: %s", problem)
        return REFUSED
    logs.configure(settings.log_format, settings.log_level)
    give_large_blocks_back()
    core_dumps.forbid()
    _warn_unknown(unknown)
    try:
        return asyncio.run(_run(settings))
    except Exception as error:
        _tell(error)
        return LOST


def _warn_unknown(unknown: list[str]) -> None:
    """Name the variables that look like settings, also if the process ends because of another one."""
    if unknown:
        log.warning("Unknown settings are ignored: %s", environment.told(unknown, NAMES))


def _tell(error: Exception) -> None:
    """Say why the process ends; what comes from the network or a file needs no traceback."""
    if isinstance(error, _PortTaken):
        log.critical("Cannot listen: %s", error)
    elif isinstance(error, ConfigException):
        log.critical("The kubeconfig or the service account cannot be used: %s", error)
    elif isinstance(error, KubeError | Refused | aiohttp.ClientError | OSError):
        words = str(error) if isinstance(error, KubeError | Refused) else network.described(error)
        log.critical("The API server cannot be used: %s", words)
    else:
        log.critical("The operator ends, because it cannot go on", exc_info=error)


class _PortTaken(Exception):
    """The port for probes and metrics cannot be had."""


@dataclass(frozen=True)
class _Parts:
    """What the process is made of, connected."""

    cloud: CloudSettings
    store: Store
    credentials: Credentials
    queue: WorkQueue[Key]
    protocol: GuardedCreates
    election: Election | NoElection
    event_handler: EventHandler
    watch: Watch
    sync: InitialSync
    check: InformerCheck
    workers: Workers


def _connect(settings: Settings, clock: SystemClock, access: Access, kube: Kube, cluster: str) -> _Parts:
    """Connect the parts; needs a running event loop."""
    cloud, store, schedule = _cloud_settings(settings), Store(), _schedule(settings)

    def client_of(keys: AccessKey) -> Client:
        return Client(Transport(cloud, keys, clock, metrics.called))

    default = _default_credentials(settings)
    credentials = Credentials(kube, client_of, settings.credentials_wait_sec, clock.boottime, default)
    flows = Flows(store, credentials)
    queue: WorkQueue[Key] = WorkQueue(settings.workers, clock.boottime, flows.flow, flows.account)
    election = _election(settings, clock, access)
    protocol = GuardedCreates(election.leading, nonce=lambda: uuid.uuid4().hex[:16])
    checks = KeyChecks(credentials, store, queue.add, schedule)
    event_handler = EventHandler(BY_PLURAL, store, queue, schedule, credentials, checks, protocol.unwritten)
    watch = Watch(BY_PLURAL, event_handler, access, settings.informer_patience_sec)
    sync = InitialSync(kube, store, BY_PLURAL)
    check = InformerCheck(
        kube, store, BY_PLURAL, watch, clock.boottime, event_handler.handle,
        interval=settings.informer_check_sec, patience=settings.informer_patience_sec,
    )  # fmt: skip
    reconciler = Reconciler(
        kinds=BY_PLURAL, kube=kube, credentials=credentials, store=store, schedule=schedule, protocol=protocol,
        events=Events(kube, lambda: _now("microseconds")), clocks=Clocks(clock.boottime, _now), cluster=cluster,
        grace=settings.create_grace_sec, listed=sync.has_synced, leading=election.leading, checks=checks,
        adopt=settings.adopt,
    )  # fmt: skip
    workers = Workers(
        settings.workers, queue, reconciler, shutdown=settings.shutdown_sec,
        stuck=max(STUCK, LIMITS.seconds + cloud.read_timeout + _WRITES),
    )  # fmt: skip
    return _Parts(cloud, store, credentials, queue, protocol, election, event_handler, watch, sync, check, workers)


async def _run(settings: Settings) -> int:
    access = Access()
    kube = Kube(settings.workers + 3, access=access)
    cluster = await asyncio.to_thread(_cluster, settings, kube)
    parts = _connect(settings, SystemClock(), access, kube, cluster)
    _warn(parts.cloud)
    if access.login().unverified:
        log.warning("The certificate of the API server is not verified, as the kubeconfig says")
    metrics.BUILD.labels(version("qianfan-operator")).set(1)
    runner, port = await _serve(settings, access, parts)
    about = {"port": port, "cloud": parts.cloud.origin, "cluster": cluster, "workers": settings.workers}
    log.info("Started", extra=about)
    code = await _lead_and_watch(parts)
    await runner.cleanup()
    return code


def _cluster(settings: Settings, kube: Kube) -> str:
    """Name the cluster. Raises KubeError if the API server cannot be reached, so that the start ends with its cause."""
    if not settings.cluster_id:
        return kube.cluster_uid()
    try:
        kube.crd_metadata(f"{next(iter(BY_PLURAL))}.{GROUP}")
    except Unreachable:
        raise
    except KubeError as error:
        log.debug("The API server can be reached", extra={"answer": str(error)})
    return settings.cluster_id


async def _serve(settings: Settings, access: Access, parts: _Parts) -> tuple[web.ServerRunner, int]:
    """Listen for probes and metrics; raises _PortTaken if the port cannot be had."""
    try:
        return await health.serve(
            settings.http_port,
            alive=lambda: parts.workers.liveness_error() or parts.check.liveness_error(),
            ready=lambda: _not_ready(parts),
            refresh=lambda: _refresh(parts),
            gate=_gate(settings, access),
        )
    except OSError as error:
        raise _PortTaken(f"QIANFAN_HTTP_PORT={settings.http_port}: {network.cause(error)}") from None


async def _lead_and_watch(parts: _Parts) -> int:
    """Take part in the election, and watch until the end; returns the exit code."""
    loop, stop, lost = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def lead() -> None:
        parts.event_handler.lead()
        parts.workers.start()

    def lose() -> None:
        parts.workers.end()
        lost.set()
        loop.call_soon_threadsafe(stop.set)

    parts.election.start(lambda: loop.call_soon_threadsafe(lead), lose)
    looking = asyncio.create_task(_observe(parts.sync, parts.check))
    ending = asyncio.create_task(_begin_end(stop, parts.workers))
    code = LOST
    try:
        await parts.watch.run(stop)
        code = LOST if lost.is_set() else 0
    except Exception as error:
        _tell(error)
    finally:
        looking.cancel()
        ending.cancel()
        code = await _end(parts.workers, parts.election, code)
        _leave_behind(code)
    return code


async def _observe(sync: InitialSync, check: InformerCheck) -> None:
    """Compare what the API server lists with what the watch has brought, once it has brought everything."""
    await sync.complete()
    await check.watch()


def _leave_behind(code: int) -> None:
    """End the process even if something in it does not end: all ids are written or logged by now."""
    last = threading.Timer(_LAST, os._exit, [code])
    last.daemon = True
    last.start()


async def _begin_end(stop: asyncio.Event, workers: Workers) -> None:
    """Begin the end with the signal, and not only when the watch has ended."""
    await stop.wait()
    workers.end()


async def _end(workers: Workers, election: Election | NoElection, code: int) -> int:
    """End what is under way, within the time for that; returns `code`, or that it did not suffice."""
    log.info("Stopping")
    if await asyncio.to_thread(workers.stop):
        released = await asyncio.to_thread(election.release)
    else:  # the Lease runs out, by when nothing of this process goes on
        code, released = UNFINISHED, False
    log.info("Ended", extra={"exit_code": code, "released": released})
    return code


def _warn(cloud: CloudSettings) -> None:
    """Tell once, and in a metric, that others may read and change what is said with the cloud."""
    for cause in INSECURITIES:
        metrics.INSECURE.labels(cause).set(cause in cloud.insecure)
    if cloud.insecure:
        log.warning(
            "The connection to the cloud is not secure, as QIANFAN_ALLOW_INSECURE allows: do not use it with real keys",
            extra={"cloud": cloud.origin, "causes": cloud.insecure},
        )


def _cloud_settings(settings: Settings) -> CloudSettings:
    return CloudSettings(
        base_url=settings.console_api_base_url,
        read_timeout=settings.console_api_retry_timeout,
        sign_expiration_seconds=settings.iam_sign_expiration_sec,
        create_expiry_seconds=settings.create_expiry_sec,
        proxy=settings.proxy or None,
        ca_bundle=settings.authorities,
        verify_tls=settings.ssl_verification_enabled,
        use_v2=settings.v2_enabled,
        user_agent=f"qianfan-operator/{version('qianfan-operator')}",
    )


def _gate(settings: Settings, access: Access) -> health.Gate:
    if settings.metrics_auth == "none":
        return health.everybody
    return Reviews(Kube(AT_A_TIME, hurry=health.LIFETIME / 3, access=access), time.monotonic)


def _default_credentials(settings: Settings) -> Default | None:
    if not settings.default_credentials_namespace:
        return None
    return Default(settings.default_credentials_namespace, Selector.parse(settings.default_credentials_selector))


def _election(settings: Settings, clock: SystemClock, access: Access) -> Election | NoElection:
    if not settings.leader_election:
        return NoElection()
    leases = Kube(1, hurry=settings.lease_duration_sec * RENEW, access=access)
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    return Election(leases, identity, settings.lease_duration_sec, clock.boottime, lambda: _now("microseconds"))


def _schedule(settings: Settings) -> Schedule:
    return Schedule(
        poll_min=settings.poll_min_sec, poll_max=settings.poll_max_sec, resync=settings.resync_sec,
        probe=settings.probe_sec, retry_max=settings.retry_max_sec,
    )  # fmt: skip


def _now(timespec: str = "seconds") -> str:
    return datetime.now(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _not_ready(parts: _Parts) -> str:
    """Say why no object, or not every object, is reconciled; empty if all are."""
    if missing := parts.watch.missing_crds():
        return f"CRDs are not installed: {', '.join(missing)}. Install them: {INSTALL}"
    return (
        parts.check.liveness_error()
        if parts.sync.has_synced()
        else "the objects that existed at the start are not all listed yet"
    )


def _refresh(parts: _Parts) -> None:
    metrics.LEADER.set(parts.election.leading())
    metrics.OBJECTS.set(len(parts.store))
    metrics.ACTIVE.set(parts.queue.busy())
    metrics.REFUSED_SECRETS.set(parts.credentials.refused_secrets())
    metrics.UNWRITTEN.set(len(parts.protocol.unwritten()))
    for plural, count in parts.event_handler.unreadable_objects().items():
        metrics.UNREADABLE.labels(plural).set(count)
    for plural in (*BY_PLURAL, "secrets"):
        if (age := parts.watch.age(plural)) is not None:
            metrics.INFORMER_AGE.labels(plural).set(age)
    for priority, depth in parts.queue.depth().items():
        metrics.QUEUE_DEPTH.labels(priority.name.lower()).set(depth)


if __name__ == "__main__":
    sys.exit(main())
