"""What the operator knows of every object, and what it may forget."""

import itertools
from datetime import datetime

import pytest

from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.reconcile.store import REMEMBERED, REMEMBERED_IN_ALL, Source, Store
from unit.objects import JOB, MODEL, SERVICE, raw


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_body_is_remembered_only_as_long_as_it_is_wanted(store: Store) -> None:
    """What is idle costs a record, not a body; the next pass reads it anew."""
    store.put(JOB, raw(JOB, managedFields=[{"manager": "kubectl"}]), keep_body=True)
    assert store.body(JOB) == raw(JOB)
    store.forget_body(JOB)
    assert store.body(JOB) is None
    store.put(JOB, raw(JOB, 2), keep_body=False)
    assert store.body(JOB) is None
    assert store.known() == (JOB,)


def test_memory_beats_an_older_event(store: Store) -> None:
    """An event that was under way while we wrote does not bring back what the object was before."""
    store.put(JOB, raw(JOB, 12, generation=2), keep_body=True)
    assert store.put(JOB, raw(JOB, 9), keep_body=True) is None
    body = store.body(JOB)
    assert body
    assert body["metadata"]["generation"] == 2
    assert store.put(JOB, raw(JOB, 12), keep_body=True) is not None


def test_a_late_event_of_a_predecessor_is_old_too(store: Store) -> None:
    """What was seen of the successor by a read is not replaced by the object that it follows."""
    store.put(JOB, raw(JOB, 12, uid="uid-2"), keep_body=True)
    assert store.put(JOB, raw(JOB, 9, uid="uid-1"), keep_body=True) is None
    record = store.get(JOB)
    assert record
    assert record.uid == "uid-2"


def test_a_successor_begins_anew(store: Store) -> None:
    """Counts and sights belong to an object, not to its name."""
    first = store.put(JOB, raw(JOB), keep_body=False)
    assert first
    first.failures = 3
    store.first_seen_at(JOB, "intent", 10.0)
    second = store.put(JOB, raw(JOB, 2, uid="uid-2"), keep_body=False)
    assert second
    assert (second.failures, store.first_seen_at(JOB, "intent", 70.0)) == (0, 70.0)


def test_versions_are_compared_as_numbers(store: Store) -> None:
    """10 is newer than 9."""
    store.put(JOB, raw(JOB, 9), keep_body=False)
    assert store.put(JOB, raw(JOB, 10), keep_body=False) is not None


def test_references_are_found_from_both_ends(store: Store) -> None:
    """Who refers to an object is known as soon as the reference is seen, even if its target is not there."""
    for key in (MODEL, SERVICE):
        store.put(key, raw(key), keep_body=False)
        store.refer(key, [JOB])
    assert store.referrers(JOB) == (MODEL, SERVICE)
    store.refer(SERVICE, [MODEL])
    assert (store.referrers(JOB), store.referrers(MODEL)) == ((MODEL,), (SERVICE,))
    store.forget(MODEL)
    assert (store.referrers(JOB), store.referrers(MODEL)) == ((), (SERVICE,))


def test_the_references_of_a_predecessor_are_forgotten(store: Store) -> None:
    """A model is not in use by a service that was replaced by one of the same name, seen or unseen deleted."""
    other = Key("qianfanmodels", "team", "other")
    store.put(SERVICE, raw(SERVICE), keep_body=False)
    store.refer(SERVICE, [MODEL])
    store.put(SERVICE, raw(SERVICE, 2, uid="uid-2"), keep_body=False)
    store.refer(SERVICE, [other])
    assert (store.referrers(MODEL), store.referrers(other)) == ((), (SERVICE,))


def test_nothing_is_noted_of_what_is_not_known(store: Store) -> None:
    """A late note about a forgotten object leaves nothing behind."""
    store.refer(SERVICE, [MODEL])
    store.forget(SERVICE)
    store.forget_body(SERVICE)
    assert (len(store), store.referrers(MODEL), store.body(SERVICE)) == (0, (), None)


