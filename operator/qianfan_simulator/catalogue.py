"""What can be trained: V1's train types with their limits, and their names elsewhere.

The ranges are the widest that any edition of the documents gave, because the vendor's own sample lies outside the
later ones. Keys that a train type "does not use" are accepted.

See docs/design/wire.md#train-types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qianfan_simulator.body import Body

# V1 word -> V2 word. docs/design/wire.md#v1-and-v2-words
PEFT_TO_SCALE = {"ALL": "FullFineTuning", "LoRA": "LoRA", "P-tuning": "PromptTuning"}
SCALE_TO_PEFT = {scale: peft for peft, scale in PEFT_TO_SCALE.items()}

_SCHEDULERS = ("linear", "cosine", "polynomial", "constant", "constant_with_warmup")
_TARGETS = {f"self_attn.{name}_proj" for name in "qkvo"} | {f"mlp.{name}_proj" for name in ("gate", "up", "down")}
_ERNIE_RATES = {"ALL": (1e-5, 4e-5), "LoRA": (1e-5, 1e-3), "P-tuning": (0.003, 0.1)}
_OPEN_RATES = dict.fromkeys(PEFT_TO_SCALE, (2e-7, 2e-4))
_LOW_RATES = dict.fromkeys(PEFT_TO_SCALE, (1e-10, 2e-4))


class TrainConfigError(Exception):
    """A hyper-parameter out of its range."""


@dataclass(frozen=True)
class TrainType:
    """One algorithm: its family, its names on the wire and its limits."""

    name: str
    base: str
    internal: str
    v2: str
    pefts: tuple[str, ...]
    rates: Mapping[str, tuple[float, float]]
    batch: tuple[int, int] = (1, 64)
    lengths: tuple[int, ...] = ()
    length_required: bool = False
    ranks: tuple[int, ...] = (8, 16, 32, 64)
    aliases: tuple[str, ...] = field(default=())

    @property
    def incremental(self) -> bool:
        """Whether V1 trains on from a run of it."""
        return self.name not in _NOT_INCREMENTAL

    @property
    def family(self) -> str:
        """What must be equal for versions of one model.

        See docs/design/wire.md#publishtrainmodel.
        """
        return family_of(self.internal)

    def internal_name(self, peft: str) -> str:
        """Return the name in replies: 0704 tells its peft type, the others do not.

        See docs/design/wire.md#train-types.
        """
        suffix = {"LoRA": "-lora", "P-tuning": "-ptuning"}.get(peft, "")
        return self.internal + suffix if self.internal == "ernieBotLite-v200" else self.internal

    def check(self, peft: str, config: Body) -> None:
        """Check a peft type and its trainConfig; raises TrainConfigError, or the body's refusal for a wrong type."""
        if peft not in self.pefts:
            raise TrainConfigError(peft)
        _within(config.integer("epoch", low=-(2**31)), 1, 50)
        _within(config.number("learningRate", -1e9, 1e9), *self.rates[peft])
        for key, (least, most) in {"batchSize": self.batch, "loggingSteps": (1, 100)}.items():
            if config.has(key):
                _within(config.integer(key, low=-(2**31)), least, most)
        ratios = {"warmupRatio": (0.01, 0.5), "weightDecay": (1e-4, 1.0), "loraDropout": (0.1, 0.5)}
        for key, (low, high) in ratios.items():
            if config.has(key):
                _within(config.number(key, -1e9, 1e9), low, high)
        choices = {"maxSeqLen": self.lengths, "loraRank": self.ranks, "loraAlpha": (8, 16, 32, 64)}
        for key, options in choices.items():
            if config.has(key) and config.integer(key) not in (options or (config.integer(key),)):
                raise TrainConfigError(key)
        if self.length_required and not config.has("maxSeqLen"):
            raise TrainConfigError("maxSeqLen")
        words = {"schedulerName": _SCHEDULERS, "loraAllLinear": ("True", "False")}
        for key, texts in words.items():
            if config.has(key) and config.text(key) not in texts:
                raise TrainConfigError(key)
        if config.has("loraTargetModules") and not _TARGETS.issuperset(config.texts("loraTargetModules", 7, 50)):
            raise TrainConfigError("loraTargetModules")


