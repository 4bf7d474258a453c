"""Names of Kubernetes objects and namespaces (DNS-1123).

Such a name holds no `/`, `%`, `?`, `#`, space or control character, and is neither `.` nor `..`: as it is, it can be a
segment of a path, a label, a word of a log line or of a command. The API server lets no other name be given to an
object, but a *reference* in a spec is any text until it is checked.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from qianfan_operator.api.cel import text

LABEL_LENGTH: Final = 63
SUBDOMAIN_LENGTH: Final = 253

LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{LABEL}(\.{LABEL})*"
IN_WORDS: Final = (
    f"must be a DNS-1123 name: 1 to {SUBDOMAIN_LENGTH} lower-case letters, digits, `-` and `.`,"
    " with a letter or a digit at both ends and on both sides of every `.`"
)

_LABEL, _SUBDOMAIN = re.compile(LABEL), re.compile(SUBDOMAIN)


def is_label(name: object) -> bool:
    """Say whether this can be the name of a namespace."""
    return isinstance(name, str) and len(name) <= LABEL_LENGTH and _LABEL.fullmatch(name) is not None


def is_subdomain(name: object) -> bool:
    """Say whether this can be the name of an object."""
    return isinstance(name, str) and len(name) <= SUBDOMAIN_LENGTH and _SUBDOMAIN.fullmatch(name) is not None


def _named(name: str) -> str:
    if not is_subdomain(name):
        raise PydanticCustomError("dns1123", IN_WORDS)
    return name


ObjectName = Annotated[
    str, AfterValidator(_named), text(f"self.matches(r'^{SUBDOMAIN}$')", IN_WORDS, maxLength=SUBDOMAIN_LENGTH)
]
"""The name of another object of the same namespace."""
