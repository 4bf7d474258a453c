"""The real process at its start: every line on stderr is JSON, and a mistake is one line that says what to change."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0  # seconds; only a broken operator takes so long


def started(tmp_path: Path, server: str = "", proxy: str = "", **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """Start the operator, and wait for its end; returns its exit code and what it wrote."""
    kubeconfig = tmp_path / "kubeconfig"
    if server:
        cluster = {"server": server, **({"proxy-url": proxy} if proxy else {})}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        config = {"clusters": [{"name": "it", "cluster": cluster}], "contexts": [context], "current-context": "it"}
        kubeconfig.write_text(json.dumps({**config, "users": [{"name": "it", "user": {}}]}))
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("QIANFAN_", "KUBE"))}
    done = subprocess.run(
        [sys.executable, "-m", "qianfan_operator"], capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={**ours, "KUBECONFIG": str(kubeconfig), "QIANFAN_HTTP_PORT": "0", **environment},
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("settings", [{}, {"QIANFAN_CLUSTER_ID": "c"}], ids=["", "with a cluster id"])
@pytest.mark.parametrize(
    ("server", "proxy", "words"),
    [
        ("https://127.0.0.1:9", "", ["127.0.0.1:9", "connection refused"]),
        ("https://no.invalid:6443", "", ["no.invalid:6443", "the host name cannot be resolved"]),
        ("https://no.invalid:6443", "http://127.0.0.1:9", ["proxy 127.0.0.1:9", "the proxy failed", "refused"]),
    ],
)
def test_an_api_server_that_cannot_be_reached_is_one_line(
    tmp_path: Path, server: str, proxy: str, words: list[str], settings: dict[str, str]
) -> None:
    """It names the address and the cause, without a traceback, and the exit code is 1."""
    code, lines = started(tmp_path, server, proxy, **settings)
    assert code == 1
    (line,) = lines
    assert all(word in line["message"] for word in words), line
    assert "exception" not in line


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "https://proxy", "http://user:p@ss@proxy"])
def test_a_proxy_that_not_both_clients_can_use_is_refused(tmp_path: Path, proxy: str) -> None:
    """It is told where it stands, and its password is not."""
    code, (line,) = started(tmp_path, "https://127.0.0.1:9", proxy)
    assert code == 1
    assert "proxy-url of the cluster in the kubeconfig" in line["message"]
    assert "p@ss" not in json.dumps(line)


def test_a_missing_kubeconfig_is_one_line(tmp_path: Path) -> None:
    code, (line,) = started(tmp_path)
    assert code == 1
    assert f"The kubeconfig or the service account cannot be used: {tmp_path}/kubeconfig: " in line["message"]
    assert "exception" not in line


def test_settings_that_are_refused_are_told_in_json(tmp_path: Path) -> None:
    """One line for each; a format that does not exist is told as JSON."""
    code, lines = started(tmp_path, QIANFAN_WORKERS="none", QIANFAN_LOG_FORMAT="xml", QIANFAN_PROXY="socks5://p")
    assert code == 2
    assert [line["message"].split(": ")[1] for line in lines] == [
        "QIANFAN_PROXY",
        "QIANFAN_WORKERS",
        "QIANFAN_LOG_FORMAT",
    ]


def test_a_misspelt_setting_is_told_also_if_another_is_refused(tmp_path: Path) -> None:
    """Both are corrected at once; a value is shown if it cannot be a secret."""
    code, lines = started(tmp_path, QIANFAN_WORKRES="5551", QIANFAN_POLL_MIN_SEC="abc", QIANFAN_PROXY="socks5://u:p5@p")
    assert code == 2
    assert [line["level"] for line in lines] == ["WARNING", "CRITICAL", "CRITICAL"]
    assert "QIANFAN_WORKRES (did you mean QIANFAN_WORKERS?)" in lines[0]["message"]
    assert lines[2]["message"].startswith("Invalid setting: QIANFAN_POLL_MIN_SEC: ")
    assert lines[2]["message"].endswith('(it is "abc")')
    assert "p5" not in json.dumps(lines)


def test_unknown_settings_are_told_once(tmp_path: Path) -> None:
    """A misspelt setting is named with the nearest one; its value is not."""
    _, lines = started(tmp_path, "https://127.0.0.1:9", QIANFAN_WORKRES="5551", QIANFAN_AK="5551")
    (line,) = [line for line in lines if line["level"] == "WARNING"]
    assert line["message"] == "Unknown settings are ignored: QIANFAN_WORKRES (did you mean QIANFAN_WORKERS?)"
    assert "5551" not in json.dumps(lines)
