"""The base class of every error that this project raises on purpose, and the words of messages.

It is a module of its own because every package raises it, and it may import none of them.
"""

import difflib
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import TypeVar

Value = TypeVar("Value")

# Every name that a count of a refusal may have. The list is closed, because a site's counts go into
# the coordinator's record and onto its terminal: a name of the site's own making would be text.
_NAMES = """
allowed allowed_milli asked asked_milli at_most attempts begun bound bucket budget_milli came
columns committed died differences empty entry expected files first_row floor flower_code found
got held holders index keyless lacking last left left_milli limit line listed log members
missing needed num_byzantine odd openings per_message per_round persons quorum receipts recorded
records refused repeated reserved rows runs sender sentences sites smallest spent_milli states steps
steps_that_fit unknown values voters wanted without
"""
COUNT_NAMES = frozenset(_NAMES.split())


class ConsortiumError(Exception):
    """Something was refused, with a reason a person can act on.

    Every error class is declared with its own `code`, in kebab case:
    `class BadTable(ConsortiumError, ValueError, code="bad-table")`. Sites send the code, and run
    directories and logs keep it. It is a published name: it stays when the class is renamed.

    Guarantee: `code` and `counts` hold no value computed from records, so they may leave a
    site. The message may quote a record, so it stays in the site's log.

    Args:
        message: What was needed, what came, what to do.
        counts: Whole numbers that make the refusal concrete, by a name of `COUNT_NAMES`.

    Raises:
        TypeError: A subclass is defined without a code of its own.
    """

    code: str = "consortium-error"

    def __init_subclass__(cls, *, code: str) -> None:
        super().__init_subclass__()
        cls.code = code

    def __init__(self, message: str, **counts: int) -> None:
        super().__init__(message)
        self.counts = counts


class MissingLibrary(ConsortiumError, ImportError, code="missing-library"):
    """What was asked for needs a library that is not installed.

    Args:
        purpose: What was asked for, such as `to train a model`.
        library: The name of the library.
        extra: The extra of the package that installs it.
    """

    def __init__(self, purpose: str, library: str, *, extra: str) -> None:
        super().__init__(
            f"{purpose}, the library {library} is needed, which is not installed: "
            f"pip install 'consortium-fl[{extra}]'"
        )


def require_library(purpose: str, library: str, *, extra: str) -> None:
    """Refuse what needs a library that is not installed; nothing is imported.

    Args:
        purpose: As for `MissingLibrary`.
        library: The name by which it is imported.
        extra: As for `MissingLibrary`.

    Raises:
        MissingLibrary: It is not there.
    """
    if find_spec(library) is None:
        raise MissingLibrary(purpose, library, extra=extra)


def abbreviated_names(names: Collection[str]) -> str:
    """Return names for a message: all of up to six, else their number and the first five."""
    few = ", ".join([*names][:5])
    return ", ".join(names) if len(names) <= 6 else f"{len(names)}: {few}, ..."


def number_of(number: int, noun: str) -> str:
    """Return a number with its noun: 0 rounds, 1 round, 1,200 rounds.

    Args:
        number: How many there are.
        noun: What they are, in the singular; words before the noun may stand with it.
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a regular English noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def look_up(
    name: str, known: Mapping[str, Value], *, kind: str, refusal: type[ConsortiumError]
) -> Value:
    """Return what has this name.

    Args:
        name: What was typed.
        known: What there is, by name.
        kind: What they are, in the singular.
        refusal: The error if there is none; its message names the nearest one, or all.
    """
    if name not in known:
        raise refusal(unknown_name(name, known, kind=kind))
    return known[name]


def unknown_name(name: str, known: Collection[str], *, kind: str) -> str:
    """Return the message that there is no such name: with the nearest ones, or all of them.

    Args:
        name: What was typed.
        known: The names there are.
        kind: What they name, in the singular.
    """
    return f"there is no {kind} '{name}': {meant_names(name, known, kind=kind)}"


def meant_names(name: str, known: Collection[str], *, kind: str) -> str:
    """Return which names may be meant by one that is none: the nearest ones, or all of them.

    Args:
        name: What was typed.
        known: The names there are.
        kind: What they name, in the singular.
    """
    # Whoever types a word of the name means that name, though another one is spelt more alike.
    holding = [f"'{one}'" for one in known if name in one.split("-")]
    close = [f"'{one}'" for one in difflib.get_close_matches(name, known, n=1)]
    meant = " or ".join(holding or close)
    return f"did you mean {meant}?" if meant else f"the {kind}s are {', '.join(known)}"
