"""The health checks for Argo CD, run by a Lua interpreter on what the engine writes."""

from pathlib import Path

import pytest
import yaml

from argocd import FOLDER, KINDS, SOURCE, files, health
from conformance import kstatus
from reconcile.golden import kept

GOLDEN = [(situation.name, kind, raw) for situation, kind, raw in kept()]
SUSPENDED = {"paused", "paused-serving", "unpaid"}
"""Where nothing goes on before a person does something that is no repair."""


@pytest.mark.parametrize(("name", "kind", "raw"), GOLDEN, ids=[f"{kind}-{name}" for name, kind, _ in GOLDEN])
def test_argo_cd_says_what_the_other_tools_say(name: str, kind: str, raw: dict) -> None:
    """Healthy is what kstatus calls Current, Degraded what it calls Failed; what is on its way is Progressing."""
    said = {"Current": "Healthy", "Failed": "Degraded", "InProgress": "Progressing", "Terminating": "Progressing"}
    status, message = health(raw)
    assert status == ("Suspended" if name in SUSPENDED else said[kstatus(raw)])
    if status != "Progressing":
        assert message == next(one["message"] for one in raw["status"]["conditions"] if one["type"] == "Ready")


def test_a_status_that_lags_or_is_empty_is_never_healthy() -> None:
    """Neither an object without any status nor one whose spec has changed since passes for done, or for failed."""
    for name, _, raw in GOLDEN:
        if "deletionTimestamp" not in raw["metadata"]:
            stale = {**raw, "metadata": {**raw["metadata"], "generation": raw["metadata"]["generation"] + 1}}
            assert health(stale)[0] == "Progressing", name
    assert health({"metadata": {"generation": 1}})[0] == "Progressing"
    assert health({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}})[0] == "Progressing"


def test_what_is_made_of_the_script_is_current() -> None:
    """The copies, their test data and the ConfigMap are what `make golden` writes; no other file lies beside them."""
    made = files()
    assert {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.*") if path.is_file()} == {
        **made, SOURCE: SOURCE.read_text(encoding="utf-8"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_layout_is_that_of_argo_cd(kind: str) -> None:
    """Each kind's folder and key hold the script, and its test data show all healths that there are."""
    folder: Path = FOLDER / "resource_customizations/qianfan.dev" / kind
    config = yaml.safe_load((FOLDER / "argocd-cm.yaml").read_text(encoding="utf-8"))
    assert config["data"][f"resource.customizations.health.qianfan.dev_{kind}"] == SOURCE.read_text(encoding="utf-8")
    tests = yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    assert {test["healthStatus"]["status"] for test in tests} == {"Progressing", "Suspended", "Healthy", "Degraded"}
    assert all((folder / test["inputPath"]).is_file() for test in tests)


def test_what_is_being_deleted_is_under_way_until_it_is_gone() -> None:
    """Newer versions of Argo CD ask about it: never Healthy, and the message shows what holds it up."""
    for name, kind, raw in GOLDEN:
        marked = {**raw, "metadata": {**raw["metadata"], "deletionTimestamp": "2024-03-01T08:00:00Z"}}
        assert health(marked)[0] == "Progressing", (name, kind)
        if name == "deletion-blocked":
            assert "deletionPolicy" in health(raw)[1]
