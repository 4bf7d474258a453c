"""What can be chosen about a simulated console. Every option can be changed while it runs."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from qianfan_simulator.lifecycle import AfterLooks, AfterSeconds, AtOnce, Never, Progression

# Progressions are values: every world may share these.
ONE_LOOK, TWO_LOOKS, UNPAID = AfterLooks(1), AfterLooks(2), Never()


@dataclass(frozen=True)
class Options:
    """Paces, limits, and a choice wherever the wire contract says UNKNOWN."""

    training: Progression = TWO_LOOKS
    stopping: Progression = ONE_LOOK
    publishing: Progression = TWO_LOOKS
    payment: Progression = UNPAID
    deploying: Progression = TWO_LOOKS
    updating: Progression = TWO_LOOKS

    # How V2 as a whole answers: as usual, or 403 AccessDenied, or 404.
    v2: Literal["on", "denied", "missing"] = "on"
    # Whether V2 shows tasks and runs that were made through V1 (INFERRED, wire 5.1).
    v2_shows_v1: bool = True
    # Seconds for which a new thing is missing from lists.
    list_lag: float = 0.0
    # The field set of service/detail. docs/design/wire.md#servicedetail
    service_generation: Literal["2023", "2024"] = "2024"
    # Refuse a service name that the account has already (UNKNOWN, wire 2.9).
    unique_service_names: bool = False
    # Seconds by which a signature may lie in the future (UNKNOWN, wire 1.3).
    clock_tolerance: float = 300.0
    # Which clock a signature must agree with: the simulator's, which `advance` moves, or also the machine's. SDKs sign
    # by the machine's; with `either` the expiry of a signature proves nothing once the clock was moved.
    signature_clock: Literal["simulated", "either"] = "simulated"
    # Limits of the account: 510203 and 510402 beyond them; None is no limit.
    max_tasks: int | None = None
    max_running: int | None = None

    def __post_init__(self) -> None:
        for name in PACES:
            if not isinstance(getattr(self, name), AtOnce | AfterLooks | AfterSeconds | Never):
                raise ValueError(f"`{name}` must be a progression")  # noqa: TRY004 - one exception for a bad option
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise ValueError(f"`{name}` must be one of {', '.join(words)}")
        for name in ("v2_shows_v1", "unique_service_names"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"`{name}` must be true or false")  # noqa: TRY004 - as above
        for name in ("list_lag", "clock_tolerance"):
            if not _is_number(getattr(self, name)):
                raise ValueError(f"`{name}` must be a finite number, not below zero")
        for name in ("max_tasks", "max_running"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and isinstance(value, int)):
                raise ValueError(f"`{name}` must be a whole number, not below zero, or null for no limit")


PACES = ("training", "stopping", "publishing", "payment", "deploying", "updating")
_WORDS = {
    "v2": ("on", "denied", "missing"),
    "service_generation": ("2023", "2024"),
    "signature_clock": ("simulated", "either"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
