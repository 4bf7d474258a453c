"""Attacks under keys that are not the attacker's own: the default credentials, one account in several namespaces.

What the attacks do worked in version 0.1.0: there the namespaces are served unlabelled, and every id may be named.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden
from reconcile.manifests import job, model, service
from reconcile.world import DAY, FIRST, World

POOL, VICTIM, SQUATTER = "pool", "victim", "squatter"
LABELS = {"qianfan.dev/default-credentials": "allowed"}
JOB, MODEL, SERVICE = "qianfanjobs", "qianfanmodels", "qianfanservices"
MADE = ("createJob", "publishTrainModel", "apply")


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(world := World(**settings))
        vars(world.kube).setdefault("labels", {})  # version 0.1.0 asks for none
        return world

    yield make
    for world in made:
        world.close()
    assert [what for world in made for what in world.violations] == []


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    """One pool of keys, and two namespaces that an administrator lets spend them."""
    world = worlds(default=POOL)
    world.set_secret(FIRST, namespace=POOL)
    world.set_secret(None)
    world.kube.labels |= {VICTIM: LABELS, SQUATTER: LABELS}
    return world


def within(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def apply(world: World, namespace: str, manifest: dict[str, Any]) -> Key:
    return world.kube.apply(within(namespace, manifest))


def trained(world: World) -> dict[str, Any]:
    """The victim's finished run."""
    return world.until(apply(world, VICTIM, job()), "Succeeded")


def published(world: World) -> dict[str, Any]:
    trained(world)
    return world.until(apply(world, VICTIM, model()), "Available")


def served(world: World) -> dict[str, Any]:
    published(world)
    key = apply(world, VICTIM, service())
    world.until(key, "PaymentRequired")
    world.sim.pay()
    return world.until(key, "Available")


def refused(world: World, manifest: dict[str, Any], namespace: str = SQUATTER) -> Key:
    """Apply what names another's, and see that nothing comes of it for a day."""
    calls = len(world.calls(*MADE))
    key = apply(world, namespace, manifest)
    world.rest(DAY)
    assert world.reason(key) == "AdoptionForbidden"
    assert world.is_so(key, "Stalled")
    assert "QIANFAN_ADOPT" in world.condition(key)["message"]
    assert len(world.calls(*MADE)) == calls
    return key


# Default credentials.


def test_a_namespace_that_nobody_labelled_spends_nothing(world: World) -> None:
    """A tenant of any namespace creates a job without keys: no call is made with the default's."""
    key = apply(world, "anybody", job())
    world.rest(DAY)
    assert world.calls("createTask", "createJob") == []
    assert world.reason(key) == "CredentialsForbidden"
    message = world.condition(key)["message"]
    assert "label" in message
    assert "qianfan.dev/default-credentials=allowed" in message
    world.kube.labels["anybody"] = LABELS
    world.until(key, "Training", within=60)


def test_another_label_lets_nobody_in(world: World) -> None:
    """The label must have the value that was agreed."""
    world.kube.labels["anybody"] = {"qianfan.dev/default-credentials": "denied", "team": "allowed"}
    key = apply(world, "anybody", job())
    world.rest(DAY)
    assert world.reason(key) == "CredentialsForbidden"


def test_a_label_that_is_taken_away_takes_the_keys_away(world: World) -> None:
    """Within a minute no call is made for the namespace any more; a run that works is left alone."""
    first = apply(world, SQUATTER, job())
    world.until(first, "Training")
    del world.kube.labels[SQUATTER]
    world.rest(60)
    calls = len(world.sim.calls)
    second = apply(world, SQUATTER, job("second"))
    world.rest(6 * 3600)
    assert len(world.sim.calls) == calls
    assert world.reason(first) == world.reason(second) == "CredentialsForbidden"
    (run,) = world.sim.account().runs
    assert run.life.state != "STOP"
    world.kube.labels[SQUATTER] = LABELS
    world.until(first, "Succeeded")
    world.until(second, "Succeeded")
    assert len(world.calls("createJob")) == 2


def test_what_is_deleted_without_the_label_ends_with_the_keys_in_memory(world: World) -> None:
    """As with a Secret that is gone: the run is stopped; a process that never lent the keys says what is missing."""
    key = apply(world, SQUATTER, job())
    world.until(key, "Training")
    del world.kube.labels[SQUATTER]
    world.rest(60)
    world.kube.delete(key)
    world.until_gone(key, within=DAY)
    assert [run.life.state for run in world.sim.account().runs] == ["STOP"]


