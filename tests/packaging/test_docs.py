"""What the documents say is what the code does."""

import html
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.errors import CODES
from qianfan_operator.telemetry import metrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "operator/README.md", ROOT / "crds/README.md"])
KIND_PAGES = ["job", "model", "service"]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_generated_tables_are_current() -> None:
    """The tables of settings, fields and situations are what the code says now; `make docs` writes them."""
    argv = [sys.executable, ROOT / "docs/generate.py", "--check"]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {
        "README.md": ["settings"],
        "docs/status.md": ["situations"],
        **{f"docs/{kind}.md": [f"{kind} spec", f"{kind} status"] for kind in KIND_PAGES},
    }
    for page, blocks in pages.items():
        assert re.findall(r"<!-- (?!end of)(.*?) -->\n\n\| \w+ \|", read(page)) == blocks


def test_the_map_names_every_module() -> None:
    """operator/README.md has a row with a summary for each module of the operator."""
    source = ROOT / "operator/qianfan_operator"
    there = sorted(path.name for path in source.rglob("*.py") if path.name != "__init__.py")
    assert sorted(re.findall(r"^\| `(\w+\.py)` \| \w.*\. \|$", read("operator/README.md"), re.MULTILINE)) == there


def test_every_metric_is_explained_and_alerts_name_metrics_that_exist() -> None:
    """The page of the operator's metrics is complete, and no expression asks for a name that is never exported."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- metrics -->\n(.*?)<!-- end of metrics -->", page, re.DOTALL)
    told = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    families = list(metrics.REGISTRY.collect())
    exported = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    assert told == exported
    assert set(re.findall(r"\bqianfan_[a-z_]+", page)) <= exported


def test_the_cloud_has_an_alert() -> None:
    """Nothing else tells of a cloud that no object can reach."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    alerts = page.partition("**Worth an alert:**")[2].partition("\n## ")[0]
    assert "qianfan_cloud_requests_total" in alerts


