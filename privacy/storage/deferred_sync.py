"""Disk syncs that wait: what is written for one answer is synced once, before the answer leaves.

What was written survives the death of the process at once, as everything does. It survives the
death of the machine from the end of `deferred_syncs` on. Until then nobody may be told of it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from privacy.block_values import value_in_block


@dataclass(frozen=True, eq=False)
class Deferral:
    """The files whose syncs wait.

    Args:
        files: Databases and logs.
        afterwards: What may be done once they are synced, in order: for instance, removing a file
            that only an older row names.
    """

    files: frozenset[Path]
    afterwards: list[Callable[[], None]] = field(default_factory=list)


_CURRENT: ContextVar[Deferral | None] = ContextVar("deferral", default=None)


def deferral_of(file: Path) -> Deferral | None:
    """Return what the sync of a file waits with; None if it does not wait."""
    current = _CURRENT.get()
    return current if current is not None and file in current.files else None


@contextmanager
def nothing_deferred() -> Iterator[None]:
    """Let no sync wait within this block."""
    with value_in_block(_CURRENT, None):
        yield


@contextmanager
def deferred_syncs(files: Iterable[Path], *, sync: Callable[[], None]) -> Iterator[None]:
    """Let the syncs of these files wait for the end of the block.

    Guarantee: `sync` was called when the block is left, by an exception too; if it raises, its
    exception leaves the block, and what was to be done afterwards is left out.

    Args:
        files: Databases and logs.
        sync: Syncs what was written to them.
    """
    deferral = Deferral(frozenset(files))
    token = _CURRENT.set(deferral)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        sync()
        for act in deferral.afterwards:
            act()
