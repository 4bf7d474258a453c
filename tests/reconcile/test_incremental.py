"""Training that goes on from another run: which one, whether it can be a base, and by which ids.

See docs/design/api.md#incremental-training.
"""

import pytest

from qianfan_operator.api.keys import Key
from qianfan_simulator import Effect, Fault
from reconcile.manifests import job, model
from reconcile.test_adopting_runs import NOTHING, by_hand, found_by_strings, ids
from reconcile.test_references import INCREMENTAL, next_job
from reconcile.world import DAY, World

TRAIN = Key("qianfanjobs", "default", "train")


def all_ids(run) -> dict:
    return {"taskId": run.task.id, "taskUuid": run.task.uid, "jobId": run.id, "jobUuid": run.uid}


@pytest.mark.parametrize("how", ["jobRef", "an earlier attempt", "integers"])
def test_the_base_stands_in_the_status(world: World, how: str) -> None:
    """The run that was gone on from is recorded by its ids, and stays so when the reference moves to another one."""
    world.until(world.kube.apply(job(peftType="ALL")), "Succeeded")
    (base,) = world.sim.account().runs
    if how == "an earlier attempt":
        world.kube.patch_spec(TRAIN, attempt=2)
        world.until(TRAIN, "Succeeded")
    reference = {
        "jobRef": {"jobRef": {"name": "train"}},
        "an earlier attempt": {"jobRef": {"name": "train", "attempt": 1}},
        "integers": {"run": ids(base)},
    }[how]
    key = world.kube.apply(job("next", **INCREMENTAL, incrementalFrom=reference))
    world.until(key, "Succeeded")
    known = ids(base) if how == "integers" else all_ids(base)
    assert world.status(key)["base"] == known
    world.kube.patch_spec(TRAIN, attempt=3)
    world.until(TRAIN, "Succeeded")
    world.kube.patch_spec(key, attempt=2)
    world.until(key, "Succeeded")
    assert world.status(key)["runs"][0]["base"] == known
    assert (world.status(key)["base"] == known) is (how != "jobRef")


def test_an_earlier_attempt_that_was_no_full_training_is_refused(world: World) -> None:
    """What was recorded of the attempt counts, not what the spec says by now; nothing is asked of the cloud."""
    world.until(world.kube.apply(job()), "Succeeded")
    world.kube.patch_spec(TRAIN, attempt=2, peftType="ALL")
    world.until(TRAIN, "Succeeded")
    seen = len(world.sim.calls)
    key = world.kube.apply(next_job(attempt=1))
    world.until(key, "DependencyFailed")
    assert "peftType LoRA" in world.condition(key)["message"]
    assert len(world.sim.calls) == seen
    world.until(world.kube.apply(next_job("other")), "Succeeded")


@pytest.mark.parametrize("form", ["integers", "strings"])
def test_an_adopted_run_that_was_no_full_training_is_refused(world: World, form: str) -> None:
    """What the cloud told of an adopted run counts."""
    key = world.kube.apply(job(**NOTHING, adopt=ids(by_hand(world), form)))
    world.until(key, "Succeeded")
    seen = len(world.sim.calls)
    key = world.kube.apply(next_job())
    world.until(key, "DependencyFailed")
    assert "peftType LoRA" in world.condition(key)["message"]
    assert len(world.sim.calls) == seen


def test_a_base_that_has_not_begun_is_judged_by_its_spec(world: World) -> None:
    """A base that can never be one is not waited for."""
    world.kube.apply(job(paused=True))
    key = world.kube.apply(next_job())
    world.until(key, "DependencyFailed", within=600)


def test_an_incremental_run_can_be_gone_on_from(world: World) -> None:
    """A run that went on from ALL is one of ALL, whatever peftType stands beside its incrementalFrom."""
    world.until(world.kube.apply(job(peftType="ALL")), "Succeeded")
    second = next_job("second")
    second["spec"]["peftType"] = "LoRA"  # admission allows it, and the cloud is not told
    world.until(world.kube.apply(second), "Succeeded")
    world.until(world.kube.apply(next_job("third", "second")), "Succeeded")
    assert len(world.calls("createJob")) == 3


def test_the_cloud_s_refusal_of_a_base_says_what_to_change(world: World) -> None:
    """510404 for a run that is named by its ids: Refused, with what a base must be; mended, it trains."""
    wrong, right = by_hand(world), by_hand(world, "right", peftType="ALL")
    world.clock.advance(3600)
    key = world.kube.apply(job(**INCREMENTAL, incrementalFrom={"run": ids(wrong)}))
    world.until(key, "Refused")
    assert "510404" in world.condition(key)["message"]
    assert "peftType ALL" in world.condition(key)["message"]
    world.kube.patch_spec(key, incrementalFrom={"run": ids(right)})
    world.until(key, "Succeeded")
    assert (world.status(key)["attempt"], world.status(key)["base"]) == (1, ids(right))


@pytest.mark.parametrize("older", [False, True])
def test_a_base_known_by_strings_is_resolved_when_it_is_published(world: World, older: bool) -> None:
    """A published model version tells the integers of its run, be it the latest of its model or not."""
    _, base = found_by_strings(world, peftType="ALL")
    key = world.kube.apply(next_job())
    world.until(key, "DependencyFailed")
    assert "Publish" in world.condition(key)["message"]
    assert len(world.calls("createTask")) == 1
    publish = world.kube.apply(model())
    world.until(publish, "Available")
    if older:
        run = by_hand(world, "newer", peftType="ALL")
        world.clock.advance(3600)
        number = world.status(publish)["modelId"]
        source = {"run": {"taskId": run.task.id, "jobId": run.id}}
        world.until(world.kube.apply(model("newer", source=source, target={"modelId": number})), "Available")
    world.until(key, "Succeeded")
    assert world.status(key)["base"] == all_ids(base)
    assert list(world.sim.account().runs)[-1].base is base


def test_a_base_named_by_strings_is_resolved_when_it_is_published(world: World) -> None:
    """The same for a run that is named by its strings in the spec."""
    world.until(world.kube.apply(job(peftType="ALL")), "Succeeded")
    (base,) = world.sim.account().runs
    world.until(world.kube.apply(model()), "Available")
    reference = {"run": ids(base, "strings")}
    key = world.kube.apply(job("next", **INCREMENTAL, incrementalFrom=reference))
    world.until(key, "Succeeded")
    assert world.status(key)["base"] == all_ids(base)


def test_a_base_known_by_strings_is_resolved_by_its_own_job(world: World) -> None:
    """Once the base's own object has learned the integers, what goes on from it goes on at once."""
    train, base = found_by_strings(world, peftType="ALL")
    key = world.kube.apply(next_job())
    world.until(key, "DependencyFailed")
    world.kube.patch_spec(train, adopt=ids(base))
    world.until(key, "Succeeded", within=1200)


def test_a_base_whose_reply_is_lost_is_the_base_of_the_repeat(world: World) -> None:
    """A createJob that made nothing is repeated with the base that is recorded."""
    world.until(world.kube.apply(job(peftType="ALL")), "Succeeded")
    (base,) = world.sim.account().runs
    world.sim.faults.add(Fault(Effect.LOSE_REQUEST, "createJob"))
    key = world.kube.apply(next_job())
    world.until(key, "Confirming")
    assert world.status(key)["base"] == all_ids(base)
    world.until(key, "Succeeded")
    world.rest(DAY)
    assert len(world.calls("createJob")) == 2