def test_a_new_process_does_not_lend_to_what_is_deleted(world: World) -> None:
    """After a restart the keys are in use by others, and still not lent to a namespace that lost its label."""
    key = apply(world, SQUATTER, job())
    world.until(key, "Training")
    other = apply(world, VICTIM, job())
    world.until(other, "Training")
    del world.kube.labels[SQUATTER]
    world.restart()
    world.rest(120)
    world.kube.delete(key)
    world.rest(3600)
    assert world.reason(key) == "DeletionBlocked"
    assert world.calls("stopJob", "StopFineTuningTask") == []
    world.kube.labels[SQUATTER] = LABELS
    world.until_gone(key)


def test_a_deletion_borrows_no_keys_that_its_object_never_had(world: World) -> None:
    """An object of an unlabelled namespace that is held by others' finalizers gets no keys by being deleted."""
    world.until(apply(world, VICTIM, job()), "Training")
    key = apply(world, "anybody", job(adopt={"taskId": 1, "jobId": 2}))
    world.rest(300)
    world.kube.objects[key]["metadata"]["finalizers"] = ["qianfan.dev/cloud-resource"]
    world.kube.objects[key]["status"]["account"] = world.status(Key(JOB, VICTIM, "train"))["account"]
    world.kube.delete(key)
    before = len([call for call in world.sim.calls if call.operation == "DescribeFineTuningJobs"])
    world.rest(3600)
    assert len([call for call in world.sim.calls if call.operation == "DescribeFineTuningJobs"]) == before
    assert world.reason(key) == "DeletionBlocked"


def test_a_named_secret_never_falls_back(world: World) -> None:
    """Labelled or not, an object that names its Secret waits for that one."""
    key = apply(world, SQUATTER, job(credentialsRef={"name": "mine"}))
    world.rest(DAY)
    assert world.reason(key) == "CredentialsNotFound"
    assert world.sim.calls == []


def test_labels_that_cannot_be_read_lend_nothing(world: World) -> None:
    """Without the right to read namespaces nobody is served, and the message names what installs it."""

    def forbidden(operation: str, do: Callable[[], Any]) -> Any:
        if operation == "namespace_labels":
            raise Forbidden("no")
        return do()

    world.kube.around = forbidden
    key = apply(world, SQUATTER, job())
    world.rest(DAY)
    assert world.reason(key) == "CredentialsForbidden"
    assert "deploy/default-credentials" in world.condition(key)["message"]


# What is named by its id.


@pytest.mark.parametrize("form", [("taskId", "jobId"), ("taskUuid", "jobUuid")], ids=["integers", "strings"])
def test_a_run_of_another_namespace_is_not_adopted(world: World, form: tuple[str, str]) -> None:
    """After its owner has let it go, a run that works is not for the first one who names it."""
    key = apply(world, VICTIM, job())
    world.until(key, "Training")
    run = world.status(key)
    world.kube.patch_spec(key, deletionPolicy="Orphan")
    world.kube.delete(key)
    world.until_gone(key)
    ids = {"taskId": run[form[0]], "jobId": run[form[1]]}
    squatter = refused(world, job("mine", adopt=ids))
    assert "jobId" not in world.status(squatter)
    assert world.calls("stopJob", "StopFineTuningTask") == []
    again = apply(world, VICTIM, job("train", adopt=ids))  # whose name the mark bears
    world.until(again, "Succeeded")


def test_a_task_of_ones_own_does_not_vouch_for_the_run_of_another(world: World) -> None:
    """The task that the spec claims is not believed: what counts is the one that the cloud tells for the run."""
    own = world.until(apply(world, SQUATTER, job("bait")), "Succeeded")
    run = trained(world)
    key = apply(world, SQUATTER, job("mine", adopt={"taskId": own["taskUuid"], "jobId": run["jobUuid"]}))
    world.rest(DAY)
    assert world.reason(key) in {"AdoptionForbidden", "InvalidSpec"}
    assert run["taskUuid"] not in str(world.kube.objects[key])


@pytest.mark.parametrize("form", [("taskId", "jobId"), ("taskUuid", "jobUuid")], ids=["integers", "strings"])
def test_a_run_of_another_namespace_is_not_published(world: World, form: tuple[str, str]) -> None:
    """`source.run` names another's run: its weights are his."""
    run = trained(world)
    source = {"run": {"taskId": run[form[0]], "jobId": run[form[1]]}}
    refused(world, model("loot", source=source, target={"modelName": "loot"}))
    own = apply(world, VICTIM, model("again", source=source, target={"modelName": "again"}))
    world.until(own, "Available")


