"""What was refused, as a value: a test can say what is right also where nothing was refused."""

import re
from collections.abc import Callable

from privacy.errors import ConsortiumError

_NUMBER = re.compile(r"(?<![\w./-])\d+(?![\w/])")  # none of those in the name of a file


def refusal(action: Callable[[], object]) -> ConsortiumError | None:
    """Return with what an action was refused; None if it was done."""
    try:
        action()
    except ConsortiumError as error:
        return error
    return None


def numbers_in(error: ConsortiumError | None) -> set[int]:
    """Return the numbers that a refusal names, those of rows among them."""
    return {int(number) for number in _NUMBER.findall(str(error))}
