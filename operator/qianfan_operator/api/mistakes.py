"""Validation errors in the user's words."""

import re

from pydantic import ValidationError

_OPENING = re.compile(r"^\w+ should")
_MOST = 6  # mistakes that one line names


def explain(error: ValidationError) -> str:
    """One line for a condition's message: what must be mended, in the user's own field names, in a fixed order."""
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        at = [part for part in detail["loc"] if part not in ("int", "str")]  # the branches of an id
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
        words = "must be set" if detail["type"] == "missing" else _OPENING.sub("must", detail["msg"])
        found.setdefault(path, words if len(at) == len(detail["loc"]) else "must be an integer or a string")
    told = [f"{path} {words}" for path, words in sorted(found.items())]
    return "; ".join(told[:_MOST] + (["and others"] if len(told) > _MOST else []))
