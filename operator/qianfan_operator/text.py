"""Text from outside, made safe to show: one line, no invisible characters, bounded length.

What tenants, the cloud and the network write ends up in logs, conditions and events, where people and tools believe
what they see. A line break forges a line there, a bidi mark turns a sentence around, and a megabyte is a flood.
"""

import bisect
import unicodedata

_IGNORABLE = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""What is drawn as nothing: Unicode's Default_Ignorable_Code_Point, and the blank of braille."""

_STARTS = [first for first, _ in _IGNORABLE]
_CUT = "…"


def clean(text: str, limit: int) -> str:
    r"""Return `text` as one line of visible characters, at most `limit` (1 or more) of them.

    Everything else is written as an escape (`\n`, `\x1b`, `\u202e`): control and format characters, bidi marks, line
    separators, lone surrogates, unassigned characters; other spaces become a plain one. Cleaning twice changes nothing.
    """
    line = "".join(map(_shown, text[: limit + 1]))  # no character becomes less than one
    return line if len(line) <= limit else line[: limit - 1] + _CUT


def cut(text: str, size: int) -> str:
    """Return `text`, cut to at most `size` (3 or more) bytes of UTF-8: so the API server counts an event's note."""
    encoded = text.encode(errors="backslashreplace")
    if len(encoded) <= size:
        return encoded.decode()
    return encoded[: size - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _shown(character: str) -> str:
    if character.isprintable() and not _ignorable(character):
        return character
    return " " if unicodedata.category(character) == "Zs" else character.encode("unicode_escape").decode("ascii")


def _ignorable(character: str) -> bool:
    number = ord(character)
    index = bisect.bisect_right(_STARTS, number) - 1
    return index >= 0 and number <= _IGNORABLE[index][1]
