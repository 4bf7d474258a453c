"""The world of the engine's stories, and a server that keeps what it is asked, for attacks without a control plane."""

from attacks.recorder import recorder
from reconcile.conftest import world, worlds

__all__ = ["recorder", "world", "worlds"]
