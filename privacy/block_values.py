"""Values that hold within a block of code, and for nobody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Value = TypeVar("Value")


@contextmanager
def value_in_block(variable: ContextVar[Value], value: Value) -> Iterator[None]:
    """Let a context variable have a value within this block, and what it had before after it.

    Guarantee: other threads and tasks do not see it, and blocks may be nested.
    """
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
