"""What the operator remembers goes by the objects that there are, whatever names tenants have chosen and given up.

The test walks over all that the parts of the operator hold, so that a new dict among it is held to the same bound.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from qianfan_operator.api.keys import Key
from qianfan_simulator import AfterSeconds
from reconcile.manifests import job, model, service
from reconcile.world import OTHER, World

SMALL = 300
"""More than anything may hold for the few objects that there are; far less than what was created and is gone."""
BOUNDED = {
    "store._past": 4_000,
    "events._told": 1_000,
    "credentials._labels": 4_096,
    "credentials._same": 4_096,
}
"""What remembers on purpose, with its own bound."""
DEEP = 4


def held(what: object, name: str, depth: int = 0) -> Iterator[tuple[str, int]]:
    """Tell how much each collection below an object holds, by its name; one in another counts as part of it."""
    if isinstance(what, dict | set | frozenset | list | tuple):
        yield name, size(what)
    elif depth < DEEP and type(what).__module__.startswith("qianfan_operator"):
        for field, value in getattr(what, "__dict__", {}).items():
            yield from held(value, f"{name}.{field}", depth + 1)


def size(what: object) -> int:
    """Count what a collection holds, with what those in it hold."""
    if isinstance(what, dict):
        return sum(1 + size(value) for value in what.values())
    if isinstance(what, set | frozenset | list | tuple):
        return sum(1 + size(value) for value in what)
    if is_dataclass(what) and type(what).__module__.startswith("qianfan_operator"):
        return sum(size(getattr(what, field.name)) for field in fields(what))
    return 0


def excess(world: World) -> dict[str, int]:
    """Name what holds more than it may."""
    parts = {
        "store": world.store, "credentials": world.credentials, "queue": world.queue, "engine": world.engine,
        "intake": world.event_handler, "protocol": world.protocol, "listing": world.listing,
        "events": world.engine._events, "claims": world.engine._claims, "gatherer": world.engine._gatherer,
    }  # fmt: skip
    sizes = dict(pair for name, part in parts.items() for pair in held(part, name))
    assert len(sizes) > 25  # the walk sees them
    return {name: count for name, count in sizes.items() if count > limit(name)}


def limit(name: str) -> int:
    """Return how much a collection may hold; the engine and others hold the same ones."""
    return next((most for known, most in BOUNDED.items() if name.endswith(known.split(".")[1])), SMALL)


def placed(made: dict[str, Any], suffix: str, namespace: str) -> dict[str, Any]:
    """Give an object a longer name and a namespace."""
    return {**made, "metadata": {"name": made["metadata"]["name"] + suffix, "namespace": namespace}}


def settle(world: World) -> None:
    """Make what is due now, and a little later."""
    for _ in range(3):
        world.rest(2.0)


def test_names_of_secrets_leave_nothing(world: World) -> None:
    """One object names thousands of Secrets, one after the other, some of which are there."""
    key = world.kube.apply(job(paused=True))
    for number in range(1000):
        if number % 4 == 0:
            world.set_secret(f"access-{number}", name=f"keys-{number}")
        world.kube.patch_spec(key, credentialsRef={"name": f"keys-{number}"})
        settle(world)
        if number % 4 == 0:
            world.set_secret(None, name=f"keys-{number}")
    assert excess(world) == {}


def test_objects_and_namespaces_leave_nothing(world: World) -> None:
    """Thousands of objects come in namespaces of their own, refer to each other, and go again."""
    for number in range(400):
        namespace = f"ci-{number}"
        world.set_secret(OTHER, namespace=namespace)
        adopting = model("adopting", source={"run": {"taskId": number, "jobId": number}}, paused=True)
        wanted = (job(paused=True), model(paused=True), service(paused=True), adopting)
        keys = [world.kube.apply(placed(made, f"-{number}", namespace)) for made in wanted]
        settle(world)
        for key in keys:
            world.kube.delete(key)
        settle(world)
        world.set_secret(None, namespace=namespace)
    assert len(world.store) == 0
    assert excess(world) == {}


def test_who_waits_for_others_leaves_nothing(world: World) -> None:
    """Hundreds that were told who holds what they wanted come and go; the holder stays."""
    world.sim.configure(training=AfterSeconds(1e9))
    status = world.until(world.kube.apply(job()), "Training")
    for number in range(300):
        ids = {"taskId": status["taskId"], "jobId": status["jobId"]}
        key = world.kube.apply(job(f"squatter-{number}", adopt=ids))
        settle(world)
        world.kube.delete(key)
        settle(world)
        assert not world.there(key)
    assert excess(world) == {}
    assert world.reason(Key("qianfanjobs", "default", "train")) == "Training"


def test_default_keys_leave_nothing() -> None:
    """Namespaces that use the default credentials come and go."""
    world = World(default="shared")
    try:
        world.set_secret(OTHER, namespace="shared")
        for number in range(400):
            world.label(f"ci-{number}")
            key = world.kube.apply(placed(job(paused=True), "", f"ci-{number}"))
            settle(world)
            world.clock.advance(200.0)
            world.ask(key)
            settle(world)
            world.kube.delete(key)
            settle(world)
        assert world.credentials._lent == set()
        assert excess(world) == {}
    finally:
        world.close()
