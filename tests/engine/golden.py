"""The golden set: one object per situation and kind, as the engine left it, in tests/golden/<kind>/<situation>.yaml.

`make golden` writes it anew; a reviewer reads what a change does to what people and tools are told. The clock, the
uids and the names are those of the fake world, so that the same code gives the same bytes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from engine.situations import SITUATIONS, Situation
from engine.world import World

FOLDER = Path(__file__).parents[1] / "golden"


def path(situation: Situation, kind: str) -> Path:
    """Tell where an object is kept."""
    return FOLDER / kind / f"{situation.name}.yaml"


def play(situation: Situation, kind: str) -> dict[str, Any]:
    """Play a story and return the object as an API server would; every status on the way must conform."""
    world = World()
    try:
        raw = world.kube.objects[situation.story(world, kind)]
    finally:
        world.close()
    assert world.violations == []
    metadata = {name: value for name, value in raw["metadata"].items() if name != "resourceVersion"}
    return {**raw, "metadata": metadata, "status": dict(sorted(raw["status"].items()))}


def render(situation: Situation, kind: str) -> str:
    """Write the object down, under the sentence that says what it shows."""
    words = yaml.safe_dump(play(situation, kind), sort_keys=False, allow_unicode=True, width=120)
    return f"# {situation.sentence}\n{words}"


def kept() -> Iterator[tuple[Situation, str, dict[str, Any]]]:
    """Read the golden set, in the order of the stories."""
    for situation in SITUATIONS:
        for kind in situation.kinds:
            yield situation, kind, yaml.safe_load(path(situation, kind).read_text(encoding="utf-8"))


def main() -> None:
    """Write all of it, and remove what no story leads to any more."""
    wanted = {path(situation, kind): (situation, kind) for situation in SITUATIONS for kind in situation.kinds}
    for stray in set(FOLDER.rglob("*.yaml")) - set(wanted):
        stray.unlink()
    for target, (situation, kind) in wanted.items():
        text = render(situation, kind)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{target.relative_to(FOLDER)}\n")


if __name__ == "__main__":
    main()
