"""Two hundred objects of the largest size that the API server takes, and Secrets: the operator keeps to its limit."""

import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from attacks.cluster.stage import NAMESPACE, Stage, managed, path
from e2e.place import JOB, job
from qianfan_simulator import Never, Options

DEPLOYMENT = Path(__file__).parents[3] / "deploy" / "operator" / "deployment.yaml"
LARGE, SECRETS = 200, 40
AS_INSTALLED = {
    "LOG_LEVEL": "INFO", "POLL_MIN_SEC": "10", "POLL_MAX_SEC": "60", "RETRY_MAX_SEC": "300", "PROBE_SEC": "300",
    "RESYNC_SEC": "600", "CONSOLE_API_RETRY_TIMEOUT": "30", "CREATE_EXPIRY_SEC": "15", "CREATE_GRACE_SEC": "120",
}  # fmt: skip
_LETTERS = random.Random(1)


def limit() -> int:
    """Bytes of the Deployment's memory limit."""
    (container,) = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]["containers"]
    text = container["resources"]["limits"]["memory"]
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi")) * 1024 * 1024


def letters(count: int) -> str:
    return "".join(_LETTERS.choices(string.ascii_lowercase, k=count))


def largest(number: int) -> dict[str, Any]:
    """Metadata of some 1.4 MB, which is what etcd takes: by turns of all that may be so large.

    Most are of the kind that the API server writes in less than seconds; those take more when they are decoded.
    """
    metadata: dict[str, Any] = {"name": f"large-{number}"}
    turn = number if number < 6 else 9
    if turn in {0, 3}:
        fields = json.dumps({f"f:{index}": {} for index in range(105_000)}, separators=(",", ":"))
        metadata["managedFields"] = json.loads(managed(fields))
    elif turn in {1, 4}:
        metadata["labels"] = {letters(8): "" for _ in range(48_000)}
    elif turn in {2, 5}:
        metadata["finalizers"] = [f"a/{letters(8)}" for _ in range(42_000)]
    else:
        metadata["annotations"] = {"qianfan.dev/reconcile-requested-at": letters(262_000)}
        metadata["managedFields"] = json.loads(managed(json.dumps({f"f:{letters(1_200_000)}": {}})))
    return metadata


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Options(training=Never()), patience=20) as stage:
        yield stage


def peak(pid: int) -> int:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_the_largest_objects_keep_within_the_limit(stage: Stage) -> None:
    """At the start, when many of them change at once, and at a second start among them."""
    for number in range(LARGE):
        text = json.dumps({**job(), "metadata": largest(number)}, separators=(",", ":"))
        stage.call("POST", path(JOB, NAMESPACE), text)
    for number in range(SECRETS):
        stage.cluster.kubectl("create", "namespace", f"secret-{number}")
        keys = {"QIANFAN_ACCESS_KEY": letters(500_000), "QIANFAN_SECRET_KEY": letters(500_000)}
        stage.create("v1", "secrets", f"secret-{number}", "qianfan-credentials", stringData=keys)
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job("good")))
    operator = stage.operator("first", **AS_INSTALLED)
    operator.start()
    stage.until(JOB, "good", "Training")
    peaks = [peak(stage.pid("first"))]
    for number in range(0, LARGE, 2):
        stage.offer_patch(JOB, f"large-{number}", {"spec": {"activeDeadlineSeconds": 10_000 + number}})
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job("later")))
    stage.until(JOB, "later", "Training")
    peaks.append(peak(stage.pid("first")))
    operator.kill()
    operator.start()
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job("last")))
    stage.until(JOB, "last", "Training")
    peaks.append(peak(stage.pid("first")))
    print(f"peaks in MiB: {[size // 2**20 for size in peaks]}, the limit is {limit() // 2**20}")  # noqa: T201
    assert max(peaks) < limit()
