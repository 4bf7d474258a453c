"""How an object may stand when all trouble is over, whatever was done to it."""

from qianfan_operator.api.keys import Key
from reconcile.world import World

WAITS = frozenset({"Paused", "DependencyNotReady", "AccountChanged", "InUse"})
STALLS = frozenset(
    {
        "TrainingFailed", "Stopped", "StoppedExternally", "ServiceStopped", "DependencyFailed",  # what ended stays so
        "AttemptMismatch", "AlreadyBound", "AlreadyManaged", "Refused",  # people asked for what cannot be
        "DeletionBlocked",  # the keys of another account are asked for, and come later
    }
)  # fmt: skip
"""That it is unknown what was made is not among them: a cloud that shows all, asked by known keys, can tell."""


def is_settled(world: World, key: Key) -> bool:
    """Say whether an object is ready, waits for a person, or has stalled for a reason that lasts."""
    stalled = world.is_so(key, "Stalled") and world.reason(key) in STALLS
    return world.is_so(key) or stalled or world.reason(key) in WAITS
