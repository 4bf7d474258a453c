"""Objects as the API server returns them, for tests of what reads them."""

from typing import Any

from qianfan_operator.api.common import API_VERSION, FINALIZER
from qianfan_operator.api.keys import Key

Raw = dict[str, Any]
BORN = "2025-03-01T12:00:00Z"
SPECS: dict[str, tuple[str, Raw]] = {
    "qianfanjobs": ("QianfanJob", {
        "baseTrainType": "ERNIE-Bot-turbo", "trainType": "ERNIE-Bot-turbo-0725", "peftType": "LoRA",
        "trainConfig": {"epoch": 4, "learningRate": "0.00002"}, "trainset": [{"id": 1234}],
    }),
    "qianfanmodels": ("QianfanModel", {"source": {"jobRef": {"name": "faq"}}, "target": {"modelName": "faq"}}),
    "qianfanservices": ("QianfanService", {
        "source": {"modelRef": {"name": "faq"}}, "serviceName": "faq", "uri": "faq",
    }),
}  # fmt: skip
JOB, MODEL, SERVICE = (Key(plural, "team", "faq") for plural in SPECS)


def raw(key: Key, version: int = 1, *, status: Raw | None = None, spec: Raw | None = None, **metadata: Any) -> Raw:
    """An object as it was created, with other metadata (in camelCase), a status, or more fields of its spec."""
    kind, fields = SPECS[key.plural]
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": key.name, "namespace": key.namespace, "uid": "uid-1", "generation": 1,
            "resourceVersion": str(version), "creationTimestamp": BORN, **metadata,
        },
        "spec": {**fields, **(spec or {})},
        "status": {"observedGeneration": -1} if status is None else status,
    }  # fmt: skip


def condition(kind: str, status: str, reason: str) -> Raw:
    """A condition of the first generation."""
    return {"type": kind, "status": status, "reason": reason, "observedGeneration": 1, "lastTransitionTime": BORN}


HELD: Raw = {"finalizers": [FINALIZER]}
TRAINING: Raw = {
    "observedGeneration": 1, "account": "0a1b2c3d", "attempt": 1, "highestAttempt": 1, "taskId": 11, "jobId": 12,
    "trainStatus": "RUNNING", "inputsHash": "h1:x",
    "conditions": [condition("Ready", "False", "Training"), condition("Reconciling", "True", "Training"),
                   condition("Succeeded", "Unknown", "Training")],
}  # fmt: skip
FINISHED: Raw = {
    **TRAINING, "trainStatus": "FINISH",
    "conditions": [condition("Ready", "True", "Succeeded"), condition("Synced", "True", "Succeeded"),
                   condition("Succeeded", "True", "Succeeded")],
}  # fmt: skip
SERVING: Raw = {
    "observedGeneration": 1, "account": "0a1b2c3d", "serviceId": 31, "serviceStatus": "Done",
    "conditions": [condition("Ready", "True", "Available"), condition("Synced", "True", "Available"),
                   condition("Available", "True", "Available")],
}  # fmt: skip