def test_nothing_is_published_into_the_model_of_another_namespace(world: World) -> None:
    """`target.modelId` names another's model, which others may follow."""
    theirs = published(world)
    world.until(apply(world, SQUATTER, job("bait")), "Succeeded")
    source = {"jobRef": {"name": "bait"}}
    for number in (theirs["modelId"], theirs["modelIdStr"], 4711):
        refused(world, model(f"trap-{len(str(number))}", source=source, target={"modelId": number}))


def test_no_training_goes_on_from_the_run_of_another_namespace(world: World) -> None:
    """`incrementalFrom.run` names another's run."""
    base = world.until(apply(world, VICTIM, job(peftType="ALL")), "Succeeded")
    plain = {"baseTrainType": None, "trainType": None, "peftType": None}
    ids = {"taskId": base["taskId"], "jobId": base["jobId"]}
    refused(world, job("loot", **plain, incrementalFrom={"run": ids}))
    own = apply(world, VICTIM, job("more", **plain, incrementalFrom={"run": ids}))
    world.until(own, "Succeeded")


def test_the_version_of_another_namespace_is_neither_served_nor_adopted(world: World) -> None:
    """`source.modelVersion`, from the start or as a switch, and `adopt` name another's version."""
    theirs = published(world)
    version = {"modelId": theirs["modelId"], "modelVersionId": theirs["modelVersionId"]}
    refused(world, service("loot", source={"modelVersion": version}, serviceName="loot", uri="loot"))
    refused(world, model("loot", source=None, target=None, adopt=version))
    refused(world, model("all", source=None, target=None, adopt={"modelId": theirs["modelIdStr"]}))
    world.until(apply(world, SQUATTER, job()), "Succeeded")
    world.until(apply(world, SQUATTER, model(target={"modelName": "own"})), "Available")
    key = apply(world, SQUATTER, service(serviceName="own", uri="own"))
    world.until(key, "PaymentRequired")
    world.sim.pay()
    world.until(key, "Available")
    world.kube.patch_spec(key, source={"modelVersion": version})
    world.rest(DAY)
    assert world.condition(key, "Synced")["reason"] == "AdoptionForbidden"
    assert world.calls("ModifyService") == []


def test_the_service_of_another_namespace_is_not_adopted(world: World) -> None:
    """An endpoint that serves is not for whoever names it, let go or not."""
    theirs = served(world)
    world.kube.patch_spec(Key(SERVICE, VICTIM, "serve"), deletionPolicy="Orphan")
    world.kube.delete(Key(SERVICE, VICTIM, "serve"))
    world.until_gone(Key(SERVICE, VICTIM, "serve"))
    for index, number in enumerate((theirs["serviceId"], theirs["serviceUuid"])):
        refused(world, service(f"mine-{index}", source=None, adopt={"serviceId": number}))
    key = apply(world, VICTIM, service("serve", source=None, adopt={"serviceId": theirs["serviceId"]}))
    world.until(key, "Available")


def test_what_was_made_by_hand_is_nobodys(world: World) -> None:
    """Under default credentials, what bears no mark is not taken over."""
    client = world.client()
    task = client.create_task("by_hand", "[qf1 not a mark]")
    made = client.prepare_create_job({"taskId": task.id, **_by_hand()}).send()
    refused(world, job("mine", adopt={"taskId": task.id, "jobId": made.job_id}))


def _by_hand() -> dict[str, Any]:
    return {
        "baseTrainType": "ERNIE-Bot-turbo", "trainType": "ERNIE-Bot-turbo-0725", "trainMode": "SFT", "peftType": "LoRA",
        "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
        "trainset": [{"id": 1234, "type": 1}], "trainsetRate": 20,
    }  # fmt: skip


# The setting.


def adopting(world: World, namespace: str, kind: str) -> dict[str, Any]:
    """Name, in each field that takes an id, what an object of the same namespace made."""
    made = world.status(Key(JOB, namespace, "train"))
    run = {"taskId": made["taskId"], "jobId": made["jobId"]}
    if kind == "job":
        return job("next", adopt=run)
    if kind == "model":
        return model("next", source={"run": run}, target={"modelName": "next"})
    version = world.status(Key(MODEL, namespace, "publish"))
    ids = {"modelId": version["modelId"], "modelVersionId": version["modelVersionId"]}
    if kind == "target":
        return model("next", source={"run": run}, target={"modelId": ids["modelId"]})
    if kind == "version":
        return model("next", source=None, target=None, adopt=ids)
    return service("next", source={"modelVersion": ids}, serviceName="next", uri="next")


