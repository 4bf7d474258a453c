"""The measurements; each starts the operator as it needs it, or finds it as the one before has left it."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apiserver import Api, job
from figures import Figure, spread
from probes import cpu_seconds, rss_mib
from stage import NAMESPACES, OPERATOR, Stage

DEFAULT_POLLS = (10.0, 60.0)  # seconds, as the operator's settings have them
FLAT_POLLS = (30.0, 30.0)  # as the peers were measured

_BUSY_POLLS = (0.5, 0.5)
_TRAINING_SECONDS = 20
_FOR_EVER = "seconds:100000"
_SAMPLES_PER_SECOND = 5
_CREATORS = 4
_LEASE_SECONDS = 15  # by default; nobody can give a dead leader's back
_WARM_UP_SECONDS = 10


def life_of_a_job(stage: Stage) -> tuple[list[Figure], dict[str, Any]]:
    """Follow one job to its end, every plateau seen, and one to its failure; returns the finished object, too."""
    stage.pace(f"seconds:{_TRAINING_SECONDS}")
    stage.start_operator(*_BUSY_POLLS)
    stage.await_ready()
    namespace = NAMESPACES[0]
    with stage.api() as api:

        def ended(name: str) -> bool:
            return _succeeded(api.job(namespace, name)) in {"True", "False"}

        api.create_job(namespace, job("doomed"))
        stage.until(lambda: "jobId" in api.job(namespace, "doomed")["status"], "a run to start")
        failed = stage.fail_run(api.job(namespace, "doomed")["status"]["jobId"])
        stage.until(lambda: ended("doomed"), "a failure to show")
        shown = time.time() - failed
        api.create_job(namespace, job("whole-life"))
        stage.until(lambda: ended("whole-life"), "a training to finish")
        writes = [write for write in stage.until_quiet(1) if write.name == "whole-life"]
        finished = api.job(namespace, "whole-life")
    stage.stop_operator()
    return [
        Figure("writes to one job, from create to finished", len(writes), "writes", 8),
        Figure(f"failed run -> status, polled each {_BUSY_POLLS[1]:g} s", shown, "s", _BUSY_POLLS[1] * 1.1 + 1),
    ], finished


def populate(stage: Stage, count: int) -> list[Figure]:
    """Create as many jobs as fast as the API server takes them, and wait until all of them work in the cloud."""
    stage.pace(_FOR_EVER)
    stage.start_operator(*DEFAULT_POLLS)
    stage.await_ready()
    before, begin = stage.runs(), time.monotonic()
    _create_all(stage, [(_namespace(number), job(f"run-{number:05}")) for number in range(count)])
    stage.until(lambda: stage.runs() - before >= count, "all runs to start", 300)
    seconds = time.monotonic() - begin
    stage.until_quiet()
    figures = [
        Figure(f"{count} jobs created at once -> all of them train", seconds, "s"),
        Figure(f"RSS of the process that started these {count}", rss_mib(stage.pid), "MiB", 85),
    ]
    stage.stop_operator()
    return figures


def latency(stage: Stage, samples: int) -> list[Figure]:
    """Create jobs one by one and leave the operator running.

    A sample begins just before the create is sent and ends with the cloud's first request about the job's task.
    """
    stage.start_operator(*DEFAULT_POLLS)
    stage.await_ready()
    sent, stored = dict[str, float](), list[float]()
    with stage.api() as api:
        api.create_job(_namespace(0), job("new-warm-up"))  # opens the connection
        begin = time.monotonic()
        for number in range(samples):
            time.sleep(max(0.0, begin + number / _SAMPLES_PER_SECOND - time.monotonic()))
            name = f"new-{number:05}"
            sent[name] = time.time()
            api.create_job(_namespace(number), job(name))
            stored.append(time.time() - sent[name])
    asked = _until_asked(stage, sent)
    delays = [asked[name] - moment for name, moment in sent.items()]
    return [
        *spread("new object -> its first request at the cloud", delays, (14, 70)),
        *spread("  of it, the API server's answer to the create", stored),
    ]


def restarts(stage: Stage, times: int) -> list[Figure]:
    """Start the operator again, after an orderly end and after a kill, with an object that came meanwhile."""
    ends, clean, killed = [], [], []
    with stage.api() as api:
        for number in range(times):
            ends.append(stage.stop_operator())
            clean.append(_restart(stage, api, f"clean-{number}"))
        for number in range(times):
            stage.kill_operator()
            killed.append(_restart(stage, api, f"killed-{number}"))
    ends.append(stage.stop_operator())
    words = f"worst of {times}"
    return [
        Figure(f"start after an orderly end -> request for a new object, {words}", max(clean), "s", 2),
        Figure(f"start after SIGKILL -> request for a new object, {words}", max(killed), "s", _LEASE_SECONDS + 2),
        Figure(f"orderly end, worst of {len(ends)}", max(ends), "s"),
    ]


def idle(stage: Stage, seconds: float) -> list[Figure]:
    """Watch the operator while nothing happens: its CPU, its memory, what it writes and what it asks."""
    stage.start_operator(*FLAT_POLLS)
    stage.await_ready()
    stage.until_quiet(_WARM_UP_SECONDS)
    calls, cpu, begin = stage.calls(), cpu_seconds(stage.pid), time.monotonic()
    time.sleep(seconds)
    per_minute = 60 / (time.monotonic() - begin)
    cpu, calls = cpu_seconds(stage.pid) - cpu, stage.calls() - calls
    writes = sum(1 for _ in stage.audit.writes(OPERATOR))
    figures = [
        Figure("RSS, after a start, idle", rss_mib(stage.pid), "MiB", 85),
        Figure("operator CPU, idle, flat 30 s polls", cpu * per_minute, "s/min", 3.5),
        Figure("writes to objects, idle", writes * per_minute, "/min", 0),
        Figure("cloud calls, idle, flat 30 s polls", calls * per_minute, "/min"),
        Figure("  CPU for each of them", cpu / calls * 1000 if calls else 0, "ms"),
    ]
    stage.stop_operator()
    return figures


def finished(stage: Stage, example: Mapping[str, Any], count: int) -> list[Figure]:
    """Fill the API server with copies of a finished job, and see what they cost and how they delay a start."""
    stage.pace(_FOR_EVER)
    copies = [(_namespace(number), _copy(example, f"old-{number:05}", number)) for number in range(count)]
    _create_all(stage, copies)
    with stage.api() as api:
        seconds = _restart(stage, api, "among-finished")
    figures = [
        Figure(f"RSS, {count} finished jobs", rss_mib(stage.pid), "MiB", 100),
        Figure(f"start -> request for a new object, {count} finished jobs", seconds, "s"),
    ]
    stage.stop_operator()
    return figures


def _restart(stage: Stage, api: Api, name: str) -> float:
    """Create an object, start the operator, and return the seconds from the start until the cloud is asked."""
    api.create_job(_namespace(0), job(name))
    started = stage.start_operator(*DEFAULT_POLLS)
    asked = _until_asked(stage, [name])[name]
    stage.await_ready()
    stage.until_quiet(1)  # a create that is cut off would be looked for during the next measurement
    return asked - started


def _until_asked(stage: Stage, names: Sequence[str] | Mapping[str, object]) -> Mapping[str, float]:
    asked = stage.first_requests()
    stage.until(lambda: stage.first_requests().keys() >= set(names), "the cloud to be asked for every new object")
    return asked


def _create_all(stage: Stage, jobs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    def create(part: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        with stage.api() as api:
            for namespace, wanted in part:
                stored = api.create_job(namespace, wanted)
                if "status" in wanted:
                    api.put_status(namespace, {**stored, "status": wanted["status"]})

    with ThreadPoolExecutor(_CREATORS) as pool:
        for _ in pool.map(create, (jobs[number::_CREATORS] for number in range(_CREATORS))):
            pass


def _copy(example: Mapping[str, Any], name: str, number: int) -> dict[str, Any]:
    status, wanted = example["status"], job(name)
    wanted["metadata"]["finalizers"] = example["metadata"]["finalizers"]
    ids = {"taskName": name, "taskId": status["taskId"] + number, "jobId": status["jobId"] + number}
    return {**wanted, "status": {**status, **ids}}


def _namespace(number: int) -> str:
    return NAMESPACES[number % len(NAMESPACES)]


def _succeeded(resource: Mapping[str, Any]) -> str:
    conditions = resource["status"].get("conditions", [])
    return next((str(one["status"]) for one in conditions if one["type"] == "Succeeded"), "")
