"""Messages that several kinds use."""

from qianfan_operator.api.reasons import Reason
from qianfan_operator.kinds.interface import Cause


def already_bound(held: str, named: str) -> Cause:
    """Say that `adopt` asks for something else than what is held, which is never exchanged."""
    ways = "Remove spec.adopt; another object can take that over."
    return Cause(Reason.ALREADY_BOUND, f"This object holds {held}, and spec.adopt names {named}. {ways}")


def searched_for(what: str) -> str:
    """Say that the status records nothing yet, and that a paid create waits until the cloud was searched."""
    searched = "The cloud is searched for one; nothing is created or paid for before that."
    return f"This object has no recorded {what}. {searched}"


def unknown(what: str, word: str | None, page: str | None) -> Cause:
    """Say that the cloud uses a word that is not in the tables of this version, and where it can be looked up."""
    where = f"the console: {page}" if page else "the console"
    message = f"{what} is in a state that this version of the operator does not know: {word!r}; look into {where}"
    return Cause(Reason.UNKNOWN_STATE, message)
