"""The files that say how the API server is reached: renewed in place, and for a moment half written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.fault_proxy import certificate
from qianfan_operator.kube.access import FRESH, Access


class Files:
    """A kubeconfig with a token and an authority in files of their own, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.config, self.token, self.authority = folder / "config", folder / "token", folder / "authority"
        self.first, self.second = (certificate(folder, name)[0].read_bytes() for name in ("first", "second"))
        self.now = 0.0
        cluster = {"server": "https://127.0.0.1:1", "certificate-authority": str(self.authority)}
        config = {
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"tokenFile": str(self.token)}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        self.config.write_text(json.dumps(config))
        self.token.write_text("one")
        self.authority.write_bytes(self.first)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files(tmp_path)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(files.config))
    return files


def access(files: Files) -> Access:
    return Access(lambda: files.now)


def told(access: Access) -> str:
    """What the kubernetes client would say; the informer's session must say the same."""
    said = access.configuration().get_api_key_with_prefix("BearerToken")
    assert said == access.login().headers["Authorization"]
    return str(said).split()[-1]


def test_a_token_is_read_again_by_time(files: Files) -> None:
    ours = access(files)
    files.token.write_text("two")
    assert told(ours) == "one"
    files.now += FRESH
    assert told(ours) == "two"


def test_a_token_is_read_again_after_a_refusal_and_not_all_the_time(files: Files) -> None:
    ours = access(files)
    files.now += 1
    files.token.write_text("two")
    ours.refused()
    assert told(ours) == "two"
    files.token.write_text("three")
    ours.refused()
    assert told(ours) == "two"
    files.now += 1
    ours.refused()
    assert told(ours) == "three"


def test_an_authority_is_read_again_and_one_that_stayed_is_not(files: Files) -> None:
    ours = access(files)
    before = ours.login().trust
    files.now += FRESH
    assert ours.login().trust is before
    files.authority.write_bytes(files.first + files.second)
    files.now += FRESH
    assert len(before.get_ca_certs()) == 1
    assert len(ours.login().trust.get_ca_certs()) == 2


@pytest.mark.parametrize(
    "breaks",
    [
        lambda files: files.token.unlink(),
        lambda files: files.authority.unlink(),
        lambda files: files.authority.write_bytes(files.second[:400]),
        lambda files: files.config.write_text("{"),
        lambda files: files.config.write_text("7"),
    ],
)
def test_what_was_read_counts_while_the_files_cannot_be_read(files: Files, breaks: Callable[[Files], object]) -> None:
    ours = access(files)
    before = ours.login()
    breaks(files)
    files.now += FRESH
    assert ours.login() == before
