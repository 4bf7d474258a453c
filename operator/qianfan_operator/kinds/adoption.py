"""What an object may adopt or use by its cloud id: the setting QIANFAN_ADOPT.

Where several namespaces work under the same keys, an id is no proof of anything: whoever learns or guesses it could
stop, publish, serve or delete what is another's. A mark in the cloud tells for which object a thing was made.
"""

from collections.abc import Callable, Collection

from qianfan_operator.api.common import Resource
from qianfan_operator.api.job import QianfanJob
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.views import Model, ModelVersion, Run
from qianfan_operator.kinds.interface import Adopt, ReconcileContext, Wait, confirming, stalled
from qianfan_operator.kinds.marks import Mark, short_hash

_SOON = 1.0  # seconds; the first listing is read by then, mostly


def switched_off(ctx: ReconcileContext, field: str) -> Wait | None:
    """Refuse what `field` of the spec names if nothing at all may be taken over; None: it depends on the thing."""
    if ctx.adopt is not Adopt.NONE:
        return None
    ask = "Remove it, or ask an administrator to change QIANFAN_ADOPT"
    return stalled(Reason.ADOPTION_FORBIDDEN, f"{field} is not allowed, because QIANFAN_ADOPT=none. {ask}.")


def refused(
    ctx: ReconcileContext,
    resource: Resource,
    field: str,
    what: str,
    maker: type[Resource],
    read: Callable[[], Collection[Mark | None]],
) -> Wait | None:
    """Refuse `what` (in words), named by `field`, if it may not be taken over or used; None if it may.

    `maker` is the kind of objects that make such things, `read` asks the cloud for the marks, which must all be there
    and this namespace's. Raises CloudError.
    """
    if ctx.adopt is Adopt.ANY:
        return None
    if off := switched_off(ctx, field):
        return off
    marks, namespace = read(), resource.metadata.namespace
    names = {*ctx.names(maker.plural, namespace), *([resource.metadata.name] if maker is type(resource) else [])}
    cluster, ours = short_hash(ctx.cluster), {short_hash(maker.kind, namespace, name) for name in names}
    if marks and all(mark and mark.cluster == cluster and mark.object in ours for mark in marks):
        return None
    if marks and all(mark and mark.cluster == cluster for mark in marks) and not ctx.listed:
        return confirming(_SOON, "The operator has just started and is still listing all objects.")
    rule = f"{what} was not created by a {maker.kind} of this namespace. QIANFAN_ADOPT=own-mark requires that"
    ways = f"Remove {field}, or ask an administrator to create a Secret in this namespace or to change QIANFAN_ADOPT"
    return stalled(Reason.ADOPTION_FORBIDDEN, f"{rule}. {ways}.")


def mark_of_run(account: Account, run: Run) -> Mark | None:
    """Read the mark of a run: its task bears it. None without V2, which alone tells a task's description."""
    try:
        for item in account.client.fine_tuning_jobs():
            if item.task_uuid == run.task_uuid if run.task_uuid else item.name == run.task_name:
                return Mark.read(item.description)
    except CloudError as error:
        if not error.unsupported:
            raise
    return None


def refused_run(ctx: ReconcileContext, account: Account, resource: Resource, field: str, run: Run) -> Wait | None:
    """Refuse a run that `field` names, as `refused` does."""
    what = f"Run {run.job_id or run.job_uuid}"
    return refused(ctx, resource, field, what, QianfanJob, lambda: [mark_of_run(account, run)])


def refused_version(ctx: ReconcileContext, resource: Resource, field: str, version: ModelVersion) -> Wait | None:
    """Refuse a model version that `field` names, as `refused` does."""
    what = f"Version {version.version_id or version.version_id_str}"
    return refused(ctx, resource, field, what, QianfanModel, lambda: [Mark.read(version.description)])


def refused_model(
    ctx: ReconcileContext, resource: Resource, field: str, number: object, read: Callable[[], Model]
) -> Wait | None:
    """Refuse a model that `field` names, as `refused` does: it is the namespace's if all of its versions are."""

    def marks() -> list[Mark | None]:
        try:
            return [Mark.read(version.description) for version in read().versions]
        except CloudError as error:
            if error.fate is not Fate.GONE:
                raise
            return []

    return refused(ctx, resource, field, f"Model {number}", QianfanModel, marks)
