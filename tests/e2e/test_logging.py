"""What the real process logs of what it does to the cloud has the fields that docs/logging.md names."""

import re
from pathlib import Path
from typing import Any

from e2e.place import JOB, MODEL, SAMPLES, SERVICE, Place, job
from e2e.process import OperatorProcess

PAGE = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("\n## Fields\n")[2].partition("\n## ")[0]
FIELDS = {
    name for line in TABLE.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])
}
CALL = {"time", "level", "logger", "message", "object", "generation", "cause", "operation", "ids", "code", "request_id",
        "seconds"}  # fmt: skip
RELEASE = {"time", "level", "logger", "message", "object", "generation", "cause", "ids"}


def of(operator: OperatorProcess, place: Place, message: str) -> list[dict[str, Any]]:
    """The lines about objects of a place that say something at level INFO."""
    mine = [line for line in operator.log() if f"/{place.namespace}/" in str(line.get("object"))]
    return [line for line in mine if (line["message"], line["level"]) == (message, "INFO")]


def test_a_life_is_told_from_the_first_call_to_the_last(place: Place, operator: OperatorProcess) -> None:
    """Each changing call that the cloud executed is a line, and each object that is released."""
    place.apply(SAMPLES / "chain.yaml")
    place.until_ready(SERVICE)
    place.patch(MODEL, "essay", {"spec": {"deletionPolicy": "Delete"}})
    for plural in (SERVICE, MODEL, JOB):
        place.delete(plural, "essay")
    calls = of(operator, place, "cloud call")
    executed = ["createTask", "createJob", "publishTrainModel", "apply", "DeactivateService", "versionBatchDelete"]
    assert list(dict.fromkeys(line["operation"] for line in calls if line["operation"] in executed)) == executed
    assert {line["operation"]: line["cause"] for line in calls}["DeactivateService"] == "deletion"
    place.history.wait_for(  # a line is written after its request was answered
        lambda: len(of(operator, place, "finalizer removed")) == 3, lambda: "not all objects are told as released"
    )
    released = of(operator, place, "finalizer removed")
    assert [str(line["object"]).partition("/")[0] for line in released] == [SERVICE, MODEL, JOB]
    assert all(set(line) - {"made"} == CALL for line in calls)
    assert all(set(line) == RELEASE for line in released)


def test_a_run_that_is_stopped_is_told(place: Place, operator: OperatorProcess, endless: None) -> None:
    """With the ids that the console shows, and why."""
    place.apply(job())
    place.until_waiting(JOB, "Training")
    ids = place.get(JOB)["status"]
    place.delete(JOB, "essay")
    stop = next(line for line in of(operator, place, "cloud call") if line["operation"] == "stopJob")
    assert stop["ids"] == [f"taskId={ids['taskId']}", f"jobId={ids['jobId']}"]
    assert (stop["object"], stop["cause"], stop["code"]) == (f"{JOB}/{place.namespace}/essay", "deletion", "OK")


def test_no_line_has_a_field_that_is_not_documented(place: Place, operator: OperatorProcess) -> None:
    """Of all that the process has written until now, at level DEBUG."""
    place.apply(job())
    place.until_ready(JOB)
    ours = [line for line in operator.log() if str(line["logger"]).startswith("qianfan_operator")]
    assert {"DEBUG", "INFO"} <= {line["level"] for line in ours}
    assert {name for line in ours for name in line} - FIELDS == set()
