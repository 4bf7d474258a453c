"""Which events cause a pass, and how soon; the operator's own writes cause none."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from qianfan_operator.api.common import RECONCILE_ANNOTATION
from qianfan_operator.api.keys import Key
from qianfan_operator.controller.event_handler import EventHandler
from qianfan_operator.controller.workqueue import WorkQueue
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.reconcile.backoff import Schedule
from qianfan_operator.reconcile.key_checks import SECRETS, KeyChecks
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import Store
from unit.objects import BORN, FINISHED, HELD, JOB, MODEL, SERVICE, SERVING, TRAINING, Raw, condition, raw

SECRET = {"metadata": {"namespace": "team", "name": "qianfan-credentials"}}
ELSEWHERE = {"metadata": {"namespace": "other", "name": "qianfan-credentials"}}
FAILED: Raw = {
    **TRAINING, "trainStatus": "FAIL",
    "conditions": [condition("Ready", "False", "TrainingFailed"), condition("Stalled", "True", "TrainingFailed"),
                   condition("Succeeded", "False", "TrainingFailed")],
}  # fmt: skip


@dataclass
class Desk:
    """An intake with a queue whose time stands still until a test moves it."""

    now: float = 0.0
    keys_changed: bool = True
    seen_keys: list[Any] = field(default_factory=list)
    unwritten: tuple[Key, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    leading: bool = True
    account: str | None = None

    def __post_init__(self) -> None:
        self.store = Store()
        self.queue: WorkQueue[Key] = WorkQueue(16, lambda: self.now, lambda key: key.namespace)
        schedule = Schedule(jitter=0.0, random=lambda: 0.5)
        checks = KeyChecks(self, self.store, self.queue.add, schedule)
        self.event_handler = EventHandler(
            BY_PLURAL, self.store, self.queue, schedule, self, checks, lambda: self.unwritten
        )
        if self.leading:
            self.event_handler.lead()

    def changed(self, *seen: object, listed: bool) -> bool:
        """As the credentials do, say whether these are other keys."""
        self.seen_keys.append(seen)
        return self.keys_changed and not listed

    def unchecked_secrets(self) -> list[tuple[str, str]]:
        """As the credentials do, list the Secrets whose keys are still to be checked."""
        return []

    def has_keys(self, _: object) -> bool:
        """As the credentials do, say whether the Secret holds keys now."""
        return bool(self.seen_keys[-1][2])

    def known_account(self, sources: object) -> str | None:
        """As the credentials do, name the account of the keys in these Secrets."""
        return self.account

    def sources(self, resource: Any) -> tuple[tuple[str, str], ...]:
        """As the credentials do, name the Secrets of an object."""
        return ((resource.metadata.namespace, resource.spec.credentials_ref.name), *self.defaults)

    def see(self, key: Key, event: str | None, **fields: Any) -> list[Key]:
        """Take an event; return the keys that are due at once."""
        self.event_handler.handle(key.plural, event, raw(key, **fields))
        return self.due()

    def see_secret(self, event: str | None, secret: Raw = SECRET, **data: str) -> list[Key]:
        """Take an event of a Secret; return the keys that are due within a second."""
        self.event_handler.secret_seen(event, secret, data)
        self.now += 1.0
        return [key for key in self.due() if key.plural != SECRETS]

    def due(self) -> list[Key]:
        """Make a pass over everything that is due, and name it."""
        found = []
        while sum(self.queue.depth().values()):
            key = self.queue.get()
            assert key
            self.queue.done(key)
            found.append(key)
        return found

    def waits(self) -> float | None:
        """Seconds until something is due."""
        for seconds in (0, 29, 31, 299, 301):
            self.now += seconds - self.now
            if sum(self.queue.depth().values()):
                return seconds
        return None


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("event", [None, "ADDED", "MODIFIED"])
@pytest.mark.parametrize("key", [JOB, MODEL, SERVICE], ids=lambda key: key.plural)
def test_a_new_object_is_taken_up_at_once(desk: Desk, key: Key, event: str | None) -> None:
    """Before anything else, and whichever event shows it first."""
    desk.event_handler.handle(key.plural, event, raw(key))
    assert desk.queue.depth()[Priority.URGENT] == 1
    assert desk.due() == [key]


def test_the_operators_own_writes_cause_no_pass(desk: Desk) -> None:
    """The finalizer, an intent, the ids, progress and the end: none of them comes back as work."""
    assert desk.see(JOB, "ADDED") == [JOB]
    own = [
        {"version": 2, **HELD},
        {"version": 3, **HELD, "status": {**TRAINING, "pending": {"operation": "createJob", "nonce": "a"}}},
        {"version": 4, **HELD, "status": TRAINING},
        {"version": 5, **HELD, "status": {**TRAINING, "progress": 50}},
        {"version": 6, **HELD, "status": FINISHED},
    ]
    assert [desk.see(JOB, "MODIFIED", **write) for write in own] == [[]] * len(own)


def test_a_changed_spec_is_one_pass(desk: Desk) -> None:
    """A new generation counts once, however often it is seen before it is answered."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    change = {**HELD, "generation": 2, "status": TRAINING}
    assert desk.see(JOB, "MODIFIED", version=3, **change) == [JOB]
    assert desk.see(JOB, "MODIFIED", version=4, labels={"a": "b"}, **change) == []
    assert desk.see(JOB, "MODIFIED", version=5, **{**change, "generation": 3}) == [JOB]


