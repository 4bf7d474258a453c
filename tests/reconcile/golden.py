"""The golden set: one object per situation and kind, as the engine left it, in tests/golden/<kind>/<situation>.yaml.

`make golden` writes it anew; a reviewer reads what a change does to what people and tools are told. The clock, the
uids and the names are those of the fake world, so that the same code gives the same bytes.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from qianfan_operator.api.keys import Key
from reconcile.situations import SITUATIONS, Situation
from reconcile.world import World

_PORT = re.compile(r"127\.0\.0\.1:[0-9]+")  # of the simulator, another one each time
FOLDER = Path(__file__).parents[1] / "golden"


def path(situation: Situation, kind: str) -> Path:
    """Tell where an object is kept."""
    return FOLDER / kind / f"{situation.name}.yaml"


@contextmanager
def played(situation: Situation, kind: str) -> Iterator[tuple[World, Key]]:
    """Play a story and supply the world in which it ends; every status, also of what comes then, must conform."""
    world = World()
    try:
        yield world, situation.story(world, kind)
    finally:
        world.close()
    assert world.violations == []


def render(situation: Situation, raw: Mapping[str, Any]) -> str:
    """Write an object down as an API server shows it, under the sentence that says what it is an example of."""
    metadata = {name: value for name, value in raw["metadata"].items() if name != "resourceVersion"}
    shown = {**raw, "metadata": metadata, "status": dict(sorted(raw["status"].items()))}
    words = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120)
    return f"# {situation.sentence}\n{_PORT.sub('qianfan.baidubce.com:443', words)}"


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
        with played(situation, kind) as (world, key):
            text = render(situation, world.kube.objects[key])
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{target.relative_to(FOLDER)}\n")


if __name__ == "__main__":
    main()
