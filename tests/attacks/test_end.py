"""An end that cannot be finished: neither a write that never succeeds nor a call that hangs keeps the process alive."""

import logging
from contextlib import closing
from dataclasses import replace

import pytest

from qianfan_operator.controller.workers import Workers
from qianfan_operator.kube.client import KubeError
from reconcile.manifests import job
from reconcile.world import World

LATE = 3600.0  # seconds of the fake clock, after which nobody ends any more


def unwritten(world: World) -> int:
    """Have a run made whose ids cannot be written, ever; return its id."""

    def refuse(operation: str, do):
        if world.calls("createJob") and operation == "patch_status":
            raise KubeError("the API server is away")
        return do()

    world.kube.around = refuse
    world.kube.apply(job())
    world.run(world.protocol.unwritten, within=600)
    return next(iter(world.sim.account().runs)).id


def test_a_flush_that_never_succeeds_ends(caplog: pytest.LogCaptureFixture) -> None:
    """The ids are logged instead, with all that it takes to adopt the run by hand, and the end is told to be none."""
    with closing(World()) as world:
        run, began = unwritten(world), world.clock.boot

        def pause(seconds: float) -> None:
            world.clock.advance(seconds)
            assert world.clock.boot < began + LATE, "the process does not end"

        world.engine._clocks = replace(world.engine._clocks, pause=pause)
        workers = Workers(1, world.queue, world.engine, world.clock.boottime)
        with caplog.at_level(logging.ERROR):
            assert workers.stop() is False
        told = [record for record in caplog.records if "not saved" in record.message]
        (task,) = world.sim.account().tasks
        assert [vars(one)["object"] for one in told] == ["qianfanjobs/default/train"]
        assert vars(told[0])["operation"] == "createJob"
        assert str(run) in vars(told[0])["ids"]
        assert vars(told[0])["inputs"] == {"taskId": task.id, "taskUuid": task.uid, "taskName": task.name}
