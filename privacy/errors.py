"""The root of every error this project raises on purpose."""

from collections.abc import Collection


class ConsortiumError(Exception):
    """Something was refused, with a reason a person can act on.

    Every kind of error declares a `code` of its own, in kebab case. Sites send it, run
    directories and logs keep it: it is published, and stays when the class gets another name.

    Guarantee: `code` and `counts` hold no value computed from records, so they may leave a
    site; the text may quote a record, so it stays in the site's log.

    Args:
        message: What was needed, what came, what to do.
        counts: Whole numbers that make the refusal concrete, by name.

    Raises:
        TypeError: A subclass is defined that declares no code.
    """

    code: str = "consortium-error"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in vars(cls):
            raise TypeError(f'{cls.__name__} declares no code: give it one, code = "kebab-case"')

    def __init__(self, message: str, **counts: int) -> None:
        super().__init__(message)
        self.counts = counts


def abbreviated_names(names: Collection[str]) -> str:
    """Return names for a message: a few as they are, of many the number and the first."""
    few = ", ".join([*names][:5])
    return ", ".join(names) if len(names) <= 6 else f"{len(names)}: {few}, ..."
