"""The normalised training inputs of a job, their hash, and the body of createJob.

The normal form is over the spec's own words: defaults applied, decimals as numbers, `extra` flattened, references by
name, absent keys left out. "2e-5" and "0.00002" are the same training, and so is a key that moved from `extra` to a
field of its own when a newer operator learned to know it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.open_objects import bytes_as_json, flaw
from qianfan_operator.api.train_config import TrainConfig

SCHEME = "v1"
LARGEST = 32768  # bytes of what is trained as JSON: every attempt is recorded with it

_DECIMALS = ("learning_rate", "warmup_ratio", "weight_decay", "lora_dropout")


def training_inputs(spec: JobSpec) -> dict[str, Any]:
    """Write what is trained in normal form: equal for two specs that mean the same training, and fit for JSON."""
    inputs: dict[str, Any] = {"trainsetRate": spec.trainset_rate}
    if spec.incremental_from is not None:
        inputs["incrementalFrom"] = spec.incremental_from.to_dict()
    else:
        inputs |= _base(spec)
    if spec.train_config is not None:
        inputs["trainConfig"] = _train_config(spec.train_config)
    if spec.trainset is not None:
        inputs["trainset"] = [item.to_dict() for item in spec.trainset]
    return inputs


def inputs_hash(spec: JobSpec) -> str:
    """Hash the training inputs, prefixed by the version of the scheme that made it."""
    words = json.dumps(training_inputs(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{SCHEME}:{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def same_inputs(recorded_hash: str, spec: JobSpec) -> bool:
    """Say whether a recorded run was trained with what this spec asks for.

    A hash of a scheme that this version does not know counts as the same: a difference can end in another paid run, and
    an upgrade or a downgrade of the operator must never do that.
    """
    scheme, _, _ = recorded_hash.partition(":")
    return scheme != SCHEME or recorded_hash == inputs_hash(spec)


def missing_fields(spec: JobSpec) -> tuple[str, ...]:
    """Name the fields without which nothing can be trained; admission lets them be absent where `adopt` stands in."""
    needed: dict[str, object] = {"trainConfig": spec.train_config, "trainset": spec.trainset}
    if spec.incremental_from is None:
        needed |= {"baseTrainType": spec.base_train_type, "trainType": spec.train_type, "peftType": spec.peft_type}
    return tuple(sorted(name for name, value in needed.items() if value is None))


def unfit(spec: JobSpec) -> str:
    """Say what keeps a complete spec from being sent, by its field; empty if nothing does.

    It is asked before something new is trained, and never of what was sent: a status that etcd refuses as too large
    could hold no ids.
    """
    if spec.train_config and (wrong := flaw(spec.train_config.extra)):
        return f"spec.trainConfig.extra {wrong}."
    if (size := bytes_as_json(training_inputs(spec))) > LARGEST:
        what = f"spec.trainConfig and spec.trainset must be at most {LARGEST} bytes as JSON"
        return f"{what}, not {size}: name folders, not files."
    return ""


def create_job_body(spec: JobSpec, task_id: int, incremental: tuple[int, int] | None = None) -> dict[str, Any]:
    """Write the request of createJob for a run in the task `task_id`.

    `incremental` holds the integer ids (task, run) of the base run when `spec.incrementalFrom` is set; the base model
    and the way of training are then the base run's and are left out. Raises ValueError if the spec lacks
    what training needs (see `missing_fields`), or if `incremental` and `spec.incrementalFrom` do not go together.

    See docs/design/wire.md#createjob.
    """
    if missing := missing_fields(spec):
        raise ValueError(f"spec.{missing[0]} must be set")
    if (incremental is None) != (spec.incremental_from is None):
        raise ValueError("the base run's ids must be given if and only if spec.incrementalFrom is set")
    body: dict[str, Any] = {"taskId": task_id, "jobRunType": 0 if incremental is None else 1}
    if spec.description is not None:
        body["description"] = spec.description
    if incremental is None:
        body |= _base(spec)
    else:
        body["increConfig"] = {"taskId": incremental[0], "jobId": incremental[1]}
    inputs = training_inputs(spec)
    body["trainConfig"] = inputs["trainConfig"]
    body["trainset"] = [{"type": 1 if "id" in item else 2, **item} for item in inputs["trainset"]]
    body["trainsetRate"] = spec.trainset_rate
    return body


def _base(spec: JobSpec) -> dict[str, Any]:
    """Name the base model and the way of training, for a run that starts from one."""
    words = {
        "baseTrainType": spec.base_train_type,
        "trainType": spec.train_type,
        "trainMode": spec.train_mode,
        "peftType": spec.peft_type,
    }
    return {name: word for name, word in words.items() if word is not None}


def _train_config(config: TrainConfig) -> dict[str, Any]:
    """Write the hyper-parameters as the cloud wants them; a field of ours wins over its like in `extra`."""
    known = config.to_dict()
    extra = known.pop("extra")
    for name in _DECIMALS:
        if (text := getattr(config, name)) is not None:
            known[TrainConfig.model_fields[name].alias or name] = float(text)
    if config.lora_all_linear is not None:
        # docs/design/wire.md#trainconfig
        known["loraAllLinear"] = str(config.lora_all_linear)  # the strings "True" and "False"
    merged: dict[str, Any] = _canonical({**extra, **known})
    return merged


def _canonical(value: Any) -> Any:
    """Drop nulls and give equal numbers one spelling: YAML, Go and Python disagree about 1 and 1.0."""
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
