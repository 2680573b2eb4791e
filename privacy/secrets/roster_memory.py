"""Roster memory: for which sites together this one counts exactly, and what it counted once.

The sums over two rosters differ by single sites. So exact counts of a data set are sealed for one
roster only under a charter, whatever is asked, in whatever run. All exact rosters of a charter
are then equal or disjoint, and no combination of their sums shows fewer sites than a roster has.
docs/protocol.md, "One roster".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privacy import canonical
from privacy.layout import Tally
from privacy.storage.sqlite import SiteDatabase

ROSTER_TABLES = (
    "CREATE TABLE IF NOT EXISTS exact_rosters"
    " (charter TEXT, data_set TEXT, roster BLOB NOT NULL, PRIMARY KEY (charter, data_set)) STRICT",
    "CREATE TABLE IF NOT EXISTS own_statistics"
    " (charter TEXT, data_set TEXT, tally BLOB NOT NULL, PRIMARY KEY (charter, data_set)) STRICT",
    "CREATE TABLE IF NOT EXISTS own_evaluations"
    " (charter TEXT, data_set TEXT, model TEXT, tally BLOB NOT NULL,"
    " PRIMARY KEY (charter, data_set, model)) STRICT",
    "CREATE TABLE IF NOT EXISTS pooled_statistics"
    " (charter TEXT PRIMARY KEY, tally BLOB NOT NULL) STRICT",
)


@dataclass(frozen=True, kw_only=True)
class CountedData:
    """What is counted, as its site names it.

    Args:
        charter: Fingerprint of the charter under which it is counted.
        data_set: Its name at the site. Not its fingerprint: one patient more makes another
            fingerprint, and the difference of two sums would be that patient.
    """

    charter: str
    data_set: str


class RosterMemory:
    """The rosters for which one site counts exactly.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds.

    Args:
        database: Database that holds `ROSTER_TABLES`.
    """

    def __init__(self, database: SiteDatabase) -> None:
        self._database = database

    def claim_roster(self, counted: CountedData, roster: Sequence[str]) -> bool:
        """Return whether this data set is counted exactly for this roster, now and for ever.

        The first roster that asks is the one.
        """
        encoded = canonical.names(sorted(roster))
        place = (counted.charter, counted.data_set)
        with self._database.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO exact_rosters VALUES (?, ?, ?)", *place, encoded
            )
            held = self._database.row(
                "SELECT roster FROM exact_rosters WHERE charter = ? AND data_set = ?", *place
            )
        return bool(held == (encoded,))

    def keep_own_statistics(self, counted: CountedData, tally: Tally) -> Tally:
        """Keep what this site counted of its training records; return what it counted first.

        A record that came since is not in it: the difference of two sums would be that record.
        """
        place = (counted.charter, counted.data_set)
        with self._database.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO own_statistics VALUES (?, ?, ?)", *place, _encode(tally)
            )
            held = self.own_statistics(counted)
        return tally if held is None else held

    def own_statistics(self, counted: CountedData) -> Tally | None:
        """Return what this site counted of its training records, or None."""
        row = self._database.row(
            "SELECT tally FROM own_statistics WHERE charter = ? AND data_set = ?",
            counted.charter,
            counted.data_set,
        )
        return _decode(row[0]) if row else None

    def keep_own_evaluation(self, counted: CountedData, model: str, tally: Tally) -> Tally:
        """Keep what this site counted when it judged a model; return what it counted first.

        Args:
            counted: The data set, under its charter.
            model: Digest of the model, hexadecimal.
            tally: What was counted now.
        """
        place = (counted.charter, counted.data_set, model)
        with self._database.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO own_evaluations VALUES (?, ?, ?, ?)", *place, _encode(tally)
            )
            held = self.own_evaluation(counted, model)
        return tally if held is None else held

    def own_evaluation(self, counted: CountedData, model: str) -> Tally | None:
        """Return what this site counted when it judged a model, or None."""
        row = self._database.row(
            "SELECT tally FROM own_evaluations WHERE charter = ? AND data_set = ? AND model = ?",
            counted.charter,
            counted.data_set,
            model,
        )
        return _decode(row[0]) if row else None

    def keep_pooled_statistics(self, charter: str, tally: Tally) -> None:
        """Keep the statistics of all sites, as they were opened last under this charter."""
        with self._database.writing():
            self._database.execute(
                "INSERT OR REPLACE INTO pooled_statistics VALUES (?, ?)", charter, _encode(tally)
            )

    def pooled_statistics(self, charter: str) -> Tally | None:
        """Return the statistics of all sites under this charter, or None."""
        row = self._database.row("SELECT tally FROM pooled_statistics WHERE charter = ?", charter)
        return _decode(row[0]) if row else None


def _encode(tally: Tally) -> bytes:
    return np.ascontiguousarray(tally, "<i8").tobytes()


def _decode(stored: bytes) -> Tally:
    return np.frombuffer(stored, "<i8").astype(np.int64)