def test_every_reason_is_explained() -> None:
    """docs/reasons.md has a row for each member of the closed list, with its sentence, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", read("docs/reasons.md"), re.MULTILINE)
    assert {name: sentence for name, sentence, _ in rows} == {str(one): one.sentence for one in Reason}
    assert all(advice for _, _, advice in rows)


def test_the_design_explains_every_code_that_has_a_rule() -> None:
    """Each code that the client knows stands under "Error table" in docs/design/errors-and-timing.md."""
    section = read("docs/design/errors-and-timing.md").partition("\n## Error table\n")[2].partition("\n## ")[0]
    known = {code for code in CODES if not code.startswith("HTTP ") and code not in {"OK", "Aborted"}}
    assert len(known) >= 50
    assert {code for code in known if not re.search(rf"\b{code}\b", section)} == set()


def test_the_situations_of_the_design_name_known_reasons() -> None:
    """Every reason in the table of docs/design/conditions.md is a member of the closed list."""
    table = re.search(r"^## Situations$.*?^(\|.*?)\n\n", read("docs/design/conditions.md"), re.MULTILINE | re.DOTALL)
    assert table
    named = set(re.findall(r"`([A-Z]\w+)`", table[1]))
    assert len(named) >= 30
    assert named - {str(one) for one in Reason} == set()


def test_the_pages_of_the_kinds_have_the_same_headings() -> None:
    """Whoever knows one page finds the way in the others."""
    headings = [re.findall(r"^## (.*)$", read(f"docs/{kind}.md"), re.MULTILINE) for kind in KIND_PAGES]
    assert headings[0].pop(0) == "Words"  # of runs and tasks, which only jobs have
    assert headings == [["Example", "Fields", "What happens", "Conditions", "Deleting"]] * 3


def prose(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page; a repeated heading gets a number."""
    seen, found = Counter[str](), set[str]()
    for heading in re.findall(r"^#{1,6} +(.*?)[ #]*$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w -]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    """Every relative link and picture of a page is a file of the repository, and every anchor is a heading in it."""
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", prose(page))
    missing = [path for path, _ in links if not (page.parent / path).exists()]
    assert missing == []
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links if anchor]
    assert [(str(target), anchor) for target, anchor in targets if anchor not in anchors(target)] == []


def test_the_code_links_to_headings_of_the_documents() -> None:
    """Every `docs/....md#anchor` in the code and in the tests is a heading of that page."""
    sources = [path for folder in ("operator", "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    pattern = re.compile(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?")
    links = {link for path in sources if path != Path(__file__) for link in pattern.findall(path.read_text("utf-8"))}
    assert links
    missing = [page for page, _ in links if not (ROOT / page).is_file()]
    assert missing == []
    assert [(page, anchor) for page, anchor in links if anchor and anchor not in anchors(ROOT / page)] == []


def test_nothing_cites_a_document_that_a_reader_cannot_open() -> None:
    """Facts and decisions are in docs/design; the code links to a heading there."""
    outside = re.compile(r"\(design \d|\bdesign \d+(\.\d+)?\b|\[wire (\d|trap)")
    folders = [ROOT / name for name in ("operator", "tests", "bench", "docs", "crds", "deploy")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".md", ".yaml", ".lua"}]
    read_by_us = [path for path in paths if path != Path(__file__) and ROOT / "tests/upgrade/crds" not in path.parents]
    assert [str(path) for path in read_by_us if outside.search(path.read_text("utf-8"))] == []


def test_anchors_follow_the_rules_of_github(tmp_path: Path) -> None:
    """Letters stay, in lower case; spaces become hyphens; other signs go; a second heading of the same text is 1."""
    page = tmp_path / "page.md"
    page.write_text("# `A` b/c: [d](e.md)\n\n```\n# no heading\n```\n\n## V1 calls\n\n## V1 calls\n", encoding="utf-8")
    assert anchors(page) == {"a-bc-d", "v1-calls", "v1-calls-1"}


def test_the_readme_shows_the_sample_that_the_demo_applies() -> None:
    """The manifest on the first screen is deploy/samples/chain.yaml, word by word."""
    chain = read("deploy/samples/chain.yaml").split("\n", 1)[1]
    assert chain.strip() in read("README.md")


def test_the_documents_name_only_targets_that_exist() -> None:
    """Every `make ...` in the documents is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= targets


def test_the_tests_exist_that_guard_the_protocol() -> None:
    """Each step of docs/design/create-protocol.md names a test that is there."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("docs/design/create-protocol.md"))
    assert len(named) >= 20
    assert [(path, test) for path, test in named if f"def {test}(" not in read(path)] == []


def test_every_attack_of_the_threat_model_has_a_test() -> None:
    """Each row of docs/threat-model.md that says what an attacker meets names tests, and all of them are there."""
    page = read("docs/threat-model.md")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    attacks = [row for table in re.findall(r"\| test \|\n\| --- .*\n((?:\|.*\n)+)", page) for row in table.splitlines()]
    assert len(attacks) >= 35
    assert set(attacks) <= set(rows)
    named = [re.findall(r"`([\w/.]+)::(\w+)`", row.rsplit(" | ", 1)[1]) for row in attacks]
    assert [row for row, tests in zip(attacks, named, strict=True) if not tests] == []
    missing = [
        f"{path}::{test}"
        for tests in named
        for path, test in tests
        if not (ROOT / path).is_file() or f"def {test}(" not in read(path)
    ]
    assert missing == []


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    """The picture of the demo loads no font and no file from another host, and ends with the endpoint."""
    picture = read("docs/demo.svg")
    loaded = re.findall(r"(?:href=|src=|url\()[\"']?(?!#)([^\"')]+)", picture)
    assert loaded == []
    assert "@font-face" not in picture
    assert "Endpoint" in picture


def test_the_picture_has_no_text_with_spaces_at_its_edges() -> None:
    """Some viewers drop such spaces, and columns would touch."""
    pieces = re.findall(r"<text [^>]*demo-line[^>]*>([^<]*)<", read("docs/demo.svg"))
    assert len(pieces) > 50
    assert [piece for piece in pieces if html.unescape(piece) != html.unescape(piece).strip()] == []