@pytest.mark.parametrize("kind", ["job", "model", "target", "version", "service"])
def test_none_lets_nothing_be_named(worlds: Callable[..., World], kind: str) -> None:
    """Not even what the namespace itself made, with its own keys; and without a call."""
    world = worlds(adopt="none")
    world.set_secret(FIRST, namespace=VICTIM)
    published(world)
    refused(world, adopting(world, VICTIM, kind), VICTIM)


def test_none_lets_no_service_be_adopted(worlds: Callable[..., World]) -> None:
    """The same for a service, and for the run that a training is to go on from."""
    world = worlds(adopt="none")
    world.set_secret(FIRST, namespace=VICTIM)
    refused(world, service("mine", source=None, adopt={"serviceId": 4711}), VICTIM)
    plain = {"baseTrainType": None, "trainType": None, "peftType": None}
    base = {"run": {"taskId": 4711, "jobId": 4712}}
    refused(world, job("mine", **plain, incrementalFrom=base), VICTIM)


@pytest.mark.parametrize("kind", ["model", "target", "version", "service"])
def test_own_marks_let_what_is_ones_own_be_named(world: World, kind: str) -> None:
    """Under default credentials too: a namespace works with the ids of what its objects made."""
    published(world)
    if kind == "version":  # one object holds it
        world.kube.patch_spec(Key(MODEL, VICTIM, "publish"), deletionPolicy="Orphan")
        manifest = adopting(world, VICTIM, kind)
        key = apply(world, VICTIM, manifest)
        world.until(key, "AlreadyManaged")
        world.kube.delete(Key(MODEL, VICTIM, "publish"))
    else:
        key = apply(world, VICTIM, adopting(world, VICTIM, kind))
    if kind == "target":  # a run is published once per model
        world.until(key, "AlreadyManaged")
        return
    world.until(key, "PaymentRequired" if kind == "service" else "Available")


def test_any_is_what_it_was(world: World) -> None:
    """An administrator may say that all namespaces belong to one payer; keys of a namespace's own say it, too."""
    run = trained(world)
    ids = {"adopt": {"taskId": run["taskId"], "jobId": run["jobId"]}}
    world.kube.delete(Key(JOB, VICTIM, "train"))
    world.until_gone(Key(JOB, VICTIM, "train"))
    refused(world, job("mine", **ids))
    world.set_secret(FIRST, namespace=SQUATTER)
    world.until(Key(JOB, SQUATTER, "mine"), "Succeeded")
    world.adopt = "any"
    world.restart()
    world.kube.delete(Key(JOB, SQUATTER, "mine"))
    world.until_gone(Key(JOB, SQUATTER, "mine"))
    world.kube.labels["third"] = LABELS
    world.until(apply(world, "third", job("mine", **ids)), "Succeeded")


@pytest.mark.parametrize("rule", ["none", "own-mark"])
def test_what_was_adopted_before_stays(world: World, rule: str) -> None:
    """What version 0.1.0 recorded, or another rule, goes on being followed; once forgotten, it is not taken again."""
    world.adopt = "any"
    world.restart()
    client = world.client()
    task = client.create_task("by_hand", "")
    made = client.prepare_create_job({"taskId": task.id, **_by_hand()}).send()
    key = apply(world, SQUATTER, job("mine", adopt={"taskId": task.id, "jobId": made.job_id}))
    world.until(key, "Training")
    world.adopt = rule
    world.restart()
    world.until(key, "Succeeded")
    world.kube.wipe_status(key)
    world.until(key, "AdoptionForbidden")


def test_who_has_a_name_already_is_not_told(world: World) -> None:
    """Neither an id, which may not be taken over here, nor a word of a description that another namespace wrote."""
    mine = published(world)
    trained_there = apply(world, SQUATTER, job())
    world.until(trained_there, "Succeeded")
    key = apply(world, SQUATTER, model("taken", target={"modelName": mine["modelName"]}))
    world.until(key, "NameTaken")
    assert str(mine["modelId"]) not in world.condition(key)["message"]
    world.client().create_task("by_hand", "a secret word")
    key = apply(world, SQUATTER, job("taken", taskName="by_hand"))
    world.until(key, "NameTaken")
    assert "secret" not in world.condition(key)["message"]
