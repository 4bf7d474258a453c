"""Helm 4 with a chart of the three kinds: it waits, fails, goes back and lets go as its users expect, and pays once."""

import pytest

from e2e.history import Object
from e2e.place import JOB, MODEL, SERVICE, Place, condition, job, model, service
from e2e.shell import HOURS, Shell
from qianfan_simulator import AfterLooks

ONCE = {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}
TWICE = {**ONCE, "createTask": 2, "createJob": 2}
WAIT = ("--wait", f"--timeout={HOURS}")
CHANGED = {"trainset": [{"id": 5678}]}


def chart(shell: Shell, *manifests: Object) -> None:
    """Write the chart anew, with these manifests."""
    shell.write("chart/Chart.yaml", {"apiVersion": "v2", "name": "essay", "version": "0.1.0"})
    shell.write("chart/templates/chain.yaml", *manifests)


def of_all(shell: Shell, path: str) -> list[str]:
    """What stands at a path of the job, the model and the service, as the API server tells it at this moment."""
    return shell.run("kubectl", "get", "qianfan", f"--output=jsonpath={{.items[*]{path}}}").split()


def test_an_install_ends_with_the_endpoint_and_a_rollback_is_free(place: Place, shell: Shell) -> None:
    """An install ends when all three are Ready, an upgrade trains once more, and rolling back and forth is free."""

    def installed() -> list[str]:
        assert of_all(shell, '.status.conditions[?(@.type=="Ready")].status') == ["True"] * 3
        return of_all(shell, ".status.jobUuid")

    chart(shell, job(), model(), service())
    shell.run("helm", "install", "essay", "chart", *WAIT)
    first = installed()
    assert place.paid() == ONCE
    chart(shell, job(attempt=2, **CHANGED), model(), service())
    shell.run("helm", "upgrade", "essay", "chart", *WAIT)
    second = installed()

    shell.run("helm", "rollback", "essay", "1", *WAIT)
    assert installed() == first
    shell.run("helm", "rollback", "essay", "2", *WAIT)
    assert installed() == second != first
    assert place.paid() == TWICE


@pytest.mark.usefixtures("endless")
def test_an_install_fails_with_the_training(place: Place, shell: Shell) -> None:
    """Helm fails hours before its timeout, says why of all three, and an upgrade that raises `attempt` mends it."""
    chart(shell, job(), model(), service())
    installing = shell.start("helm", "install", "essay", "chart", *WAIT)
    place.until_waiting(JOB, "Training")
    place.cloud.fail(place.run().id)

    told = shell.ended(installing, code=1)
    failed = {JOB: "TrainingFailed", MODEL: "DependencyFailed", SERVICE: "DependencyFailed"}
    for plural, reason in failed.items():
        message = condition(place.until_stalled(plural, reason), "Ready")["message"]
        assert f"/{place.namespace}/essay not ready. status: Failed, message: {message}\n" in told

    chart(shell, job(attempt=2), model(), service())
    upgrading = shell.start("helm", "upgrade", "essay", "chart", *WAIT)
    place.until_waiting(SERVICE, "DependencyNotReady")
    place.cloud.configure(training=AfterLooks(1))
    shell.ended(upgrading)
    assert place.paid() == TWICE


def test_what_is_protected_outlives_its_release(place: Place, shell: Shell) -> None:
    """Uninstalling leaves what the annotation keeps; its release takes it back, another one on demand, for free."""
    chain = [job(), model(), service()]
    for one in chain:
        one["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    chart(shell, *chain)
    shell.run("helm", "install", "essay", "chart", *WAIT)
    before = of_all(shell, ".metadata.uid")

    assert "kept due to the resource policy" in shell.run("helm", "uninstall", "essay", "--wait")
    shell.run("helm", "install", "essay", "chart", *WAIT)
    shell.run("helm", "uninstall", "essay", "--wait")
    refused = shell.run("helm", "install", "another", "chart", *WAIT, code=1)
    assert "cannot be imported into the current release" in refused
    shell.run("helm", "install", "another", "chart", "--take-ownership", *WAIT)
    assert of_all(shell, ".metadata.uid") == before
    assert place.paid() == ONCE


def test_a_forced_replacement_deletes_nothing(place: Place, shell: Shell) -> None:
    """`--force-replace` writes over the finalizer, which comes back, and what is refused stays refused, for free."""
    force = ("upgrade", "essay", "chart", "--force-replace", "--server-side=false", *WAIT)
    chart(shell, job())
    shell.run("helm", "install", "essay", "chart", *WAIT)
    before = of_all(shell, ".metadata.uid")
    shell.run("helm", *force)
    shell.run("kubectl", "wait", "--for=jsonpath={.metadata.finalizers}", "qfj/essay", f"--timeout={HOURS}")

    chart(shell, job(**CHANGED))
    assert "raise `attempt` to train again" in shell.run("helm", *force, code=1)
    assert of_all(shell, ".metadata.uid") == before
    assert place.paid() == {"createTask": 1, "createJob": 1}
