"""Every method sends what the wire describes, and no list is taken for complete that is not."""

import pytest

from qianfan_operator.cloud import calls as shared
from qianfan_operator.cloud.errors import CloudError

V1 = "/wenxinworkshop/"
RUN = {"id": 2, "taskId": 1, "trainStatus": "RUNNING"}
VERSION = {"modelVersionId": 4, "state": "Ready"}
SERVICE = {"serviceId": "svco-1", "runStatus": "Serving"}


@pytest.mark.parametrize(
    ("call", "result", "path", "body"),
    [
        (
            lambda c: c.create_task("n", "d"),
            {"id": 1},
            V1 + "finetune/createTask",
            {"name": "n", "description": "d"},
        ),
        (lambda c: c.job_detail(1, 2), RUN, V1 + "finetune/jobDetail", {"taskId": 1, "jobId": 2}),
        (lambda c: c.stop_job(1, 2), True, V1 + "finetune/stopJob", {"taskId": 1, "jobId": 2}),
        (
            lambda c: c.model_detail("am-1"),
            {"modelId": 1, "modelVersionList": None},
            V1 + "modelrepo/modelDetail",
            {"modelId": "am-1"},
        ),
        (
            lambda c: c.model_version_detail(4),
            VERSION,
            V1 + "modelrepo/modelVersionDetail",
            {"modelVersionId": 4},
        ),
        (
            lambda c: c.user_models("m"),
            {"total": 0, "items": []},
            V1 + "modelrepo/model/user/list",
            {"pageNo": 1, "pageSize": 100, "nameFilter": "m"},
        ),
        (lambda c: c.delete_models([1]), {}, V1 + "modelrepo/model/batchDelete", {"modelIDs": [1]}),
        (
            lambda c: c.delete_model_versions(["amv-1"]),
            True,
            V1 + "modelrepo/model/version/batchDelete",
            {"modelVersionIds": ["amv-1"]},
        ),
        (lambda c: c.service_detail(5), {"id": 5, "serviceStatus": "New"}, V1 + "service/detail", {"serviceId": 5}),
        (lambda c: c.services(), {"common": [], "custom": []}, V1 + "service/list", {}),
        (
            lambda c: c.fine_tuning_task("task-1"),
            {"taskId": "task-1", "runStatus": "Done"},
            "/v2/finetuning?Action=DescribeFineTuningTask",
            {"taskId": "task-1"},
        ),
        (
            lambda c: c.stop_fine_tuning_task("task-1"),
            True,
            "/v2/finetuning?Action=StopFineTuningTask",
            {"taskId": "task-1"},
        ),
        (
            lambda c: c.describe_service("svco-1"),
            SERVICE,
            "/v2/service?Action=DescribeService",
            {"serviceId": "svco-1"},
        ),
        (
            lambda c: c.modify_service("svco-1", "am-1", "amv-1"),
            True,
            "/v2/service?Action=ModifyService",
            {"serviceId": "svco-1", "modelSetId": "am-1", "modelId": "amv-1"},
        ),
        (
            lambda c: c.deactivate_service("svco-1"),
            {"operation": True, "message": ""},
            "/v2/service?Action=DeactivateService",
            {"serviceId": "svco-1"},
        ),
    ],
)
def test_a_call_is_what_the_wire_describes(*, client, server, call, result, path, body):
    """Path, action and body of every call are those of the wire contract, ids included."""
    server.results(result)
    call(client)
    assert server.seen[0].path == path
    assert server.seen[0].body == body


@pytest.mark.parametrize(
    ("prepare", "result", "path"),
    [
        (lambda c, b: c.prepare_create_job(b), {"id": 2}, "finetune/createJob"),
        (lambda c, b: c.prepare_publish(b), {"versionId": 4}, "modelrepo/publishTrainModel"),
        (lambda c, b: c.prepare_apply(b), {"result": True, "serviceId": 5}, "service/apply"),
    ],
)
def test_a_paid_create_is_sent_as_it_was_prepared(client, server, prepare, result, path):
    """A prepared create sends its caller's body unchanged."""
    server.results(result)
    prepare(client, {"learningRate": 2e-05, "名": "值"}).send()
    assert server.seen[0].path == V1 + path
    assert server.seen[0].body == {"learningRate": 2e-05, "名": "值"}


@pytest.mark.parametrize(
    "answer", [{"log_id": "1", "result": False}, {"error_code": 510302, "error_msg": "job status invalid"}]
)
def test_a_stop_that_stops_nothing_is_no_error(client, server, answer):
    """A false and a 510302 both mean that this call did not stop the run."""
    server.answers(answer)
    assert client.stop_job(1, 2) is False


def test_a_stop_that_fails_is_an_error(client, server):
    """Any other refusal of a stop is told."""
    server.answers({"error_code": 510301, "error_msg": "job not exist"})
    with pytest.raises(CloudError, match="510301"):
        client.stop_job(1, 2)


@pytest.mark.parametrize("call", [lambda c: c.stop_job(1, 2), lambda c: c.modify_service("svco-1", "am-1", "amv-1")])
@pytest.mark.parametrize("result", [None, "true", 1, {}])
def test_a_yes_is_a_yes_only_if_it_says_so(client, server, call, result):
    """What is neither true nor false is not taken for either."""
    server.results(result)
    with pytest.raises(CloudError, match="BadReply"):
        call(client)


@pytest.mark.parametrize("ids", [[], [1, "am-1"]])
def test_a_delete_takes_ids_of_one_kind(client, server, ids):
    """Mixed or missing ids, which the cloud refuses, are the caller's mistake."""
    with pytest.raises(ValueError, match="all integers or all strings"):
        client.delete_models(ids)
    assert server.seen == []


