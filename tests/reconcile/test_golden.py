"""What is told in each situation is what was reviewed: the golden set is what the engine writes now."""

import pytest

from conformance import check, kstatus
from paid import PAID
from qianfan_operator.api.keys import Key
from qianfan_operator.api.reasons import Reason
from reconcile.golden import FOLDER, kept, path, played, render
from reconcile.situations import SITUATIONS, Situation
from reconcile.world import World

PAIRS = [(situation, kind) for situation in SITUATIONS for kind in situation.kinds]

HOUR = 3600  # seconds
TRIED = {"refused", "quota-exceeded", "access-denied"}
"""Where a create that the cloud refuses is tried again at times; what is to be paid for is announced each time."""


@pytest.mark.parametrize(("situation", "kind"), PAIRS, ids=[f"{kind}-{one.name}" for one, kind in PAIRS])
def test_the_golden_set_is_what_the_engine_writes_and_no_more(situation: Situation, kind: str) -> None:
    """The same story gives the same bytes (`make golden` writes them), and an hour of what lasts adds not one write.

    It is looked at all the time, and nothing is told of it but that an outage lasts. Only a create that is tried again
    is announced before it is sent, and that is taken back when it is refused: two writes, which change no condition.
    What passes does pass.
    """
    with played(situation, kind) as (world, key):
        text = path(situation, kind).read_text(encoding="utf-8")
        assert render(situation, world.kube.objects[key]) == text
        written, called, conditions = len(world.kube.writes), len(world.sim.calls), world.status(key).get("conditions")
        earlier = told_of(world, key)
        world.kube.events.clear()
        world.rest(HOUR)
        writes = [raw["status"] for _, at, raw in world.kube.writes[written:] if at == key]
        if not situation.lasts:
            assert writes
            return
        tried = sum(call.operation == PAID[kind] for call in world.sim.calls[called:])
        assert bool(tried) == (situation.name in TRIED)
        assert len(writes) == 2 * tried
        assert all(status["conditions"] == conditions for status in writes)
        synced = world.condition(key, "Synced")
        outage = {synced.get("reason")} & {"CloudUnavailable", "Throttled"} - set(earlier)
        assert told_of(world, key) == list(outage)
        assert render(situation, world.kube.objects[key]) == text


def told_of(world: World, key: Key) -> list[str]:
    """The reasons of the events about an object."""
    return [one["reason"] for one in world.kube.events if one["regarding"]["uid"] == uid(world, key)]


def uid(world: World, key: Key) -> str:
    return world.kube.objects[key]["metadata"]["uid"]


def test_no_golden_file_is_without_a_story() -> None:
    """Nothing in the golden set was written by hand or has been left behind."""
    assert set(FOLDER.rglob("*.yaml")) == {path(*pair) for pair in PAIRS}


def test_the_golden_set_keeps_the_rules() -> None:
    """What the operator has judged passes the rules for final statuses; what it has not is never taken for done."""
    for situation, kind, raw in kept():
        if situation.name in {"fresh", "changed"}:
            assert kstatus(raw) == "InProgress", (situation.name, kind)
        else:
            assert check(raw, final=True) == [], (situation.name, kind)


def test_the_golden_set_shows_every_reason() -> None:
    """Each reason of the closed list is seen in a condition of some object, and all that are seen are of the list."""
    shown = {one["reason"] for _, _, raw in kept() for one in raw["status"].get("conditions", [])}
    assert shown == {str(one) for one in Reason}
