"""The CRD guard: an object that goes only because its CRD is deleted is orphaned, never released.

`kubectl delete crd`, a chart that owns the CRDs, or a prune deletes every object of a kind, which nobody has asked for
object by object. The API server marks the CRD as deleted first, and its objects after that. So a CRD that is read
after an object was read as deleted, and that has no mark, proves that the object was deleted for itself. For that the
CRD is read anew each time: an older answer would prove nothing.
"""

from datetime import datetime

from qianfan_operator.api.common import GROUP, Metadata, Resource
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import Cause
from qianfan_operator.kube.client import Forbidden, Kube, NotFound

_LEFT = "What this object made is left in the cloud as it is, and may go on costing"


class CrdGuard:
    """Tells whether an object goes because its CRD goes. Methods raise KubeError if that cannot be known."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def leaving(self, resource: Resource) -> Cause | None:
        """Say why an object that is being deleted is let go without the cloud; None: it was deleted for itself.

        The reason is DELETION_BLOCKED where the operator may not read the CRD: then nothing is released.
        """
        try:
            cause = self._cause(resource, resource.metadata.deletion_timestamp)
        except Forbidden:
            message = (
                f"The operator may not read the CRD {_name(resource)}, which tells whether this object was deleted for "
                "itself. Nothing is stopped or deleted in the cloud until it may: apply deploy/access of this version."
            )
            return Cause(Reason.DELETION_BLOCKED, message)
        return Cause(Reason.ORPHANED, f"{cause} {_LEFT}{_ids(resource)}.") if cause else None

    def went(self, resource: Resource) -> bool:
        """Say whether an object that is gone went, as far as can be known, with its CRD."""
        return bool(self._cause(resource, resource.metadata.creation_timestamp))

    def _cause(self, resource: Resource, since: datetime | None) -> str:
        """Say what became of the CRD that was there at a time; empty if it is still there and stays."""
        name = _name(resource)
        try:
            crd = Metadata.model_validate(self._kube.crd_metadata(name))
        except NotFound:
            return f"The CRD {name} is gone."
        if crd.deletion_timestamp:
            return f"The CRD {name} is being deleted."
        if since and crd.creation_timestamp and since < crd.creation_timestamp:
            return f"The CRD {name} was deleted and installed again."
        return ""


def _name(resource: Resource) -> str:
    return f"{resource.plural}.{GROUP}"


def _ids(resource: Resource) -> str:
    """Name by their fields the ids that the status records, those of earlier attempts and versions last."""
    recorded = resource.status.to_dict()
    named = [f"{name} {recorded[name]}" for name in recorded if name.endswith(("Id", "Uuid", "IdStr"))]
    named += [f"run {run.get('jobId') or run.get('jobUuid')}" for run in recorded.get("runs", ())]
    named += [f"version {number}" for number in recorded.get("published", ())]
    return f": {', '.join(named)}" if named else ""
