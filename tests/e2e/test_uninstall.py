"""Every command of docs/uninstall.md, as it is copied from there, after an installation by the README's commands."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.history import History
from e2e.place import JOB, KINDS, MODEL, SERVICE, Place, condition, job, model, service
from e2e.process import OperatorProcess
from e2e.shell import Shell
from qianfan_devcluster.cluster import Cluster
from qianfan_devcluster.keeper import Keeper
from qianfan_simulator import Never

ROOT = Path(__file__).parents[2]
ENDS = ("stopJob", "StopFineTuningTask", "DeactivateService", "DeleteCustomModelVersion", "DeleteCustomModel")
FINALIZER = "qianfan.dev/cloud-resource"
PAID = {"createTask": 2, "createJob": 2, "publishTrainModel": 1, "apply": 1}
"""What a chain and one more job cost, once."""


def blocks(heading: str) -> list[str]:
    """Return the commands under a heading of docs/uninstall.md, block by block."""
    page = (ROOT / "docs/uninstall.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def install_commands() -> str:
    """Return the commands of the README that need a cluster and nothing else."""
    lines = re.findall(r"^    (kubectl apply .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 2
    return "\n".join(lines)


AGAIN = blocks("Remove the operator only")[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Supply a control plane on which nothing is installed yet."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def history(cluster: Cluster) -> Iterator[History]:
    """Supply the record of what is told there."""
    with closing(History(cluster)) as history:
        yield history


@pytest.fixture(scope="module")
def operator() -> None:
    """Have no operator: each test starts its own, once it is installed."""


@pytest.fixture
def shell(bare_place: Place, tmp_path: Path) -> Iterator[Shell]:
    """Supply a terminal in a copy of the checkout."""
    with closing(Shell(bare_place, tmp_path, tmp_path)) as shell:
        for folder in ("crds", "deploy"):
            shutil.copytree(ROOT / folder, shell.folder / folder)
        yield shell


class Installed:
    """A cluster as its administrator sees it: commands, operators that are started and end, and what is left."""

    def __init__(self, keeper: Keeper, place: Place, shell: Shell) -> None:
        self._keeper, self.place, self._shell = keeper, place, shell
        self._number = 0
        self.operator: OperatorProcess

    def run(self, *commands: str) -> str:
        """Run commands as they were copied; every one of them must succeed."""
        return "".join(self._shell.run("bash", "-eo", "pipefail", "-c", command) for command in commands)

    def start_operator(self, *, ready: bool = True) -> None:
        """Start an operator with a token of its service account, as the Deployment does, and wait until it is ready."""
        self._number += 1
        place = self.place
        self.operator = OperatorProcess(
            self._keeper, place.history, place.cluster, place.cloud.url, name=f"operator-{self._number}"
        )
        if ready:
            self.operator.start()
        else:
            self.operator.listen()

    def crds(self) -> list[str]:
        """Name the CRDs that are there, Terminating or not."""
        names = self.place.cluster.kubectl("get", "crd", "-o", "name").stdout.split()
        return [name for name in names if "qianfan" in name]

    def terminating(self) -> list[str]:
        """Name the namespaces and CRDs that are on their way out."""
        found = json.loads(self.place.cluster.kubectl("get", "crd,namespaces", "-o", "json").stdout)["items"]
        return [one["metadata"]["name"] for one in found if "deletionTimestamp" in one["metadata"]]

    def remove(self) -> None:
        """Remove all that is still there, without an operator."""
        self.run(
            "kubectl delete -k crds/ --ignore-not-found --wait=false", "kubectl delete -k deploy/ --ignore-not-found"
        )
        self.run(*blocks("Optional parts"))
        while self.crds():
            self._shell.run("bash", "-c", f"{blocks('Stuck in Terminating')[-1]}\ntrue")  # a CRD may go in between

    def ends(self) -> list[str]:
        """Name the calls of the account that end something."""
        return [call.operation for call in self.place.calls(outcome="") if call.operation in ENDS]


@pytest.fixture
def installed(bare_place: Place, shell: Shell) -> Iterator[Installed]:
    """Supply an installation by the README's commands, its operator running; what is left of it is removed."""
    with closing(Keeper()) as keeper:
        installed = Installed(keeper, bare_place, shell)
        installed.run(install_commands())
        bare_place.give_keys()
        installed.start_operator()
        yield installed
    installed.remove()


def make(place: Place) -> list[dict]:
    """Have a chain that serves and a run that does not end; returns their manifests."""
    chain = [job(), model(), service()]
    place.apply(*chain)
    for plural in KINDS:
        place.until_ready(plural)
    place.cloud.configure(training=Never())
    place.apply(job("long"))
    place.until_waiting(JOB, "Training", "long")
    return [*chain, job("long")]


def ids(place: Place) -> list[str]:
    """The ids that the objects record."""
    recorded = [(JOB, "essay", "jobUuid"), (JOB, "long", "jobUuid"), (MODEL, "essay", "modelVersionId")]
    recorded.append((SERVICE, "essay", "serviceUuid"))
    return [place.get(plural, name)["status"][field] for plural, name, field in recorded]