def test_a_status_that_is_wiped_is_a_pass_each_time(desk: Desk) -> None:
    """A restored backup has no status; what the generation asked for is to be done again."""
    desk.see(JOB, "ADDED")
    for version in (2, 4):
        assert desk.see(JOB, "MODIFIED", version=version, **HELD, status=TRAINING) == []
        assert desk.see(JOB, "MODIFIED", version=version + 1, **HELD) == [JOB]


def test_a_deletion_is_one_pass(desk: Desk) -> None:
    """The mark counts once; the statuses that are written on the way out are our own."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    mark = {**HELD, "deletionTimestamp": BORN, "generation": 2}
    assert desk.see(JOB, "MODIFIED", version=3, **mark, status=TRAINING) == [JOB]
    assert desk.see(JOB, "MODIFIED", version=4, **mark, status={**TRAINING, "observedGeneration": 2}) == []


def test_an_object_that_is_gone_is_forgotten(desk: Desk) -> None:
    """Its key leaves the queue, and so does a later one of the same name only with its own deletion."""
    desk.event_handler.handle(JOB.plural, "ADDED", raw(JOB))
    desk.event_handler.handle(JOB.plural, "DELETED", raw(JOB, 2, uid="another"))
    assert desk.due() == [JOB]
    desk.event_handler.handle(JOB.plural, "MODIFIED", raw(JOB, 3, generation=2))
    desk.event_handler.handle(JOB.plural, "DELETED", raw(JOB, 4))
    assert desk.due() == []
    assert desk.store.known() == ()


def test_an_object_that_is_gone_gets_a_pass_if_ids_wait_for_it(desk: Desk) -> None:
    """What was made for it is known to this process only: a pass must see that it is stopped."""
    desk.see(JOB, "ADDED")
    desk.unwritten = (JOB,)
    assert desk.see(JOB, "DELETED", version=2) == [JOB]


def test_a_successor_of_the_same_name_is_new(desk: Desk) -> None:
    """Even if the deletion of the first was never seen."""
    desk.see(JOB, "ADDED")
    assert desk.see(JOB, "ADDED", version=5, uid="uid-2") == [JOB]


def test_the_annotation_asks_for_one_pass(desk: Desk) -> None:
    """Each new value counts once, until its echo stands in the status; other annotations are none of ours."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=FINISHED)
    assert desk.see(JOB, "MODIFIED", version=3, **HELD, status=FINISHED, annotations={"team": "a"}) == []
    asked = {**HELD, "annotations": {RECONCILE_ANNOTATION: "noon"}}
    assert desk.see(JOB, "MODIFIED", version=4, **asked, status=FINISHED) == [JOB]
    echo = {**FINISHED, "lastHandledReconcileAt": "noon"}
    assert desk.see(JOB, "MODIFIED", version=5, **asked, status=echo) == []
    again = {**HELD, "annotations": {RECONCILE_ANNOTATION: "one"}}
    assert desk.see(JOB, "MODIFIED", version=6, **again, status=echo) == [JOB]


