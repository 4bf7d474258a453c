"""Reply types: frozen values, the same ones for V1 and V2.

The words are V1's, everywhere: a *task* is the named folder (`task_uuid` "job-..."), a *job* is one run in it
(`job_uuid` "task-..."); a *model* is "am-...", a *model version* "amv-...", a *service* "svco-...". What
the cloud did not say is None for ids, numbers and times, and "" for words; words that we do not know are kept as they
are; times are RFC 3339. Every `parse` raises MalformedError for a reply that lacks what the view is for.

See docs/design/wire.md#v1-and-v2-words.
"""

from qianfan_operator.cloud.views.repository import Model, ModelSummary, ModelVersion, Published
from qianfan_operator.cloud.views.serving import Applied, ServedVersion, Service, ServiceItem
from qianfan_operator.cloud.views.training import Run, RunIds, RunItem, Task, TaskItem

__all__ = [
    "Applied",
    "Model",
    "ModelSummary",
    "ModelVersion",
    "Published",
    "Run",
    "RunIds",
    "RunItem",
    "ServedVersion",
    "Service",
    "ServiceItem",
    "Task",
    "TaskItem",
]
