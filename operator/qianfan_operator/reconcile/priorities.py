"""The priorities of reconciles."""

import enum


class Priority(enum.IntEnum):
    """How urgent a key is. Deletions go before what else their flow asks for at their level."""

    DELETION = 0
    URGENT = 1  # changed specs, new objects
    RETRY = 2  # also follow-ups of changes, and those who are woken because what they refer to has changed
    POLL = 3
