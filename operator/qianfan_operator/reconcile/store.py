"""The store: a compact record of every object, so that polls need no reads and idle objects cost little.

A record keeps the object as compressed JSON only as long as something is going on; a finished one costs a few hundred
bytes. Memory beats events: an event that is older than our own last write is dropped.
"""

import enum
import json
import threading
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qianfan_operator.api.conditions import OURS
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.trimming import trimmed

T = TypeVar("T", bound=Hashable)

REPEAT_AFTER = 120.0  # seconds after which a request that the cloud has accepted and that changed nothing is repeated
REMEMBERED = 100  # names of a kind in a namespace whose objects went
REMEMBERED_IN_ALL = 4_000  # such names; those of namespaces that have not been heard of for the longest go first
_LARGEST = 32768  # bytes of a packed body; what packs larger is read anew instead, so that many such cost no memory
_LONGEST = 8 * _LARGEST  # characters of an object as JSON that packing is tried of
_OWN = 64  # versions of an object that we wrote and the watch has not brought yet
_SIGHTS = 64  # of one object; each is a moment since which something is waited for
_AWAITED = 16  # objects that one may wait for besides those that it refers to; of more the newest
_ACCEPTED = 64  # requests of one object; what is remembered no more is asked for again
_CLAIMS = 64  # of one object; what was made for free and is remembered no more is met again by its name

PRESENT: Hashable = ("present",)
"""What a reconcile has read of an object that only has to be there: no change of it matters, until it goes."""

Where = tuple[str, str]
"""Namespace and name of a Secret."""


class Source(enum.Enum):
    """Where an object as it is put into the store comes from."""

    READ = enum.auto()  # asked for: whatever others wrote before is not known
    OURS = enum.auto()  # the answer to a write of ours, which was guarded, so that nobody was between
    EVENT = enum.auto()  # the watch: brings every version, in their order
    LISTED = enum.auto()  # a list of the watch: what was between is not known