def until_as_before(place: Place, chain: list[dict], before: list[str]) -> None:
    """Wait until the objects, old or new, have what they had; nothing was paid for again."""
    place.apply(*chain)  # changes nothing of an object that is there
    for plural in KINDS:
        place.until_ready(plural)
    place.until_waiting(JOB, "Training", "long")
    assert ids(place) == before
    assert place.paid() == PAID


def until_all_are_deleted(place: Place) -> None:
    """Wait until every object is on its way out; it stays for its finalizer."""
    place.history.wait_for(
        lambda: all("deletionTimestamp" in body["metadata"] for _, body in place.history.all(place.namespace)),
        lambda: "not all objects are deleted",
    )


def all_work(place: Place, before: list[str]) -> bool:
    """Whether the run still trains, the version is kept and the endpoint serves, by the cloud itself."""
    run, version, endpoint = (place.cloud.find(one) for one in before[1:])
    return (run.life.state, version.life.state, endpoint.life.state) == ("RUNNING", "Ready", "Done")


@pytest.mark.parametrize("way", ["the pods end first", "the rights go first"])
def test_without_the_operator_everything_stays_and_goes_on_later(installed: Installed, way: str) -> None:
    """Deleting deploy/ leaves all objects as they are, and the next installation goes on with them."""
    place, remove = installed.place, blocks("Remove the operator only")[0]
    chain = make(place)
    before = ids(place)
    if way == "the pods end first":
        assert installed.operator.terminate() == 0
    installed.run(remove)
    assert installed.crds() != []
    assert [name for name in installed.terminating() if "qianfan" in name] == []
    for _, body in place.history.all(place.namespace):
        assert FINALIZER in body["metadata"]["finalizers"]
        assert "deletionTimestamp" not in body["metadata"]
    if installed.operator.runs():
        installed.operator.kill()

    installed.run(AGAIN)
    installed.start_operator()
    until_as_before(place, chain, before)
    assert all_work(place, before)
    assert installed.ends() == []


def test_all_is_uninstalled_and_the_cloud_kept(installed: Installed) -> None:
    """Objects, CRDs and the operator go, nothing changes in the cloud, and applied again everything is found."""
    place = installed.place
    save, keep, back = blocks("Uninstall and keep the cloud")
    chain = make(place)
    before = ids(place)
    installed.run(save, keep)
    assert (installed.crds(), installed.terminating()) == ([], [])
    assert all_work(place, before)
    assert installed.ends() == []
    installed.operator.kill()

    installed.run(back)
    installed.start_operator()
    until_as_before(place, chain, before)
    assert installed.ends() == []


@pytest.mark.parametrize("versions", ["kept", "deleted"])
def test_all_is_uninstalled_and_ended(installed: Installed, versions: str) -> None:
    """Nothing works or serves afterwards, and nothing is left in the cluster, whatever policy kept it from that."""
    place = installed.place
    delete_versions, end = blocks("Uninstall and end everything")
    installed.run("kubectl apply --server-side -k deploy/policies/deletion/")
    make(place)
    run, version, endpoint = (place.cloud.find(one) for one in ids(place)[1:])
    if versions == "deleted":
        installed.run(delete_versions)
    installed.run(end)
    assert (run.life.state, endpoint.life.state) == ("STOP", "Stopped")
    left = place.cloud.account(place.key.access_key).versions
    assert (version in list(left)) == (versions == "kept")
    assert (installed.crds(), installed.terminating()) == ([], [])
    assert place.paid() == PAID


@pytest.mark.parametrize("way", ["an operator again", "no operator"])
def test_what_is_stuck_in_terminating_gets_free(installed: Installed, way: str) -> None:
    """The operator went first, then the CRDs: both ways out leave the cloud as it is, and all is found again later."""
    place = installed.place
    record, again, free = blocks("Stuck in Terminating")
    save, _, back = blocks("Uninstall and keep the cloud")
    chain = make(place)
    before = ids(place)
    installed.run(save)
    installed.operator.kill()
    installed.run("kubectl delete -k deploy/", "kubectl delete -k crds/ --wait=false")
    assert len(installed.crds()) == len(installed.terminating()) == len(KINDS)
    until_all_are_deleted(place)

    told = installed.run(record)
    assert all(name in told for name in ("essay", "long", place.namespace))
    if way == "an operator again":
        installed.run(again)
        installed.start_operator()
    else:
        installed.run(free)
    installed.run("kubectl wait --for=delete --timeout=60s -f crds/qianfanjobs.yaml -f crds/qianfanmodels.yaml")
    place.history.wait_for(lambda: not installed.crds(), lambda: f"still there: {installed.crds()}")
    assert all_work(place, before)
    assert installed.ends() == []
    if way == "an operator again":
        installed.operator.kill()

    installed.run(back)
    installed.start_operator()
    until_as_before(place, chain, before)


