"""The manifests of the stories."""

import copy
from typing import Any

TRAINING: dict[str, Any] = {
    "baseTrainType": "ERNIE-Bot-turbo",
    "trainType": "ERNIE-Bot-turbo-0725",
    "trainMode": "SFT",
    "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": "0.00002", "batchSize": 4, "maxSeqLen": 4096},
    "trainset": [{"id": 1234}],
    "trainsetRate": 20,
}


def _manifest(kind: str, name: str, spec: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    merged = {key: value for key, value in {**copy.deepcopy(spec), **fields}.items() if value is not None}
    return {"kind": kind, "metadata": {"name": name}, "spec": merged}


def job(name: str = "train", **fields: Any) -> dict[str, Any]:
    """A QianfanJob; None leaves a field out."""
    return _manifest("QianfanJob", name, TRAINING, fields)


def model(name: str = "publish", **fields: Any) -> dict[str, Any]:
    """A QianfanModel of the job `train`."""
    spec = {"source": {"jobRef": {"name": "train"}}, "target": {"modelName": "my_model"}}
    return _manifest("QianfanModel", name, spec, fields)


def service(name: str = "serve", **fields: Any) -> dict[str, Any]:
    """A QianfanService of the model `publish`."""
    spec = {"source": {"modelRef": {"name": "publish"}}, "serviceName": "my_service", "uri": "my_uri"}
    return _manifest("QianfanService", name, spec, fields)
