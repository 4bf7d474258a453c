"""`/wenxinworkshop/modelrepo/`: models and their versions.

See docs/design/wire.md#modeldetail.
"""

import re
from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.body import Body
from qianfan_simulator.catalogue import family_of
from qianfan_simulator.dates import v1_model_date
from qianfan_simulator.errors import ConsoleError
from qianfan_simulator.lifecycle import VERSION, Life
from qianfan_simulator.things import Model, Run, Version
from qianfan_simulator.v1.finetune import internal_name

_TAG = re.compile(r"[A-Za-z0-9\u4e00-\u9fff]+")
# The user id in replies; any integer will do.
_USER_ID = 77


def model_detail(account: Account, body: Body) -> dict[str, Any]:
    """Tell about a model and all of its versions, newest first."""
    model = _model(account, body.reference("modelId"))
    account.begin_scan(Version)
    return {
        **_names(model),
        "source": "PlatformPreset" if model.preset else "UserCreate",
        "modelType": 0,
        "createUserId": -1 if model.preset else _USER_ID,
        "createUser": "" if model.preset else account.name,
        "createTime": v1_model_date(model.created),
        "modifyTime": v1_model_date(model.modified),
        "description": model.description,
        "trainType": model.train_type,
        "languageSupport": [],
        "expansion": [],
        "modelVersionList": [_version(account, version) for version in account.shown(reversed(model.versions))],
    }


def model_version_detail(account: Account, body: Body) -> dict[str, Any]:
    """Tell about one version."""
    version = account.versions.find(body.reference("modelVersionId"))
    if version is None:
        raise ConsoleError(10001)
    return {**_version(account, version), "params": {"input": {}, "output": {}}}


def publish_train_model(account: Account, body: Body) -> dict[str, Any]:
    """Make a version of a finished run, in a new model or in an existing one."""
    is_new = body.flag("isNewModel", default=False)
    tags = body.texts("tags", 5, 10)
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise body.refuse("tags")
    meta = body.section("versionMeta")
    description = meta.text("description", default="")
    task_id, run_id = meta.reference("taskId"), meta.reference("iterationId")
    if is_new:
        model, name = None, _new_name(account, body)
    else:
        model, name = _model(account, body.reference("modelId")), ""
    run = account.runs.find(run_id)
    if run is None or task_id not in (run.task.id, run.task.uid):
        raise ConsoleError(70114)
    account.settle(run)
    if run.life.state != "FINISH":
        raise ConsoleError(21002)
    if model is None:
        model = _new_model(account, name, internal_name(run))
    else:
        _check_fit(model, run)
    if body.has("tags"):
        model.tags = tags
    version = _new_version(account, model, run, description)
    return {
        "modelId": model.id,
        "modelIDStr": model.uid,
        "version": version.version,
        "versionId": version.id,
        "versionIdStr": version.uid,
    }


def user_list(account: Account, body: Body) -> dict[str, Any]:
    """List the account's own models, newest first unless asked otherwise."""
    return _list(account, body, preset=False)


def preset_list(account: Account, body: Body) -> dict[str, Any]:
    """List the platform's models (the reply's shape is INFERRED, wire 2.8)."""
    return _list(account, body, preset=True)


def model_batch_delete(account: Account, body: Body) -> bool:
    """Delete models with their versions, all or none (INFERRED)."""
    models = [_model(account, reference) for reference in body.references("modelIDs")]
    if any(model.preset for model in models):
        raise body.refuse("modelIDs")
    for model in dict.fromkeys(models):
        account.drop(model)
    return True


def version_batch_delete(account: Account, body: Body) -> bool:
    """Delete versions, all or none (INFERRED)."""
    versions = [account.versions.find(reference) for reference in body.references("modelVersionIds")]
    if any(version is None or version.model.preset for version in versions):
        raise ConsoleError(10001)
    for version in dict.fromkeys(versions):
        if version:
            account.drop(version)
    return True


def _model(account: Account, reference: int | str) -> Model:
    if (model := account.models.find(reference)) is None:
        raise ConsoleError(10001)
    return model