def test_the_record_of_what_is_stuck_is_kept_when_a_crd_is_gone_already(installed: Installed, shell: Shell) -> None:
    """A kind without objects takes nothing from the record of the others, nor from one that was written before."""
    place, (record, *_) = installed.place, blocks("Stuck in Terminating")
    save = blocks("Uninstall and keep the cloud")[0]
    place.cloud.configure(training=Never())
    place.apply(job("long"))
    run = place.until_waiting(JOB, "Training", "long")["status"]["jobUuid"]
    installed.run(save)
    saved = {path: path.read_bytes() for path in shell.folder.glob("*.yaml")}
    installed.operator.kill()
    installed.run("kubectl delete -k deploy/", "kubectl delete -k crds/ --wait=false")
    place.history.wait_for(lambda: len(installed.crds()) == 1, lambda: f"still there: {installed.crds()}")

    told = installed.run(record)
    (row,) = [line.split() for line in told.splitlines() if "long" in line]
    assert run in row
    written = [path for path in shell.folder.glob("*.yaml") if path not in saved]
    assert [run in path.read_text(encoding="utf-8") for path in written] == [True]
    assert {path: path.read_bytes() for path in saved} == saved


def test_a_namespace_ends_what_it_holds_while_the_operator_runs(installed: Installed) -> None:
    """Its objects are released with the keys in memory, and the namespace goes."""
    place = installed.place
    make(place)
    run, _, endpoint = (place.cloud.find(one) for one in ids(place)[1:])
    installed.run(f"kubectl delete namespace {place.namespace}")
    assert (run.life.state, endpoint.life.state) == ("STOP", "Stopped")


@pytest.mark.parametrize("way", ["an operator again", "no operator"])
def test_a_namespace_that_no_operator_lets_go_gets_free(installed: Installed, way: str) -> None:
    """It stays in Terminating without its Secret; the commands let it go, and nothing in the cloud is ended."""
    place, (_, again, free) = installed.place, blocks("Stuck in Terminating")
    make(place)
    before = ids(place)
    installed.operator.kill()
    installed.run("kubectl delete -k deploy/", f"kubectl delete namespace {place.namespace} --wait=false")
    until_all_are_deleted(place)
    place.history.wait_for(
        lambda: place.kubectl("get", "secrets", "-o", "name") == "", lambda: "the Secret is still there"
    )
    assert installed.terminating() == [place.namespace]
    if way == "an operator again":
        installed.run(again)
        installed.start_operator()
        for plural, name in ((JOB, "long"), (SERVICE, "essay")):
            message = condition(place.until_stalled(plural, "DeletionBlocked", name), "Ready")["message"]
            installed.run(message.partition(", then run: ")[2])
    else:
        installed.run(free)
    installed.run(f"kubectl wait --for=delete --timeout=60s namespace/{place.namespace}")
    assert all_work(place, before)
    assert installed.ends() == []


def test_the_optional_parts_go_by_one_command(installed: Installed) -> None:
    """Every folder of deploy/ that can be applied by itself is removed, and one that was never applied is no error."""
    (remove,) = blocks("Optional parts")
    parts = {str(one.parent.relative_to(ROOT)) for one in ROOT.glob("deploy/**/kustomization.yaml")}
    named = {f"deploy/{part}" for part in re.findall(r"in (.*); do", remove)[0].split()}
    assert parts - named == {"deploy", "deploy/access", "deploy/demo", "deploy/operator"}
    installed.run(*(f"kubectl apply --server-side -k {part}" for part in sorted(named)), remove, remove)
    for part in named:
        assert installed.run(f"kubectl get -k {part} --ignore-not-found") == ""


def test_an_operator_without_crds_says_so_and_goes_on_when_they_come(installed: Installed) -> None:
    """It is alive and not ready, whether it has lost them or was started without them; its log says what to do."""
    place, names = installed.place, [f"{plural}.qianfan.dev" for plural in KINDS]
    install_crds = install_commands().splitlines()[0].partition("#")[0].strip()

    def until_missed() -> None:
        place.history.wait_for(
            lambda: all(name in installed.operator.readiness() for name in names),
            lambda: f"/readyz says {installed.operator.readiness()}",
        )
        assert install_crds in installed.operator.readiness()
        assert installed.operator.healthy()
        place.history.wait_for(
            lambda: (install_crds, ", ".join(names)) in told(), lambda: f"{names} are not all missed: {told()}"
        )

    def told() -> list[tuple[str, object]]:
        """What the log says is to be run, and for which CRDs."""
        lines = [line for line in installed.operator.log() if line["message"] == "CRDs are not installed"]
        return [(str(line["command"]), line["crds"]) for line in lines]

    installed.run("kubectl delete -k crds/")
    until_missed()
    installed.operator.terminate()
    installed.start_operator(ready=False)
    until_missed()
    installed.run(install_crds)
    place.history.wait_for(lambda: installed.operator.readiness() == "ok", installed.operator.readiness)
    place.apply(job())
    place.until_ready(JOB)
