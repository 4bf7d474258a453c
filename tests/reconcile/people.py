"""What people may do to a chain at any time, by manifests and in the cloud's console."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from qianfan_operator.api.keys import Key
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.kinds.marks import Mark, short_hash
from reconcile.manifests import TRAINING, job, model, service
from reconcile.world import FIRST, OTHER, SECOND, World

INDEX = st.integers(0, 9)
JOBS, MODELS, SERVICES = (
    [Key(plural, "default", name) for name in names]
    for plural, names in {
        "qianfanjobs": ("train", "again"), "qianfanmodels": ("publish", "next"), "qianfanservices": ("serve",),
    }.items()
)  # fmt: skip
KEYS = (*JOBS, *MODELS, *SERVICES)

Edit = tuple[Sequence[Key], dict[str, Any]]
EDITS: st.SearchStrategy[Edit] = st.sampled_from(
    [
        *((JOBS, {"desiredState": state}) for state in ("Stopped", None)),
        *((JOBS, {"concurrencyPolicy": policy}) for policy in ("Replace", "Forbid")),
        *((KEYS, {"paused": paused}) for paused in (True, None, None)),
        *(((*MODELS, *SERVICES), {"updatePolicy": policy}) for policy in ("Follow", "Manual")),
        *((MODELS, {"source": {"jobRef": {"name": key.name}}}) for key in JOBS),
        *((SERVICES, {"source": {"modelRef": {"name": key.name}}}) for key in MODELS),
    ]
)
"""What may be edited without another attempt: to stop, to suspend, to follow, to publish or serve something else."""


def manifest(key: Key) -> dict[str, Any]:
    """What is applied at first under a key: a chain, and beside it a job and its model."""
    if key in JOBS:
        return job(key.name, deletionPolicy=None)
    if key in MODELS:
        other = key.name == "next"
        source = {"jobRef": {"name": "again" if other else "train"}}
        target = {"modelRef": {"name": "publish"}} if other else {"modelName": "my_model"}
        return model(key.name, source=source, target=target)
    return service(key.name)


class People(RuleBasedStateMachine):
    """Those who write manifests and Secrets, and those who have the console."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []
        """The runs that deleting must stop, as they do not end by themselves."""
        self.orphans: set[str] = set()
        """The objects, as marks name them, that were let go of with what they held."""
        self.wiped: set[str] = set()
        """Whose status was wiped, by the hash of the uid."""
        self.moved = False
        """Whether keys of another account were used: they do not see what a wiped status held."""

    def patchable(self, key: Key) -> bool:
        """Say whether an object is there and not on its way out."""
        raw = self.world.kube.objects.get(key)
        return raw is not None and "deletionTimestamp" not in raw["metadata"]

    def one(self, index: int, keys: Sequence[Key] = KEYS) -> Key | None:
        """Choose one of those that are there; None if none is."""
        there = [key for key in keys if self.patchable(key)]
        return there[index % len(there)] if there else None

    def selected(self, key: Key) -> int:
        """Return the attempt that a job asks for."""
        attempt: int = self.world.kube.objects[key]["spec"].get("attempt", 1)
        return attempt

    # With kubectl.

    @precondition(lambda self: any(not self.world.there(key) for key in KEYS))
    @rule(index=INDEX)
    def apply(self, index: int) -> None:
        """Apply what is not there."""
        absent = [key for key in KEYS if not self.world.there(key)]
        self.world.kube.apply(manifest(absent[index % len(absent)]))

    @rule(index=INDEX, attempt=st.integers(1, 4), epoch=st.sampled_from([4, 4, 4, 5]))
    def attempt(self, index: int, attempt: int, epoch: int) -> None:
        """Select an attempt, whose training may be another one; without another attempt none would be admitted."""
        key = self.one(index, JOBS)
        if key and self.selected(key) != attempt:
            self.world.kube.patch_spec(key, attempt=attempt, trainConfig={**TRAINING["trainConfig"], "epoch": epoch})

    @rule(index=INDEX, edit=EDITS)
    def edit(self, index: int, edit: Edit) -> None:
        """Change something else in a spec."""
        keys, fields = edit
        if key := self.one(index, keys):
            self.world.kube.patch_spec(key, **fields)

    @rule(index=INDEX, which=INDEX, taken_back=st.booleans())
    def adopt(self, index: int, which: int, taken_back: bool) -> None:
        """Name a run that is there as the attempt of a job, whoever's it is, or take that back."""
        key, runs = self.one(index, JOBS), list(self.world.sim.account().runs)
        if key is None:
            return
        run = runs[which % len(runs)]
        named = {"attempt": self.selected(key), "taskId": run.task.id, "jobId": run.id}
        self.world.kube.patch_spec(key, adopt=None if taken_back else named)

    @rule(index=INDEX, policy=st.sampled_from([None, None, "Delete", "Orphan"]))
    def delete(self, index: int, policy: str | None) -> None:
        """Delete an object, and say what shall become of what it holds."""
        if key := self.one(index):
            self.world.kube.patch_spec(key, deletionPolicy=policy)
            if policy == "Orphan":
                self.orphans.add(short_hash(self.world.kube.objects[key]["kind"], key.namespace, key.name))
            else:
                self.hold(key)
            self.world.kube.delete(key)

    def hold(self, key: Key) -> None:
        """Have the runs of an object that is deleted go on until they are stopped: those in the account it records."""
        raw = self.world.kube.objects[key]
        status, owner = raw["status"], short_hash(raw["metadata"]["uid"])
        recorded = status.get("pending", status).get("account")
        opening = (one for one in (FIRST, SECOND, OTHER) if AccessKey(one, one).account == recorded)
        for run in (run for access_key in opening for run in self.world.sim.account(access_key).runs):
            mark = Mark.read(run.task.description)
            if mark and mark.uid == owner and run.life.state == "RUNNING":
                self.world.sim.hold(run.id)
                self.held.append(run)

    def is_orphan(self, description: str) -> bool:
        """Say whether something in the cloud was made for an object that was let go of with it, or cannot know it."""
        mark = Mark.read(description)
        return mark is not None and (mark.object in self.orphans or (self.moved and mark.uid in self.wiped))

    @rule(index=INDEX)
    def wipe(self, index: int) -> None:
        """Restore an object from a backup without its status."""
        if key := self.one(index):
            self.wiped.add(short_hash(self.world.kube.objects[key]["metadata"]["uid"]))
            self.world.kube.wipe_status(key)

    @rule(index=INDEX)
    def ask(self, index: int) -> None:
        """Change the annotation that asks for a pass."""
        if key := self.one(index):
            self.world.ask(key, str(self.world.clock.boot))

    @rule(access_key=st.sampled_from([FIRST, SECOND, FIRST, SECOND, OTHER]))
    def rotate(self, access_key: str) -> None:
        """Write other keys into the Secret: of the same account, or of another one."""
        self.moved |= access_key == OTHER
        self.world.set_secret(access_key)

    # In the console.

    @rule(index=INDEX, what=st.sampled_from(["fail", "stop", "expire"]))
    def click(self, index: int, what: str) -> None:
        """Stop a run, or see one fail; or leave a service unpaid until it ends."""
        sim = self.world.sim
        shelf, state = (sim.account().services, "Done") if what == "expire" else (sim.account().runs, "RUNNING")
        if found := [one.id for one in shelf if one.life.state == state]:
            {"fail": sim.fail, "stop": sim.stop_run, "expire": sim.expire}[what](found[index % len(found)])
