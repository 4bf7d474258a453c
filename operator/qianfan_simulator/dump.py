"""The state of a world as JSON, for assertions in tests and for people."""

from __future__ import annotations

from typing import Any

from qianfan_simulator.account import Account
from qianfan_simulator.calls import Call
from qianfan_simulator.things import Living, Run, Service, Thing, Version
from qianfan_simulator.world import World


def dump_state(world: World) -> dict[str, Any]:
    """Everything that the accounts hold. Telling it is not a look."""
    with world.lock:
        return {
            "now": world.clock.now(),
            "accounts": {name: _account(world, account) for name, account in world.accounts.items()},
            "counts": _counts(world),
        }


def dump_call(call: Call) -> dict[str, Any]:
    """One recorded call."""
    return {
        "operation": call.operation,
        "time": call.time,
        "accessKey": call.access_key,
        "parameters": call.parameters,
        "outcome": call.outcome,
        "fault": call.fault,
    }


def _counts(world: World) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (operation, outcome), number in world.recorded.counts.items():
        counts.setdefault(operation, {})[outcome] = number
    return counts


def _account(world: World, account: Account) -> dict[str, Any]:
    account.settle_all()
    return {
        "accessKeys": [key.access_key for key in world.keys.values() if key.account == account.name],
        "tasks": [{**_thing(task), "runs": [_run(run) for run in task.runs]} for task in account.tasks],
        "models": [
            {**_thing(model), "trainType": model.train_type, "preset": model.preset, "tags": model.tags,
             "versions": [_version(version) for version in model.versions]}
            for model in account.models
        ],
        "services": [_service(service) for service in account.services],
    }  # fmt: skip


def _thing(thing: Thing) -> dict[str, Any]:
    told = {"id": thing.id, "uuid": thing.uid, "name": thing.name, "description": thing.description,
            "created": thing.created}  # fmt: skip
    if isinstance(thing, Living):
        told["state"] = thing.life.state
    return told


def _run(run: Run) -> dict[str, Any]:
    return {
        **_thing(run),
        "version": run.version,
        "trainType": run.train_type,
        "peftType": run.peft,
        "trainConfig": run.config,
        "base": run.base.uid if run.base else None,
    }


def _version(version: Version) -> dict[str, Any]:
    return {**_thing(version), "version": version.version, "run": version.run.uid if version.run else None}


def _service(service: Service) -> dict[str, Any]:
    return {
        **_thing(service),
        "uri": service.uri,
        "modelVersion": service.version.uid,
        "wanted": service.wanted.uid if service.wanted else None,
        "replicas": service.replicas,
        "pool": service.pool,
    }
