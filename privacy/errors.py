"""The root of every error this project raises on purpose."""

import re
from collections.abc import Collection


class ConsortiumError(Exception):
    """Something was refused, with a reason a person can act on.

    Guarantee: `code` and `counts` hold no value computed from records, so they may leave a
    site; the text may quote a record, so it stays in the site's log.

    Args:
        message: What was needed, what came, what to do.
        counts: Whole numbers that make the refusal concrete, by name.
    """

    def __init__(self, message: str, **counts: int) -> None:
        super().__init__(message)
        self.counts = counts

    @property
    def code(self) -> str:
        """The kebab-case name of the situation: `TooFewSites` is `too-few-sites`."""
        return code_of(type(self))


def named(names: Collection[str]) -> str:
    """Return names for a message: a few as they are, of many the number and the first."""
    few = ", ".join([*names][:5])
    return ", ".join(names) if len(names) <= 6 else f"{len(names)}: {few}, ..."


def code_of(kind: type[ConsortiumError]) -> str:
    """Return the code that errors of a kind leave under."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
