"""A transport that others can read and forge is used by nobody who has not said so; and keys go to one host only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.conftest import HandClock, ScriptedServer, calls, clock, keys, make_transport, server  # noqa: F401
from qianfan_operator.cloud import operations
from qianfan_operator.cloud.errors import CloudError

PATIENCE = 60.0  # seconds; only a broken operator takes so long


def start(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the operator without a cluster, and wait for its end."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("QIANFAN_", "KUBE"))}
    environment = {**ours, "KUBECONFIG": str(tmp_path / "none"), "QIANFAN_CLUSTER_ID": "c", "QIANFAN_HTTP_PORT": "0"}
    environment |= {f"QIANFAN_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "qianfan_operator"], env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"CONSOLE_API_BASE_URL": "http://127.0.0.1:1"}, "QIANFAN_CONSOLE_API_BASE_URL"),
        ({"CONSOLE_API_BASE_URL": "http://qianfan-simulator:8080"}, "QIANFAN_CONSOLE_API_BASE_URL"),
        ({"SSL_VERIFICATION_ENABLED": "false"}, "QIANFAN_SSL_VERIFICATION_ENABLED"),
    ],
)
def test_nobody_is_insecure_by_accident(tmp_path: Path, settings: dict[str, str], names: str) -> None:
    """The start ends with one line that says what to change; keys were not even asked for."""
    ended = start(tmp_path, **settings)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    message = json.loads(line)["message"]
    assert message.startswith(f"Invalid setting: {names}")
    assert "QIANFAN_ALLOW_INSECURE=true" in message


def test_a_redirect_leads_nowhere(make_transport, server) -> None:  # noqa: F811
    """A signed request is not sent on to whom an answer names."""
    other = f"http://localhost:{server.port}/elsewhere"
    transport = make_transport()
    for status in (301, 302, 307, 308):
        server.script.append(server.reply("", status, {"Location": other, "Refresh": f"0; url={other}"}))
        with pytest.raises(CloudError, match=f"HTTP {status}"):
            transport.call(operations.JOB_DETAIL, {}, lambda result: result)
    assert [seen.path for seen in server.seen] == ["/wenxinworkshop/finetune/jobDetail"] * 4
