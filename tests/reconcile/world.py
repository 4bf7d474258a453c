"""The operator in one piece, without threads or waiting: the real engine, a dict for Kubernetes, the real simulator.

Time stands still but for jumps to the moment at which the queue has its next key. `restart` drops whatever the
operator has in memory, as the end of its process does.
"""

import itertools
import math
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from conformance import check
from fake_kube import NAMESPACE, FakeKube, Raw
from qianfan_operator.api.common import ACCESS_KEY, RECONCILE_ANNOTATION, SECRET_KEY, SECRET_NAME
from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.cloud.transport import Transport
from qianfan_operator.controller.event_handler import EventHandler
from qianfan_operator.controller.flows import Flows
from qianfan_operator.controller.sync import InitialSync
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.kube.events import Events
from qianfan_operator.reconcile.backoff import Clocks, Schedule
from qianfan_operator.reconcile.credentials import Credentials, Default
from qianfan_operator.reconcile.guarded_create import GuardedCreates
from qianfan_operator.reconcile.key_checks import KeyChecks
from qianfan_operator.reconcile.reconciler import Reconciler
from qianfan_operator.reconcile.store import Store
from qianfan_operator.selector import Selector
from qianfan_operator.settings import SUGGESTED_LABEL
from qianfan_operator.telemetry.redacted import RedactedDict
from qianfan_simulator import AfterSeconds, Options, Simulator

DAY = 86400.0
GRACE = 120.0
FIRST, SECOND, OTHER = "demo-access-key", "demo-access-key-2", "other-access-key"
"""Two keys of one account, and the key of another."""

PACES = Options(
    training=AfterSeconds(600), stopping=AfterSeconds(15), publishing=AfterSeconds(20), deploying=AfterSeconds(300),
    updating=AfterSeconds(60),
)  # fmt: skip


