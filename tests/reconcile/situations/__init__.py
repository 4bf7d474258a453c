"""Every situation in which an object of ours can be, each with the story that leads there.

The stories play on the real engine and the simulator; where an object then stands is what tools and people read. The
docstring of a story is the sentence that the golden files and docs/status.md say of it.

See docs/design/conditions.md#situations.
"""

from reconcile.situations import asked, good_ends, in_the_cloud, leaving, on_the_way
from reconcile.situations.kit import LISTED, Situation

_CHAPTERS = (on_the_way, good_ends, asked, in_the_cloud, leaving)

SITUATIONS: tuple[Situation, ...] = tuple(
    one for chapter in _CHAPTERS for one in LISTED if one.story.__module__ == chapter.__name__
)
"""In the order in which docs/status.md tells them."""

__all__ = ["SITUATIONS", "Situation"]