def page(key, ids, marker=None):
    info = {"isTruncated": marker is not None, **({"nextMarker": marker} if marker else {})}
    name = {"jobList": "jobId", "taskList": "taskId"}[key]
    return {key: [{name: one} for one in ids], "pageInfo": info}


def test_a_v2_scan_follows_the_markers(client, server):
    """All pages are read, each from the marker that the one before it gave."""
    server.results(page("jobList", ["job-1", "job-2"], "job-3"), page("jobList", ["job-3"]))
    assert [task.task_uuid for task in client.fine_tuning_jobs()] == ["job-1", "job-2", "job-3"]
    assert [seen.body for seen in server.seen] == [{"maxKeys": 100}, {"maxKeys": 100, "marker": "job-3"}]


def test_a_v2_scan_of_runs_names_the_task(client, server):
    """The runs are asked for by their task on every page."""
    server.results(page("taskList", ["task-1"], "task-2"), page("taskList", ["task-2"]))
    assert len(client.fine_tuning_tasks("job-1")) == 2
    assert all(seen.body["jobId"] == "job-1" for seen in server.seen)


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([{"jobList": []}], id="no page info"),
        pytest.param([{"jobList": [], "pageInfo": {}}], id="does not say whether it is cut"),
        pytest.param([{"jobList": [], "pageInfo": {"isTruncated": True}}], id="cut without a marker"),
        pytest.param([{"jobList": [], "pageInfo": {"isTruncated": "false"}}], id="says it in words"),
        pytest.param([{"pageInfo": {"isTruncated": False}}], id="no list"),
        pytest.param([page("jobList", ["task-1"])], id="an id that is none"),
    ],
)
def test_a_cut_list_never_looks_complete(client, server, pages):
    """Whether something was paid for is read out of what is not in a list, so a doubtful list is an error."""
    server.results(*pages)
    with pytest.raises(CloudError):
        client.fine_tuning_jobs()


def test_a_scan_that_turns_in_circles_ends(client, server):
    """A marker that comes back is noticed at once."""
    server.results(*[page("jobList", ["job-1"], "job-2")] * 5)
    with pytest.raises(CloudError, match="IncompleteList"):
        client.fine_tuning_jobs()
    assert len(server.seen) == 2


def test_an_endless_scan_ends(client, server, monkeypatch):
    """A cloud that always has another page does not keep a worker for ever."""
    monkeypatch.setattr("qianfan_operator.cloud.v2.PAGE_LIMIT", 3)
    server.results(*(page("jobList", [], f"job-{number}") for number in range(10)))
    with pytest.raises(CloudError, match="IncompleteList"):
        client.fine_tuning_jobs()
    assert len(server.seen) == 3
    assert shared.PAGE_LIMIT > 3


def test_a_failing_page_fails_the_scan(client, server):
    """Half a list is no list."""
    server.results(page("jobList", ["job-1"], "job-2"))
    server.answers({"error_code": 18, "error_msg": "qps"})
    with pytest.raises(CloudError, match="18"):
        client.fine_tuning_jobs()


def models(*ids, total):
    return {"total": total, "items": [{"modelId": one + 1} for one in ids]}


def test_models_are_read_page_by_page(client, server):
    """The list of models is read until it is as long as it says."""
    server.results(models(*range(100), total=101), models(100, total=101))
    assert [model.model_id for model in client.user_models()] == [*range(1, 102)]
    assert [(seen.body["pageNo"], seen.body["pageSize"]) for seen in server.seen] == [(1, 100), (2, 100)]


@pytest.mark.parametrize("first", [models(*range(20), total=21), None], ids=["cut", "refused"])
def test_who_does_not_give_large_pages_is_asked_for_small_ones(client, server, first):
    """The documented size is what is fallen back to, and that stays so for the account."""
    if first is None:
        server.answers({"error_code": 500001, "error_msg": "param invalid", "log_id": "1"})
    else:
        server.results(first)
    server.results(models(*range(20), total=21), models(20, total=21), models(1, total=1))
    assert [model.model_id for model in client.user_models()] == [*range(1, 22)]
    client.user_models()
    pages = [(seen.body["pageNo"], seen.body["pageSize"]) for seen in server.seen]
    assert pages == [(1, 100), (1, 20), (2, 20), (1, 20)]


def test_a_list_from_which_something_goes_meanwhile_is_not_complete(client, server):
    """What moves up to a page that was read already would be missed."""
    server.results(models(*range(100), total=150), models(*range(101, 150), total=149))
    with pytest.raises(CloudError, match="IncompleteList"):
        client.user_models()


@pytest.mark.parametrize(
    "pages",
    [
        [models(1, total=2), models(1, total=2), models(total=2)],
        [models(*range(100), total=101), models(total=101)],
        [{"items": []}],
        [{"total": 0}],
        [{"total": 1, "items": ["m"]}],
    ],
)
def test_a_short_list_of_models_is_an_error(client, server, pages):
    """A list that ends before its own total, or does not tell it, is not believed."""
    server.results(*pages)
    with pytest.raises(CloudError):
        client.user_models()


def test_only_own_services_are_listed(client, server):
    """The platform's services are left out, and a null list is an empty one."""
    server.results({"common": [{"serviceId": 1}], "custom": None}, {"common": []})
    assert client.services() == ()
    with pytest.raises(CloudError, match="BadReply"):
        client.services()
