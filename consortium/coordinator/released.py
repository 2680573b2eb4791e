"""What single sites released of one question: on the disk, for there may be many of them."""

import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from privacy.layout import Tally


class Released:
    """The tallies that sites released in answer to one question.

    Guarantee: memory holds their names and one tally, whatever the number of sites; the file has
    no name, so that nothing of it is left when the process is gone, however that comes about.

    Args:
        folder: On the file system that holds the tallies meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[str, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None

    def keep(self, site: str, tally: Tally) -> None:
        """Keep the tally of a site; its last one, if it releases twice."""
        file = self._opened()
        start = file.seek(0, 2)
        file.write(np.ascontiguousarray(tally, np.int64).tobytes())
        self._at[site] = (start, tally.size)

    def clear(self) -> None:
        """Forget everything, as another question is asked."""
        self._at.clear()
        if self._file:
            self._file.truncate(0)

    @property
    def sites(self) -> list[str]:
        """Names of the sites that released theirs, sorted."""
        return sorted(self._at)

    def tallies(self) -> Iterator[tuple[str, Tally]]:
        """Yield each site with its tally, sorted by name."""
        for site in self.sites:
            start, size = self._at[site]
            file = self._opened()
            file.seek(start)
            yield site, np.frombuffer(file.read(8 * size), np.int64)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 -- it outlives this call
            weakref.finalize(self, self._file.close)
        return self._file