@pytest.mark.parametrize("answered", [True, False])
def test_a_restart_does_what_was_asked_and_not_answered(desk: Desk, answered: bool) -> None:
    """The echo in the status tells a new process what an old one has done."""
    status = {**FINISHED, "lastHandledReconcileAt": "noon"} if answered else FINISHED
    asked = {**HELD, "annotations": {RECONCILE_ANNOTATION: "noon"}}
    assert desk.see(JOB, None, **asked, status=status) == ([] if answered else [JOB])


def test_a_lost_finalizer_is_noticed(desk: Desk) -> None:
    """Somebody took it off while something is recorded; an object without anything in the cloud needs none."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    assert desk.see(JOB, "MODIFIED", version=3, status=TRAINING) == [JOB]
    assert desk.see(JOB, "MODIFIED", version=4, **HELD, status=TRAINING) == []
    waiting = {"observedGeneration": 1, "conditions": [condition("Ready", "False", "DependencyNotReady")]}
    desk.see(MODEL, "ADDED", version=2, status=waiting)
    assert desk.see(MODEL, "MODIFIED", version=3, status=waiting) == []


def test_an_object_that_is_let_go_is_left_alone(desk: Desk) -> None:
    """Without our finalizer a deletion is none of our business."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=FINISHED)
    gone = {"deletionTimestamp": BORN, "finalizers": ["example.com/other"], "status": FINISHED}
    assert desk.see(JOB, "MODIFIED", version=3, **gone) == []


@pytest.mark.parametrize(
    ("key", "status", "seconds"),
    [
        pytest.param(JOB, TRAINING, 31, id="at work: spread over the poll interval"),
        pytest.param(SERVICE, SERVING, 301, id="settled: spread over the resync interval"),
        pytest.param(JOB, FINISHED, None, id="finished: never"),
    ],
)
def test_a_restart_makes_no_herd(desk: Desk, key: Key, status: Raw, seconds: float | None) -> None:
    """What is known and asks for nothing is looked at within its interval, halfway in this test, and as a poll."""
    desk.event_handler.handle(key.plural, None, raw(key, **HELD, status=status))
    assert desk.waits() == seconds
    assert desk.queue.depth()[Priority.URGENT] == 0


def test_a_restart_does_not_watch_closely_what_was_watched_before(desk: Desk) -> None:
    """A run that is at work when the process starts is looked at as seldom as one that has long been watched."""
    desk.event_handler.handle(JOB.plural, None, raw(JOB, **HELD, status=TRAINING))
    record = desk.store.get(JOB)
    assert record
    assert Schedule(jitter=0.0).poll(record.looks) == Schedule().poll_max


def test_an_older_event_changes_nothing(desk: Desk) -> None:
    """An event that was overtaken by our own write is not believed."""
    desk.store.put(JOB, raw(JOB, 9, **HELD, status=FINISHED), keep_body=False)
    assert desk.see(JOB, "MODIFIED", version=8, generation=2) == []


def test_a_change_of_a_reference_wakes_who_refers_to_it(desk: Desk) -> None:
    """What is first known of a job, its end, and its going wake its model at once; a job that is new, and its progress,
    do not."""
    desk.see(MODEL, "ADDED")
    seen = [
        desk.see(JOB, "ADDED", version=2),
        desk.see(JOB, "MODIFIED", version=3, **HELD, status=TRAINING),
        desk.see(JOB, "MODIFIED", version=4, **HELD, status={**TRAINING, "progress": 50}),
        desk.see(JOB, "MODIFIED", version=5, **HELD, status=FINISHED),
        desk.see(JOB, "DELETED", version=6),
    ]
    assert [MODEL in woken for woken in seen] == [False, True, False, True, True]


