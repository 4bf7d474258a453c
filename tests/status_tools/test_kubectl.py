"""What kubectl makes of the golden set, on a real API server without an operator."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from matrix import columns, waited_for
from qianfan_devcluster.cluster import Cluster
from reconcile.golden import kept

Raw = dict[str, Any]
Named = dict[str, Raw]
_FEW = 10


def put(cluster: Cluster, namespace: str, objects: Named) -> None:
    """Have the objects in a namespace, named after their situations, with their own generations and statuses."""

    def apply(rest: int, *more: str) -> None:
        """Apply what has so many generations ahead of it, and is not yet what it will be if that number is odd."""
        bodies = [
            {
                **{name: raw[name] for name in ("apiVersion", "kind", "status")},
                "metadata": {"name": path.partition("/")[2]},
                "spec": {**raw["spec"], "paused": raw["spec"].get("paused", False) ^ (rest % 2 == 1)},
            }
            for path, raw in objects.items()
            if raw["metadata"]["generation"] > rest
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
        cluster.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", *more, input=text)

    for rest in reversed(range(max(raw["metadata"]["generation"] for raw in objects.values()))):
        apply(rest)
    apply(0, "--subresource=status")


def shown(table: str) -> dict[str, str]:
    """READY and REASON by object, of what `kubectl get` prints; their columns may be empty."""
    found = {}
    for block in table.strip().split("\n\n"):
        head, *lines = block.splitlines()
        ready, reason, after = (match.start() for match in list(re.finditer(r"\S+", head))[1:4])
        for line in lines:
            cells = [line[start:end].strip() for start, end in ((ready, reason), (reason, after))]
            found[line.split()[0]] = f"{cells[0]} `{cells[1]}`" if any(cells) else ""
    return found


def waited_for_by_kubectl(cluster: Cluster, namespace: str, kind: str, paths: list[str]) -> set[str]:
    """Which objects `kubectl wait` takes for met; it slows itself down after a dozen requests, and so it gets a few."""

    def met(start: int) -> list[str]:
        words = ("wait", f"--for=condition={kind}", *paths[start : start + _FEW], "--timeout=0", "-n", namespace)
        return re.findall(r"(\S+) condition met", cluster.kubectl(*words, check=False).stdout)

    with ThreadPoolExecutor(4) as pool:
        return {path for found in pool.map(met, range(0, len(paths), _FEW)) for path in found}


def test_kubectl_shows_and_waits_as_the_table_says(cluster: Cluster, namespace: str) -> None:
    """`kubectl get qianfan` and `kubectl wait` say of every object of the golden set what docs/status.md says."""
    objects = {f"{raw['kind'].lower()}.qianfan.dev/{situation.name}": raw for situation, _, raw in kept()}
    put(cluster, namespace, objects)
    table = cluster.kubectl("get", "qianfan", "-n", namespace).stdout
    assert shown(table) == {path: columns(raw) for path, raw in objects.items()}

    said = dict.fromkeys(objects, "waits")
    for kind in ("Ready", "Stalled"):
        said |= dict.fromkeys(waited_for_by_kubectl(cluster, namespace, kind, list(objects)), f"`{kind}` is met")
    assert said == {path: waited_for(raw) for path, raw in objects.items()}
