"""Trials at work side by side, in processes of their own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from scenarios.experiments.process_pool import parallel_processes
from scenarios.sweep.ahead import load_trials_ahead
from scenarios.sweep.shared_records import SHARED_RECORDS
from scenarios.sweep.trial import Reached, Rise, rise

DIED = "its process died"


@dataclass
class Crew:
    """Worker processes, which outlive neither a sweep nor the process that started them.

    Args:
        workers: How many; 0 for this process alone.
        act: What is done with each trial.
    """

    workers: int
    act: Callable[[Rise], Reached] = rise
    _stack: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _pool: ProcessPoolExecutor | None = field(default=None, init=False, repr=False)

    def all_risen(self, ways: Sequence[Rise]) -> list[Reached]:
        """Take trials to a rung; return what came of each, in their order.

        Guarantee: a process that dies, as for lack of memory, ends its own trial at most. A trial
        that was at work beside it goes on in another process.
        """
        if self.workers == 0:
            return [self.act(one) for one in ways]
        try:
            return list(self._open_pool().map(self.act, ways))
        except BrokenProcessPool:
            self.close()
            return [self._risen_alone(one) for one in ways]

    def close(self) -> None:
        """Let the processes end."""
        self._stack.close()
        self._pool = None

    def _risen_alone(self, way: Rise) -> Reached:
        try:
            with parallel_processes(1) as pool:
                return pool.submit(self.act, way).result()
        except BrokenProcessPool:
            return Reached(number=way.trial.number, failed=DIED)

    def _open_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = self._stack.enter_context(parallel_processes(self.workers))
        return self._pool


@contextmanager
def crew_of(workers: int, task: str) -> Iterator[Crew]:
    """Yield a crew; its processes end with the body.

    Args:
        workers: How many; 0 for this process alone.
        task: The use case of the trials, for which the workers are made ready.
    """
    if workers:
        load_trials_ahead(task)
    crew = Crew(workers)
    try:
        yield crew
    finally:
        crew.close()
        SHARED_RECORDS.clear()  # of trials in this process; those of the workers end with them
