"""What is trained: its normal form, its hash, and the request of createJob."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.api.job import JobSpec
from qianfan_operator.api.training import create_job_body, inputs_hash, missing_fields, same_inputs, training_inputs

VENDOR: dict[str, Any] = {
    "taskName": "task_name",
    "description": "task_desc",
    "baseTrainType": "ERNIE-Bot-turbo",
    "trainType": "ERNIE-Bot-turbo-0725",
    "trainMode": "SFT",
    "peftType": "LoRA",
    "trainConfig": {"epoch": 4, "learningRate": "0.00002", "batchSize": 4, "maxSeqLen": 4096},
    "trainset": [{"id": 1234}],
    "trainsetRate": 20,
}
INCREMENTAL: dict[str, Any] = {
    "incrementalFrom": {"jobRef": {"name": "base"}},
    "trainConfig": {"epoch": 1, "learningRate": "3e-5"},
    "trainset": [{"bosPath": "bos:/bucket/folder/"}],
}


def spec(_base: dict[str, Any] = VENDOR, **changes: Any) -> JobSpec:
    """The vendor's example with these fields changed; None removes one."""
    return JobSpec.model_validate({**_base, **changes})


def config(**changes: Any) -> JobSpec:
    """The vendor's example with these hyper-parameters changed."""
    return spec(trainConfig={**VENDOR["trainConfig"], **changes})


def test_the_vendors_example_becomes_the_vendors_request() -> None:
    """The body is the one of the vendor's documentation, plus the run type that newer documents demand."""
    assert create_job_body(spec(), 9220) == {
        "taskId": 9220,
        "jobRunType": 0,
        "description": "task_desc",
        "baseTrainType": "ERNIE-Bot-turbo",
        "trainType": "ERNIE-Bot-turbo-0725",
        "trainMode": "SFT",
        "peftType": "LoRA",
        "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
        "trainset": [{"type": 1, "id": 1234}],
        "trainsetRate": 20,
    }


def test_an_incremental_run_names_its_base_and_leaves_the_base_model_out() -> None:
    """The base run decides about the model: its fields are not sent, even if the spec has them."""
    body = create_job_body(spec(INCREMENTAL, peftType="ALL", trainType="ERNIE-Speed"), 7, (3, 4))

    assert body == {
        "taskId": 7,
        "jobRunType": 1,
        "increConfig": {"taskId": 3, "jobId": 4},
        "trainConfig": {"epoch": 1, "learningRate": 0.00003},
        "trainset": [{"type": 2, "bosPath": "bos:/bucket/folder/"}],
        "trainsetRate": 20,
    }


def test_hyper_parameters_have_the_types_of_the_wire() -> None:
    """Decimals are numbers, the LoRA switch is a word, further keys are sent as they are, nulls are not."""
    body = create_job_body(
        config(
            weightDecay="0.01",
            warmupRatio="0",
            loraDropout="1e-1",
            loraAllLinear=True,
            extra={"saveStep": 64, "x": None},
        ),
        1,
    )

    assert body["trainConfig"] == {
        "epoch": 4,
        "learningRate": 0.00002,
        "batchSize": 4,
        "maxSeqLen": 4096,
        "weightDecay": 0.01,
        "warmupRatio": 0,
        "loraDropout": 0.1,
        "loraAllLinear": "True",
        "saveStep": 64,
    }


def test_a_request_is_not_made_from_half_a_spec() -> None:
    """Without training fields, or with a base run on one side only, no body is made."""
    with pytest.raises(ValueError, match=r"spec\.trainConfig must be set"):
        create_job_body(spec(trainConfig=None), 1)
    with pytest.raises(ValueError, match="incrementalFrom"):
        create_job_body(spec(), 1, (2, 3))
    with pytest.raises(ValueError, match="incrementalFrom"):
        create_job_body(spec(INCREMENTAL), 1)


def test_missing_fields_are_named() -> None:
    """A spec that only adopts lacks all five; an incremental one needs no base model."""
    assert missing_fields(spec({})) == ("baseTrainType", "peftType", "trainConfig", "trainType", "trainset")
    assert missing_fields(spec(INCREMENTAL)) == ()
    assert missing_fields(spec()) == ()


@pytest.mark.parametrize(
    ("reason", "other"),
    [
        ("a decimal may be spelled in many ways", config(learningRate="2e-5")),
        ("defaults may be written or left out", spec(trainMode=None, trainsetRate=None)),
        ("the name of the task is no input", spec(taskName="another")),
        ("the description is no input", spec(description=None)),
        ("what is done with the run is no input", spec(paused=True, attempt=2, desiredState="Stopped")),
        ("a null among further keys is absent", config(extra={"saveStep": None})),
        ("a key may move from `extra` to its own field", config(batchSize=None, extra={"batchSize": 4.0})),
        ("a field wins over its like in `extra`", config(extra={"epoch": 9})),
    ],
)
def test_the_same_training_has_the_same_hash(reason: str, other: JobSpec) -> None:
    """Two specs that mean the same training are never told apart, or a second run would be paid for."""
    assert inputs_hash(other) == inputs_hash(spec()), reason


@pytest.mark.parametrize(
    "other",
    [
        config(epoch=5),
        config(learningRate="0.00003"),
        config(loraRank=8),
        config(extra={"saveStep": 64}),
        spec(peftType="ALL"),
        spec(trainType="ERNIE-Bot-turbo-0922"),
        spec(trainset=[{"id": 1234}, {"id": 5}]),
        spec(trainsetRate=0),
        spec(INCREMENTAL),
    ],
)
def test_another_training_has_another_hash(other: JobSpec) -> None:
    """Whatever reaches the cloud's training counts."""
    assert inputs_hash(other) != inputs_hash(spec())


def test_the_base_of_an_incremental_run_counts_by_its_name() -> None:
    """Another base run is another training; the words of the spec are compared, not what they resolve to."""
    by_attempt = spec(INCREMENTAL, incrementalFrom={"jobRef": {"name": "base", "attempt": 2}})

    assert training_inputs(spec(INCREMENTAL))["incrementalFrom"] == {"jobRef": {"name": "base"}}
    assert inputs_hash(by_attempt) != inputs_hash(spec(INCREMENTAL))


def test_the_hash_of_this_scheme_never_changes() -> None:
    """A hash that a released operator recorded is the hash that every later one computes."""
    assert inputs_hash(spec()) == "v1:051bdee153d621c3"


def test_a_recorded_hash_is_compared_under_its_own_scheme() -> None:
    """Only a hash of a known scheme can say that inputs differ; an unknown one must not cause a paid run."""
    assert same_inputs(inputs_hash(spec()), spec())
    assert not same_inputs(inputs_hash(spec(peftType="ALL")), spec())
    assert same_inputs("v9:0123456789abcdef", spec())
    assert same_inputs("", spec())


def test_inputs_survive_the_way_through_a_status() -> None:
    """The normal form is plain JSON and comes back unchanged."""
    inputs = training_inputs(config(weightDecay="0.1", extra={"deep": {"list": [1, 2.5, None, "字"]}}))

    assert json.loads(json.dumps(inputs)) == inputs


@given(st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("0.999"), places=12), st.integers(0, 3))
def test_a_decimal_is_its_value(value: Decimal, zeros: int) -> None:
    """Whatever the spelling of a learning rate, the same value gives the same hash and the same number."""
    plain = f"{value:f}" + "0" * zeros
    scientific = f"{value:e}"

    assert inputs_hash(config(learningRate=plain)) == inputs_hash(config(learningRate=scientific))
    assert training_inputs(config(learningRate=plain))["trainConfig"]["learningRate"] == float(value)
