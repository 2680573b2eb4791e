"""How the SuperNode of a site waits: for a message, and for the answer to it.

A site only asks; nobody reaches it. So a message waits until the site asks for it, and how often it
asks decides how long a round takes. It asks often when the last answer was sent a short while ago,
and ever more seldom afterwards. The process that starts an answer is told when a message is there,
through a pipe.
"""

import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from consortium.charter.addresses import guests_of, hub_of
from consortium.charter.document import Charter
from consortium.run.party_directory import PartyDirectory
from consortium.site.directory import SiteDirectory, read_site_config

LONGEST_PAUSE_S = 3.0  # a site without a run asks as often as Flower's own SuperNode
_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.5  # for an answer, in the memory of the same process
_SHARE = 0.1  # of what it has waited
_SHARE_OF_ALL_S = 0.04  # all members together ask at most 25 times a second
_RINGS_READ = 4_096
_STANDARD_INPUT = 0


@dataclass(frozen=True)
class Wait:
    """A wait for something that nobody announces, so that one looks for it again and again.

    Guarantee: no pause is shorter than `shortest_s` or longer than `longest_s`. Between the two,
    what comes is seen after at most a tenth of the time that it was waited for.

    Args:
        shortest_s: Seconds; the first pause.
        longest_s: Seconds.
        clock: Returns seconds from a fixed point.
    """

    shortest_s: float
    longest_s: float
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "began", self.clock())

    def pause_s(self) -> float:
        """Return how long to wait until the next look."""
        waited_s = self.clock() - self.began
        return min(self.longest_s, max(self.shortest_s, _SHARE * waited_s))


def shortest_question_pause_s(site: Path) -> float:
    """Return the shortest pause between two questions of a site to where it connects.

    It is what the site's operator chose, and longer in a large consortium, so that all who connect
    there together ask at most 25 times a second.

    Raises:
        BadSite: The site's configuration cannot be read.
        BadCharter: The same of its charter.
    """
    charter, config = Charter.read(SiteDirectory(site).charter), read_site_config(site)
    beside = guests_of(charter, hub_of(charter, config.name))
    return _pause_beside(config.shortest_pause_s, len(beside))


def shortest_pause_of_hub_s(node: Path) -> float:
    """Return the same of a hub, whose operator chooses nothing.

    Args:
        node: The directory of the hub's SuperNode.

    Raises:
        BadCharter: The charter cannot be read.
    """
    return _pause_beside(0.0, len(guests_of(Charter.read(PartyDirectory(node).charter))))


def _pause_beside(chosen_s: float, guests: int) -> float:
    return min(LONGEST_PAUSE_S, max(chosen_s, _SHARE_OF_ALL_S * guests))


class Doorbell:
    """Tells a child process, on its standard input, that there is something to do."""

    def __init__(self) -> None:
        self._listening, self._ringing = os.pipe()
        os.set_blocking(self._ringing, False)

    def start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start the process that listens."""
        return subprocess.Popen(command, stdin=self._listening)  # noqa: S603 -- the gate's own

    def ring(self) -> None:
        """Tell it. Rings that it has not heard yet count as one."""
        try:
            os.write(self._ringing, b"\n")
        except BlockingIOError:  # so many are unheard that one more says nothing
            return


def wait_for_ring(longest_s: float) -> bool:
    """Wait for a ring on the standard input, or for `longest_s` seconds; return whether it came."""
    until = time.monotonic() + longest_s
    heard, _, _ = select.select([_STANDARD_INPUT], [], [], longest_s)
    if heard and os.read(_STANDARD_INPUT, _RINGS_READ):
        return True
    time.sleep(max(0.0, until - time.monotonic()))  # nobody holds the bell, so nobody will ring
    return False


class NodeWaits:
    """The waits of a SuperNode's loop, in turn: for a message, and for the answer to it.

    Args:
        shortest_pause_s: Between two questions to the coordinator.
        bell: Tells the process that starts answers.
    """

    def __init__(self, shortest_pause_s: float, bell: Doorbell) -> None:
        self._for_message = partial(Wait, shortest_pause_s, LONGEST_PAUSE_S)
        self._wait, self._bell = self._for_message(), bell

    def sleep(self, _flowers_s: float) -> None:
        """Pause between two looks for what is waited for now, in place of Flower's fixed time."""
        time.sleep(self._wait.pause_s())

    def with_ring(self, pull: Callable[..., int | None]) -> Callable[..., int | None]:
        """Return what pulls a message as `pull` does, and rings when all of it is there."""

        def pull_and_ring(**given: object) -> int | None:
            run = pull(**given)
            if run is not None:
                self._bell.ring()
            return run

        return pull_and_ring

    def with_wait(self, push: Callable[..., None]) -> Callable[..., None]:
        """Return what waits for an answer and sends it as `push` does, and then for a message."""

        def push_answer(**given: object) -> None:
            self._wait = Wait(_LOOK_S, _LONGEST_LOOK_S)
            push(**given)
            self._wait = self._for_message()

        return push_answer
