"""What there is when the storm is over, in the cloud and in Kubernetes, held against each other."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from conformance import check
from e2e.history import Object
from e2e.place import JOB, KINDS, MODEL, SERVICE, Place, condition, is_so
from qianfan_operator.names import Mark, short_hash
from qianfan_operator.reasons import Reason

_SETTLED = {Reason.TRAINING_FAILED, Reason.DEPENDENCY_FAILED}
_UNKNOWN = {Reason.CREATE_OUTCOME_UNKNOWN, Reason.TASK_EXISTS}
_WASTED = {"FAIL", "STOP"}


class Books:
    """Looks at a place; everything that is asked is asked of what there is now."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def account(self) -> Any:
        return self._place.cloud.account(self._place.key.access_key)

    def objects(self, plural: str = "") -> list[Object]:
        """The objects that are there."""
        return [body for name, body in self._place.history.all(self._place.namespace) if name.startswith(plural)]

    def unsettled(self) -> list[str]:
        """Say of every object that waits, or that nobody expected to be stalled, what it says."""
        return [
            f"{body['kind']} {body['metadata']['name']}: {condition(body, 'Ready')}"
            for body in self.objects()
            if not is_so(body, "Ready", "True") and not any(is_so(body, "Stalled", "True", one) for one in _SETTLED)
        ]

    def unknown(self) -> int:
        """Count the objects that say that they cannot know what they have made."""
        return sum(is_so(body, "Stalled", "True", reason) for body in self.objects() for reason in _UNKNOWN)

    def figures(self) -> dict[str, int]:
        """Count what there is."""
        account, calls = self.account, self._place.calls()
        told = [body for plural in KINDS for body in self._place.history.told(plural)]
        return {
            "objects": len({body["metadata"]["uid"] for body in told}),
            "tasks": len(account.tasks),
            "runs": len(account.runs),
            "versions": sum(version.run is not None for version in account.versions),
            "services": len(account.services),
            "calls": len(calls),
            "statuses": len(told),
        }

    def wrong(self) -> list[str]:
        """Name everything that must not be."""
        return [*self._runs(), *self._versions(), *self._services(), *self._statuses()]

    def _living(self) -> set[str]:
        return {short_hash(body["metadata"]["uid"]) for body in self.objects()}

    def _recorded(self, plural: str, *fields: str) -> set[Any]:
        """Everything that the statuses of a kind hold under these names, at the top or in their lists."""
        found = set()
        for body in self.objects(plural):
            status = body["status"]
            lists = [one for value in status.values() if isinstance(value, list) for one in value]
            found |= {
                one[field] for one in (status, *lists) if isinstance(one, dict) for field in fields if field in one
            }
        return found

    def _runs(self) -> Iterator[str]:
        recorded, living = self._recorded(JOB, "jobId", "jobUuid"), self._living()
        of_attempt, of_inputs = defaultdict(list), defaultdict(list)
        for task in self.account.tasks:
            if len(task.runs) > 1:
                yield f"task {task.name} has {len(task.runs)} runs"
            mark = Mark.read(task.description)
            if mark is None:
                yield f"task {task.name} is nobody's"
                continue
            for run in task.runs:
                of_attempt[mark.object, mark.uid, mark.attempt].append(run.id)
                if run.life.state not in _WASTED:
                    of_inputs[mark.object, mark.attempt, mark.inputs].append(run.id)
                if not {run.id, run.uid} & recorded and (run.life.working or mark.uid in living):
                    yield f"run {run.id} of {task.name}, {run.life.state}, is recorded nowhere"
        yield from (
            f"attempt {attempt} of one object has runs {runs}"
            for (*_, attempt), runs in of_attempt.items()
            if len(runs) > 1
        )
        yield from (f"runs {runs} are one training" for runs in of_inputs.values() if len(runs) > 1)

    def _versions(self) -> Iterator[str]:
        recorded, living = self._recorded(MODEL, "modelVersionId", "modelVersionIdStr"), self._living()
        versions = [version for version in self.account.versions if version.run]
        for (run, target), number in Counter((one.run.id, one.model.id) for one in versions).items():
            if number > 1:
                yield f"run {run} was published {number} times as model {target}"
        for version in versions:
            mark = Mark.read(version.description)
            if not {version.id, version.uid} & recorded and (mark is None or mark.uid in living):
                yield f"version {version.id} of {version.model.name} is recorded nowhere"

    def _services(self) -> Iterator[str]:
        recorded = self._recorded(SERVICE, "serviceId", "serviceUuid")
        serving = [one for one in self.account.services if one.life.state != "Stopped"]
        for name, number in Counter(one.name for one in serving).items():
            if number > 1:
                yield f"{number} services are {name}"
        yield from (
            f"service {one.id} {one.name} is recorded nowhere" for one in serving if not {one.id, one.uid} & recorded
        )

    def _statuses(self) -> Iterator[str]:
        for plural in KINDS:
            for body in self._place.history.told(plural):
                yield from (f"{body['kind']} {body['metadata']['name']}: {what}" for what in check(body, final=False))
        for body in self.objects():
            yield from (
                f"{body['kind']} {body['metadata']['name']}, in the end: {what}" for what in check(body, final=True)
            )
