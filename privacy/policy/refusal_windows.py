"""Refusals at the door, told together: a site's disk does not grow with what it refuses.

Of each kind of question of each run, the first refusal in an hour is told in full; the others are
counted, and one entry tells how many they were. They are counted in one small file that is written
in place, because a database would write a page for each.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from privacy.storage.secret_files import make_private_directory

FILE = "refused.json"
WINDOW_S = 3_600
MOST_TOLD = 16  # in full, in one window
_LARGEST = 4_096  # bytes of the file, by far


@dataclass(frozen=True, kw_only=True)
class RefusedTogether:
    """What was refused in one window without being told by itself.

    Args:
        times: Number of refusals, at least 1.
        first: Time of the first one, in seconds since 1970.
        last: Time of the last one.
    """

    times: int
    first: float
    last: float


@dataclass(frozen=True)
class _Window:
    number: int
    told: tuple[str, ...] = ()
    together: RefusedTogether | None = None


class RefusalWindows:
    """The refusals of one site.

    Guarantee: at most `MOST_TOLD` refusals are told in full in a window, over all processes of the
    site, and the file has a bounded size. If the machine dies, the count of the last moments may be
    lost; a file that cannot be read counts from zero.

    Args:
        directory: Created with mode 0700, if it does not exist, once there is something to count.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def is_told(self, question: str, now: float) -> bool:
        """Count a refusal; return whether it is told in full.

        Args:
            question: What was asked, in which run, and why it is refused.
            now: The time, in seconds since 1970.

        Raises:
            ExposedSecret: Other users can access the directory.
            OSError: The file cannot be written.
        """
        name = sha256(question.encode()).hexdigest()[:32]
        with self._locked() as file:
            window = _read_window(file)
            current = int(now // WINDOW_S)
            if window.number != current and window.together is None:
                window = _Window(current)
            # A window that was not told yet stays: what is refused now is told together with it.
            if name not in window.told and len(window.told) < MOST_TOLD:
                _write_window(file, _Window(window.number, (*window.told, name), window.together))
                return True
            before = window.together or RefusedTogether(times=0, first=now, last=now)
            together = RefusedTogether(times=before.times + 1, first=before.first, last=now)
            _write_window(file, _Window(window.number, window.told, together))
            return False

    def ended(self, now: float) -> RefusedTogether | None:
        """Return what is to be told together of a window that is over, or None; it is told once.

        Raises:
            ExposedSecret, OSError: As in `is_told`.
        """
        # Asked with every message: without the file, as at most sites, it costs one look.
        if not self._path.exists():
            return None
        with self._locked() as file:
            window = _read_window(file)
            if window.number == int(now // WINDOW_S):
                return None
            _write_window(file, _Window(int(now // WINDOW_S)))
            return window.together

    @contextmanager
    def _locked(self) -> Iterator[int]:
        make_private_directory(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _read_window(file: int) -> _Window:
    try:
        held = json.loads(os.pread(file, _LARGEST, 0))
        together = held["together"]
        return _Window(
            int(held["number"]),
            tuple(str(one) for one in held["told"]),
            None if together is None else RefusedTogether(**together),
        )
    except (ValueError, TypeError, KeyError):  # new, or the machine died while it was written
        return _Window(-1)


def _write_window(file: int, window: _Window) -> None:
    written = json.dumps(asdict(window)).encode()
    os.pwrite(file, written, 0)
    os.ftruncate(file, len(written))
