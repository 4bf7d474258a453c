"""One test's own corner: a namespace, an account of the cloud, and the words to tell a story in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.history import History, Object
from qianfan_devcluster.cluster import Cluster
from qianfan_simulator import Call, Effect, Fault, Key, Simulator

JOB, MODEL, SERVICE = "qianfanjobs", "qianfanmodels", "qianfanservices"
KINDS = {JOB: "QianfanJob", MODEL: "QianfanModel", SERVICE: "QianfanService"}
SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"
TRAINING: Mapping[str, Any] = {
    "baseTrainType": "ERNIE-Bot-turbo",
    "trainType": "ERNIE-Bot-turbo-0725",
    "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": "0.00003", "maxSeqLen": 4096},
    "trainset": [{"id": 1234}],
}


def manifest(plural: str, name: str, spec: Mapping[str, Any]) -> Object:
    """An object as a person writes it."""
    return {
        "apiVersion": "qianfan.dev/v1alpha1",
        "kind": KINDS[plural],
        "metadata": {"name": name},
        "spec": dict(spec),
    }


def job(name: str = "essay", **changes: Any) -> Object:
    """A training that the cloud accepts, with changes to its spec."""
    return manifest(JOB, name, {**TRAINING, **changes})


def model(name: str = "essay", **changes: Any) -> Object:
    """The publishing of the job of the same name, with changes to its spec."""
    spec = {"source": {"jobRef": {"name": name}}, "target": {"modelName": f"{name}_model"}}
    return manifest(MODEL, name, {**spec, **changes})


def service(name: str = "essay", **changes: Any) -> Object:
    """The serving of the model of the same name, with changes to its spec."""
    spec = {"source": {"modelRef": {"name": name}}, "serviceName": f"{name}_service", "uri": name}
    return manifest(SERVICE, name, {**spec, **changes})


def condition(body: Object, kind: str) -> dict[str, Any]:
    """A condition of an object; empty if it has none of this type."""
    conditions = body.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def is_so(body: Object, kind: str, status: str, reason: str = "") -> bool:
    """Whether a condition has this status and reason, and judges the spec as it is now."""
    found = condition(body, kind)
    now = found.get("observedGeneration") == body["metadata"]["generation"]
    return now and found["status"] == status and reason in {"", found["reason"]}


@dataclass
class Place:
    """Applies, waits and asks in its own namespace, with its own access key."""

    cluster: Cluster
    history: History
    cloud: Simulator
    namespace: str
    key: Key
    _applied: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    # Kubernetes

    def kubectl(self, *words: str | Path, **more: Any) -> str:
        """Run kubectl in the namespace, as a person; returns what it prints."""
        return self.cluster.kubectl(words[0], "-n", self.namespace, *words[1:], **more).stdout

    def give_keys(self, **data: str) -> None:
        """Write the Secret: with the account's keys, or with exactly `data`."""
        keys = data or {"QIANFAN_ACCESS_KEY": self.key.access_key, "QIANFAN_SECRET_KEY": self.key.secret_key}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "qianfan-credentials"}, "stringData": keys}
        self.kubectl("replace", "--force", "-f", "-", input=json.dumps(body))

    def change_keys(self, key: Key) -> None:
        """Change both halves in the Secret, in one step, as a rotation does."""
        data = {"QIANFAN_ACCESS_KEY": key.access_key, "QIANFAN_SECRET_KEY": key.secret_key}
        self.kubectl("patch", "secret", "qianfan-credentials", "-p", json.dumps({"stringData": data}))

    def apply(self, *manifests: Object | Path) -> None:
        """Apply manifests as a person does; what is waited for later is what comes of these, not of earlier ones."""
        texts = [one.read_text() if isinstance(one, Path) else json.dumps(one) for one in manifests]
        told = self.kubectl("apply", "-f", "-", "-o", "json", input="\n---\n".join(texts))
        answer = json.loads(told)
        for body in answer.get("items", [answer]):
            self._remember(body)

    def patch(self, plural: str, name: str, body: Object, *more: str) -> Object:
        """Merge into an object, or into what `more` says; returns it."""
        words = ("patch", plural, name, "--type=merge", "-p", json.dumps(body), "-o", "json", *more)
        answer: Object = json.loads(self.kubectl(*words))
        self._remember(answer)
        return answer

    def delete(self, plural: str, name: str) -> None:
        """Delete an object, and wait until it is gone."""
        self.kubectl("delete", plural, name, "--timeout=60s")

    def get(self, plural: str, name: str = "essay") -> Object:
        """Return an object as it was last told; empty if it is not there, or not yet as it was applied."""
        body = self.history.get(plural, self.namespace, name)
        uid, generation = self._applied.get((plural, name), ("", 0))
        if body is None or (uid and body["metadata"]["uid"] != uid) or body["metadata"]["generation"] < generation:
            return {}
        return body

    def until(self, plural: str, holds: Callable[[Object], Any], name: str = "essay", within: float = 30) -> Object:
        """Wait until something holds of an object, and return it."""

        def found() -> Object | None:
            body = self.get(plural, name)
            return body if body and holds(body) else None

        def otherwise() -> str:
            shown = "\n".join(f"{one}: {json.dumps(body['status'])}" for one, body in self.history.all(self.namespace))
            return f"{plural}/{name} in {self.namespace} did not come to it:\n{shown}"

        return self.history.wait_for(found, otherwise, within)

    def until_ready(self, plural: str, name: str = "essay") -> Object:
        """Wait until an object is Ready."""
        return self.until(plural, lambda body: is_so(body, "Ready", "True"), name)

    def until_waiting(self, plural: str, reason: str, name: str = "essay") -> Object:
        """Wait until an object is not Ready for a reason that may pass."""
        return self.until(
            plural, lambda body: is_so(body, "Ready", "False", reason) and is_so(body, "Reconciling", "True"), name
        )

    def until_stalled(self, plural: str, reason: str, name: str = "essay") -> Object:
        """Wait until an object is not Ready for a reason that a person must mend."""
        return self.until(plural, lambda body: is_so(body, "Stalled", "True", reason), name)

    def until_told(self, plural: str, reason: str, name: str = "essay") -> list[str]:
        """Wait for an event about an object; return the reasons of all its events, oldest first."""
        about = {"kind": KINDS[plural], "name": name, "namespace": self.namespace}

        def reasons() -> list[str]:
            events = [event for event in self.history.told("events") if about.items() <= event["regarding"].items()]
            return [event["reason"] for event in events]

        self.history.wait_for(lambda: reason in reasons(), lambda: f"no event {reason} among {reasons()}")
        return reasons()

    # The cloud

    def calls(self, operation: str = "", outcome: str = "ok") -> list[Call]:
        """The calls of this account that came to an outcome (any, if it is empty)."""
        mine = [call for call in self.cloud.calls if call.access_key == self.key.access_key]
        return [call for call in mine if operation in {"", call.operation} and outcome in {"", call.outcome}]

    def paid(self) -> dict[str, int]:
        """How often each call that makes something was executed."""
        names = ("createTask", "createJob", "publishTrainModel", "apply")
        return {name: len(calls) for name in names if (calls := self.calls(name))}

    def until_called(self, operation: str, times: int, outcome: str = "ok") -> None:
        """Wait until a call was made so many times more."""
        before = len(self.calls(operation, outcome))
        self.history.wait_for(
            lambda: len(self.calls(operation, outcome)) >= before + times,
            lambda: f"{operation} was called {len(self.calls(operation, outcome)) - before} times, not {times}",
        )

    def spoil(self, effect: Effect, operation: str = "*", **more: Any) -> None:
        """Have the next calls of this account go wrong; `count=0` is for ever."""
        self.cloud.faults.add(Fault(effect, operation, access_key=self.key.access_key, **more))

    def run(self, name: str = "essay") -> Any:
        """The run in the cloud that a job records."""
        status = self.get(JOB, name)["status"]
        return self.cloud.find(status.get("jobId") or status["jobUuid"])

    def _remember(self, body: Object) -> None:
        if body["kind"] in KINDS.values():
            plural = f"{body['kind'].lower()}s"
            self._applied[plural, body["metadata"]["name"]] = (body["metadata"]["uid"], body["metadata"]["generation"])
