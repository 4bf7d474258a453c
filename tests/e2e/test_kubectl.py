"""kubectl, as a person waits and looks with it."""

import re
from pathlib import Path

import pytest

from e2e.place import JOB, Place, job, model, service
from e2e.shell import HOURS, Shell
from qianfan_simulator import AfterLooks

STATUS_PAGE = Path(__file__).parents[2] / "docs/status.md"
THREE = [f"qianfan{kind}.qianfan.dev/essay condition met" for kind in ("job", "model", "service")]


@pytest.mark.usefixtures("endless")
def test_kubectl_waits_for_a_chain_to_its_ends(place: Place, shell: Shell) -> None:
    """Waits that begin while the run trains end when all three are Stalled, then when they are Ready, then gone."""

    def waiting(what: str, words: str = "qianfan --all") -> list[str]:
        return ["kubectl", "wait", f"--for={what}", f"--timeout={HOURS}", *words.split()]

    place.apply(job(), model(), service())
    place.until_waiting(JOB, "Training")
    stalled = shell.start(*waiting("condition=Stalled"))
    place.cloud.fail(place.run().id)
    assert shell.ended(stalled).splitlines() == THREE

    place.apply(job(attempt=2))
    place.until_waiting(JOB, "Training")
    ready = shell.start(*waiting("condition=Ready"))
    succeeded = shell.start(*waiting("condition=Succeeded", "qfj/essay"))
    served = shell.start(*waiting("jsonpath={.status.url}", "qfs/essay"))
    place.cloud.configure(training=AfterLooks(1))
    assert shell.ended(ready).splitlines() == THREE
    assert shell.ended(succeeded).splitlines() == THREE[:1]
    assert shell.ended(served).splitlines() == THREE[2:]

    gone = shell.start(*waiting("delete"))
    place.kubectl("delete", "qianfan", "--all", "--wait=false")
    shell.ended(gone)
    assert place.kubectl("get", "qianfan", "--output=name") == ""


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize(("ends", "shown"), [("well", "True +Succeeded"), ("badly", "False +TrainingFailed")])
def test_the_wait_for_both_ends_takes_whichever_comes(place: Place, shell: Shell, ends: str, shown: str) -> None:
    """The lines that docs/status.md gives for a shell end at once when the training ends, however it ends."""
    (lines,) = re.findall(r"```sh\n(.*?)```", STATUS_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    place.apply(job())
    place.until_waiting(JOB, "Training")
    typed = shell.start("bash", "-c", lines)
    if ends == "well":
        place.cloud.configure(training=AfterLooks(1))
    else:
        place.cloud.fail(place.run().id)
    told = shell.ended(typed)
    assert THREE[0] in told
    assert re.search(rf"^essay +{shown} ", told, re.MULTILINE)
