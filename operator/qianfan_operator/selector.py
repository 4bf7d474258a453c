"""Label selectors in the syntax of `kubectl -l`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_KEY = rf"(?:{_LABEL}(?:\.{_LABEL})*/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<without>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<sign>==?|!=)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?P<end>,|$)"
)
_PREFIX_LIMIT = 253  # characters of a key before its slash


@dataclass(frozen=True)
class Requirement:
    """What one label must be. `values` None: any. `negative`: must not be so; a label that is absent is not so."""

    key: str
    values: frozenset[str] | None
    negative: bool = False

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet it."""
        found = labels.get(self.key)
        so = found is not None if self.values is None else found in self.values
        return so is not self.negative


@dataclass(frozen=True)
class Selector:
    """Requirements that all must be met; `text` is what was parsed."""

    text: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read a selector; raises ValueError with a sentence if it is empty or no selector."""
        found: list[Requirement] = []
        at = 0
        while at < len(text) or not found:
            match = _REQUIREMENT.match(text, at)
            if match is None or (match["end"] == "," and match.end() == len(text)):
                where = text[at:].strip()
                raise ValueError(
                    f"not a label selector, at {where!r}" if where else "not a label selector: it ends early"
                )
            found.append(_requirement(match))
            at = match.end()
        return cls(text.strip(), tuple(found))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet every requirement."""
        return all(requirement.met_by(labels) for requirement in self.requirements)


def _requirement(match: re.Match[str]) -> Requirement:
    key = match["without"] or match["key"]
    if len(key.rpartition("/")[0]) > _PREFIX_LIMIT:
        raise ValueError(f"the prefix of a label is longer than {_PREFIX_LIMIT} characters")
    if match["sign"]:
        return Requirement(key, frozenset({match["value"]}), match["sign"] == "!=")
    if match["word"]:
        values = [value.strip() for value in match["values"].split(",")]
        if not all(re.fullmatch(_NAME, value) for value in values):
            raise ValueError(f"the values of label {key} must be words, in parentheses and separated by commas")
        return Requirement(key, frozenset(values), match["word"] == "notin")
    return Requirement(key, None, match["absent"] is not None)
