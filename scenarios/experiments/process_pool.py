"""Worker processes for parallel runs, which never outlive the process that started them.

On its own because a killed parent cannot stop its workers: each worker must watch its parent.

Workers are forked from one process that has loaded what all of them need and has computed nothing,
so that the libraries are loaded once and not by each. This process itself is never forked: workers
would share torch's thread pools, and could deadlock in them.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver


def load_ahead(modules: Sequence[str]) -> None:
    """Start the process that workers are forked from; it loads modules while this one goes on.

    Guarantee: it ends with this process, even if that is killed.

    Args:
        modules: What workers need. Only the first call in a process has a say in this; what is not
            among them, a worker loads itself.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    forkserver.ensure_running()


@contextmanager
def parallel_processes(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes, by default one a core.

    Guarantee: no worker outlives this process, even if it is killed. All have the environment
    that this process had when its first pool began to work.
    """
    context = multiprocessing.get_context("forkserver")
    # By default it would load the program that was started, as if it were started again.
    context.set_forkserver_preload([])
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(dict(os.environ),)
    ) as pool:
        yield pool


def _begin(environment: Mapping[str, str]) -> None:
    # Its own is that of the process it was forked from, as it was when that was started.
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # from a thread, sys.exit would end that thread only
