"""The training fields of a job's spec, under the names that createJob uses."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from qianfan_operator.api.cel import VALIDATIONS, exactly_one, text
from qianfan_operator.api.common import LIST_TYPE, Int32, Int64, OpenObject, Part
from qianfan_operator.api.open_objects import LARGEST, tree

DECIMAL = r"^[0-9]{1,20}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?$"


def _decimal(bounds: str, words: str) -> WithJsonSchema:
    return text(f"self.matches(r'{DECIMAL}') && {bounds}", f"must be a decimal {words}", maxLength=64)


def _from_0_to_1(decimal: str) -> str:
    """Hold a decimal against the rule's range, for objects that no rule judged: a float can be infinite."""
    if not 0.0 <= float(decimal) <= 1.0:
        raise PydanticCustomError("decimal_range", "must be a decimal from 0 to 1")
    return decimal


_RATE = _decimal(
    "double(self) > 0.0 && double(self) < 1.0", 'greater than 0 and less than 1, such as "0.00002" or "2e-5"'
)
_RATIO = _decimal("double(self) >= 0.0 && double(self) <= 1.0", 'from 0 to 1, such as "0.1"')

Rate = Annotated[str, Field(pattern=DECIMAL, max_length=64), AfterValidator(_from_0_to_1), _RATE]
Ratio = Annotated[str, Field(pattern=DECIMAL, max_length=64), AfterValidator(_from_0_to_1), _RATIO]
BosPath = Annotated[
    str,
    Field(pattern="^bos:/.+", max_length=1024),
    text("self.matches('^bos:/.+')", "must begin with `bos:/`, such as bos:/bucket/folder/", maxLength=1024),
]
Count = Annotated[Int32, Field(ge=1)]
_Modules = tuple[Annotated[str, Field(min_length=1, max_length=128)], ...]


class TrainConfig(Part):
    """The hyper-parameters. Which of them a model takes, and their ranges, is the cloud's to say.

    Decimals are strings, because floats do not survive every tool on the way.
    """

    epoch: Count = Field(description="Number of passes over the training data.")
    learning_rate: Rate = Field(description='Step size of the optimizer, a decimal string such as "0.00002" or "2e-5".')
    batch_size: Count | None = Field(None, description="Samples per training step.")
    max_seq_len: Count | None = Field(None, description="Longest sequence, in tokens; longer samples are cut.")
    logging_steps: Count | None = Field(None, description="Steps between two entries in the training log.")
    warmup_ratio: Ratio | None = Field(
        None, description="Share of the steps in which the learning rate rises; a decimal string."
    )
    weight_decay: Ratio | None = Field(None, description="Regularisation that shrinks the weights; a decimal string.")
    lora_rank: Count | None = Field(None, description="Rank of the LoRA matrices.")
    lora_alpha: Count | None = Field(None, description="Scale of the LoRA update.")
    lora_dropout: Ratio | None = Field(
        None, description="Share of LoRA inputs dropped while training; a decimal string."
    )
    lora_all_linear: bool | None = Field(None, description="Whether LoRA is put on all linear layers.")
    scheduler_name: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="How the learning rate changes over time, for example linear, cosine, polynomial, constant or"
        " constant_with_warmup.",
    )
    lora_target_modules: _Modules | None = Field(
        None,
        fail_fast=True,
        max_length=64,
        description="The modules that LoRA is put on, for example self_attn.q_proj.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    extra: Annotated[OpenObject, tree(most=64)] = Field(
        default_factory=dict,
        description="Keys of the cloud's trainConfig that this version of the operator does not know, sent as they are."
        " A field of trainConfig wins over the same key here. At most 64 keys of letters, digits and `_`, beginning"
        f" with a letter; lists and objects of 16 entries, two levels deep; {LARGEST} bytes as JSON.",
    )


class TrainsetItem(Part):
    """One data set: of the platform, or in the account's own object storage."""

    model_config = ConfigDict(json_schema_extra={VALIDATIONS: [exactly_one("id", "bosPath")]})

    id: Int64 | None = Field(
        None,
        ge=1,
        description="Integer id of a released data set of the platform; not its `ds-...` string (wire type 1).",
    )
    bos_path: BosPath | None = Field(
        None,
        description="Folder or file in Baidu Object Storage, for example bos:/bucket/folder/ (wire type 2).",
    )