@dataclass(slots=True)
class StoreEntry:
    """One object. Times are boot time in seconds."""

    uid: str
    version: int
    touched: int = 0
    """The last version, as the watch tells, in which somebody else changed more than annotations and labels."""
    watched: int = 0
    """The version that the watch has brought last; it has brought all before."""
    jumped: int = 0
    """The version that was read before the watch had brought it."""
    essence: int | None = None
    """What stands for the object as the watch brought it last, but for annotations and labels."""
    own: tuple[int, ...] = ()
    """The versions that we wrote and the watch has not brought yet."""
    writing: bool = False
    """Whether a write of ours is under way, whose version is not known yet."""
    unsure: tuple[tuple[int, bool], ...] = ()
    """The versions that the watch has brought meanwhile, each with whether its status is another one."""
    status: int | None = None
    """What stands for the status as it was read, written or brought last."""
    altered: int = 0
    """The version in which somebody else was last seen to change the status; 0 once a reconcile has dealt with it."""
    altered_again: int = 0
    """How often in a row a reconcile had to deal with that, each time soon after the last."""
    altered_at: float = 0.0
    """When a reconcile had to for the last time."""
    ended: Hashable = None
    """The ids of what is recorded and settled, as they were before somebody else changed them."""
    body: bytes | None = None
    """None: nothing is going on; empty: too large to be remembered."""
    unreadable: str = ""
    """What cannot be read of it."""
    reported: str = ""
    """What of that its users were told."""
    secrets: tuple[Where, ...] = ()
    """Namespaces and names of the Secrets that its keys may come from."""
    refers: tuple[Key, ...] = ()
    signal: Hashable = None
    """What others that refer to this object care about; when it changes, they are woken."""
    reads: tuple[tuple[Key, Hashable], ...] | None = None
    """The objects that its last reconcile read, with the signals that it saw; None: not known, or one is under way."""
    waits: bool = True
    """Whether it may wait for what it refers to; False once it is Ready or finished."""
    created: float = 0.0
    """When the object was created, in seconds since 1970: of two that record one thing, the older one has it."""
    holds: frozenset[ExternalId] = frozenset()
    """The things in the cloud that the object records."""
    adopted: frozenset[ExternalId] = frozenset()
    """Those of them that it took over."""
    read: frozenset[ExternalId] = frozenset()
    """Those of them that its own keys have read in this process."""
    reserved: frozenset[ExternalId] = frozenset()
    """Those that a reconcile is about to record."""
    intends: frozenset[Hashable] = frozenset()
    """The places in the cloud where an open intent may have made something."""
    foreign: bool = False
    """Whether its status was written for another object."""
    incomplete: bool = True
    """Whether more than its status tells may have been made for it."""
    uses: frozenset[Hashable] = frozenset()
    """The models and versions of the cloud that the object records or has announced."""
    asks_for: frozenset[Hashable] = frozenset()
    """Those that only its spec names."""
    serves: bool = False
    """Whether what it refers to must stay, for it has, or may have, something of that in the cloud."""
    awaits: dict[Key, None] = field(default_factory=dict)
    """The objects whose next change wakes it besides those that it refers to."""
    dropped: frozenset[tuple[str, ...]] = frozenset()
    """The fields of its status, as paths, that the API server dropped last: its definitions may be older."""
    account: str | None = None
    outage: float | None = None
    """Since when the cloud cannot be asked for it."""
    outage_told: bool = False
    """Whether its users were told of that."""
    failures: int = 0
    looks: int = 0
    interval: float | None = None
    """Seconds that it waits for its next look while all is well with the cloud."""
    first_seen: dict[Hashable, float] = field(default_factory=dict)
    claims: dict[Hashable, Any] = field(default_factory=dict)
    """What this process has made for free and announced nothing paid for yet."""
    unpaid: set[Hashable] = field(default_factory=set)
    """The place in the cloud in which a create of this object has made nothing, as this process itself has learned.

    Forgotten as soon as somebody else changes the status: another process may have made something there.
    """
    accepted: dict[Hashable, tuple[Hashable, float]] = field(default_factory=dict)
    """The requests to end something that the cloud has accepted last: in which state of the thing, and when."""
    begun: int = 0
    """The highest attempt of a job that was ever seen begun: who lowers it in the status has nothing paid for again."""
    following: bool = False
    """Whether a change is under way in the cloud whose end is waited for."""
    handled: tuple[Hashable, ...] = ()
    """What was already enqueued for it: generation, deletion, annotation."""
    finished: bool = False
    """Whether it needs no look ever again."""

    @property
    def foreign_version(self) -> int:
        """The last version in which somebody else may have changed more than annotations and labels.

        What was read before the watch has brought it counts until it has: a status may have been written and wiped.
        """
        return self.jumped if self.jumped > self.watched else self.touched


