"""Roster memory: for which sites together this one counts exactly, and what it counted once.

The sums over two rosters differ by single sites. So exact counts of a data set are sealed for one
roster only under a charter, whatever is asked, in whatever run. All exact rosters of a charter
are then equal or disjoint, and no combination of their sums shows fewer sites than a roster has
(for statistics, if no member is in league with the coordinator). Updates without noise are such a
quantity for each start: two runs from one start give them anew. docs/protocol.md, "One roster".
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from privacy import canonical
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.storage.sqlite import SiteDatabase

ROSTER_TABLES = (
    "CREATE TABLE IF NOT EXISTS exact_rosters"
    " (charter TEXT, data_set TEXT, roster BLOB NOT NULL, PRIMARY KEY (charter, data_set)) STRICT",
    "CREATE TABLE IF NOT EXISTS sealed_rosters"
    " (charter TEXT, data_set TEXT, roster BLOB NOT NULL, PRIMARY KEY (charter, data_set)) STRICT",
    "CREATE TABLE IF NOT EXISTS own_statistics"
    " (charter TEXT, data_set TEXT, tally BLOB NOT NULL, PRIMARY KEY (charter, data_set)) STRICT",
    "CREATE TABLE IF NOT EXISTS recounts"
    " (charter TEXT, data_set TEXT, number INTEGER,"
    " PRIMARY KEY (charter, data_set, number)) STRICT",
    "CREATE TABLE IF NOT EXISTS own_evaluations"
    " (charter TEXT, data_set TEXT, model TEXT, tally BLOB NOT NULL,"
    " PRIMARY KEY (charter, data_set, model)) STRICT",
    "CREATE TABLE IF NOT EXISTS pooled_statistics"
    " (charter TEXT PRIMARY KEY, tally BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS start_rosters"
    " (charter TEXT, data_set TEXT, seed INTEGER, server_round INTEGER, sites BLOB NOT NULL,"
    " PRIMARY KEY (charter, data_set, seed, server_round)) STRICT",
)

# The rounds under which roster, buckets and settings of sealed updates stand; opened sums count
# from 1.
_SEALED, _PARTED, _SET = 0, -1, -2


class OtherSites(ConsortiumError, PermissionError, code="other-sites"):
    """Updates without noise from this start were sealed, or opened, for other sites before."""


class OtherBuckets(ConsortiumError, ValueError, code="other-buckets"):
    """Updates without noise from this start were sealed for other buckets before."""


class OtherSettings(ConsortiumError, ValueError, code="other-settings"):
    """Updates without noise from this start were sealed with other settings before."""


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


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where training without noise begins.

    It goes by the seed alone, which gives new parameters and the order of the records. Another
    learning rate is the same start, and so is a wider hidden layer: its first rows are the same.

    Args:
        counted: What is trained on.
        seed: The seed of the run.
    """

    counted: CountedData
    seed: int


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
            return self._claimed(counted) == encoded

    def counts_for(self, counted: CountedData, roster: Sequence[str]) -> bool | None:
        """Return whether this data set is counted exactly for this roster; None if for none yet."""
        held = self._claimed(counted)
        return None if held is None else held == canonical.names(sorted(roster))

    def seal_statistics_for(self, counted: CountedData, roster: Sequence[str]) -> None:
        """Remember for which roster statistics were sealed last; nobody may have opened them.

        As long as this site has not, another roster may still take its place. So a member that is
        asked and never answers binds nobody.
        """
        encoded = canonical.names(sorted(roster))
        with self._database.writing():
            self._database.execute(
                "INSERT OR REPLACE INTO sealed_rosters VALUES (?, ?, ?)",
                counted.charter,
                counted.data_set,
                encoded,
            )

    def forget_sealed_statistics(self, counted: CountedData) -> None:
        """Open no sum any more for which this site sealed: it was given statistics of others."""
        self.seal_statistics_for(counted, ())

    def open_statistics_of(self, counted: CountedData, roster: Sequence[str]) -> bool:
        """Return whether the statistics of this roster may be opened; then it is the one, for ever.

        It must be the one for which this site sealed last: all sites of a later sum have sealed for
        it, so none of them opens an earlier one. What was sealed before this site was given the
        statistics of others does not count, though it evaluated for the roster since. If this
        site holds statistics already, the roster is not chosen yet: those of the sum must be the
        same.
        """
        encoded = canonical.names(sorted(roster))
        place = (counted.charter, counted.data_set)
        with self._database.writing():
            claimed = self._claimed(counted)
            sealed = self._database.row(
                "SELECT roster FROM sealed_rosters WHERE charter = ? AND data_set = ?", *place
            )
            if claimed is not None:
                return claimed == encoded and sealed != (canonical.names(()),)
            # Version 0.1.0 sealed, and remembered for whom in no table.
            if sealed not in {None, (encoded,)}:
                return False
            if self.pooled_statistics(counted.charter) is not None:
                return True
            self._database.execute("INSERT INTO exact_rosters VALUES (?, ?, ?)", *place, encoded)
        return True

    def _claimed(self, counted: CountedData) -> bytes | None:
        row: tuple[bytes] | None = self._database.row(
            "SELECT roster FROM exact_rosters WHERE charter = ? AND data_set = ?",
            counted.charter,
            counted.data_set,
        )
        return row[0] if row else None

    def claim_start(self, start: Start, buckets: Collection[Sequence[str]]) -> None:
        """Remember for whom updates from a start are sealed, and who is added to whom.

        The first run that asks decides. What two partitions have in common may be one site, so no
        later run of these sites leads to another number of buckets.

        Args:
            start: Where the run began.
            buckets: The sites in each bucket; together they are the roster.

        Raises:
            OtherSites: The roster was another one before.
            OtherBuckets: The roster is that one, and its buckets were others.
        """
        roster = [name for bucket in buckets for name in bucket]
        self._require_same_sites(start, _SEALED, [roster])
        if not self._is_claimed(start, _PARTED, buckets):
            raise OtherBuckets(
                f"updates from the start that seed {start.seed} gives were sealed for other "
                "buckets of these sites before: give the run another seed"
            )

    def require_other_start(
        self, start: Start, buckets: Collection[Sequence[str]], settings: str
    ) -> None:
        """Check that updates from a start were not sealed otherwise under another charter.

        Who let a member go by a revision would else sum the first updates once more, without it.

        Args:
            start: Where the run begins.
            buckets: The sites in each bucket.
            settings: Digest of the settings with which updates are made and weighed.

        Raises:
            OtherSites: They were, for other sites, in other buckets, or with other settings.
        """
        roster = [name for bucket in buckets for name in bucket]
        wanted = {
            _SEALED: _encoded([roster]),
            _PARTED: _encoded(buckets),
            _SET: _encoded([[settings]]),
        }
        held = self._database.rows(
            "SELECT server_round, sites FROM start_rosters"
            " WHERE charter != ? AND data_set = ? AND seed = ? AND server_round <= ?",
            start.counted.charter,
            start.counted.data_set,
            start.seed,
            _SEALED,
        )
        if any(sites != wanted[place] for place, sites in held):
            raise OtherSites(
                f"updates from the start that seed {start.seed} gives were summed under another "
                "revision of the charter, for other sites, in other buckets or with other "
                "settings: give the run another seed"
            )

    def claim_settings(self, start: Start, settings: str) -> None:
        """Remember with which settings updates from a start are made and weighed.

        A setting may act at one site only, such as equal weights at the only small one. The
        difference of two sums is then of that site alone, though the same sites are in both.

        Args:
            start: Where the run began.
            settings: Their digest.

        Raises:
            OtherSettings: They were others before.
        """
        if not self._is_claimed(start, _SET, [[settings]]):
            raise OtherSettings(
                f"updates from the start that seed {start.seed} gives were sealed with other "
                "settings before, and the difference may be of a single site: give the run "
                "another seed"
            )

    def claim_opened(
        self, start: Start, server_round: int, buckets: Iterable[Sequence[str]]
    ) -> None:
        """Remember whose updates of a round are opened together: the first sums of it.

        A run goes on without a site that is late, so its sums may be over fewer than its roster.

        Args:
            start: Where the run began.
            server_round: From 1 on.
            buckets: The sites in each sum.

        Raises:
            OtherSites: A run from the same start had other sums in this round.
        """
        self._require_same_sites(start, server_round, buckets)

    def _is_claimed(self, start: Start, server_round: int, groups: Iterable[Sequence[str]]) -> bool:
        """Return whether these groups are the ones of this round, now and for ever."""
        encoded = _encoded(groups)
        place = (start.counted.charter, start.counted.data_set, start.seed, server_round)
        with self._database.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO start_rosters VALUES (?, ?, ?, ?, ?)", *place, encoded
            )
            held = self._database.row(
                "SELECT sites FROM start_rosters"
                " WHERE charter = ? AND data_set = ? AND seed = ? AND server_round = ?",
                *place,
            )
        return bool(held == (encoded,))

    def _require_same_sites(
        self, start: Start, server_round: int, groups: Iterable[Sequence[str]]
    ) -> None:
        if not self._is_claimed(start, server_round, groups):
            raise OtherSites(
                f"updates from the start that seed {start.seed} gives were summed for other sites "
                "before, and the difference would be the update of single ones: run with the same "
                "sites, with another seed, or with noise (dp.unit)"
            )

    def claimed_roster(self, counted: CountedData) -> tuple[str, ...]:
        """Return for which roster this data set is counted exactly; empty before it ever was."""
        row = self._database.row(
            "SELECT roster FROM exact_rosters WHERE charter = ? AND data_set = ?",
            counted.charter,
            counted.data_set,
        )
        return canonical.Reader(row[0], tag=b"").names() if row else ()

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

    def forget_own_statistics(self, counted: CountedData, *, number: int) -> None:
        """Forget what this site counted, so that it is counted anew once, for the same roster.

        Only the site's operator asks for it. Asked again with the same number, it does nothing.

        Args:
            counted: The data set, under its charter.
            number: How often it was asked for, from 1.
        """
        place = (counted.charter, counted.data_set)
        with self._database.writing():
            if self.recounts(counted) < number:
                self._database.execute("INSERT INTO recounts VALUES (?, ?, ?)", *place, number)
                self._database.execute(
                    "DELETE FROM own_statistics WHERE charter = ? AND data_set = ?", *place
                )

    def recounts(self, counted: CountedData) -> int:
        """Return how often the operator had this data set counted again."""
        row = self._database.row(
            "SELECT max(number) FROM recounts WHERE charter = ? AND data_set = ?",
            counted.charter,
            counted.data_set,
        )
        return int(row[0] or 0) if row else 0

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


def _encoded(groups: Iterable[Sequence[str]]) -> bytes:
    """Return groups of names as they are remembered: in whatever order, the same bytes."""
    return b"".join(sorted(canonical.names(sorted(group)) for group in groups))
