"""Reading a request's JSON: typed, with the console's tolerance.

Keys are compared without regard to case (the vendor's own sample misspells two of them, wire 2.2), null counts as
absent, unknown keys are ignored. Where a value does not fit, `refuse` makes the exception: V1 and V2 differ in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_LARGEST_ID = 2**63 - 1
_DEEPEST = 32  # levels; what is deeper could be taken in by some versions of Python and be written out by none
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `raw` (no bytes at all count as an empty one), or None when there is none."""
    try:
        value = None if _too_deep(raw) else json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _too_deep(raw: bytes) -> bool:
    depth = 0
    for bracket in _BRACKET.finditer(raw):
        depth += (bracket[1] is not None) - (bracket[2] is not None)
        if depth > _DEEPEST:
            return True
    return False


class Body:
    """One JSON object. Getters without a `default` refuse an absent key."""

    def __init__(self, fields: Mapping[str, Any], refuse: Callable[[str], Exception]) -> None:
        self._fields = {key.lower(): value for key, value in fields.items() if value is not None}
        self._refuse = refuse

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return key.lower() in self._fields

    def text(self, key: str, shortest: int = 0, longest: int = 500, *, default: str | None = None) -> str:
        """Return a string of `shortest` to `longest` characters."""
        value = self._get(key, default)
        if not isinstance(value, str) or (self.has(key) and not shortest <= len(value) <= longest):
            raise self._refuse(key)
        return value

    def choice(self, key: str, *options: str, default: str | None = None) -> str:
        """One of `options`."""
        value = self.text(key, default=default)
        if value not in options:
            raise self._refuse(key)
        return value

    def integer(self, key: str, low: int = 1, high: int = _LARGEST_ID, *, default: int | None = None) -> int:
        """Return a JSON integer from `low` to `high`; neither a string nor a boolean."""
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(key)
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a JSON number from `low` to `high`."""
        value = self._get(key, None)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._refuse(key)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a JSON boolean."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._refuse(key)
        return value

    def reference(self, key: str) -> int | str:
        """Return an id in either form: the integer, or the string with a prefix."""
        value = self._get(key, None)
        if isinstance(value, bool) or not isinstance(value, int | str) or not value:
            raise self._refuse(key)
        return value

    def references(self, key: str) -> list[int | str]:
        """Return a list of ids, not empty, all in one form.

        See docs/design/wire.md#model-lists-and-deletes.
        """
        values = self.items(key)
        kinds = {type(value) for value in values}
        if kinds not in ({int}, {str}):
            raise self._refuse(key)
        return values

    def items(self, key: str, *, default: list[Any] | None = None) -> list[Any]:
        """Return a JSON array, its members unchecked."""
        value = self._get(key, default)
        if not isinstance(value, list):
            raise self._refuse(key)
        return value

    def texts(self, key: str, most: int, longest: int) -> list[str]:
        """Return an array of at most `most` strings of at most `longest` characters; absent is empty."""
        values = self.items(key, default=[])
        if len(values) > most or not all(isinstance(value, str) and len(value) <= longest for value in values):
            raise self._refuse(key)
        return values

    def section(self, key: str) -> Body:
        """Return a nested object."""
        value = self._get(key, None)
        if not isinstance(value, dict):
            raise self._refuse(key)
        return Body(value, self._refuse)

    def sections(self, key: str) -> list[Body]:
        """Return an array of objects, not empty."""
        values = self.items(key)
        if not values or not all(isinstance(value, dict) for value in values):
            raise self._refuse(key)
        return [Body(value, self._refuse) for value in values]

    def raw(self, key: str) -> Any:
        """Whatever stands there, or None."""
        return self._fields.get(key.lower())

    def refuse(self, key: str) -> Exception:
        """Return the exception for a value that does not fit for another reason."""
        return self._refuse(key)

    def _get(self, key: str, default: Any) -> Any:
        value = self._fields.get(key.lower(), default)
        if value is None:
            raise self._refuse(key)
        return value
