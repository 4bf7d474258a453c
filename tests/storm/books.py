"""What there is at the moment: which objects are not settled, and how much of everything the cloud holds."""

from typing import Any

from e2e.history import Object
from e2e.place import JOB, KINDS, MODEL, Place, condition, is_so
from qianfan_operator.api.reasons import Reason

_ENDS = (Reason.TRAINING_FAILED, Reason.DEPENDENCY_FAILED)


def is_settled(body: Object) -> bool:
    """Whether an object is where it would be without a crash: with V2 and a witness nothing stays unknown."""
    return is_so(body, "Ready", "True") or any(is_so(body, "Stalled", "True", why) for why in _ENDS)


class Books:
    """Looks at a place; everything that is asked is asked of what there is now."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def account(self) -> Any:
        return self._place.cloud.account(self._place.key.access_key)

    def objects(self) -> list[Object]:
        """The objects that are there."""
        return [body for _, body in self._place.history.all(self._place.namespace)]

    def unsettled(self) -> list[str]:
        """Say of every object that is not settled what it says."""
        return [
            f"{body['kind']} {body['metadata']['name']}: {condition(body, 'Ready')}"
            for body in self.objects()
            if body["metadata"].get("deletionTimestamp") or not is_settled(body) or self._is_behind(body)
        ]

    def _is_behind(self, body: Object) -> bool:
        """Whether an object that follows another, or waits for it, has not taken up yet what that one has come to."""
        if body["spec"].get("updatePolicy") != "Follow" and is_so(body, "Ready", "True"):
            return False
        of = self._place.history.get(*_followed(body)) if body["kind"] != KINDS[JOB] else None
        if of is None or not is_so(of, "Ready", "True"):
            return False
        has = body["status"].get("source", body["status"])
        return not _ids(has) & _ids(of["status"])

    def figures(self) -> dict[str, int]:
        """Count what there is."""
        account, calls = self.account, self._place.calls()
        told = [body for plural in KINDS for body in self._place.history.told(plural)]
        return {
            "objects": len({body["metadata"]["uid"] for body in told}),
            "tasks": len(account.tasks),
            "runs": len(account.runs),
            "models": len([model for model in account.models if not model.preset]),
            "versions": sum(version.run is not None for version in account.versions),
            "services": len(account.services),
            "calls": len(calls),
            "statuses": len(told),
        }


def _followed(body: Object) -> tuple[str, str, str]:
    """Where the object stands that a model or a service of a chain follows."""
    return JOB if body["kind"] == KINDS[MODEL] else MODEL, body["metadata"]["namespace"], body["metadata"]["name"]


def _ids(status: dict[str, Any]) -> set[Any]:
    """What is handed on: a run, or a model version."""
    return {status[name] for name in ("jobId", "jobUuid", "modelVersionId") if name in status}
