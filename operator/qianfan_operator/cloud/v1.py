"""The V1 calls, one method each, named as on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud import operations
from qianfan_operator.cloud.calls import PAGE_LIMIT, Calls, is_true
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.fields import MalformedError, count, listed, required
from qianfan_operator.cloud.transport import Prepared
from qianfan_operator.cloud.views import (
    Applied,
    Model,
    ModelSummary,
    ModelVersion,
    Published,
    Run,
    RunIds,
    Service,
    ServiceItem,
    Task,
)

PAGE_SIZES: Final = (100, 20)
"""Models asked for at a time: as many as V2 lists give, where the cloud accepts that, else as the vendor's SDK asks.

The vendor documents nothing but a number above 0. A page that is refused or cut shows that it is too many.
"""

_NOT_RUNNING: Final = "510302"


class V1Calls(Calls):
    """The V1 half of the client. Ids are integers unless a method says otherwise."""

    _page_sizes: tuple[int, ...] = PAGE_SIZES
    """What is left of them to be tried in this account."""

    def create_task(self, name: str, description: str) -> Task:
        """Make a named folder for runs; free. `error.exists` if the name is taken.

        See docs/design/wire.md#createtask.
        """
        return self._call(operations.CREATE_TASK, {"name": name, "description": description}, Task.parse)

    def prepare_create_job(self, body: Mapping[str, Any]) -> Prepared[RunIds]:
        """Sign the start of a run; sending it costs money.

        See docs/design/wire.md#createjob.
        """
        return self._transport.prepare(operations.CREATE_JOB, body, RunIds.parse)

    def job_detail(self, task_id: int, job_id: int) -> Run:
        """Read one run.

        See docs/design/wire.md#jobdetail.
        """
        return self._call(operations.JOB_DETAIL, {"taskId": task_id, "jobId": job_id}, Run.parse)

    def stop_job(self, task_id: int, job_id: int) -> bool:
        """Ask for a run to be stopped; False: this call did not stop it, read its state.

        See docs/design/wire.md#stopping.
        """
        try:
            return self._call(operations.STOP_JOB, {"taskId": task_id, "jobId": job_id}, is_true)
        except CloudError as error:
            if error.code == _NOT_RUNNING:
                return False
            raise

    def prepare_publish(self, body: Mapping[str, Any]) -> Prepared[Published]:
        """Sign the publishing of a finished run.

        See docs/design/wire.md#publishtrainmodel.
        """
        return self._transport.prepare(operations.PUBLISH_TRAIN_MODEL, body, Published.parse)

    def model_detail(self, model_id: int | str) -> Model:
        """Read a model and all its versions, by number or "am-...".

        See docs/design/wire.md#modeldetail.
        """
        return self._call(operations.MODEL_DETAIL, {"modelId": model_id}, Model.parse)

    def model_version_detail(self, version_id: int | str) -> ModelVersion:
        """Read one version, by number or "amv-...".

        See docs/design/wire.md#modelversiondetail.
        """
        return self._call(operations.MODEL_VERSION_DETAIL, {"modelVersionId": version_id}, ModelVersion.parse)

    def check_keys(self) -> None:
        """Make one cheap signed read, whose answer tells whether the cloud takes the keys."""
        self._call(operations.USER_LIST, {"pageNo": 1, "pageSize": 1}, lambda _: None)

    def user_models(self, name_filter: str = "") -> tuple[ModelSummary, ...]:
        """Read all of the account's own models, page by page; `name_filter` may match more than equal names.

        Raises CloudError "IncompleteList" for a list that does not come to its own total, or from which something went
        while it was read: what moved up to a page that was read already is not seen.
        """
        words = {"nameFilter": name_filter} if name_filter else {}
        total, found = self._first_models(words)
        for number in range(2, PAGE_LIMIT + 1):
            if len(found) >= total:
                return tuple(found)
            body = {"pageNo": number, "pageSize": self._page_sizes[0], **words}
            now, models = self._call(operations.USER_LIST, body, _page)
            if not models or now < total:
                break
            total = now
            found += models
        raise CloudError(operations.USER_LIST.operation, "IncompleteList", "The list ended before its own total.")

    def _first_models(self, words: Mapping[str, Any]) -> tuple[int, list[ModelSummary]]:
        """Read the first page, and learn by it how many models the cloud gives at a time."""
        while True:
            size, *less = self._page_sizes
            try:
                total, models = self._call(operations.USER_LIST, {"pageNo": 1, "pageSize": size, **words}, _page)
            except CloudError as error:
                if error.reason is not Reason.REFUSED or not less:
                    raise
            else:
                if len(models) >= min(size, total) or not less:
                    return total, models
            self._page_sizes = tuple(less)

    def delete_models(self, model_ids: Sequence[int | str]) -> bool:
        """Delete models with all their versions; ids of one kind only.

        See docs/design/wire.md#model-lists-and-deletes.
        """
        return self._call(operations.DELETE_MODELS, {"modelIDs": _one_kind(model_ids)}, _is_not_false)

    def delete_model_versions(self, version_ids: Sequence[int | str]) -> bool:
        """Delete single versions; ids of one kind only.

        See docs/design/wire.md#model-lists-and-deletes.
        """
        return self._call(operations.DELETE_MODEL_VERSIONS, {"modelVersionIds": _one_kind(version_ids)}, _is_not_false)

    def prepare_apply(self, body: Mapping[str, Any]) -> Prepared[Applied]:
        """Sign the application for a service; takes integer ids only.

        See docs/design/wire.md#apply.
        """
        return self._transport.prepare(operations.APPLY, body, Applied.parse)

    def service_detail(self, service_id: int) -> Service:
        """Read one service.

        See docs/design/wire.md#servicedetail.
        """
        return self._call(operations.SERVICE_DETAIL, {"serviceId": service_id}, Service.parse)

    def services(self) -> tuple[ServiceItem, ...]:
        """Read all of the account's own services; the list has no pages.

        See docs/design/wire.md#servicelist.
        """
        return self._call(operations.SERVICE_LIST, {}, _services)


def _is_not_false(result: object) -> bool:
    """Read the reply of a delete, whose shape is not documented: only a plain false is a no.

    See docs/design/wire.md#model-lists-and-deletes.
    """
    return result is not False


def _page(result: object) -> tuple[int, list[ModelSummary]]:
    reply = required(result)
    total = count(reply, "total")
    if total is None:
        raise MalformedError("The list does not say how long it is.")
    return total, [ModelSummary.parse(item) for item in listed(reply, "items")]


def _services(result: object) -> tuple[ServiceItem, ...]:
    return tuple(map(ServiceItem.parse, listed(required(result), "custom")))


def _one_kind(ids: Sequence[int | str]) -> list[int | str]:
    """Check what the cloud demands of a delete: all integers or all strings. Raises ValueError."""
    if not ids or len({isinstance(number, str) for number in ids}) != 1:
        raise ValueError("the ids of one delete must be all integers or all strings, and at least one")
    return list(ids)
