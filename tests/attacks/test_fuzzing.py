"""Whatever stands in a spec, the operator takes it in, makes its passes over it, and tells of it in bounded words.

Bounds of size, number and CPU time are asserted, never of what the clock on the wall shows. What is found is found
again: the examples are always the same.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from attacks.specs import anything, broken, changed
from qianfan_operator.api.common import Resource, Unreadable
from qianfan_operator.api.keys import Key
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.reconcile.reconciler import Result
from qianfan_operator.text import clean
from reconcile import manifests
from reconcile.world import World

BASES = {
    "QianfanJob": manifests.job,
    "QianfanModel": lambda **fields: manifests.model(source={"run": {"taskId": 1, "jobId": 2}}, **fields),
    "QianfanService": lambda **fields: manifests.service(
        source={"modelVersion": {"modelId": 1, "modelVersionId": 2}}, **fields
    ),
}
KINDS = sorted(BASES)
SHALLOW, DEEP = 120, 900  # levels: what the dict-backed API server can copy, and what Python's JSON can read
MESSAGE, STATUS, BODY = 1024, 100_000, 32_768  # characters of a message; bytes of a status, and of what is remembered
CPU = 2.0  # seconds of this thread that one reconcile may take; it takes a hundredth
KEPT = 200_000  # characters of all that is kept of the object
CALLS, WRITES = 200, 40  # within ten minutes, of one object that nothing more happens to

fuzzed = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # what fails is an object; a smaller one tells little more, and takes minutes
)  # fmt: skip


@contextmanager
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if a pass failed, or anything else was reported with a traceback."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        yield
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def judged(world: World, key: Key) -> None:
    """Hold what was done for an object, and what is said and remembered of it, against their bounds."""
    assert world.violations == []
    assert len(world.sim.calls) <= CALLS
    assert world.writes(key) <= WRITES
    record = world.store.get(key)
    assert record is not None
    assert len(record.body or b"") <= BODY
    assert len(repr((record.handled, record.refers, record.uses, record.secrets, record.signal))) <= 4 * MESSAGE
    assert len(repr(record)) <= KEPT
    status = world.status(key)
    assert len(json.dumps(status, ensure_ascii=False).encode()) <= STATUS
    for message in [one["message"] for one in status.get("conditions", ())]:
        assert len(message) <= MESSAGE
        assert clean(message, MESSAGE) == message
    for note in [event["note"] for event in world.kube.events]:
        assert len(note.encode()) <= MESSAGE
        assert clean(note, MESSAGE) == note


def timed(world: World) -> None:
    """Have each reconcile of a world fail that takes too much CPU time."""
    inner = world.engine.reconcile

    def reconcile(key: Key) -> Result:
        began = time.thread_time()
        again = inner(key)
        assert time.thread_time() - began < CPU
        return again

    world.engine.reconcile = reconcile  # type: ignore[method-assign]


def played(caplog: pytest.LogCaptureFixture, kind: str, spec: dict[str, Any]) -> None:
    """Apply an object with a spec, let it rest, delete it, and judge each of these."""
    world = World()
    timed(world)
    try:
        with quiet(caplog):
            key = world.kube.apply({"kind": kind, "metadata": {"name": "fuzzed"}, "spec": spec})
            world.rest()
            judged(world, key)
            world.rest(600)
            judged(world, key)
            world.kube.delete(key)
            world.rest()
            if world.there(key):
                judged(world, key)
    finally:
        world.close()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzzed
def test_a_spec_at_the_limits_of_its_definition(
    caplog: pytest.LogCaptureFixture, kind: str, data: st.DataObject
) -> None:
    """Every value that the definition takes is worked on or refused in words; no pass fails."""
    played(caplog, kind, data.draw(changed(kind, BASES[kind]()["spec"])))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzzed
def test_a_spec_that_no_definition_judged(caplog: pytest.LogCaptureFixture, kind: str, data: st.DataObject) -> None:
    """What an older definition let in is told as InvalidSpec, or worked on as far as it can be read."""
    played(caplog, kind, data.draw(broken(kind, BASES[kind]()["spec"], SHALLOW)))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzzed
def test_an_object_that_is_deeper_than_python_recurses(
    caplog: pytest.LogCaptureFixture, kind: str, data: st.DataObject
) -> None:
    """The watch takes an object of any depth that could be read at all, and remembers what it can read again."""
    spec = data.draw(broken(kind, BASES[kind]()["spec"], DEEP))
    taken_in(caplog, kind, {"spec": spec, "status": {"observedGeneration": -1}})


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzzed
def test_a_status_that_no_definition_judged(caplog: pytest.LogCaptureFixture, kind: str, data: st.DataObject) -> None:
    """Of a status that cannot be read nobody knows what it holds: nothing is done for it, and nothing fails."""
    names = BY_PLURAL[f"{kind.lower()}s"].resource.model_fields["status"].annotation.model_fields.values()
    aliases = sorted(str(field.alias) for field in names if field.alias != "observedGeneration")
    status = data.draw(st.dictionaries(st.sampled_from(aliases), anything(DEEP), min_size=1, max_size=3))
    taken_in(caplog, kind, {"spec": BASES[kind]()["spec"], "status": {"observedGeneration": 1, **status}})


def read(model: type[Resource], raw: Mapping[str, Any]) -> Resource | str:
    """Return an object as it is read, or the words by which it cannot be."""
    try:
        return model.parse_lenient(raw)
    except Unreadable as error:
        return str(error)


def taken_in(caplog: pytest.LogCaptureFixture, kind: str, parts: dict[str, Any]) -> None:
    """Let the watch bring an object, and see that it is known, can be remembered, and costs nothing."""
    model = BY_PLURAL[f"{kind.lower()}s"].resource
    metadata = {"name": "fuzzed", "namespace": "default", "uid": "uid-1", "resourceVersion": "7", "generation": 1}
    raw = {"apiVersion": model.api_version, "kind": kind, "metadata": metadata, **parts}
    world, key = World(), Key(model.plural, "default", "fuzzed")
    try:
        with quiet(caplog):
            began = time.thread_time()
            world.event_handler.handle(model.plural, "ADDED", raw)
            assert time.thread_time() - began < CPU
        record = world.store.get(key)
        assert record is not None
        assert len(repr(record)) <= KEPT
        assert record.signal is not None  # counted as seen
        assert len(record.body or b"") <= BODY
        body = world.store.body(key)
        assert body is None or read(model, body) == read(model, raw)
    finally:
        world.close()
