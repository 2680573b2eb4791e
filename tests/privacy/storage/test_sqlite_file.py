import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Literal

import pytest

from privacy.differential.private_runs import PrivateRuns
from privacy.policy.rate_limits import RateLimits
from privacy.storage.sqlite import SiteDatabase, open_sqlite

TRIES, AT_ONCE = 20, 6


@pytest.mark.parametrize("memory", [RateLimits, PrivateRuns, SiteDatabase])
def test_several_that_open_a_new_memory_at_once_all_get_it(
    memory: Callable[[Path], RateLimits | PrivateRuns | SiteDatabase], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as several:
        for number in range(TRIES):
            begin = Barrier(AT_ONCE)

            def open_and_close(directory: Path, begin: Barrier = begin) -> None:
                begin.wait()
                memory(directory).close()

            list(several.map(open_and_close, [tmp_path / str(number)] * AT_ONCE))


@pytest.mark.parametrize(("synchronous", "level"), [("NORMAL", 1), ("FULL", 2)])
def test_the_log_is_written_ahead_as_far_as_was_asked(
    synchronous: Literal["NORMAL", "FULL"], level: int, tmp_path: Path
) -> None:
    with closing(open_sqlite(tmp_path / "a.sqlite", synchronous=synchronous)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        connection.execute("CREATE TABLE made (at REAL)")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == {0o600}
        assert len(list(tmp_path.iterdir())) == 3


def test_what_is_no_database_is_refused_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_sqlite(tmp_path / "a.sqlite", synchronous="FULL")
    (tmp_path / "a.sqlite").unlink()
    open_sqlite(tmp_path / "a.sqlite", synchronous="FULL").close()
    with pytest.raises(sqlite3.OperationalError, match="absent"):
        open_sqlite(tmp_path / "absent" / "a.sqlite", synchronous="FULL")