class Store:
    """All records. Thread-safe."""

    def __init__(self) -> None:
        self._records: dict[Key, StoreEntry] = {}
        self._referrers: dict[Key, set[Key]] = {}
        self._keyed: dict[Where, set[Key]] = {}
        self._waiting: dict[Key, set[Key]] = {}
        self._holders: dict[ExternalId, set[Key]] = {}
        self._intending: dict[Hashable, set[Key]] = {}
        self._using: dict[Hashable, set[Key]] = {}
        self._asking: dict[Hashable, set[Key]] = {}
        self._witnesses: dict[str, tuple[tuple[str, str], bool, bool]] = {}
        self._past: OrderedDict[tuple[str, str], dict[str, None]] = OrderedDict()  # names of what went, the newest last
        self._past_in_all = 0
        self.unused: Callable[[Where], None] = lambda _: None
        """Called, with the lock held, with each Secret that no object names any more."""
        self._lock = threading.RLock()

    def get(self, key: Key) -> StoreEntry | None:
        """Return the record of a key."""
        return self._records.get(key)

    def known(self) -> tuple[Key, ...]:
        """Return every key that is known."""
        with self._lock:
            return tuple(self._records)

    def names(self, plural: str, namespace: str) -> tuple[str, ...]:
        """Return the names of the objects of a kind that are known in a namespace, or were until they went."""
        here = tuple(key.name for key in self.known() if (key.plural, key.namespace) == (plural, namespace))
        with self._lock:
            return (*here, *self._past.get((plural, namespace), ()))

    def unreadable(self) -> Counter[str]:
        """Count the objects of which something cannot be read, by plural."""
        with self._lock:
            return Counter(key.plural for key, record in self._records.items() if record.unreadable)

    def __len__(self) -> int:
        return len(self._records)

    def put(self, key: Key, raw: Mapping[str, Any], keep_body: bool, source: Source = Source.READ) -> StoreEntry | None:
        """Take in an object as it came from somewhere; None if something newer is known."""
        metadata = raw["metadata"]
        version = number(metadata.get("resourceVersion"))
        with self._lock:
            record = self._records.get(key)
            if record and version < record.version:
                if record.uid == metadata["uid"]:
                    _compare(record, raw, version, source)
                return None
            if record is None or record.uid != metadata["uid"]:
                if record:
                    self._unlink(key, record)
                    self._keyed_by(key, record, ())
                before, record = record, StoreEntry(metadata["uid"], version, touched=version)
                if before:
                    record.holds, record.reserved, record.intends = before.holds, before.reserved, before.intends
                self._records[key] = record
            _compare(record, raw, version, source)
            _compare_status(record, raw, version, source)
            record.version = version
            record.body = _pack(raw) if keep_body else None
            return record

    def begin_write(self, key: Key) -> None:
        """Note that a write of ours is under way: the watch may bring it before its answer tells its version."""
        with self._lock:
            if record := self._records.get(key):
                record.writing = True

    def end_write(self, key: Key, version: int | None, *, lost: bool = False) -> None:
        """Note which version a write of ours made, None if it is not known to have made any.

        `lost`: it may have made one, so that what is remembered of the status may be older than what we wrote.
        """
        with self._lock:
            if record := self._records.get(key):
                record.writing = False
                if version is not None:
                    record.own = (*record.own, version)[-_OWN:]
                for seen, changed in record.unsure:
                    if seen != version:
                        _by_others(record, seen, changed)
                record.unsure = ()
                if lost:
                    record.ended = None

    def remember_ended(self, key: Key, version: int, ended: Hashable) -> None:
        """Remember the ids of what has ended, as a version tells them, unless they may be somebody else's."""
        with self._lock:
            record = self._records.get(key)
            if record and record.version == version and not (record.altered or record.writing):
                record.ended = ended

    def end_altered(self, key: Key, altered: int, ended: Hashable) -> None:
        """Note that a reconcile has dealt with what somebody else changed, unless they have done so again meanwhile.

        `altered` is the change that the reconcile has dealt with, 0 if there was none; `ended` is remembered then.
        """
        with self._lock:
            record = self._records.get(key)
            if record and record.altered == altered:
                record.altered, record.ended = 0, ended

    def unbroken(self, key: Key, since: int, until: int) -> bool:
        """Say whether it is known that nobody else wrote more than annotations and labels between two versions."""
        record = self._records.get(key)
        return record is not None and record.watched >= until and record.foreign_version <= since

    def refer(self, key: Key, to: Iterable[Key]) -> None:
        """Note the objects that one refers to."""
        wanted = tuple(to)
        with self._lock:
            record = self._records.get(key)
            before = record.refers if record else ()
            if before == wanted or record is None:
                return
            _remove(self._referrers, before, key)
            record.refers = wanted
            for other in wanted:
                self._referrers.setdefault(other, set()).add(key)

    def keyed_by(self, key: Key, secrets: tuple[Where, ...]) -> None:
        """Note the Secrets that the keys of an object may come from."""
        with self._lock:
            if record := self._records.get(key):
                self._keyed_by(key, record, secrets)

    def is_keyed(self, where: Where) -> bool:
        """Say whether the keys of an object may come from a Secret."""
        return where in self._keyed

    def users_of(self, where: Where) -> tuple[Key, ...]:
        """Return the objects whose keys may come from a Secret."""
        with self._lock:
            return tuple(sorted(self._keyed.get(where, ())))

    def referrers(self, key: Key) -> tuple[Key, ...]:
        """Return the objects that refer to a key."""
        with self._lock:
            return tuple(sorted(self._referrers.get(key, ())))

    def chain(self, first: Key) -> Iterator[Key]:
        """Follow the references among objects of one kind, by what the watch has shown; a cycle has no end.

        Otherwise it ends with an object that waits for nothing, or is not there.
        """
        at: Key | None = first
        while at is not None:
            yield at
            at = self._next_in_chain(at)

    def begin_reads(self, key: Key) -> None:
        """Have every change of what an object refers to wake it, until it is known what the reconcile has read."""
        if record := self._records.get(key):
            record.reads = None

    def end_reads(self, key: Key, reads: Mapping[Key, Hashable]) -> None:
        """Note what a reconcile has read of other objects: what it did depends on nothing else of them."""
        with self._lock:
            if record := self._records.get(key):
                record.reads = tuple((other, self._shared(other, signal)) for other, signal in reads.items())

    def outdated(self, key: Key) -> tuple[Key, ...]:
        """Return the objects that refer to a key and have not read it as it is now."""
        with self._lock:
            record = self._records.get(key)
            signal = record.signal if record else None
            return tuple(user for user in sorted(self._referrers.get(key, ())) if self._has_to_read(user, key, signal))

    def wait_for(self, key: Key, others: Iterable[Key]) -> None:
        """Have the next change of any of these objects wake one that does not refer to it."""
        with self._lock:
            record = self._records.get(key)
            if record is None:
                return
            for other in others:
                record.awaits.pop(other, None)
                record.awaits[other] = None
                self._waiting.setdefault(other, set()).add(key)
                if len(record.awaits) > _AWAITED:
                    eldest = next(iter(record.awaits))
                    del record.awaits[eldest]
                    _remove(self._waiting, [eldest], key)

    def waited(self, key: Key) -> tuple[Key, ...]:
        """Return the objects that have waited for a key until now."""
        with self._lock:
            waited = tuple(sorted(self._waiting.pop(key, ())))
            for other in waited:
                self._records[other].awaits.pop(key, None)
            return waited

    def serving(self, key: Key) -> tuple[Key, ...]:
        """Return the objects that refer to a key and need it to stay, by what is known of them."""
        with self._lock:
            users = sorted(self._referrers.get(key, ()))
            return tuple(user for user in users if (record := self._records.get(user)) and record.serves)

    def need(self, key: Key, uses: Iterable[Hashable], asks_for: Iterable[Hashable]) -> None:
        """Note the models and versions of the cloud that an object records or has announced, and those it names."""
        with self._lock:
            if record := self._records.get(key):
                self._need(key, record, frozenset(uses), frozenset(asks_for))

    def needing(self, things: Iterable[Hashable], *, recorded: bool = True) -> tuple[Key, ...]:
        """Return the objects that need one of these models and versions of the cloud; else whose spec only names it."""
        index = self._using if recorded else self._asking
        with self._lock:
            return tuple(sorted(set[Key]().union(*(index.get(thing, ()) for thing in things))))

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        with self._lock:
            if record := self._records.pop(key, None):
                self._unlink(key, record)
                _drop(self._holders, key, record.holds | record.reserved)
                _drop(self._intending, key, record.intends)
                self._keyed_by(key, record, ())
                self._remember(key)

    def forget_body(self, key: Key) -> None:
        """Have the next reconcile read the object anew."""
        if record := self._records.get(key):
            record.body = None

    def body(self, key: Key) -> dict[str, Any] | None:
        """Return the object as it is remembered, if it is."""
        record = self._records.get(key)
        packed = record.body if record else None
        return json.loads(zlib.decompress(packed)) if packed else None

    def first_seen_at(self, key: Key, what: Hashable, now: float) -> float:
        """Return when this process first saw `what` of an object; it is now, if it never did."""
        record = self._records.get(key)
        if record is None:
            return now
        if what not in record.first_seen and len(record.first_seen) >= _SIGHTS:
            del record.first_seen[next(iter(record.first_seen))]  # whoever still waits for it waits a little longer
        return record.first_seen.setdefault(what, now)

    def ask_once(self, key: Key, what: Hashable, state: Hashable, now: float, send: Callable[[], bool]) -> bool:
        """Send a request to end something, unless the cloud has accepted it; say whether it accepts it.

        It is sent again when the cloud shows another `state`, when REPEAT_AFTER seconds have passed, when the end was
        not wished meanwhile, and by another process, which does not know of it: the cloud may have lost it.
        """
        record = self._records.get(key)
        known = record.accepted.get(what) if record else None
        if known and known[0] == state and now - known[1] < REPEAT_AFTER:
            return True
        accepts = send()
        if record and accepts:
            record.accepted.pop(what, None)
            record.accepted[what] = state, now
            if len(record.accepted) > _ACCEPTED:
                del record.accepted[next(iter(record.accepted))]
        return accepts

    def claims(self, key: Key) -> dict[Hashable, Any]:
        """Return what this process has made of an object for free, to be read and changed by its reconcile."""
        record = self._records.get(key)
        if record is None:
            return {}
        while len(record.claims) > _CLAIMS:
            del record.claims[next(iter(record.claims))]
        return record.claims

    def unpaid(self, key: Key) -> set[Hashable]:
        """Return the places in which this process knows that nothing was made, to be read and changed likewise."""
        record = self._records.get(key)
        return set() if record is None else record.unpaid

    def claim(self, key: Key, thing: ExternalId, besides: Container[Key] = ()) -> Key | None:
        """Reserve a thing of the cloud for an object; return who else holds it, leaving out those `besides`."""
        with self._lock:
            others = [other for other in self._others(key, thing) if other not in besides]
            if others:
                return min(others)
            if record := self._records.get(key):
                record.reserved |= {thing}
                _take(self._holders, key, [thing])
            return None

    def rivals(self, key: Key, thing: ExternalId) -> tuple[tuple[Key, bool], ...]:
        """Return the other objects that record a thing of this one, the first one first, and who comes before it.

        Who made it comes before who took it over, then the older one: the same order in every process.
        """
        with self._lock:
            if not (others := self._others(key, thing)):
                return ()
            mine, ranks = self._rank(key, thing), sorted((self._rank(other, thing.alias), other) for other in others)
            return tuple((other, rank < mine) for rank, other in ranks)

    def hold(
        self,
        key: Key,
        things: Iterable[ExternalId],
        adopted: Iterable[ExternalId] = (),
        intends: Iterable[Hashable] = (),
    ) -> None:
        """Have an object hold what it records, and no more; `intends`: the places of its open intent."""
        with self._lock:
            if record := self._records.get(key):
                before, record.holds, record.adopted = record.holds, frozenset(things), frozenset(adopted)
                _drop(self._holders, key, before - record.holds - record.reserved)
                _take(self._holders, key, record.holds)
                announced, record.intends = record.intends, frozenset(intends)
                _drop(self._intending, key, announced - record.intends)
                _take(self._intending, key, record.intends)

    def intending(self, key: Key, places: Iterable[Hashable]) -> tuple[Key, ...]:
        """Return the other objects whose open intent may have made something in one of these places."""
        with self._lock:
            found = set[Key]().union(*(self._intending.get(place, set()) for place in places))
            return tuple(sorted(found - {key}))

    def incomplete(self, plural: str) -> tuple[Key, ...]:
        """Return the objects of a kind for which more may have been made than their status tells."""
        with self._lock:
            return tuple(sorted(key for key, one in self._records.items() if one.incomplete and key.plural == plural))

    def give_back(self, key: Key) -> None:
        """End the reservations of a reconcile; what it has recorded is held."""
        with self._lock:
            if record := self._records.get(key):
                given, record.reserved = record.reserved - record.holds, frozenset()
                _drop(self._holders, key, given)

    def add_list_probe(self, account: str, run: tuple[str, str], *, old: bool, read: bool) -> None:
        """Remember a run that V1 made, by its string ids: the witness that V2 lists show such runs.

        Rather an `old` one, for lists may lag behind a new one, and best one that its own keys have `read` in this
        process, for anybody who may write a status can say the rest. What was read is replaced by nothing unread.

        See docs/design/create-protocol.md#unknown-outcome.
        """
        with self._lock:
            _, known_old, known_read = self._witnesses.get(account, (run, False, False))
            better = old and (not known_old if not read else not (known_old and known_read))
            if account not in self._witnesses or (better and (read or not known_read)):
                self._witnesses[account] = run, old, read

    def list_probe(self, account: str) -> tuple[str, str] | None:
        """Return the string ids of a task and its run that V1 made under an account."""
        known = self._witnesses.get(account)
        return known[0] if known else None

    def _next_in_chain(self, key: Key) -> Key | None:
        record = self._records.get(key)
        if record is None or not record.waits:
            return None
        return next((other for other in record.refers if other.plural == key.plural), None)

    def _has_to_read(self, user: Key, key: Key, signal: Hashable) -> bool:
        record = self._records.get(user)
        if record is None or record.reads is None:
            return record is not None
        reads = (seen for other, seen in record.reads if other == key)
        return any(signal is None if seen == PRESENT else seen != signal for seen in reads)

    def _shared(self, key: Key, signal: Hashable) -> Hashable:
        """Return the equal signal that the object itself keeps, if it does, so that many readers keep one."""
        record = self._records.get(key)
        return record.signal if record and record.signal == signal else signal

    def _others(self, key: Key, thing: ExternalId) -> set[Key]:
        return self._holders.get(thing.alias, set()) - {key}

    def _rank(self, key: Key, thing: ExternalId) -> tuple[bool, float, Key]:
        record = self._records[key]
        return thing in record.adopted, record.created, key

    def _unlink(self, key: Key, record: StoreEntry) -> None:
        _remove(self._referrers, record.refers, key)
        _remove(self._waiting, record.awaits, key)
        record.awaits.clear()
        self._need(key, record, frozenset(), frozenset())

    def _keyed_by(self, key: Key, record: StoreEntry, secrets: tuple[Where, ...]) -> None:
        before, record.secrets = record.secrets, secrets
        if before == secrets:
            return
        for where in secrets:
            self._keyed.setdefault(where, set()).add(key)
        _remove(self._keyed, [where for where in before if where not in secrets], key)
        for where in before:
            if where not in self._keyed:
                self.unused(where)

    def _need(self, key: Key, record: StoreEntry, uses: frozenset[Hashable], asks_for: frozenset[Hashable]) -> None:
        used, asked, record.uses, record.asks_for = record.uses, record.asks_for, uses, asks_for
        for index, before, after in ((self._using, used, uses), (self._asking, asked, asks_for)):
            _drop(index, key, before - after)
            _take(index, key, after)

    def _remember(self, key: Key) -> None:
        """Remember the name of an object that went."""
        place = key.plural, key.namespace
        past = self._past.setdefault(place, {})
        self._past.move_to_end(place)
        self._past_in_all += key.name not in past
        past.pop(key.name, None)
        past[key.name] = None
        if len(past) > REMEMBERED:
            del past[next(iter(past))]
            self._past_in_all -= 1
        if self._past_in_all > REMEMBERED_IN_ALL:
            eldest, names = next(iter(self._past.items()))
            del names[next(iter(names))]
            self._past_in_all -= 1
            if not names:
                del self._past[eldest]


