"""What Argo CD makes of an object: deploy/argocd/health.lua in a Lua interpreter, as newer versions ask it.

`python -m argocd` writes what is made of that one text: the copies in the layout of Argo CD's repository, with objects
of the golden set as their test data, and the ConfigMap for those who do not want to wait for a release.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lupa import lua51  # the dialect of Argo CD's own interpreter

from reconcile import golden
from reconcile.situations import SITUATIONS

FOLDER = Path(__file__).parents[1] / "deploy/argocd"
SOURCE = FOLDER / "health.lua"
KINDS = {"job": "QianfanJob", "model": "QianfanModel", "service": "QianfanService"}
SHOWN = (
    "fresh", "changed", "at-work", "cloud-unreachable", "unpaid", "paused", "ready", "stopped", "failed", "deleting",
    "deletion-blocked",
)  # fmt: skip
"""The situations that are test data."""

_CONFIG_MAP = """\
# The health checks for an Argo CD that does not bring them along; merge it into yours:
#   kubectl patch configmap argocd-cm -n argocd --patch-file deploy/argocd/argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
  resource.customizations.health.qianfan.dev_QianfanJob: &health |
{text}
  resource.customizations.health.qianfan.dev_QianfanModel: *health
  resource.customizations.health.qianfan.dev_QianfanService: *health
"""


def health(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Return the health of an object and the message beside it."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals().obj = lua.table_from(dict(raw), recursive=True)
    found = lua.execute(SOURCE.read_text(encoding="utf-8"))
    return found.status, found.message


def files() -> dict[Path, str]:
    """Make the text of every file that is made of the script and the golden set."""
    script = SOURCE.read_text(encoding="utf-8")
    indented = "".join(f"    {line}".rstrip() + "\n" for line in script.splitlines()).rstrip("\n")
    made = {FOLDER / "argocd-cm.yaml": _CONFIG_MAP.format(text=indented)}
    for kind, name in KINDS.items():
        folder = FOLDER / "resource_customizations/qianfan.dev" / name
        tests = []
        for situation in SITUATIONS:
            if situation.name in SHOWN and kind in situation.kinds:
                text = golden.path(situation, kind).read_text(encoding="utf-8")
                status, message = health(yaml.safe_load(text))
                made[folder / f"testdata/{situation.name}.yaml"] = text
                expected = {"status": status, "message": message}
                tests.append({"healthStatus": expected, "inputPath": f"testdata/{situation.name}.yaml"})
        made[folder / "health.lua"] = script
        made[folder / "health_test.yaml"] = yaml.safe_dump(
            {"tests": tests}, sort_keys=False, allow_unicode=True, width=120
        )
    return made


def main() -> None:
    """Write the files that have changed, and remove those that are made no more."""
    made = files()
    for stray in {path for path in FOLDER.rglob("*.*") if path.is_file()} - set(made) - {SOURCE}:
        stray.unlink()
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(FOLDER)}\n")


if __name__ == "__main__":
    main()
