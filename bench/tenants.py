"""Hostile tenants beside a quiet one: what some namespaces can cost another."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apiserver import job, model
from figures import Figure, percentile
from stage import NAMESPACES, Stage

QUIET, *HOSTILE = NAMESPACES[:3]  # each has an account of its own
GOAL_SECONDS = 5.0

_POLLS = (10.0, 60.0)
_SAMPLES_PER_SECOND = 5
_PATCHES_PER_SECOND = 100
_BURST, _BURST_SECONDS = 25, 5.0
_CROWD, _CHAIN, _LOOP = 60, 150, 50
_SLOW_SECONDS = 3.0  # each call; a reconcile makes several


def neighbours(stage: Stage, samples: int) -> list[Figure]:
    """Create jobs one by one in the quiet namespace: alone, and while the hostile ones do all that they can.

    A sample begins just before the create is sent and ends with the cloud's first request about the job's task.
    """
    stage.pace("seconds:100000")
    stage.start_operator(*_POLLS)
    stage.await_ready()
    for namespace in HOSTILE:
        _prepare(stage, namespace)
    stage.until_quiet()
    alone = _latencies(stage, "alone", samples)
    before, begin = stage.reconciles(), time.monotonic()
    with _hostile(stage) as patches:
        time.sleep(_BURST_SECONDS)  # until all of it is under way
        beside = _latencies(stage, "beside", samples)
    seconds = time.monotonic() - begin
    reconciles = stage.reconciles() - before
    stage.stop_operator()
    what = "quiet namespace, new object -> its first request"
    return [
        Figure(f"{what}, alone, p50", percentile(alone, 0.5) * 1000, "ms"),
        Figure(f"{what}, alone, p99", percentile(alone, 0.99) * 1000, "ms"),
        Figure(f"{what}, beside hostile ones, p50", percentile(beside, 0.5) * 1000, "ms"),
        Figure(f"{what}, beside hostile ones, p99", percentile(beside, 0.99) * 1000, "ms", GOAL_SECONDS * 1000),
        Figure("  patches of the hostile ones", next(patches) / seconds, "/s"),
        Figure("  reconciles meanwhile", reconciles / seconds, "/s"),
    ]


def _prepare(stage: Stage, namespace: str) -> None:
    """Give a hostile tenant a job with a crowd of referrers, a long chain, and jobs to patch."""
    with stage.api() as api:
        api.create(namespace, "qianfanjobs", job("crowded"))
        for number in range(_CROWD):
            api.create(namespace, "qianfanmodels", model(f"crowd-{number:03}", "crowded"))
        for number in range(_CHAIN):
            before = f"chain-{number - 1:03}" if number else "absent"
            api.create(namespace, "qianfanjobs", _going_on(f"chain-{number:03}", before))
        for number in range(_LOOP):
            api.create(namespace, "qianfanjobs", job(f"loop-{number:03}"))


def _latencies(stage: Stage, name: str, samples: int) -> list[float]:
    sent = dict[str, float]()
    with stage.api() as api:
        api.create(QUIET, "qianfanjobs", job(f"{name}-warm-up"))  # opens the connection
        begin = time.monotonic()
        for number in range(samples):
            time.sleep(max(0.0, begin + number / _SAMPLES_PER_SECOND - time.monotonic()))
            one = f"{name}-{number:04}"
            sent[one] = time.time()
            api.create(QUIET, "qianfanjobs", job(one))
    stage.until(lambda: stage.first_requests().keys() >= sent.keys(), "the quiet namespace to be served", 600)
    asked = stage.first_requests()
    return [asked[one] - moment for one, moment in sent.items()]


@contextmanager
def _hostile(stage: Stage) -> Iterator[Iterator[int]]:
    """Patch in a loop, create in bursts, and have every call of the accounts take long; tells how often was patched."""
    slow = {"effect": "slow", "seconds": _SLOW_SECONDS, "count": 0}
    stage.fault(*({**slow, "access_key": f"access-{namespace}"} for namespace in HOSTILE))
    over, patched = threading.Event(), itertools.count()
    threads = [threading.Thread(target=_patch, args=(stage, over, patched, namespace)) for namespace in HOSTILE]
    threads += [threading.Thread(target=_burst, args=(stage, over, namespace)) for namespace in HOSTILE]
    for thread in threads:
        thread.start()
    try:
        yield patched
    finally:
        over.set()
        for thread in threads:
            thread.join()
        stage.fault()


def _patch(stage: Stage, over: threading.Event, patched: Iterator[int], namespace: str) -> None:
    names = ["crowded", "chain-000", *(f"loop-{number:03}" for number in range(_LOOP))]
    with stage.api() as api:
        begin = time.monotonic()
        for number, name in enumerate(itertools.cycle(names)):
            if over.wait(max(0.0, begin + number * len(HOSTILE) / _PATCHES_PER_SECOND - time.monotonic())):
                return
            api.patch(namespace, "qianfanjobs", name, {"spec": {"activeDeadlineSeconds": 3600 + number}})
            next(patched)


def _burst(stage: Stage, over: threading.Event, namespace: str) -> None:
    """Create many jobs at once, again and again; every other one names a Secret of its own."""
    with stage.api() as api:
        for burst in itertools.count():
            for number in range(_BURST):
                one = job(f"burst-{burst:03}-{number:02}")
                if number % 2:
                    one["spec"]["credentialsRef"] = {"name": f"secret-{burst}-{number}"}
                api.create(namespace, "qianfanjobs", one)
            if over.wait(_BURST_SECONDS):
                return


def _going_on(name: str, base: str) -> dict[str, Any]:
    wanted = job(name)
    for field in ("baseTrainType", "trainType", "peftType"):
        del wanted["spec"][field]
    wanted["spec"]["incrementalFrom"] = {"jobRef": {"name": base}}
    return wanted
