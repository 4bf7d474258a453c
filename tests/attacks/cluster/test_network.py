"""The ways to the API server and to the cloud, by the real process: proxies, certificates, and what it writes."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from attacks.cluster.stage import NAMESPACE, Stage, path
from attacks.tampering import relay
from cloud.tls import certificate
from e2e.connect_proxy import ConnectProxy
from e2e.place import JOB, job
from e2e.process import OperatorProcess
from qianfan_simulator import Never, Options

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Options(training=Never())) as stage:
        yield stage


def operator(
    stage: Stage, name: str, cloud: str, kubeconfig: Path | None = None, environment: dict[str, str] | None = None,
    **settings: str,
) -> OperatorProcess:  # fmt: skip
    """An operator of its own, not started yet."""
    made = OperatorProcess(
        stage._keeper, stage.eyes, stage.cluster, cloud, name=name, kubeconfig=kubeconfig, **settings  # type: ignore[arg-type]
    )  # fmt: skip
    made._environment |= environment or {}
    return made


def create(stage: Stage, name: str) -> None:
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job(name)))


def test_proxy_variables_of_the_environment_are_ignored(stage: Stage) -> None:
    """The API server and the cloud are reached directly, by every client of the process."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    ours = operator(stage, "environment", stage.cloud.url, environment={**dict.fromkeys(names, DEAD), "NO_PROXY": ""})
    ours.start()
    create(stage, "environment")
    stage.until(JOB, "environment", "Training")
    ours.kill()


def test_a_proxy_of_the_kubeconfig_is_used_by_every_client(stage: Stage, tmp_path: Path) -> None:
    """A name that only the proxy knows is reached, with the proxy's password, and nothing else goes through it."""
    ours = stage.cluster.kubeconfig_for("qianfan-system", "qianfan-operator")
    config = json.loads(ours.read_text())
    with closing(ConnectProxy({"api.invalid": urlsplit(stage.cluster.server).port or 0})) as proxy:
        config["clusters"][0]["cluster"] |= {
            "server": "https://api.invalid:6443",
            "tls-server-name": "127.0.0.1",
            "proxy-url": f"http://user:p%40ss@127.0.0.1:{proxy.port}",
        }
        (tmp_path / "config").write_text(json.dumps(config))
        through = operator(stage, "kubeconfig", stage.cloud.url, tmp_path / "config", {"NO_PROXY": "*"})
        through.start()
        create(stage, "kubeconfig")
        stage.until(JOB, "kubeconfig", "Training")
        assert "p%40ss" not in json.dumps(through.log())
        through.kill()
    user = "basic " + base64.b64encode(b"user:p@ss").decode().lower()
    assert set(proxy.asked) == {("api.invalid:6443", user)}


def test_a_port_that_is_taken_is_one_line(stage: Stage) -> None:
    """The process ends with the name of the setting and the cause."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = operator(stage, "port", stage.cloud.url, HTTP_PORT=str(taken.getsockname()[1]))
        ended.begin()
        assert ended.until_ended() == 1
    (line,) = [line for line in ended.log() if line["level"] == "CRITICAL"]
    assert str(line["message"]).startswith("Cannot listen: QIANFAN_HTTP_PORT=")
    assert "address already in use" in str(line["message"])


def test_an_untrusted_cloud_is_told_and_a_bundle_mends_it(stage: Stage, tmp_path: Path) -> None:
    """Ready says whose certificate is not trusted and what to set; nothing is paid for meanwhile."""
    made, key = certificate(tmp_path, "private-authority")
    with relay(stage.cloud.url, made, key) as cloud:
        distrusting = operator(stage, "distrusting", cloud.url, ALLOW_INSECURE="false")
        distrusting.start()
        create(stage, "private")

        def told() -> str:
            conditions = stage.status(JOB, "private").get("conditions", ())
            ready = next((one for one in conditions if one["type"] == "Ready"), {})
            return ready["message"] if ready.get("reason") == "CloudUnavailable" else ""

        message = stage.eyes.wait_for(told, lambda: f"it is not told: {stage.status(JOB, 'private')}")
        assert f"The certificate of {urlsplit(cloud.url).netloc} is not trusted: self-signed certificate" in message
        assert "QIANFAN_CA_BUNDLE" in message
        distrusting.kill()
        trusting = operator(stage, "trusting", cloud.url, ALLOW_INSECURE="false", CA_BUNDLE=str(made))
        trusting.start()
        stage.until(JOB, "private", "Training")
        trusting.kill()


def test_an_unverified_cloud_keeps_the_log_whole(stage: Stage, tmp_path: Path) -> None:
    """Every line is JSON, and that nothing is verified is told once and not with each request."""
    with relay(stage.cloud.url, *certificate(tmp_path, "unknown")) as cloud:
        careless = operator(stage, "careless", cloud.url, SSL_VERIFICATION_ENABLED="false")
        careless.start()
        create(stage, "careless")
        stage.until(JOB, "careless", "Training")
        careless.kill()
    lines = careless.log()
    assert len([line for line in lines if "not secure" in str(line["message"])]) == 1
    assert not [line for line in lines if line["logger"] == "py.warnings"]