@dataclass
class Clock:
    """Seconds since boot and since 1970; both move only by `advance`."""

    boot: float = 1000.0
    offset: float = 1_709_280_000.0 - 1000.0  # 2024-03-01T08:00:00Z
    ahead: float = 0.0
    """By how much the wall clock of the node is wrong; the cloud's is right."""

    def boottime(self) -> float:
        return self.boot

    def wall(self) -> float:
        return self.cloud() + self.ahead

    def cloud(self) -> float:
        return self.boot + self.offset

    def advance(self, seconds: float) -> None:
        self.boot += seconds

    def now(self) -> str:
        """Return the wall time as RFC 3339."""
        return datetime.fromtimestamp(self.wall(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Idle(Exception):
    """Nothing is due, or not before the time that the test grants."""


class _Jump(threading.Condition):
    """What the queue waits on: a wait is a jump of the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.until = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None or self._clock.boot + timeout > self.until:
            raise Idle
        self._clock.advance(timeout)
        return False


class Queue(WorkQueue[Key]):
    """The real queue, whose `get` jumps instead of waiting; raises Idle if it would have to jump beyond `until`."""

    def __init__(self, clock: Clock, flows: Flows, workers: int = 4) -> None:
        super().__init__(workers, clock.boottime, flows.flow, flows.account)
        self._changed: _Jump = _Jump(clock)

    def take_until(self, moment: float) -> Key | None:
        self._changed.until = moment
        try:
            return self.get()
        finally:
            self._watcher = None  # it waits no more, even if Idle ended its wait


class _Wire(Transport):
    """The real way to the cloud; every exchange goes through `around`."""

    def __init__(self, around: Callable[[str, Callable[[], Any]], Any], *args: Any) -> None:
        super().__init__(*args)
        self._around = around

    def deliver(self, request: Any, parse: Callable[[object], Any]) -> Any:
        endpoint: Endpoint = request.endpoint
        return self._around(endpoint.operation, lambda: super(_Wire, self).deliver(request, parse))

    def close(self) -> None:
        """Close the pooled connections, as the end of the process does."""
        self._adapter.close()


class World:
    """One cluster with one operator and one cloud."""

    def __init__(
        self,
        options: Options = PACES,
        *,
        v2: bool = True,
        default: str = "",
        adopt: str = "",
        correction: float = math.inf,
        ca_bundle: str = "",
    ) -> None:
        """`correction`: how far the cloud's Date may be from the node's clock; any, as over verified TLS."""
        self.clock = Clock()
        self.kube = FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, self.clock.now)
        self.kube.on_status.append(self._conforms)
        self.sim = Simulator(options, clock=self.clock.cloud).start()
        self.around_cloud: Callable[[str, Callable[[], Any]], Any] = lambda _, do: do()
        self.leading = True
        self.violations: list[str] = []
        self._settings = CloudSettings(
            base_url=self.sim.url, use_v2=v2, unverified_correction_seconds=correction, ca_bundle=ca_bundle
        )
        self._default = Default(default, Selector.parse(SUGGESTED_LABEL)) if default else None
        self.adopt = adopt
        """QIANFAN_ADOPT; a change is in force after a restart."""
        self._nonces = itertools.count(1)
        self.wires: list[_Wire] = []
        self.kube.secrets[NAMESPACE, SECRET_NAME] = keys(FIRST)
        self.start()

    # The operator's life.

    def start(self, late: Collection[Key] = (), *, standby: bool = False) -> None:
        """Begin with nothing in memory, and let the watch list what there is; what comes `late` has to be shown.

        `standby`: another process leads, until `event_handler.lead()`.
        """
        clock = self.clock
        self.store = Store()
        self.listing = InitialSync(self.kube, self.store, BY_PLURAL)
        self.schedule = Schedule(jitter=0.0, random=lambda: 0.5)
        self.credentials = Credentials(self.kube, self._connect, 120.0, clock.boottime, self._default)
        self.queue = Queue(clock, Flows(self.store, self.credentials))
        checks = KeyChecks(self.credentials, self.store, self.queue.add, self.schedule)
        self.protocol = GuardedCreates(lambda: self.leading, lambda: f"nonce-{next(self._nonces)}")
        self.engine = Reconciler(
            kinds=BY_PLURAL, kube=self.kube, credentials=self.credentials, store=self.store, schedule=self.schedule,
            protocol=self.protocol, events=Events(self.kube, clock.now),
            clocks=Clocks(clock.boottime, clock.now, clock.advance), cluster=self.kube.cluster_uid(), grace=GRACE,
            listed=self.listing.has_synced, leading=self.leads, checks=checks, adopt=self.adopt,
        )  # fmt: skip
        self.event_handler = EventHandler(
            BY_PLURAL, self.store, self.queue, self.schedule, self.credentials, checks, self.protocol.unwritten
        )
        if not standby:
            self.event_handler.lead()
        for (namespace, name), data in self.kube.secrets.items():
            self.event_handler.secret_seen(None, {"metadata": {"namespace": namespace, "name": name}}, data)
        for plural, raw in self.kube.listing():
            if Key(plural, raw["metadata"]["namespace"], raw["metadata"]["name"]) not in late:
                self.event_handler.handle(plural, None, raw)

    def leads(self) -> bool:
        """Whether the process may change something; the protocol asks by itself once more."""
        return self.leading

    def restart(self, late: Collection[Key] = (), *, standby: bool = False) -> None:
        """End the process and start another; what was only in memory is gone."""
        self.close_wires()
        self.start(late, standby=standby)

    def show(self, key: Key) -> None:
        """Have the watch's first listing come to an object at last."""
        self.event_handler.handle(key.plural, None, self.kube.objects[key])

    def close_wires(self) -> None:
        while self.wires:
            self.wires.pop().close()

    def close(self) -> None:
        self.close_wires()
        self.sim.stop()

    def run(self, until: Callable[[], object], within: float = DAY, passes: int = 2000) -> None:
        """Make passes until something is so; fails if it is not so within so many seconds of the fake clock."""
        end = self.clock.boot + within
        for _ in range(passes):
            self.deliver()
            if until():
                return
            try:
                self.step(end)
            except Idle:
                raise AssertionError(f"it did not come to be within {within:g} seconds:\n{self.told()}") from None
        raise AssertionError(f"it did not come to be in {passes} passes:\n{self.told()}")

    def rest(self, seconds: float = 0.0) -> None:
        """Make all the passes that are due within so many seconds."""
        end = self.clock.boot + seconds
        for _ in range(2000):
            self.deliver()
            try:
                self.step(end)
            except Idle:
                self.clock.advance(max(0.0, end - self.clock.boot))  # less, if it was frozen meanwhile
                return
        raise AssertionError(f"the operator does not come to rest:\n{self.told()}")

    def step(self, end: float) -> None:
        """Make one pass, as a worker does; raises Idle if none is due by then."""
        queue, engine = self.queue, self.engine  # `restart` may replace both while this pass is under way
        key = queue.take_until(end)
        assert key is not None
        try:
            again = engine.reconcile(key)
        finally:
            queue.done(key)
        if again.after is not None:
            queue.add(key, again.after, again.priority)

    def deliver(self) -> None:
        """Let the watch bring what has changed."""
        self.kube.deliver(self.event_handler.handle)
        self.listing.look()

    def _connect(self, pair: AccessKey) -> Client:
        wire = _Wire(self._exchange, self._settings, pair, self.clock)
        self.wires.append(wire)
        return Client(wire)

    def _exchange(self, operation: str, do: Callable[[], Any]) -> Any:
        return self.around_cloud(operation, do)

    def _conforms(self, raw: Raw) -> None:
        found = check(raw, final=False)
        self.violations += [f"{raw['kind']} {raw['metadata']['name']}: {what}" for what in found]

    # The user.

    def set_secret(
        self, access_key: str | None, name: str = SECRET_NAME, secret: str | None = None, namespace: str = NAMESPACE
    ) -> None:
        """Write the Secret's keys, or delete it (None), and let the watch tell."""
        metadata = {"metadata": {"namespace": namespace, "name": name}}
        if access_key is None:
            data = self.kube.secrets.pop((namespace, name), RedactedDict())
        else:
            data = self.kube.secrets[namespace, name] = keys(access_key, secret)
        if name == SECRET_NAME:
            self.event_handler.secret_seen("DELETED" if access_key is None else "MODIFIED", metadata, data)

    def client(self, access_key: str = FIRST) -> Client:
        """Return a client of its own, for what others do in the cloud."""
        pair = AccessKey(access_key, access_key.replace("access", "secret"))
        self.wires.append(_Wire(lambda _, do: do(), self._settings, pair, self.clock))
        client = Client(self.wires[-1])
        client.measure_clock()
        return client

    def label(self, namespace: str = NAMESPACE, label: str = SUGGESTED_LABEL) -> None:
        """Label a namespace, as an administrator does: by default so that it may use the default credentials."""
        self.kube.labels[namespace] = dict([label.split("=")])

    def ask(self, key: Key, word: str = "now") -> None:
        """Ask for a pass by the annotation."""
        self.kube.annotate(key, **{RECONCILE_ANNOTATION: word})

    # What can be seen.

    def there(self, key: Key) -> bool:
        return key in self.kube.objects

    def status(self, key: Key) -> Raw:
        return self.kube.objects[key]["status"]

    def condition(self, key: Key, kind: str = "Ready") -> Raw:
        """Return a condition, {} if there is none."""
        found = [one for one in self.status(key).get("conditions", []) if one["type"] == kind]
        return found[0] if found else {}

    def reason(self, key: Key) -> str:
        """Return the reason of Ready, if it judges the present spec."""
        raw = self.kube.objects.get(key)
        if raw is None or raw["status"]["observedGeneration"] != raw["metadata"]["generation"]:
            return ""
        return self.condition(key).get("reason", "")

    def is_so(self, key: Key, kind: str = "Ready") -> bool:
        """Say whether a condition is True, and about the present spec."""
        return bool(self.reason(key)) and self.condition(key, kind).get("status") == "True"

    def until(self, key: Key, reason: str, within: float = DAY) -> Raw:
        """Run until Ready has a reason; return the status."""
        self.run(lambda: self.reason(key) == reason, within)
        return self.status(key)

    def until_gone(self, key: Key, within: float = DAY) -> None:
        self.run(lambda: not self.there(key), within)

    def writes(self, key: Key) -> int:
        return sum(at == key for _, at, _ in self.kube.writes)

    def calls(self, *operations: str) -> list[Any]:
        """Return the calls of these operations that the cloud executed without a refusal."""
        return [call for call in self.sim.calls if call.operation in operations and call.outcome == "ok"]

    def told(self) -> str:
        """Return what every object says, for a failure's message."""
        lines = []
        for key, raw in self.kube.objects.items():
            said = [
                f"{one['type']}={one['status']} {one['reason']}: {one['message']}"
                for one in raw["status"].get("conditions", [])
            ]
            lines += [f"{key} generation {raw['metadata']['generation']}", *(f"    {line}" for line in said)]
            if pending := raw["status"].get("pending"):
                lines.append(f"    pending {pending}")
        return "\n".join([*lines, *(f"call {call.operation} {call.outcome}" for call in self.sim.calls[-8:])])


def keys(access_key: str, secret: str | None = None) -> RedactedDict:
    """Return the data of a Secret."""
    return RedactedDict({ACCESS_KEY: access_key, SECRET_KEY: secret or access_key.replace("access", "secret")})