def test_a_first_sight_is_the_first(store: Store) -> None:
    """The grace of a look-up counts from the first sight in this process, each thing for itself."""
    store.put(JOB, raw(JOB), keep_body=False)
    assert store.first_seen_at(JOB, ("intent", "a"), 10.0) == 10.0
    assert store.first_seen_at(JOB, ("intent", "a"), 50.0) == 10.0
    assert store.first_seen_at(JOB, ("intent", "b"), 50.0) == 50.0
    assert store.first_seen_at(MODEL, ("intent", "a"), 60.0) == 60.0


def test_a_witness_is_kept_by_account(store: Store) -> None:
    """A run that V1 made and V2 lists proves something for the account that made it, and for no other."""
    store.add_list_probe("0a1b2c3d", ("task-1", "job-1"), old=True, read=False)
    assert store.list_probe("0a1b2c3d") == ("task-1", "job-1")
    assert store.list_probe("ffffffff") is None


def test_a_witness_that_was_read_is_not_replaced_by_what_a_status_says(store: Store) -> None:
    """An old run comes before a new one, and one that was read before one that somebody wrote down."""
    said = [
        ("new", False, False), ("new too", False, False), ("old", True, False), ("read and new", False, True),
        ("read", True, True), ("forged", True, False), ("read later", True, True),
    ]  # fmt: skip
    known = []
    for name, old, read in said:
        store.add_list_probe("0a1b2c3d", (name, name), old=old, read=read)
        known.append((store.list_probe("0a1b2c3d") or ("",))[0])
    assert known == ["new", "new", "old", "old", "read", "read", "read"]


def test_a_secret_finds_its_users_and_no_others(store: Store) -> None:
    """Who changes a Secret again and again has only its users looked at; the index follows the objects."""
    mine, other = ("team", "mine"), ("team", "other")
    for key in (JOB, MODEL):
        store.put(key, raw(key), keep_body=False)
        store.keyed_by(key, (mine,))
    assert store.users_of(mine) == (JOB, MODEL)
    store.keyed_by(JOB, (other,))
    assert (store.users_of(mine), store.users_of(other)) == ((MODEL,), (JOB,))
    store.put(MODEL, raw(MODEL, 2, uid="uid-2"), keep_body=False)
    store.forget(JOB)
    assert store.users_of(mine) == store.users_of(other) == ()


def test_a_chain_is_followed_as_far_as_it_waits(store: Store) -> None:
    """It ends with what waits for nothing, and with what is not there; what it does in a cycle has no end."""
    keys = [Key(JOB.plural, "team", f"job-{number}") for number in range(4)]
    for key, base in itertools.pairwise(keys):
        store.put(key, raw(key), keep_body=False)
        store.refer(key, [MODEL, base])
    assert list(store.chain(keys[0])) == keys
    record = store.get(keys[1])
    assert record
    record.waits = False
    assert list(store.chain(keys[0])) == keys[:2]
    record.waits = True
    store.refer(keys[2], [keys[0]])
    assert list(itertools.islice(store.chain(keys[0]), 5)) == [*keys[:3], *keys[:2]]


def test_who_has_read_an_object_as_it_is_needs_no_call(store: Store) -> None:
    """A referrer is outdated if it saw another state, or if it is not known what it saw."""
    store.put(JOB, raw(JOB), keep_body=False)
    store.put(MODEL, raw(MODEL), keep_body=False)
    store.refer(MODEL, [JOB])
    record = store.get(JOB)
    assert record
    record.signal = ("now",)
    assert store.outdated(JOB) == (MODEL,)
    for reads, outdated in (({JOB: ("now",)}, ()), ({JOB: ("before",)}, (MODEL,)), ({JOB: None}, (MODEL,)), ({}, ())):
        store.end_reads(MODEL, reads)
        assert store.outdated(JOB) == outdated
    store.begin_reads(MODEL)
    assert store.outdated(JOB) == (MODEL,)
    store.end_reads(MODEL, {JOB: ("now",)})
    store.forget(JOB)
    assert store.outdated(JOB) == (MODEL,)


