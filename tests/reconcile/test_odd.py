"""What nobody writes, until somebody does: odd names and words, enormous ids, clocks that jump."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from qianfan_operator.api.common import SECRET_NAME
from qianfan_operator.api.keys import Key
from reconcile.manifests import job, model, service
from reconcile.world import FIRST, World, keys

HOUR = 3600.0
NAMES = {"63 characters": "a" * 63, "253 characters": ".".join(["b" * 62] * 4) + "z", "dots": "1.essay.v2"}
TEXTS = {
    "Chinese": "作文评分模型，第一版。" * 36,
    "emoji": "🚀" * 400,
    "lines and quotes": "first\nsecond\t\"quoted\" \\n {{ .Values.x }} ${X} '''",
    "somebody's mark": "[qf1 aaaaaaaa bbbbbbbb 1 cccccccc dddddddd] not mine",
    "blanks": "  ",
}


def chain(name: str, **fields: Any) -> list[dict[str, Any]]:
    """A job, a model and a service of one name."""
    return [
        job(name, **fields),
        model(name, source={"jobRef": {"name": name}}, **fields),
        service(name, source={"modelRef": {"name": name}}, **fields),
    ]


def served(world: World, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have a chain serve; the statuses of its objects."""
    every = [world.kube.apply(one) for one in manifests]
    world.until(every[-1], "PaymentRequired")
    world.sim.pay()
    world.until(every[-1], "Available")
    return [world.status(key) for key in every]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_chain_of_any_name_serves(world: World, name: str) -> None:
    """An object may be called as it likes: a long name and one with dots work, and a restart finds all again."""
    trained, *_ = served(world, chain(name))
    assert 2 <= len(trained["taskName"]) <= 20
    for plural in ("qianfanjobs", "qianfanmodels"):
        world.kube.wipe_status(Key(plural, "default", name))
    world.restart()
    world.until(Key("qianfanmodels", "default", name), "Available")
    assert [len(world.calls(paid)) for paid in ("createJob", "publishTrainModel", "apply")] == [1, 1, 1]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_description_arrives_behind_our_mark(world: World, text: str) -> None:
    """The cloud gets what was written, whatever it is, and the owner is still known by the mark before it."""
    manifests = chain("train", description=text)
    manifests[1]["spec"]["description"] = text[:240]
    served(world, manifests)
    account = world.sim.account()
    assert [run.description for run in account.runs] == [text]
    (task,) = account.tasks
    assert task.description.startswith("[qf1 ")
    assert task.description.endswith(f"] {text}")
    world.kube.wipe_status(Key("qianfanjobs", "default", "train"))
    world.until(Key("qianfanjobs", "default", "train"), "Succeeded")
    assert len(account.runs) == 1


def test_a_chinese_task_name_of_20_characters_goes_on_with_its_beginning(world: World) -> None:
    """What people write is counted in characters: all 20 stand for the first attempt, 11 and a hash for the next."""
    name = "微调作文评分模型第一二三四五六七八九十次"
    key = world.kube.apply(job(taskName=name))
    assert world.until(key, "Succeeded")["taskName"] == name
    world.kube.patch_spec(key, attempt=2)
    again = world.until(key, "Succeeded")["taskName"]
    assert (again[:12], len(again)) == (f"{name[:11]}_", 20)


@pytest.mark.parametrize("first", [2**31, 2**53 + 1])
def test_enormous_ids_survive_the_way_through_json(world: World, first: int) -> None:
    """An id above what a float can hold is sent, read and recorded digit by digit."""
    world.sim.account().cloud.ids._next = first
    trained, published, serving = served(world, chain("train"))
    assert first <= trained["taskId"] < trained["jobId"] < published["modelVersionId"]
    assert serving["modelVersionId"] == published["modelVersionId"]
    assert published["source"]["jobId"] == trained["jobId"]


def test_namesakes_in_ten_namespaces_keep_to_their_own(world: World) -> None:
    """Objects of one name in ten namespaces with one access key each train once, in tasks of different names."""
    found = []
    for number in range(10):
        manifest = job()
        manifest["metadata"]["namespace"] = f"team-{number}"
        world.kube.secrets[f"team-{number}", SECRET_NAME] = keys(FIRST)
        found.append(world.kube.apply(manifest))
    world.run(lambda: {world.reason(key) for key in found} == {"Succeeded"})
    for of in ("taskName", "taskId", "jobId"):
        assert len({world.status(key)[of] for key in found}) == 10
    assert len(world.calls("createJob")) == 10


def test_the_same_manifests_twenty_times_over(world: World) -> None:
    """Applying what is there already, again and again, makes no pass, no write, and no call."""
    manifests = chain("train")
    served(world, manifests)
    before = len(world.kube.writes), len(world.sim.calls)
    for _ in range(20):
        for manifest in manifests:
            world.kube.apply(manifest)
        world.rest()
    assert (len(world.kube.writes), len(world.sim.calls)) == before


def node(world: World, seconds: float) -> None:
    """The node's clock jumps."""
    world.clock.ahead += seconds


def cloud(world: World, seconds: float) -> None:
    """The cloud's clock jumps, and the node's does not."""
    world.clock.offset += seconds
    world.clock.ahead -= seconds


@pytest.mark.parametrize("jump", [node, cloud])
@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
@pytest.mark.parametrize("when", range(6))
def test_a_clock_that_jumps_pays_nothing_twice(
    world: World, jump: Callable[[World, float], None], seconds: float, when: int
) -> None:
    """Whosever clock jumps, forth or back, before whichever call of a chain: it is trained and published once."""
    counter = itertools.count()

    def around(_: str, do: Callable[[], Any]) -> Any:
        if next(counter) == when:
            jump(world, seconds)
        return do()

    world.around_cloud = around
    world.kube.apply(job())
    world.until(world.kube.apply(model()), "Available")
    assert next(counter) > when
    assert [len(world.calls(paid)) for paid in ("createJob", "publishTrainModel")] == [1, 1]


def test_a_training_that_no_status_could_record_is_refused_before_it_is_paid(world: World) -> None:
    """What is trained stands in the status of every attempt: an enormous `extra` is InvalidSpec, and says the limit."""
    config = {"epoch": 4, "learningRate": "0.00002", "maxSeqLen": 4096}
    key = world.kube.apply(job(trainConfig={**config, "extra": {"words": "微" * 6000}}))
    world.until(key, "InvalidSpec")
    assert "spec.trainConfig.extra must be at most 16384 bytes as JSON" in world.condition(key)["message"]
    assert world.sim.calls == []
    world.kube.patch_spec(key, trainConfig={**config, "extra": {"words": "微" * 5000}})
    world.until(key, "Succeeded")
