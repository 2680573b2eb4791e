"""Worker processes for parallel runs, which never outlive the process that started them.

On its own because a killed parent cannot stop its workers: each worker must watch its parent.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

# What takes seconds to load and most workers need: one process loads it, and they are its forks.
LOADED_ONCE = ("torch", "pandas", "consortium.client_app", "consortium.server_app")


@contextmanager
def parallel_processes(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes, by default one a core.

    Guarantee: no worker outlives this process, even if it is killed. All have the environment
    that this process had when its first pool began to work.
    """
    # Forks of this process would share torch's thread pools, and could deadlock in them. Theirs is
    # a process that has loaded libraries and computed nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LOADED_ONCE])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent) as pool:
        yield pool


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # from a thread, sys.exit would end that thread only
