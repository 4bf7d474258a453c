"""The V2 calls that V1 cannot replace, one method each, named after the Action.

Every method raises CloudError; `error.unsupported` tells that V2 as such is not to be had. Arguments and results are
in V1's words: a task is "job-...", a run is "task-..." (see `views`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from qianfan_operator.cloud import operations
from qianfan_operator.cloud.calls import PAGE_LIMIT, Calls, is_true
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.fields import MalformedError, listed, marker, required
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.cloud.views import Run, RunItem, Service, TaskItem

T = TypeVar("T")

MAX_KEYS: Final = 100
"""Elements per page; the cloud cuts a higher number down to this.

See docs/design/wire.md#v2-calls.
"""


class V2Calls(Calls):
    """The V2 half of the client. Ids are strings with a prefix."""

    def fine_tuning_jobs(self) -> tuple[TaskItem, ...]:
        """Read all tasks of the account, to the last page.

        See docs/design/wire.md#fine-tuning-actions.
        """
        return self._scan(operations.DESCRIBE_FINE_TUNING_JOBS, {}, "jobList", TaskItem.parse)

    def fine_tuning_tasks(self, task_uuid: str | None) -> tuple[RunItem, ...]:
        """Read all runs of one task ("job-..."), to the last page.

        Raises CloudError "IncompleteList" for a task that is listed without a usable id: nobody can tell what it holds.

        See docs/design/wire.md#fine-tuning-actions.
        """
        if task_uuid is None:
            message = "A task is listed without a usable id, so that its runs cannot be listed."
            raise CloudError(operations.DESCRIBE_FINE_TUNING_TASKS.operation, "IncompleteList", message)
        return self._scan(operations.DESCRIBE_FINE_TUNING_TASKS, {"jobId": task_uuid}, "taskList", RunItem.parse)

    def fine_tuning_task(self, job_uuid: str) -> Run:
        """Read one run ("task-...").

        See docs/design/wire.md#describefinetuningtask.
        """
        return self._call(operations.DESCRIBE_FINE_TUNING_TASK, {"taskId": job_uuid}, Run.parse_v2)

    def stop_fine_tuning_task(self, job_uuid: str) -> bool:
        """Ask for a run ("task-...") to be stopped; False: this call did not stop it, read its state.

        See docs/design/wire.md#stopping.
        """
        return self._call(operations.STOP_FINE_TUNING_TASK, {"taskId": job_uuid}, is_true)

    def describe_service(self, service_uuid: str) -> Service:
        """Read a service ("svco-...").

        See docs/design/wire.md#service-actions.
        """
        return self._call(operations.DESCRIBE_SERVICE, {"serviceId": service_uuid}, Service.parse)

    def modify_service(self, service_uuid: str, model_id_str: str, version_id_str: str) -> bool:
        """Put another model version behind a running service; its address stays.

        See docs/design/wire.md#service-actions.
        """
        body = {"serviceId": service_uuid, "modelSetId": model_id_str, "modelId": version_id_str}
        return self._call(operations.MODIFY_SERVICE, body, is_true)

    def deactivate_service(self, service_uuid: str) -> bool:
        """Ask for a service to be taken offline; its state tells when it is.

        See docs/design/wire.md#service-actions.
        """
        return self._call(operations.DEACTIVATE_SERVICE, {"serviceId": service_uuid}, _operation)

    def _scan(
        self, endpoint: Endpoint, body: Mapping[str, Any], key: str, parse: Callable[[object], T]
    ) -> tuple[T, ...]:
        """Read a list to its end. Raises CloudError "IncompleteList" where it does not come to one.

        Whether something was paid for is decided by what is *not* in such a list: a cut one must not look complete.
        """

        def page(result: object) -> tuple[list[T], str | None]:
            reply = required(result)
            return [parse(item) for item in listed(reply, key)], _next_marker(required(reply.get("pageInfo")))

        found: list[T] = []
        markers: set[str] = set()
        request: dict[str, Any] = {**body, "maxKeys": MAX_KEYS}
        for _ in range(PAGE_LIMIT):
            items, following = self._call(endpoint, request, page)
            found += items
            if following is None:
                return tuple(found)
            if following in markers:
                break
            markers.add(following)
            request["marker"] = following
        raise CloudError(endpoint.operation, "IncompleteList", "The pages of the list do not come to an end.")


def _next_marker(page: Mapping[str, object]) -> str | None:
    """Return where the next page begins, None after the last. Raises MalformedError if the page does not say."""
    truncated, following = page.get("isTruncated"), marker(page, "nextMarker")
    if truncated is False:
        return None
    if truncated is not True or following is None:
        raise MalformedError("`pageInfo` does not say where the list goes on.")
    return following


def _operation(result: object) -> bool:
    return is_true(required(result).get("operation"))
