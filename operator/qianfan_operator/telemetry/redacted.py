"""Texts that cannot be shown by accident."""


class RedactedDict(dict[str, str]):
    """Texts by name, such as a Secret's data or the headers of a signed request: its `repr` tells the names alone.

    So they stay out of log lines, and out of tracebacks of tools that print the variables of every frame.
    """

    def __repr__(self) -> str:
        """Name what is inside."""
        return f"Sealed({', '.join(self)})"
