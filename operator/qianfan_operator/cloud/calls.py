"""What the V1 and V2 calls share."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from qianfan_operator.cloud.fields import MalformedError
from qianfan_operator.cloud.operations import Endpoint
from qianfan_operator.cloud.transport import Transport

T = TypeVar("T")

PAGE_LIMIT: Final = 1000
"""More pages than this are no list but a fault."""


class Calls:
    """Calls over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _call(self, endpoint: Endpoint, body: Mapping[str, Any], parse: Callable[[object], T]) -> T:
        return self._transport.call(endpoint, body, parse)


def is_true(result: object) -> bool:
    """Read a plain yes or no; raises MalformedError for anything else."""
    if not isinstance(result, bool):
        raise MalformedError("A yes or no is missing.")
    return result
