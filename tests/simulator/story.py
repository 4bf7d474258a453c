"""The usual chain, step by step, for tests that begin in its middle."""

from dataclasses import dataclass
from typing import Any

from simulator.console import Console

# The vendor's sample [vendor documentation, createJob].
JOB: dict[str, Any] = {
    "baseTrainType": "ERNIE-Bot-turbo",
    "trainType": "ERNIE-Bot-turbo-0725",
    "trainMode": "SFT",
    "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
    "trainset": [{"type": 1, "id": 1234}],
    "trainsetRate": 20,
}
SERVICE: dict[str, Any] = {"name": "sdk_test", "uri": "svc_uri", "replicas": 1, "poolType": 2}


@dataclass
class Story:
    """Makes things through the API of one account."""

    console: Console

    def task(self, name: str = "task_name", **more: Any) -> Any:
        """A task: id, uuid, ..."""
        return self.console.ok("createTask", name=name, **more)

    def run(self, task: Any = None, **changes: Any) -> dict[str, Any]:
        """A run that has just begun, as jobDetail wants it, with its uuid."""
        task = task or self.task()
        job = self.console.ok("createJob", **{**JOB, "taskId": task["id"], **changes})
        return {"taskId": task["id"], "jobId": job["id"], "taskUuid": task["uuid"], "uuid": job["uuid"]}

    def finished(self, task: Any = None, **changes: Any) -> dict[str, Any]:
        """A run that has finished."""
        run = self.run(task, **changes)
        self.see("jobDetail", "trainStatus", "FINISH", taskId=run["taskId"], jobId=run["jobId"])
        return run

    def publish(self, run: dict[str, Any], name: str = "model_1", **more: Any) -> Any:
        """A version that has just been published, in a new model."""
        meta = {"taskId": run["taskId"], "iterationId": run["jobId"]}
        target = more if "modelId" in more else {"isNewModel": True, "modelName": name, **more}
        return self.console.ok("publishTrainModel", versionMeta=meta, **target)

    def ready(self, name: str = "model_1", **more: Any) -> Any:
        """A version that is ready."""
        version = self.publish(self.finished(self.task(f"t_{name}")), name, **more)
        self.see("modelVersionDetail", "state", "Ready", modelVersionId=version["versionId"])
        return version

    def service(self, version: Any = None, **changes: Any) -> Any:
        """An unpaid service."""
        version = version or self.ready()
        ids = {"modelId": version["modelId"], "modelVersionId": version["versionId"]}
        return self.console.ok("apply", **{**SERVICE, **ids, **changes})

    def serving(self, version: Any = None, **changes: Any) -> Any:
        """A service that serves."""
        service = self.service(version, **changes)
        self.console.control("pay", id=service["serviceId"])
        self.see("serviceDetail", "serviceStatus", "Done", serviceId=service["serviceId"])
        return service

    def see(self, operation: str, key: str, state: str, **reference: Any) -> list[Any]:
        """Look until the state is told; everything that was told before it."""
        before = []
        while (told := self.console.ok(operation, **reference)[key]) != state:
            before.append(told)
            assert len(before) < 10, before
        return before
