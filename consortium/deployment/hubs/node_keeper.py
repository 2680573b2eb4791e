"""Keep a hub's SuperNode up beside its SuperLink, which the supervisor keeps up."""

import subprocess
import sys
import time
from collections.abc import Callable

from consortium.deployment.processes import end_processes
from consortium.deployment.supernode import SuperNode
from privacy.errors import ConsortiumError

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class NodeKeeper:
    """Starts a SuperNode, and again when it dies, after a pause that doubles up to a minute.

    Its processes have the mark of the hub's SuperLink too, so whoever ends that ends them.

    Args:
        node: The SuperNode of the hub.
        clock: Returns seconds from a fixed point.
    """

    def __init__(self, node: SuperNode, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._node, self._clock = node, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s, self._due, self._began = _FIRST_PAUSE_S, clock(), clock()

    def look(self) -> None:
        """Start the node if it does not run and its pause is over; return at once."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            lived = self._clock() - self._began > _LONGEST_PAUSE_S
            self._pause_s = _FIRST_PAUSE_S if lived else min(2 * self._pause_s, _LONGEST_PAUSE_S)
            self._due = self._clock() + self._pause_s
        if self._process is None and self._clock() >= self._due:
            self._start()

    def _start(self) -> None:
        end_processes(self._node.mark.marked_processes())  # what a node that died left behind
        self._began = self._clock()
        self._due = self._began + _LONGEST_PAUSE_S
        try:
            self._process = self._node.launch()
        except ConsortiumError as error:
            print(f"{error.code}: {error}", file=sys.stderr, flush=True)  # noqa: T201 -- its log