def _remove(index: dict[T, set[Key]], entries: Iterable[T], key: Key) -> None:
    for entry in entries:
        users = index.get(entry, set())
        users.discard(key)
        if not users:
            index.pop(entry, None)


def _take(index: dict[T, set[Key]], key: Key, what: Iterable[T]) -> None:
    for one in what:
        index.setdefault(one, set()).add(key)


def _drop(index: dict[T, set[Key]], key: Key, what: Iterable[T]) -> None:
    for one in what:
        keys = index[one]
        keys.discard(key)
        if not keys:
            del index[one]


def essence(raw: Mapping[str, Any]) -> int:
    """Return what stands for an object but for its annotations and labels."""
    kept = trimmed(raw)
    metadata = kept.get("metadata", {})
    parts = [metadata.get(name) for name in ("uid", "generation", "deletionTimestamp", "finalizers")]
    return hash(json.dumps([parts[:3], parts[3] or [], kept.get("status") or {}], sort_keys=True))


def _compare(record: StoreEntry, raw: Mapping[str, Any], version: int, source: Source) -> None:
    """Note whether somebody else has changed more of an object than annotations and labels."""
    if source is Source.OURS and version not in record.own:
        record.own = (*record.own, version)[-_OWN:]
    if version <= record.watched:
        return
    if source is Source.READ and version != record.version:
        record.jumped = version
    if source in {Source.READ, Source.OURS}:
        return
    now = essence(raw)
    known = version == record.version and record.jumped <= record.watched
    ours = known if source is Source.LISTED else version in record.own
    if not ours and (source is Source.LISTED or now != record.essence):
        if record.writing:
            changed = version > record.version and _status(raw) != record.status
            record.unsure = (*record.unsure, (version, changed))[-_OWN:]
        else:
            _by_others(record, version, changed=False)
    record.own = tuple(one for one in record.own if one > version)
    record.watched, record.essence = version, now


