"""Replies of the cloud that no status can hold, on the real API server: what is recorded lands all the same."""

import json
from collections.abc import Iterator

import pytest

from attacks.cluster.stage import NAMESPACE, Stage, path
from attacks.tampering import LONG, Relay, relay
from e2e.place import JOB, job
from e2e.process import OperatorProcess
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.access import Access
from qianfan_operator.kube.client import Conflict, Invalid, Kube
from qianfan_simulator import Never, Options

OPTIONS = Options(training=Never())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(OPTIONS) as stage:
        yield stage


@pytest.fixture(scope="module")
def tampered(stage: Stage) -> Iterator[Relay]:
    """A relay to the cloud, and an operator that has no other way to it."""
    with relay(stage.cloud.url) as it:
        operator = OperatorProcess(stage._keeper, stage.eyes, stage.cluster, it.url)  # type: ignore[arg-type]
        operator.start()
        yield it


@pytest.mark.parametrize(
    ("name", "words", "reason"),
    [
        ("link", {"vdlLink": f"https://x/{LONG}"}, "Training"),
        ("time", {"startTime": f"2024-03-01T08:00:00.{LONG.replace('x', '1')}Z"}, "Training"),
        ("surrogate", {"vdlLink": "https://x/\ud800", "trainStatus": "RUN\ud800"}, "UnknownState"),
        ("state", {"trainStatus": LONG}, "UnknownState"),
    ],
)
def test_a_status_lands_through_hostile_words(
    stage: Stage, tampered: Relay, name: str, words: dict[str, str], reason: str
) -> None:
    """The ids and the conditions are written, once and not with every poll, and the run is paid for once."""
    paid = calls(stage, "createJob")
    tampered.tamper = lambda call, result: {**result, **words} if call == "jobDetail" else result
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job(name)))
    status = stage.until(JOB, name, reason)
    assert status["jobId"]
    assert len(json.dumps(status)) < 20_000
    assert json.dumps(status, ensure_ascii=False).isprintable()
    assert "\ufffd" not in json.dumps(status, ensure_ascii=False)
    polls, version = calls(stage, "jobDetail"), resource_version(stage, name)
    stage.eyes.wait_for(lambda: calls(stage, "jobDetail") > polls + 40, lambda: "it does not poll")
    assert resource_version(stage, name) == version
    assert calls(stage, "createJob") == paid + 1
    stage.cluster.kubectl(
        "-n", NAMESPACE, "patch", JOB, name, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Orphan"}}'
    )
    stage.cluster.kubectl("-n", NAMESPACE, "delete", JOB, name)


def calls(stage: Stage, operation: str) -> int:
    return len([call for call in stage.cloud.calls if call.operation == operation])


def resource_version(stage: Stage, name: str) -> str:
    done = stage.cluster.kubectl("-n", NAMESPACE, "get", JOB, name, "-o", "jsonpath={.metadata.resourceVersion}")
    return done.stdout


@pytest.mark.parametrize("size", [1_700_000, 4_000_000])
def test_a_status_that_is_too_large_is_refused_for_good(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """etcd's limit comes with 500 and the API server's with 413: neither passes by itself."""
    monkeypatch.setenv("KUBECONFIG", str(stage.cluster.kubeconfig))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(stage.cluster.kubeconfig))
    name = f"size-{size}"
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job(name)))
    key, kube = Key(JOB, NAMESPACE, name), Kube(1, access=Access())

    def refused() -> bool:
        try:
            kube.patch_status(key, kube.get(key)["metadata"]["resourceVersion"], {"vdlLink": "x" * size})
        except Conflict:  # the operator wrote meanwhile
            return False
        except Invalid:
            return True
        raise AssertionError("it was taken")

    stage.eyes.wait_for(refused, lambda: "the operator writes all the time")
