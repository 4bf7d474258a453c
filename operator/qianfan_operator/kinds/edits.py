"""Edits of a spec for which the cloud has no call."""

from collections.abc import Mapping

_Texts = str | tuple[str, ...] | None


def unapplied(fields: Mapping[str, tuple[_Texts, _Texts]], what: str, way: str) -> str:
    """Say which fields differ from what was sent, and what to do; empty if none does.

    `fields`: by name what was sent, None if that is not known, and what the spec has now.
    """
    changed = [
        f"spec.{name}" for name, (sent, now) in fields.items() if sent is not None and (now or type(sent)()) != sent
    ]
    if not changed:
        return ""
    return f"The change of {' and '.join(changed)} is not applied: the cloud has no call that changes {what}. {way}"