HELD = ExternalId(("run", 7))


def holding(store: Store, *holders: tuple[str, str, bool]) -> list[Key]:
    """Have objects record one thing: their names, when they were created, and whether they took it over."""
    keys = []
    for name, created, adopted in holders:
        key = JOB._replace(name=name)
        record = store.put(key, raw(key, uid=name), keep_body=False)
        assert record
        record.created = datetime.fromisoformat(created).timestamp()
        store.hold(key, [HELD], [HELD] if adopted else [])
        keys.append(key)
    return keys


def test_of_two_that_record_one_thing_every_process_knows_the_same_order(store: Store) -> None:
    """Who made it comes before who took it over, then the older one, then by name."""
    adopter, older, younger = holding(
        store, ("adopter", "2025-01-01T00:00:00Z", True), ("z-older", "2025-02-01T00:00:00Z", False),
        ("a-younger", "2025-03-01T00:00:00Z", False),
    )  # fmt: skip
    assert store.rivals(older, HELD) == ((younger, False), (adopter, False))
    assert store.rivals(younger, HELD) == ((older, True), (adopter, False))
    assert store.rivals(adopter, HELD) == ((older, True), (younger, True))
    store.forget(older)
    assert store.rivals(adopter, HELD) == ((younger, True),)


def test_what_is_held_is_reserved_for_nobody_but_those_that_do_not_count(store: Store) -> None:
    """A thing is reserved for the first that asks; whoever turns out to hold nothing is left out."""
    (first,) = holding(store, ("first", "2025-01-01T00:00:00Z", False))
    store.put(JOB, raw(JOB), keep_body=False)
    other = JOB._replace(name="other")
    store.put(other, raw(other, uid="other"), keep_body=False)
    assert store.claim(JOB, HELD) == first
    assert store.claim(JOB, HELD, besides={first}) is None
    assert store.claim(other, HELD, besides={first}) == JOB
    store.give_back(JOB)
    assert store.claim(other, HELD, besides={first}) is None


def test_places_of_an_intent_are_given_back_with_it(store: Store) -> None:
    """What an open intent may have made is known by its places, until it ends or its object goes."""
    store.put(JOB, raw(JOB), keep_body=False)
    store.hold(JOB, [], intends=[("name", "a"), ("id", 1)])
    other = JOB._replace(name="other")
    assert store.intending(other, [("id", 1)]) == (JOB,)
    assert store.intending(JOB, [("id", 1)]) == ()
    store.hold(JOB, [], intends=[("name", "a")])
    assert store.intending(other, [("id", 1)]) == ()
    store.forget(JOB)
    assert store.intending(other, [("name", "a")]) == ()


def test_the_names_of_what_went_are_bounded_in_all(store: Store) -> None:
    """One namespace keeps the newest; of all, those that were not heard of for the longest forget first."""
    for place in range(200):
        for number in range(REMEMBERED):
            key = Key("qianfanjobs", f"ci-{place}", f"job-{number}")
            store.put(key, raw(key), keep_body=False)
            store.forget(key)
    assert sum(map(len, store._past.values())) == store._past_in_all == REMEMBERED_IN_ALL
    assert len(store._past) == REMEMBERED_IN_ALL // REMEMBERED
    assert store.names("qianfanjobs", "ci-0") == ()
    assert len(store.names("qianfanjobs", "ci-199")) == REMEMBERED


def test_a_namespace_cannot_have_the_names_of_others_forgotten(store: Store) -> None:
    """It forgets its own first."""
    for key in (JOB, *(Key(JOB.plural, "hostile", f"job-{number}") for number in range(2 * REMEMBERED_IN_ALL))):
        store.put(key, raw(key), keep_body=False)
        store.forget(key)
    assert store.names(JOB.plural, JOB.namespace) == (JOB.name,)
    assert len(store.names(JOB.plural, "hostile")) == REMEMBERED


