"""When the coordinator last answered a site: what tells a site that waits from one cut off."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FILE = "last-answer"
_NEVER = 0.0  # the time of the file until the first answer


@dataclass(frozen=True)
class LastAnswer:
    """The time of the coordinator's last answer, kept as the time of an empty file.

    Args:
        home: The folder for Flower's own files at the site.
    """

    home: Path

    @property
    def path(self) -> Path:
        """The file; it is there while a SuperNode notes answers."""
        return self.home / _FILE

    def forget(self) -> None:
        """Delete it, as what an earlier SuperNode heard says nothing about the next one."""
        self.path.unlink(missing_ok=True)

    def expect(self) -> None:
        """Say that answers are noted from now on, and that none came yet."""
        self.path.touch()
        os.utime(self.path, (_NEVER, _NEVER))

    def noting(self, ask: Callable[[], bool]) -> Callable[[], bool]:
        """Return what asks the coordinator as `ask` does, and notes when it answered.

        A note that cannot be written changes no answer.
        """

        def ask_and_note() -> bool:
            answered = ask()
            if answered:
                with suppress(OSError):
                    os.utime(self.path)
            return answered

        return ask_and_note

    def silent_s(self, now: Callable[[], float] = time.time) -> float | None:
        """Return for how many seconds the coordinator has not answered.

        Args:
            now: Returns seconds since 1970.

        Returns:
            Seconds; infinity if it never did since the SuperNode started; None if nobody notes
            answers, because none runs or because this Flower was not read.
        """
        try:
            heard = self.path.stat().st_mtime
        except FileNotFoundError:
            return None
        return float("inf") if heard == _NEVER else max(0.0, now() - heard)
