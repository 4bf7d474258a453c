"""The end of the storm: the cloud's account, Kubernetes' objects and what is wanted, held against each other.

Everything that was ever made must be somebody's, what is wanted must be there once, and what an object says must be so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from conformance import check
from e2e.history import Object
from e2e.place import JOB, KINDS, MODEL, SERVICE, Place, is_so
from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.marks import Mark, short_hash

_WASTED = {"FAIL", "STOP"}


class Audit:
    """Looks once, when nothing moves any more.

    `wanted` are the chains that are to be there, `held` the runs that worked when somebody deleted their jobs.
    """

    def __init__(self, place: Place, wanted: Iterable[str], held: Iterable[Any]) -> None:
        self._cloud, self._account = place.cloud, place.cloud.account(place.key.access_key)
        self._wanted, self._held = set(wanted), list(held)
        self._told = {plural: place.history.told(plural) for plural in KINDS}
        self._objects: dict[str, dict[str, Object]] = {plural: {} for plural in KINDS}
        for where, body in place.history.all(place.namespace):
            plural, name = where.split("/")
            self._objects[plural][name] = body
        self._ever = {plural: _uids(bodies) for plural, bodies in self._told.items()}
        self._living = {plural: _uids(bodies.values()) for plural, bodies in self._objects.items()}
        self._models = [model for model in self._account.models if not model.preset]
        self._versions = [version for model in self._models for version in model.versions]

    def wrong(self) -> list[str]:
        """Name everything that must not be."""
        parts = (
            self._presence, self._runs, self._versions_and_models, self._services,
            self._words, self._ends_of_others, self._statuses,
        )  # fmt: skip
        return [what for part in parts for what in part()]

    def _presence(self) -> Iterator[str]:
        for plural, there in self._objects.items():
            for name in there.keys() ^ self._wanted:
                yield f"{plural} {name} is {'still' if name in there else 'not'} there"

    def _runs(self) -> Iterator[str]:
        recorded, living = self._recorded(JOB, "jobId", "jobUuid"), self._living[JOB]
        of_attempt, of_inputs = defaultdict(list), defaultdict(list)
        for task in self._account.tasks:
            if len(task.runs) > 1:
                yield f"task {task.name} has {len(task.runs)} runs"
            mark = self._owner(task, JOB)
            if mark is None:
                yield f"task {task.name} is nobody's"
                continue
            for run in task.runs:
                of_attempt[mark.object, mark.uid, mark.attempt].append(run.id)
                if run.life.state not in _WASTED:
                    of_inputs[mark.object, mark.attempt, mark.inputs].append(run.id)
                if not {run.id, run.uid} & recorded and (run.life.working or mark.uid in living):
                    yield f"run {run.id} of {task.name}, {run.life.state}, is recorded nowhere"
        yield from (f"run {run.id}, whose job went, is {run.life.state}" for run in self._held if _is_left(run))
        yield from (f"an attempt of one object has runs {runs}" for runs in of_attempt.values() if len(runs) > 1)
        yield from (f"runs {runs} are one training" for runs in of_inputs.values() if len(runs) > 1)

    def _versions_and_models(self) -> Iterator[str]:
        recorded, living = self._recorded(MODEL, "modelVersionId", "modelVersionIdStr"), self._living[MODEL]
        yield from (f"model {model.name} is empty" for model in self._models if not model.versions)
        yield from _twice("models are called", (model.name for model in self._models))
        yield from _twice("versions are of run and model", ((one.run.id, one.model.name) for one in self._versions))
        for version in self._versions:
            mark = self._owner(version, MODEL)
            if mark is None:
                yield f"version {version.id} of {version.model.name} is nobody's"
            elif not {version.id, version.uid} & recorded and mark.uid in living:
                yield f"version {version.id} of {version.model.name} is recorded nowhere"

    def _services(self) -> Iterator[str]:
        recorded = self._recorded(SERVICE, "serviceId", "serviceUuid")
        serving = [one for one in self._account.services if one.life.state != "Stopped"]
        yield from _twice("services are called", (one.name for one in serving))
        for one in self._account.services:
            if self._owner(one, SERVICE) is None:
                yield f"service {one.id} {one.name} is nobody's"
        for one in serving:
            if not {one.id, one.uid} & recorded:
                yield f"service {one.id} {one.name} is recorded nowhere"

    def _words(self) -> Iterator[str]:
        """What objects say of themselves, and the cloud does not show."""
        for name, body in self._objects[JOB].items():
            failed = is_so(body, "Stalled", "True", Reason.TRAINING_FAILED)
            if is_so(body, "Ready", "True") or failed:
                run, state = self._thing(body, "jobId", "jobUuid"), "FAIL" if failed else "FINISH"
                if run is None or run.life.state != state or Mark.read(run.task.description).attempt != _attempt(body):
                    yield f"job {name} says that its run is {state}"
        for name, body in self._objects[MODEL].items():
            if is_so(body, "Ready", "True"):
                version = self._thing(body, "modelVersionId", "modelVersionIdStr")
                if version is None or version.life.state != "Ready" or not self._follows(body, JOB, version.run):
                    yield f"model {name} says that its version is Ready"
        for name, body in self._objects[SERVICE].items():
            if is_so(body, "Ready", "True"):
                one = self._thing(body, "serviceId", "serviceUuid")
                if one is None or one.life.state != "Done" or not self._follows(body, MODEL, one.version):
                    yield f"service {name} says that it serves"

    def _ends_of_others(self) -> Iterator[str]:
        """Who gives up for another one's sake is right only if that one has failed, or has given up itself."""
        for plural, followed in ((MODEL, JOB), (SERVICE, MODEL)):
            for name, body in self._objects[plural].items():
                of = self._objects[followed].get(name)
                gives_up = is_so(body, "Stalled", "True", Reason.DEPENDENCY_FAILED)
                if gives_up and (of is None or not is_so(of, "Stalled", "True")):
                    yield f"{plural} {name} says that what it follows failed"

    def _statuses(self) -> Iterator[str]:
        for told in self._told.values():
            for body in told:
                yield from (f"{_title(body)}: {what}" for what in check(body, final=False))
        for there in self._objects.values():
            for body in there.values():
                yield from (f"{_title(body)}, in the end: {what}" for what in check(body, final=True))

    def _owner(self, thing: Any, plural: str) -> Mark | None:
        """Whose a thing of the cloud is; None if nobody's who ever was."""
        mark = Mark.read(thing.description)
        return mark if mark and mark.uid in self._ever[plural] else None

    def _recorded(self, plural: str, *fields: str) -> set[Any]:
        """Everything that the statuses of a kind hold under these names, at the top or in their lists."""
        found = set()
        for body in self._objects[plural].values():
            status = body["status"]
            lists = [one for value in status.values() if isinstance(value, list) for one in value]
            found |= {
                one[field] for one in (status, *lists) if isinstance(one, dict) for field in fields if field in one
            }
        return found

    def _thing(self, body: Object, *fields: str) -> Any:
        """What a status names, by either id; None if there is no such thing."""
        for field in fields:
            with suppress(KeyError):
                return self._cloud.find(body["status"][field])
        return None

    def _follows(self, body: Object, plural: str, source: Any) -> bool:
        """Whether an object that follows another, which is ready, has what that one says it is; others need not."""
        of = self._objects[plural].get(body["metadata"]["name"])
        if body["spec"].get("updatePolicy") != "Follow" or of is None or not is_so(of, "Ready", "True"):
            return True
        fields = ("jobId", "jobUuid") if plural == JOB else ("modelVersionId", "modelVersionIdStr")
        return self._thing(of, *fields) is source


def _uids(bodies: Iterable[Object]) -> set[str]:
    return {short_hash(body["metadata"]["uid"]) for body in bodies}


def _is_left(run: Any) -> bool:
    return bool(run.life.state != "STOP")


def _attempt(body: Object) -> int:
    return int(body["spec"].get("attempt", 1))


def _title(body: Object) -> str:
    return f"{body['kind']} {body['metadata']['name']}"


def _twice(what: str, names: Iterable[object]) -> Iterator[str]:
    """Say which names there are more than once."""
    yield from (f"{number} {what} {name}" for name, number in Counter(names).items() if number > 1)
