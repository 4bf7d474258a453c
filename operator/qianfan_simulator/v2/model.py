"""`/v2/model`: DescribeModelSet (V1: model) and DescribeModel (V1: model version).

See docs/design/wire.md#model-actions.
"""

from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.dates import v2_date
from qianfan_simulator.things import Version


def describe_model_set(account: Account, body: Body) -> dict[str, Any]:
    """Tell about a model, named by exactly one of its id and its name."""
    if body.has("modelSetId") == body.has("modelSetName"):
        raise body.refuse("modelSetId")
    if body.has("modelSetId"):
        model = account.models.find(body.text("modelSetId", 1))
    else:
        model = account.models.named(body.text("modelSetName", 1))
    if model is None:
        raise body.refuse("modelSetId")
    account.begin_scan(Version)
    versions = account.shown(reversed(model.versions))
    return {
        "modelSetId": model.uid,
        "modelSetName": model.name,
        "modelType": "Text2Text",
        "source": "System" if model.preset else "UserCreate",
        "labels": model.tags,
        "createTime": v2_date(model.created),
        "modifyTime": v2_date(model.modified),
        "description": model.description,
        "modelIds": [version.uid for version in versions],
        "modelNames": [f"V{version.version}" for version in versions],
    }


def describe_model(account: Account, body: Body) -> dict[str, Any]:
    """Tell about one version."""
    version = account.versions.find(body.text("modelId", 1))
    if version is None:
        raise body.refuse("modelId")
    account.look(version)
    ready = version.life.state == "Ready"
    run = version.run
    return {
        "modelSetId": version.model.uid,
        "modelSetName": version.model.name,
        "modelId": version.uid,
        "modelName": f"V{version.version}",
        "model": version.model.train_type,
        "description": version.description,
        "sourceInfo": {"sourceType": "Train", "trainTaskId": run.uid} if run else {"sourceType": "PlatformPreset"},
        "status": version.life.state,
        "endpointType": "chat",
        "ioTokens": "",
        "createTime": v2_date(version.created),
        "modifyTime": v2_date(version.life.since),
        "isSupportDeploy": ready,
        "isSupportModelComp": False,
        "isSupportEvaluation": ready,
        "resourceConfig": [],
    }