def test_who_is_gone_waits_no_more(store: Store) -> None:
    """Thousands that waited for one object and went are not woken by it, and take no memory."""
    for number in range(1000):
        key = JOB._replace(name=f"job-{number}")
        store.put(key, raw(key), keep_body=False)
        store.wait_for(key, [MODEL])
        if number:
            store.forget(key)
    assert store.waited(MODEL) == (JOB._replace(name="job-0"),)
    assert store.waited(MODEL) == ()


def test_one_object_waits_for_so_many_others(store: Store) -> None:
    """The newest count, and who is gone, or has a successor, is waited for by nobody."""
    store.put(JOB, raw(JOB), keep_body=False)
    others = [MODEL._replace(name=f"model-{number}") for number in range(100)]
    for other in others:
        store.wait_for(JOB, [other])
    assert [other for other in others if store.waited(other)] == others[-16:]
    store.wait_for(JOB, others)
    store.put(JOB, raw(JOB, 2, uid="uid-2"), keep_body=False)
    assert store._waiting == {}
    store.wait_for(MODEL, [JOB])  # which is not known
    assert store._waiting == {}


def test_needs_are_found_by_what_is_needed(store: Store) -> None:
    """The index follows what is recorded and what is asked for, and the objects."""
    for key in (JOB, MODEL):
        store.put(key, raw(key), keep_body=False)
    store.need(JOB, [("model", 1), ("model", "am-1")], [("version", 2)])
    store.need(MODEL, [("model", 1)], [])
    assert store.needing([("model", 1), ("model", "am-1")]) == (JOB, MODEL)
    assert store.needing([("version", 2)]) == ()
    assert store.needing([("version", 2)], recorded=False) == (JOB,)
    store.need(JOB, [("version", 2)], [])
    assert store.needing([("model", 1)]) == (MODEL,)
    assert store.needing([("version", 2)]) == (JOB,)
    store.put(JOB, raw(JOB, 2, uid="uid-2"), keep_body=False)
    store.forget(MODEL)
    assert (store._using, store._asking) == ({}, {})


def test_a_secret_that_nobody_names_any_more_is_told(store: Store) -> None:
    """Whether the last user named another, went, or has a successor."""
    told = list[tuple[str, str]]()
    store.unused = told.append
    for key in (JOB, MODEL):
        store.put(key, raw(key), keep_body=False)
        store.keyed_by(key, (("team", "mine"), ("shared", "default")))
    store.keyed_by(JOB, (("team", "mine"), ("shared", "default")))
    store.forget(JOB)
    assert told == []
    store.keyed_by(MODEL, (("team", "other"), ("shared", "default")))
    assert told == [("team", "mine")]
    store.put(MODEL, raw(MODEL, 2, uid="uid-2"), keep_body=False)
    assert told[1:] == [("team", "other"), ("shared", "default")]


def test_only_more_than_an_annotation_counts_as_somebody_elses_change(store: Store) -> None:
    """The watch brings each version: our own and annotations are none; a status, a spec or a finalizer are."""
    blank = {"observedGeneration": 1}
    store.put(JOB, raw(JOB, 5, status=blank), True, Source.EVENT)
    store.put(JOB, raw(JOB, 6, status=blank, annotations={"a": "b"}), True, Source.EVENT)
    store.put(JOB, raw(JOB, 7, status={"jobId": 1}), True, Source.OURS)
    store.put(JOB, raw(JOB, 7, status={"jobId": 1}), True, Source.EVENT)
    record = store.get(JOB)
    assert record is not None
    assert record.foreign_version == 5
    assert store.unbroken(JOB, 5, 7)
    for version, change in enumerate(({"status": blank}, {"generation": 2}, {"finalizers": ["x"]}), 8):
        store.put(JOB, raw(JOB, version, **change), True, Source.EVENT)  # type: ignore[arg-type]
        assert record.foreign_version == version


