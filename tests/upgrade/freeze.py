"""Write down what this version leaves behind: `PYTHONPATH=tests python -m upgrade.freeze VERSION`, once per release.

A snapshot is one file per situation of the golden set: every object of the story with its status, and what the cloud
holds, with the names and marks by which the operator recognises its own. A snapshot is never written again.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from qianfan_operator.api.keys import Key
from qianfan_simulator.dump import dump_state
from reconcile.golden import played
from reconcile.situations import SITUATIONS, Situation
from reconcile.world import World

FOLDER = Path(__file__).parent


def snapshot(world: World, key: Key) -> dict[str, Any]:
    """Describe a world: the object that the story is about, every object, and the accounts of the cloud."""
    accounts: Mapping[str, Any] = dump_state(world.sim)["accounts"]
    for account in accounts.values():
        account["models"] = [model for model in account["models"] if not model["preset"]]
    return {"subject": str(key), "objects": list(world.kube.objects.values()), "accounts": dict(accounts)}


def path(version: str, situation: Situation, kind: str) -> Path:
    """Return where a snapshot is kept."""
    return FOLDER / version / kind / f"{situation.name}.yaml"


def main(version: str) -> None:
    """Write the snapshots of a version that has none."""
    if (FOLDER / version).exists():
        sys.exit(f"{version} is frozen already")
    for situation in SITUATIONS:
        for kind in situation.kinds:
            with played(situation, kind) as (world, key):
                text = yaml.safe_dump(snapshot(world, key), sort_keys=False, allow_unicode=True, width=120)
            target = path(version, situation, kind)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
