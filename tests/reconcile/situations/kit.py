"""What stories of situations are made of: how they are listed, and the ways to where most of them begin."""

from collections.abc import Callable
from dataclasses import dataclass

from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model, service
from reconcile.world import World

Story = Callable[[World, str], Key]
KINDS = ("job", "model", "service")
MANIFESTS = {"job": job, "model": model, "service": service}
WORKING = {"job": "Training", "model": "Publishing", "service": "Deploying"}
USABLE = {"job": "Succeeded", "model": "Available", "service": "Available"}
IDS = {"job": "jobId", "model": "modelVersionId", "service": "serviceId"}
INCREMENTAL = {
    "baseTrainType": None,
    "trainType": None,
    "peftType": None,
    "incrementalFrom": {"jobRef": {"name": "base"}},
}


@dataclass(frozen=True)
class Situation:
    """What an object can be in: a name, the kinds that can, and how they come there."""

    name: str
    kinds: tuple[str, ...]
    story: Story
    lasts: bool
    """Whether it stays so until somebody does something."""

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        return self.story.__doc__ or ""


LISTED: list[Situation] = []


def situation(*kinds: str, lasts: bool = True) -> Callable[[Story], Story]:
    """List a story; without kinds it is one of all three."""

    def add(story: Story) -> Story:
        LISTED.append(Situation(story.__name__.replace("_", "-"), kinds or KINDS, story, lasts))
        return story

    return add


def passing(*kinds: str) -> Callable[[Story], Story]:
    """List the story of a situation that ends by itself."""
    return situation(*kinds, lasts=False)


# The ways there.


def prepare(world: World, kind: str) -> None:
    """Bring about what an object of a kind refers to."""
    if kind != "job":
        world.until(world.kube.apply(job()), "Succeeded")
    if kind == "service":
        world.until(world.kube.apply(model()), "Available")


def applied(world: World, kind: str, **fields: object) -> Key:
    """Apply an object of which nothing is missing."""
    prepare(world, kind)
    return world.kube.apply(MANIFESTS[kind](**fields))


def brought_to(world: World, kind: str, reason: str, **fields: object) -> Key:
    """Apply it and wait for a reason of Ready; services are paid for on the way."""
    key = applied(world, kind, **fields)
    if kind == "service":
        world.until(key, "PaymentRequired")
        world.sim.pay()
    world.until(key, reason)
    return key


def working(world: World, kind: str, **fields: object) -> Key:
    """Come to where the cloud works at it."""
    return brought_to(world, kind, WORKING[kind], **fields)


def usable(world: World, kind: str, **fields: object) -> Key:
    """Come to the good end."""
    return brought_to(world, kind, USABLE[kind], **fields)


def until_condition(world: World, key: Key, kind: str, reason: str) -> Key:
    """Run until a condition has a reason."""
    world.run(lambda: world.condition(key, kind).get("reason") == reason)
    return key
