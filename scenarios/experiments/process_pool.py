"""Processes that try runs side by side, and end when who started them ends, however it ends."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def side_by_side(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes; as many as there are cores if no number is given.

    Guarantee: none of them outlives this process, not even if it is killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent) as pool:
        yield pool


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
