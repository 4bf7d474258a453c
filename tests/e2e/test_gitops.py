"""What GitOps tools do with Git and kubectl: reverts, prunes and re-adds pay at most once."""

import pytest

from e2e.place import JOB, MODEL, SERVICE, Place, is_so, job, model, service
from e2e.shell import HOURS, Shell
from qianfan_simulator import AfterLooks

ONCE = {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}


def test_a_git_revert_of_an_attempt_is_free(place: Place, shell: Shell) -> None:
    """An attempt is committed, reverted and reverted back; each is applied, and going back calls the cloud never."""

    def push(attempt: int, **changes: object) -> None:
        shell.write("job.yaml", job(attempt=attempt, **changes))
        shell.run("git", "add", "--all")
        shell.run("git", "commit", "--quiet", "--message", f"Train attempt {attempt}")

    def synced() -> list[str]:
        """Apply what Git has, as a tool does; returns the attempt and the run that are current then."""
        shell.run("kubectl", "apply", "--kustomize", ".")
        shell.run("kubectl", "wait", "--for=condition=Ready", "qfj/essay", f"--timeout={HOURS}")
        return shell.run("kubectl", "get", "qfj/essay", "--output=jsonpath={.status.attempt} {.status.jobUuid}").split()

    shell.run("git", "init", "--quiet")
    shell.write("kustomization.yaml", {"resources": ["job.yaml"]})
    push(1)
    first = synced()
    push(2, trainset=[{"id": 5678}])
    second = synced()
    assert [attempt for attempt, _ in (first, second)] == ["1", "2"]
    asked = len(place.calls(outcome=""))
    shell.run("git", "revert", "--no-edit", "HEAD")
    assert synced() == first
    shell.run("git", "revert", "--no-edit", "HEAD")
    assert synced() == second
    assert len(place.calls(outcome="")) == asked
    assert place.paid() == {"createTask": 2, "createJob": 2}


@pytest.mark.usefixtures("endless")
def test_what_was_pruned_with_orphan_is_found_again(place: Place, shell: Shell) -> None:
    """`kubectl apply --prune` while the run trains leaves it to train; what is put back into Git finds it, for free."""
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    chain = [make(deletionPolicy="Orphan") for make in (job, model, service)]
    kinds = [f"--prune-allowlist=qianfan.dev/v1alpha1/{one['kind']}" for one in chain]
    for one in (kept, *chain):
        one["metadata"]["labels"] = {"team": "support"}
    prune = ("kubectl", "apply", "--prune", "--selector=team=support", *kinds, "--filename=models.yaml")

    shell.write("models.yaml", kept, *chain)
    shell.run(*prune)
    place.until_waiting(JOB, "Training")
    run = place.run()
    shell.write("models.yaml", kept)
    assert shell.run(*prune).count(" pruned") == 3
    shell.run("kubectl", "wait", "--for=delete", "qianfan", "--all", f"--timeout={HOURS}")
    assert run.life.state == "RUNNING"

    shell.write("models.yaml", kept, *chain)
    shell.run(*prune)
    place.until_waiting(JOB, "Training")
    place.cloud.configure(training=AfterLooks(1))
    for plural in (JOB, MODEL, SERVICE):
        place.until(plural, lambda body: is_so(body, "Ready", "True"))
    assert place.run() is run
    assert place.paid() == ONCE
