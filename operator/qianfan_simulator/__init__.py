"""A faithful Qianfan console for tests, demos and CI. Shares no code with the operator."""

from qianfan_simulator.calls import Call
from qianfan_simulator.faults import Effect, Fault
from qianfan_simulator.lifecycle import AfterLooks, AfterSeconds, AtOnce, Never
from qianfan_simulator.options import Options
from qianfan_simulator.simulator import Simulator
from qianfan_simulator.world import DEFAULT_KEYS, Key

__all__ = [
    "DEFAULT_KEYS",
    "AfterLooks",
    "AfterSeconds",
    "AtOnce",
    "Call",
    "Effect",
    "Fault",
    "Key",
    "Never",
    "Options",
    "Simulator",
]