def test_a_changed_spec_is_heard_of_when_it_is_judged(desk: Desk) -> None:
    """Between a change of a spec and its status nothing is known; a status that says the same as before is no news."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    desk.see(MODEL, "ADDED")
    before = desk.store.get(JOB)
    assert before
    desk.store.end_reads(MODEL, {JOB: before.signal})  # as a reconcile does that has read the job
    change = {**HELD, "generation": 2}
    assert MODEL not in desk.see(JOB, "MODIFIED", version=3, **change, status=TRAINING)
    assert MODEL not in desk.see(JOB, "MODIFIED", version=4, **change, status={**TRAINING, "observedGeneration": 2})
    assert desk.see(JOB, "MODIFIED", version=5, **change, status={**FINISHED, "observedGeneration": 2}) == [MODEL]


def test_who_has_read_it_in_between_hears_how_it_came_out(desk: Desk) -> None:
    """A reconcile that reads a reference between its change and its status says so; it may not be left with that."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    desk.see(MODEL, "ADDED")
    change = {**HELD, "generation": 2}
    desk.see(JOB, "MODIFIED", version=3, **change, status=TRAINING)
    between = desk.store.get(JOB)
    assert between
    desk.store.end_reads(MODEL, {JOB: between.signal})
    assert MODEL in desk.see(JOB, "MODIFIED", version=4, **change, status={**TRAINING, "observedGeneration": 2})


def test_a_change_during_a_reconcile_is_never_missed(desk: Desk) -> None:
    """What a reconcile has read so far is not known from outside: each change wakes it, were it what it saw before."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    desk.see(MODEL, "ADDED")
    record = desk.store.get(JOB)
    assert record
    desk.store.end_reads(MODEL, {JOB: record.signal})
    desk.see(JOB, "MODIFIED", version=3, **HELD, status=FINISHED)
    desk.store.begin_reads(MODEL)  # and now it reads that the job is finished
    assert MODEL in desk.see(JOB, "MODIFIED", version=4, **HELD, status=TRAINING)


def test_who_read_nothing_of_it_is_left_alone(desk: Desk) -> None:
    """A model that is published and stays as it is does not care what becomes of its job."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    desk.see(MODEL, "ADDED")
    desk.store.end_reads(MODEL, {})
    assert MODEL not in desk.see(JOB, "MODIFIED", version=3, **HELD, status=FINISHED)


def test_who_is_woken_comes_after_what_was_asked(desk: Desk) -> None:
    """The objects of the user who changed something come first, and the many that are woken come bit by bit."""
    users = [Key(MODEL.plural, "team", f"model-{number:02}") for number in range(60)]
    for user in users:
        desk.see(user, "ADDED")
    desk.event_handler.handle(JOB.plural, "ADDED", raw(JOB, 2, **HELD, status=TRAINING))
    depth = desk.queue.depth()
    assert depth[Priority.URGENT] == 0
    assert 0 < depth[Priority.RETRY] < 20
    desk.now += 2.0
    assert desk.queue.depth()[Priority.RETRY] == 60


def test_a_deletion_goes_first(desk: Desk) -> None:
    """Deleting ends what costs money: it comes before everything else in its namespace."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    desk.event_handler.handle(SERVICE.plural, "ADDED", raw(SERVICE))
    mark = {**HELD, "deletionTimestamp": BORN, "generation": 2}
    desk.event_handler.handle(JOB.plural, "MODIFIED", raw(JOB, 3, **mark, status=TRAINING))
    assert desk.queue.depth()[Priority.DELETION] == 1
    assert desk.due() == [JOB, SERVICE]


def test_a_spec_that_no_longer_refers_is_not_woken(desk: Desk) -> None:
    """The index follows the specs."""
    desk.see(MODEL, "ADDED")
    desk.see(MODEL, "MODIFIED", version=2, generation=2, spec={"source": {"jobRef": {"name": "other"}}})
    assert MODEL not in desk.see(JOB, "ADDED", **HELD, status=TRAINING)


def test_a_spec_that_cannot_be_read_is_still_taken_up(desk: Desk) -> None:
    """An object of another version is observed, deleted and told what is wrong with it."""
    assert desk.see(JOB, "ADDED", spec={"attempt": "many"}) == [JOB]


@pytest.mark.parametrize("status", [TRAINING, FAILED], ids=["at work", "stalled"])
def test_new_keys_wake_who_waits_for_them(desk: Desk, status: Raw) -> None:
    """A mended Secret is in use within a second; what is idle need not hear of it."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=status)
    desk.see(SERVICE, "ADDED", version=2, **HELD, status=SERVING)
    assert desk.see_secret("MODIFIED", QIANFAN_ACCESS_KEY="a") == [JOB]
    assert desk.seen_keys == [("team", "qianfan-credentials", {"QIANFAN_ACCESS_KEY": "a"})]


