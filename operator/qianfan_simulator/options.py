"""What can be chosen about a simulated console. Every option can be changed while it runs."""

from dataclasses import dataclass
from typing import Literal

from qianfan_simulator.lifecycle import AfterLooks, Never, Progression

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
    # The field set of service/detail [wire 2.10].
    service_generation: Literal["2023", "2024"] = "2024"
    # Refuse a service name that the account has already (UNKNOWN, wire 2.9).
    unique_service_names: bool = False
    # Seconds by which a signature may lie in the future (UNKNOWN, wire 1.3).
    clock_tolerance: float = 300.0
    # Limits of the account: 510203 and 510402 beyond them; None is no limit.
    max_tasks: int | None = None
    max_running: int | None = None

    def __post_init__(self) -> None:
        if self.v2 not in ("on", "denied", "missing"):
            raise ValueError("`v2` must be on, denied or missing")
        if self.service_generation not in ("2023", "2024"):
            raise ValueError("`service_generation` must be 2023 or 2024")
        for name in ("list_lag", "clock_tolerance", "max_tasks", "max_running"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value >= 0):
                raise ValueError(f"`{name}` must be a number, not below zero")
