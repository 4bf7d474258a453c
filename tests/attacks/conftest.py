"""The world of the engine's stories, for attacks that need no control plane."""

from engine.conftest import world, worlds

__all__ = ["world", "worlds"]