def _new_name(account: Account, body: Body) -> str:
    name = body.text("modelName", longest=100, default="")
    if not name:
        raise ConsoleError(70131)
    if account.models.named(name):
        raise ConsoleError(70101)
    return name


def _check_fit(model: Model, run: Run) -> None:
    if model.preset:
        raise ConsoleError(70128)
    if model.train_type and family_of(model.train_type) != family_of(internal_name(run)):
        raise ConsoleError(70130)
    if any(version.run is run for version in model.versions):
        raise ConsoleError(70118)


def _new_model(account: Account, name: str, train_type: str) -> Model:
    number, uid = account.new_ids("am")
    now = account.now
    model = Model(id=number, uid=uid, created=now, modified=now, name=name, train_type=train_type)
    return account.keep(account.models, model)


def _new_version(account: Account, model: Model, run: Run, description: str) -> Version:
    number, uid = account.new_ids("amv")
    model.published += 1
    model.modified = account.now
    version = Version(
        id=number,
        uid=uid,
        created=account.now,
        description=description,
        model=model,
        run=run,
        version=str(model.published),
        life=Life(VERSION, "Creating", account.now),
    )
    model.versions.append(version)
    return account.keep(account.versions, version)


def _names(model: Model) -> dict[str, Any]:
    return {"modelId": model.id, "modelIdStr": model.uid, "modelName": model.name}


def _source(version: Version) -> dict[str, Any]:
    if (run := version.run) is None:
        return {}
    extra = {
        "taskId": run.task.id,
        "taskIdStr": run.task.uid,
        "taskName": run.task.name,
        "iterationVersion": run.version,
        "runId": run.id,
        "runIdStr": run.uid,
        "devType": 0,
        "modelType": 0,
        "templateType": 2000,
    }
    return {"sourceType": "Train", "trainSourceExtra": extra}


def _version(account: Account, version: Version) -> dict[str, Any]:
    account.look(version)
    return {
        **_names(version.model),
        "modelVersionId": version.id,
        "modelVersionIdStr": version.uid,
        "version": version.version,
        "description": version.description,
        "sourceType": "Train" if version.run else "PlatformPreset",
        "sourceExtra": _source(version),
        "framework": "paddlepaddle",
        "algorithm": "ERNIE_EB-ERNIEBOT_PRO",
        "modelNet": "paddlepaddle-ERNIE_EB-ERNIEBOT_PRO_LORA",
        "state": version.life.state,
        "ioMode": "chat",
        "ioLength": "",
        "copyright": "",
        "property": {},
        "createTime": v1_model_date(version.created),
        "modifyTime": v1_model_date(version.life.since),
        "deployResource": ["Private"],
        "supportOptions": ["Deploy"] if version.life.state == "Ready" else [],
        "trainType": version.model.train_type,
    }


def _list(account: Account, body: Body, *, preset: bool) -> dict[str, Any]:
    page, size = body.integer("pageNo", default=1), body.integer("pageSize", default=20)
    wanted, types = body.text("nameFilter", default=""), body.items("modelType", default=[0])
    body.choice("orderBy", "create_time", default="create_time")
    order = body.choice("order", "asc", "desc", default="desc")
    if page == 1:
        account.begin_scan(Model)
    models = account.models if order == "asc" else reversed(account.models)
    found = [
        model
        for model in account.shown(models)
        if model.preset == preset and wanted in model.name and (0 in types or not types)
    ]
    first = (page - 1) * size
    return {"total": len(found), "items": [_item(account, model) for model in found[first : first + size]]}


def _item(account: Account, model: Model) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_names(model),
        "modelType": 0,
        "tags": model.tags or None,
        "createTime": v1_model_date(model.created),
        "versionCount": len(model.versions),
        "trainType": model.train_type,
        "latestVersionInfo": {},
    }
    if model.versions:
        latest = model.versions[-1]
        account.look(latest)
        item["latestVersionInfo"] = {
            "state": latest.life.state,
            "version": latest.version,
            "sourceType": "Train" if latest.run else "PlatformPreset",
            "sourceExtra": _source(latest),
            "versionId": latest.id,
            "versionIdStr": latest.uid,
        }
    return item