def _compare_status(record: StoreEntry, raw: Mapping[str, Any], version: int, source: Source) -> None:
    """Note whether somebody else has changed the status since it was last known."""
    before, record.status = record.status, _status(raw)
    if source is Source.OURS or record.writing or before is None:
        return  # of what comes during a write of ours `end_write` decides
    if before != record.status:
        record.altered = version
        record.unpaid.clear()


def _by_others(record: StoreEntry, version: int, changed: bool) -> None:
    """Note a version that somebody else wrote; `changed`: with another status."""
    record.touched = max(record.touched, version)
    if changed:
        record.altered = max(record.altered, version)
        record.unpaid.clear()


def _status(raw: Mapping[str, Any]) -> int:
    """Return what stands for a status, but for conditions of types that are not ours."""
    status = trimmed({"status": raw.get("status") or {}})["status"]
    if isinstance(status, dict) and isinstance(told := status.get("conditions"), list):
        ours = [one for one in told if not isinstance(one, Mapping) or one.get("type") in OURS]
        status = {**status, "conditions": ours}
    return hash(json.dumps(status, sort_keys=True))


def _pack(raw: Mapping[str, Any]) -> bytes:
    text = json.dumps(trimmed(raw), separators=(",", ":"))
    packed = zlib.compress(text.encode(), 1) if len(text) <= _LONGEST else b""
    return packed if len(packed) <= _LARGEST else b""


def number(version: object) -> int:
    """Read a resourceVersion as the number that it is on every API server (comparable within one resource)."""
    text = str(version)
    return int(text) if text.isdigit() else 0