def _within(value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise TrainConfigError(value)


def family_of(internal: str) -> str:
    """`ernieBotLite-v201-8k` -> `ernieBotLite`, `chatglm2-6b-32k` -> `chatglm2-6b`; others are their own.

    See docs/design/wire.md#publishtrainmodel.
    """
    for family in ("ernieBotLite", "chatglm2-6b"):
        if internal.startswith(family):
            return family
    return internal


# The vendor's list of models for incremental training leaves these out.
_NOT_INCREMENTAL = {"ERNIE-Speed", "ERNIE-Bot-turbo-0516", "ChatGLM2-6B-32K", "Baichuan2-7B", "CodeLlama-7B"}

_LLM = ("ALL", "LoRA")
_ALL = ("ALL", "LoRA", "P-tuning")
_LONG = (4096, 8192)
_MIXED = (1024, 2048, 4096, 8192)
_ERNIE_RANKS = (2, 4, 8)

TRAIN_TYPES = (
    TrainType("ERNIE-Speed", "ERNIE-Speed", "ernieBotLite-Speed", "ERNIE-Speed-8K", _LLM, _ERNIE_RATES,
              lengths=_LONG, ranks=_ERNIE_RANKS),
    TrainType("ERNIE-Bot-turbo-0922", "ERNIE-Bot-turbo", "ernieBotLite-v202", "ERNIE-Lite-8K-0922", _LLM,
              _ERNIE_RATES, lengths=_LONG, ranks=_ERNIE_RANKS),
    TrainType("ERNIE-Bot-turbo-0725", "ERNIE-Bot-turbo", "ernieBotLite-v201-8k", "ERNIE-Lite-8K-0725", _LLM,
              _ERNIE_RATES, lengths=_LONG, length_required=True),
    TrainType("ERNIE-Bot-turbo-0704", "ERNIE-Bot-turbo", "ernieBotLite-v200", "ERNIE-Lite-8K-0704", _ALL,
              _ERNIE_RATES),
    TrainType("ERNIE-Bot-turbo-0516", "ERNIE-Bot-turbo", "ernieBotLite", "", ("ALL",), _OPEN_RATES, batch=(16, 64)),
    TrainType("Llama-2-7b", "Llama-2", "llama-2-7b", "Qianfan-Chinese-Llama-2-7B", _ALL, _OPEN_RATES,
              lengths=_MIXED[:3], aliases=("Llama-2-7b",)),
    TrainType("Llama-2-13b", "Llama-2", "llama-2-13b", "Qianfan-Chinese-Llama-2-13B-v2", _ALL, _OPEN_RATES,
              lengths=_MIXED[:3]),
    TrainType("SQLCoder-7B", "SQLCoder", "sqlcoder-7b", "SQLCoder-7B", _LLM, _OPEN_RATES, lengths=_LONG),
    TrainType("ChatGLM2-6B", "ChatGLM2", "chatglm2-6b", "ChatGLM2-6B", _LLM, _OPEN_RATES, lengths=_MIXED),
    TrainType("ChatGLM2-6B-32K", "ChatGLM2", "chatglm2-6b-32k", "ChatGLM2-6B-32K", ("ALL",), _OPEN_RATES,
              lengths=_MIXED),
    TrainType("Baichuan2-7B", "Baichuan2", "baichuan2-7b", "Baichuan2-7B-Chat", _LLM, _LOW_RATES, lengths=_MIXED),
    TrainType("Baichuan2-13B", "Baichuan2", "baichuan2-13b", "Baichuan2-13B-Chat", _LLM, _LOW_RATES,
              lengths=_MIXED, aliases=("Baichuan2-13B",)),
    TrainType("BLOOMZ-7B", "BLOOMZ", "bloomz-7b", "BLOOMZ-7B", _ALL, _OPEN_RATES, aliases=("BLOOMZ-7B",)),
    TrainType("CodeLlama-7B", "CodeLlama", "codellama-7b", "CodeLlama-7B", _LLM, _LOW_RATES, lengths=_MIXED[:3]),
)  # fmt: skip

BY_NAME = {kind.name: kind for kind in TRAIN_TYPES}
BY_V2_NAME = {kind.v2: kind for kind in TRAIN_TYPES if kind.v2}


def find(base: str, name: str) -> TrainType | None:
    """Return the train type of this name in this family; some families had the type's own name once."""
    kind = BY_NAME.get(name)
    return kind if kind is not None and base in (kind.base, *kind.aliases) else None


def describe_for_v2(kind: TrainType) -> dict[str, Any]:
    """One entry of DescribeFineTuningSupportModels.

    See docs/design/wire.md#describefinetuningsupportmodels.
    """

    def parameter(key: str, of: str, check: str, values: list[Any], default: Any) -> dict[str, Any]:
        return {"key": key, "name": key, "description": "", "type": of, "checkType": check,
                "checkValue": values, "default": default}  # fmt: skip

    scales = []
    for peft in kind.pefts:
        low, high = kind.rates[peft]
        parameters = [
            parameter("epoch", "int", "range", [1, 50], 1),
            parameter("learningRate", "float", "range", [low, high], low),
        ]
        if kind.lengths:
            parameters.append(parameter("maxSeqLen", "int", "choice", list(kind.lengths), kind.lengths[0]))
        scales.append({"parameterScale": PEFT_TO_SCALE[peft], "supportHyperParameterConfig": parameters})
    modes = [{"trainMode": "SFT", "supportParameterScale": scales}]
    return {"model": kind.v2, "baseModel": kind.base, "modelType": "text2text", "supportTrainMode": modes}