def test_keys_that_went_are_heard_of_by_all_one_after_the_other(desk: Desk) -> None:
    """Also by what is Ready, and never by a thousand at once; what is finished needs no keys."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=FINISHED)
    keys = [Key(SERVICE.plural, "team", f"faq-{number}") for number in range(1000)]
    for number, key in enumerate(keys):
        desk.see(key, "ADDED", version=number + 3, **HELD, status=SERVING)
    desk.due()
    assert len(desk.see_secret("MODIFIED")) < 100
    desk.now += 30.0
    assert len(desk.due()) > 900
    assert JOB not in desk.due()


def test_a_secret_wakes_nobody_else(desk: Desk) -> None:
    """Not for the same keys, not for another namespace or name, and not at the start of the process."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    named = {"metadata": {"namespace": "team", "name": "another"}}
    assert [desk.see_secret("MODIFIED", secret) for secret in (ELSEWHERE, named)] == [[], []]
    assert desk.see_secret(None) == []
    desk.keys_changed = False
    assert desk.see_secret("MODIFIED") == []


def test_a_deleted_secret_is_told_as_absent(desk: Desk) -> None:
    """What the event of a deletion still shows of the keys is not used."""
    desk.see_secret("DELETED", QIANFAN_ACCESS_KEY="a")
    assert desk.seen_keys == [("team", "qianfan-credentials", None)]


def test_a_secret_that_is_replaced_is_heard_of_once(desk: Desk) -> None:
    """An immutable Secret is deleted and made anew: the pass comes with the new one, not with the gap before it."""
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    assert desk.see_secret("DELETED") == []
    assert desk.see_secret("ADDED", QIANFAN_ACCESS_KEY="a") == [JOB]
    assert desk.see_secret("DELETED") == []
    desk.now += 4.1
    assert desk.due() == [JOB]


def test_new_default_keys_wake_their_users_everywhere(desk: Desk) -> None:
    """The Secret that stands in for missing ones is heard of in every namespace."""
    desk.defaults = (("other", "qianfan-credentials"),)
    desk.see(JOB, "ADDED", version=2, **HELD, status=TRAINING)
    assert desk.see_secret("MODIFIED", ELSEWHERE, QIANFAN_ACCESS_KEY="a") == [JOB]


@pytest.fixture
def standby() -> Desk:
    """The intake of a process that another one acts for."""
    return Desk(leading=False)


def test_who_stands_by_asks_for_nothing(standby: Desk) -> None:
    """New objects, changes, deletions, references and Secrets are another's work, however they are told."""
    assert standby.see(JOB, None) == []
    assert standby.see(MODEL, "ADDED") == []
    assert standby.see(JOB, "MODIFIED", version=2, generation=2, **HELD, status=FINISHED) == []
    assert standby.see_secret("MODIFIED") == []
    assert standby.seen_keys  # but what it says is known already
    assert standby.see(JOB, "DELETED", version=3) == []
    standby.now += 86400.0
    assert standby.due() == []


def test_who_begins_to_lead_does_at_once_what_is_asked(standby: Desk) -> None:
    """What the leader before has answered is done; what it has not is the first thing, and is asked for once."""
    standby.see(JOB, "ADDED")
    standby.see(JOB, "MODIFIED", version=2, **HELD, status=FINISHED)
    standby.see(SERVICE, "ADDED")
    standby.event_handler.lead()
    assert standby.due() == [SERVICE]
    assert standby.see(SERVICE, "MODIFIED", version=2, **HELD, status=TRAINING) == []


def test_who_begins_to_lead_makes_no_herd() -> None:
    """What works is looked at within the longest poll, what is settled within a resync, what is finished never."""

    def waits(key: Key, status: Raw) -> float | None:
        desk = Desk(leading=False)
        desk.see(key, None, **HELD, status=status)
        desk.event_handler.lead()
        return desk.waits()

    assert (waits(JOB, TRAINING), waits(SERVICE, SERVING), waits(JOB, FINISHED)) == (31, 301, None)


def test_what_waits_for_another_object_is_looked_at_at_once(standby: Desk) -> None:
    """What it waits for may have come between the death of one leader and the lead of the next."""
    waiting = {**TRAINING, "conditions": [condition("Ready", "False", "DependencyNotReady")]}
    standby.see(MODEL, None, **HELD, status=waiting)
    standby.event_handler.lead()
    assert standby.due() == [MODEL]
