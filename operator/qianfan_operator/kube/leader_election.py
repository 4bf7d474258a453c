"""Leader election by a Lease.

Nobody's clock is compared with another's. The holder counts from before it asked for its renewal, whoever waits from
after it first saw that renewal, both on the boot-time clock, which also runs while a process is frozen or a machine
sleeps. The holder begins nothing after two thirds of the time after which the other takes over; the rest is for clocks
that run unevenly. What is paid for relies on none of this: there the expiry of the signature is the fence.

A process leads once in its life: what it remembers is not believed after another one may have acted, and it ends.

See docs/design/create-protocol.md#sending.
"""

import copy
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from qianfan_operator.kube.client import Conflict, KubeError, NotFound

log = logging.getLogger(__name__)

NAME = "qianfan-operator"
LOOK = 1.0  # seconds between two looks at a Lease that another holds
RENEW, TRUST = 1 / 5, 2 / 3  # of the Lease's duration

Lease = dict[str, Any]
_NEW: Lease = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
}


class Lost(Exception):
    """Another process leads, or may by now."""


class Leases(Protocol):
    """The Leases of one namespace; raises KubeError or one of its kinds."""

    def lease(self, name: str) -> Lease:
        """Read a Lease."""

    def create_lease(self, lease: Lease) -> Lease:
        """Create a Lease; Conflict if there is one of that name."""

    def replace_lease(self, lease: Lease) -> Lease:
        """Replace a Lease as it was read; Conflict if it has changed since."""


class NoElection:
    """The only candidate: it leads from its start to its end."""

    def leading(self) -> bool:
        """See Election."""
        return True

    def start(self, gained: Callable[[], object], lost: Callable[[], object]) -> None:
        """See Election."""
        gained()

    def release(self) -> bool:
        """See Election."""
        return False


class Election:
    """One candidate. `clock` is boot time in seconds, `now` the wall's as a MicroTime, which is for people only.

    Its thread makes one `turn` after the other; `leading` may be asked by any thread.
    """

    def __init__(
        self, leases: Leases, identity: str, duration: int, clock: Callable[[], float], now: Callable[[], str]
    ) -> None:
        self._leases, self._identity, self._duration = leases, identity, duration
        self._clock, self._now = clock, now
        self._lease: Lease | None = None  # as it was last read or written
        self._seen = 0.0  # when that was first seen
        self._until: float | None = None  # when our last renewal counts no more; None: not leading
        self._trouble = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def leading(self) -> bool:
        """Say whether this process may begin something; one that was frozen sees at once that its time is over."""
        until = self._until
        return until is not None and self._clock() < until

    def start(self, gained: Callable[[], object], lost: Callable[[], object]) -> None:
        """Take part. Either is called at most once, in a thread of our own; after `lost` we take part no more."""
        self._thread = threading.Thread(target=self._run, args=[gained, lost], name="leader", daemon=True)
        self._thread.start()

    def release(self) -> bool:
        """Take part no more, and give back what we hold, so that nobody has to wait for it to run out.

        Returns whether a Lease was given back.
        """
        self._ended.set()
        if self._thread:
            self._thread.join()
        self._until = None
        if self._lease and _holder(self._lease) == self._identity:
            try:
                self._write("")
            except KubeError as error:
                log.warning("The Lease could not be released. It will expire.", extra={"error": str(error)})
            else:
                return True
        return False

    def turn(self) -> float:
        """Take, renew or watch the Lease, once; returns the seconds until the next turn, raises Lost.

        Who is late may still renew: that it succeeds proves that nobody else has led, for they would have written.
        """
        leading, late = self._until is not None, not self.leading()
        again = min(LOOK, self._duration * RENEW)
        try:
            if leading:
                self._renew()
            elif self._is_free():
                self._take()
        except KubeError as error:
            if leading and late:
                raise self._lose(f"It could not be renewed in time: {error}") from error
            self._tell(error)
            return again
        self._tell(None)
        return again if self._until is None else self._duration * RENEW

    def _run(self, gained: Callable[[], object], lost: Callable[[], object]) -> None:
        led, wait = False, 0.0
        try:
            while not self._ended.wait(wait):
                wait = self.turn()
                if self._until is not None and not led:
                    led = True
                    gained()
        except Lost as error:
            log.warning("The Lease is lost", extra={"error": str(error)})
            lost()
        except Exception:
            log.exception("The election cannot go on")
            lost()

    def _is_free(self) -> bool:
        """Look; an unknown Lease that somebody holds is free when it was seen unchanged for as long as it lasts."""
        try:
            lease = self._leases.lease(NAME)
        except NotFound:
            pass  # never made, or deleted by somebody: then its holder may not know yet
        else:
            if self._lease is None or _version(lease) != _version(self._lease):
                self._lease, self._seen = lease, self._clock()
        if self._lease is None or _holder(self._lease) in {"", self._identity}:
            return True
        return self._clock() - self._seen >= _duration(self._lease)

    def _take(self) -> None:
        until = self._clock() + self._duration * TRUST
        try:
            self._write(self._identity)
        except NotFound:  # deleted since, and run out by now
            self._lease = None
            self._write(self._identity)
        self._until = until
        log.info("Leading", extra={"identity": self._identity})

    def _renew(self) -> None:
        until = self._clock() + self._duration * TRUST
        try:
            self._write(self._identity)
        except NotFound as error:
            raise self._lose("Somebody deleted it.") from error
        except Conflict:  # a reply to us was lost, somebody annotated it, or it is another's
            self._lease = self._leases.lease(NAME)
            if (holder := _holder(self._lease)) != self._identity:
                raise self._lose(f"Its holder is {holder or 'nobody'}.") from None
            self._write(self._identity)
        self._until = until

    def _write(self, holder: str) -> None:
        lease = copy.deepcopy(self._lease or _NEW)
        spec, now = lease.setdefault("spec", {}), self._now()
        if holder and holder != _holder(lease):
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (self._lease is not None)
            spec["acquireTime"] = now
        spec.update(holderIdentity=holder, leaseDurationSeconds=self._duration, renewTime=now)
        self._lease = (self._leases.replace_lease if self._lease else self._leases.create_lease)(lease)

    def _lose(self, why: str) -> Lost:
        self._until = None
        return Lost(why)

    def _tell(self, error: KubeError | None) -> None:
        """Log what is wrong when it begins, not with each turn; that another was faster is not wrong."""
        words = "" if error is None or isinstance(error, Conflict) else str(error)
        if words and words != self._trouble:
            log.warning("The Lease could not be read or written", extra={"error": words})
        self._trouble = words


def _holder(lease: Lease) -> str:
    return (lease.get("spec") or {}).get("holderIdentity") or ""


def _duration(lease: Lease) -> float:
    """Return how long the holder said that it holds the Lease: it may have been started with another setting."""
    return float((lease.get("spec") or {}).get("leaseDurationSeconds") or 0)


def _version(lease: Lease) -> str:
    return str(lease["metadata"]["resourceVersion"])
