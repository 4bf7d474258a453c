"""Fields of replies, parsed without trusting their documented types.

Integers come as strings and as floats, dates in three shapes and as zeros, lists as null, and one key holds different
things in different years. A reader here returns None or an empty value for what it cannot read; `required`
and `listed` raise MalformedError for what a reply must not lack.

Nothing leaves this module as the cloud wrote it. Texts are cleaned and bounded, so that a status takes them and reads
back the same. An id is taken whole or not at all: a cut one could be another valid id, so one that cannot be an id
raises MalformedError. Where another id of the same thing is good, that one is not thrown away with it: see `ids`.

See docs/design/wire.md#key-spellings.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from qianfan_operator.text import clean

T = TypeVar("T")

Object = Mapping[str, object]

V1_ZONE: Final = "+08:00"
"""V1 times carry no zone; that they are Beijing's is inferred.

See docs/design/wire.md#createtask.
"""

_64_BITS: Final = 2**63  # a definition's int64 holds no more; a status with a larger number is refused

_EXACT: Final = 2**53  # beyond it, a float stands for several integers

WORD_LIMIT: Final = 64
"""Characters of a state, a type or a version."""
NAME_LIMIT: Final = 256
"""Characters of a name; as many as `spec.target.modelName` may have."""
TEXT_LIMIT: Final = 512
"""Characters of a description; the cloud takes 500."""
ADDRESS_LIMIT: Final = 2048
"""Characters of a URL."""
MARKER_LIMIT: Final = 1024
"""Characters of the marker of a page, which is sent back as it came."""

_DIGITS: Final = re.compile(r"-?[0-9]+")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADDRESS: Final = re.compile(r"https?://[!-~]+")
_MARKER: Final = re.compile(r"[ -~]+")
_V1_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})")
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class MalformedError(Exception):
    """A reply lacks what it is for; the text says what, without quoting the reply."""


def mapping(value: object) -> Object:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def required(value: object) -> Object:
    """Return `value` if it is an object; raises MalformedError otherwise."""
    if not isinstance(value, Mapping):
        raise MalformedError("An object is missing.")
    return value


def listed(reply: Object, key: str) -> Sequence[Object]:
    """Return the objects of the list under `key`; null is an empty list, as a Go server writes it.

    Raises MalformedError if the key is missing or an element is no object: "nothing there" decides about money, so it
    is not read out of a reply that does not say it.
    """
    items = reply.get(key, ...)
    if items is None:
        return ()
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise MalformedError(f"`{key}` is not a list of objects.")
    return items


def word(reply: Object, *keys: str) -> str:
    """Return the first of `keys` that holds a short word or a number, as text; else ""."""
    return _text(reply, WORD_LIMIT, keys)


def name(reply: Object, *keys: str) -> str:
    """Return the first of `keys` that holds a name; else "". Compare it with `as_told` of another name."""
    return _text(reply, NAME_LIMIT, keys)


def as_told(wanted: str) -> str:
    """Return a name in the form in which `name` returns it from a reply."""
    return clean(wanted, NAME_LIMIT)


def description(reply: Object, key: str) -> str:
    """Return a description; a mark at its beginning stays readable, because only the end is cut."""
    return _text(reply, TEXT_LIMIT, (key,))


def address(reply: Object, key: str) -> str:
    """Return a URL; "" for one that is too long or odd, because a cut URL leads elsewhere."""
    value = reply.get(key)
    usable = isinstance(value, str) and len(value) <= ADDRESS_LIMIT and _ADDRESS.fullmatch(value)
    return str(value) if usable else ""


def integer(reply: Object, *keys: str) -> int | None:
    """Return the first of `keys` that holds a whole number, be it written as a string or a float."""
    return next((number for key in keys if (number := whole(reply.get(key))) is not None), None)


def count(reply: Object, *keys: str) -> int | None:
    """Return the first of `keys` that holds a number of things: 0 or more, in 31 bits."""
    numbers = (whole(reply.get(key)) for key in keys)
    return next((number for number in numbers if number is not None and 0 <= number < 2**31), None)


def integer_id(reply: Object, *keys: str) -> int | None:
    """Return the first of `keys` that holds an integer id; 0 is how a Go server writes none.

    Raises MalformedError for a number that cannot be an id. A key may hold a string id instead: see `prefixed`.
    """
    for key in keys:
        value = reply.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number and not (isinstance(value, str) and _DIGITS.fullmatch(value)):
            continue
        found = whole(value)
        if found is None or found < 0:
            raise MalformedError(f"`{key}` is not an id.")
        if found:
            return found
    return None


def prefixed(reply: Object, prefix: str, *keys: str) -> str | None:
    """Return the first of `keys` whose string begins with `prefix`: what an id is, its prefix tells.

    Raises MalformedError if what follows the prefix is too long for an id or has other characters.

    See docs/design/wire.md#service-actions.
    """
    for key in keys:
        value = reply.get(key)
        if isinstance(value, str) and value.startswith(prefix):
            if not _ID.fullmatch(value.removeprefix(prefix)):
                raise MalformedError(f"`{key}` is not an id.")
            return value
    return None


def ids(reply: Object, numbers: Sequence[str], prefix: str, strings: Sequence[str]) -> tuple[int | None, str | None]:
    """Return the integer and the string id of one thing; a string that cannot be an id is None beside a good integer.

    Raises MalformedError for a bad integer, and for a bad string alone.
    """
    number = integer_id(reply, *numbers)
    if number is None:
        return None, prefixed(reply, prefix, *strings)
    return number, usable(lambda: prefixed(reply, prefix, *strings))


def usable(read: Callable[[], T]) -> T | None:
    """Return what `read` finds; None for what it cannot read, where the rest of the reply is worth more."""
    try:
        return read()
    except MalformedError:
        return None


def marker(reply: Object, key: str) -> str | None:
    """Return the marker of a page; None for what cannot be sent back as it came."""
    value = reply.get(key)
    usable = isinstance(value, str) and len(value) <= MARKER_LIMIT and _MARKER.fullmatch(value)
    return str(value) if usable else None


def whole(value: object) -> int | None:
    """Return a whole number of 64 bits from 7, 7.0 or "7"; None for anything else."""
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value)) or (
        isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
    ):
        number = int(value)
    return number if number is not None and -_64_BITS <= number < _64_BITS else None


def percent(reply: Object, *keys: str) -> int | None:
    """Return whole percents, 0 to 100, from 34, 34.0, "34" or "34%"."""
    for key in keys:
        value = reply.get(key)
        number = _number(value.strip().removesuffix("%") if isinstance(value, str) else value)
        if number is not None:
            return int(min(max(number, 0), 100))
    return None


def moment(reply: Object, *keys: str) -> str | None:
    """Return the first of `keys` that holds a time, as RFC 3339 in UTC; zero dates are no times.

    See docs/design/wire.md#dates.
    """
    return next((time for key in keys if (time := as_utc(reply.get(key))) is not None), None)


def _text(reply: Object, limit: int, keys: Sequence[str]) -> str:
    for key in keys:
        value = reply.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return clean(str(value), limit)
    return ""


def as_utc(value: object) -> str | None:
    """Write a time of any form as conditions do: a status has one format for all its times. None: it is no time."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32:
        return _utc(datetime.fromtimestamp(value, UTC))  # service/detail of Oct 2023
    if not isinstance(value, str):
        return None
    if match := _V1_TIME.fullmatch(value):
        value = f"{match[1]}T{match[2]}{V1_ZONE}"
    if not _RFC_3339.fullmatch(value):
        return None
    try:
        return _utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):  # no such day, the year 0, or a day that UTC does not have
        return None


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None  # false for NaN, too