def test_what_the_watch_brings_during_a_write_is_judged_by_its_answer(store: Store) -> None:
    """Only the version that the write has made is ours; without an answer none is."""

    def version_of_others(made: int | None, brought: int) -> tuple[int, int]:
        record = store.put(JOB, raw(JOB, 1), keep_body=True, source=Source.EVENT)
        assert record
        store.begin_write(JOB)
        store.put(JOB, raw(JOB, brought, status={"observedGeneration": 1}), keep_body=True, source=Source.EVENT)
        store.end_write(JOB, made)
        found = record.foreign_version, record.altered
        store.forget(JOB)
        return found

    assert version_of_others(made=2, brought=2) == (1, 0)
    assert version_of_others(made=2, brought=3) == (3, 3)
    assert version_of_others(made=None, brought=2) == (2, 2)


def test_a_change_that_comes_meanwhile_is_not_taken_for_dealt_with(store: Store) -> None:
    """Only the change that a reconcile has seen ends with it, and only then its ids are remembered."""
    store.put(JOB, raw(JOB, 1, status={"jobId": 1}), True, Source.EVENT)
    record = store.get(JOB)
    assert record is not None
    store.remember_ended(JOB, 1, "good")
    store.put(JOB, raw(JOB, 2, status={"jobId": 2}), True, Source.EVENT)
    seen = record.altered
    store.put(JOB, raw(JOB, 3, status={"jobId": 3}), True, Source.EVENT)
    store.end_altered(JOB, seen, "forged")
    store.end_altered(JOB, 0, "forged")
    assert (record.altered, record.ended) == (3, "good")
    store.remember_ended(JOB, 3, "forged")
    assert record.ended == "good"
    store.end_altered(JOB, 3, "restored")
    assert (record.altered, record.ended) == (0, "restored")


def test_ids_of_a_status_that_may_be_forged_are_not_remembered(store: Store) -> None:
    """What comes during a write of ours is nobody's until that is answered; what is older than known tells nothing."""
    store.put(JOB, raw(JOB, 1, status={"jobId": 1}), True, Source.EVENT)
    record = store.get(JOB)
    assert record is not None
    store.remember_ended(JOB, 1, "good")
    store.begin_write(JOB)
    store.put(JOB, raw(JOB, 3, status={"jobId": 3}), True, Source.EVENT)
    store.remember_ended(JOB, 3, "forged")
    store.end_write(JOB, 2)
    store.remember_ended(JOB, 3, "forged")
    store.end_altered(JOB, 3, "restored")
    store.remember_ended(JOB, 2, "older")
    assert record.ended == "restored"


def test_what_was_read_before_the_watch_brought_it_counts_until_it_has(store: Store) -> None:
    """A status may have been written and wiped meanwhile: only the watch, which brings both, can tell."""
    for between, foreign in (({}, 5), ({"jobId": 1}, 9)):
        store.forget(JOB)
        store.put(JOB, raw(JOB, 5, status={}), True, Source.EVENT)
        store.put(JOB, raw(JOB, 9, status={}), True, Source.READ)
        record = store.get(JOB)
        assert record is not None
        assert record.foreign_version == 9
        assert not store.unbroken(JOB, 5, 9)
        store.put(JOB, raw(JOB, 7, status=between), True, Source.EVENT)
        store.put(JOB, raw(JOB, 9, status={}), True, Source.EVENT)
        assert record.foreign_version == foreign
        assert store.unbroken(JOB, 5, 9) == (foreign == 5)


def test_a_list_of_the_watch_may_have_left_something_out(store: Store) -> None:
    """After a list, what was between is not known, unless nothing was."""
    store.put(JOB, raw(JOB, 5), True, Source.EVENT)
    store.put(JOB, raw(JOB, 5), True, Source.LISTED)
    record = store.get(JOB)
    assert record is not None
    assert record.foreign_version == 5
    store.put(JOB, raw(JOB, 6), True, Source.LISTED)
    assert record.foreign_version == 6
