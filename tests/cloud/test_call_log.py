"""The log line of a call: one id has one name, whichever half of the cloud's interface was called."""

import json
import logging

import pytest

from qianfan_operator.cloud import call_log, operations
from qianfan_operator.cloud.operations import Endpoint


@pytest.mark.parametrize(
    ("endpoint", "body", "ids"),
    [
        (operations.STOP_JOB, {"taskId": 9240, "jobId": 9241}, ["taskId=9240", "jobId=9241"]),
        (operations.STOP_FINE_TUNING_TASK, {"taskId": "task-3s2g"}, ["jobUuid=task-3s2g"]),
        (operations.DESCRIBE_FINE_TUNING_TASKS, {"jobId": "job-5x", "maxKeys": 100}, ["taskUuid=job-5x"]),
        (
            operations.MODIFY_SERVICE, {"serviceId": "svco-1", "modelSetId": "am-2", "modelId": "amv-3"},
            ["serviceUuid=svco-1", "modelIdStr=am-2", "modelVersionIdStr=amv-3"],
        ),
        (operations.CREATE_TASK, {"name": "task-of-mine"}, ["name=task-of-mine"]),
    ],
)  # fmt: skip
def test_an_id_has_the_name_that_a_status_gives_it(
    caplog: pytest.LogCaptureFixture, endpoint: Endpoint, body: dict[str, object], ids: list[str]
) -> None:
    """By its prefix: in V2 a `taskId` is a run. What a person has named is not renamed."""
    caplog.set_level(logging.DEBUG)
    call_log.tell(endpoint, json.dumps(body).encode(), None, "OK", "1", 0.1, None)
    (line,) = caplog.records
    assert vars(line)["ids"] == ids
