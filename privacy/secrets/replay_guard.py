"""Replay guard: what a site remembers about epochs, openings and burned keys.

Guarantee: what a call stored survives the death of the process or of the machine at any moment.
What is stored within `deferred_syncs` survives that of the machine from the end of it on. If two
processes decide at the same time, the first decision holds. The directory must never be restored
from an older copy: a site that forgets accepts old messages again.
"""

from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.secrets.answer_memory import ANSWER_TABLES, QUESTION_TABLES, AnswerMemory
from privacy.secrets.bucket_draws import DRAW_TABLES, DrawMemory
from privacy.secrets.masked_runs.mask_memory import MASK_TABLES, MaskMemory
from privacy.secrets.masked_runs.pair_memory import PAIR_TABLES, PairMemory
from privacy.secrets.masked_runs.reached_states import REACHED_TABLES, ReachedStates
from privacy.secrets.roster_memory import ROSTER_TABLES, RosterMemory
from privacy.storage.carried_tails import TAIL_TABLES, CarriedTails
from privacy.storage.erasures import ERASURE_TABLES, Erasures
from privacy.storage.reply_store import REPLY_TABLES, ReplyStore
from privacy.storage.sqlite import DatabaseForm, SiteStore

MEMORY = DatabaseForm(
    file="memory.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS epochs"
        " (epoch INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS openings"
        " (run TEXT PRIMARY KEY, digest BLOB NOT NULL, lineage TEXT NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS burned (run TEXT PRIMARY KEY) STRICT",
        *ANSWER_TABLES,
        *REPLY_TABLES,
    ),
    later_tables=(
        *QUESTION_TABLES,
        *ROSTER_TABLES,
        *DRAW_TABLES,
        *TAIL_TABLES,
        *PAIR_TABLES,
        *MASK_TABLES,
        *REACHED_TABLES,
        *ERASURE_TABLES,
    ),
    erases=True,
)
RUNS_KEPT = 2  # whose replies and updates are kept: the run that opens, and the one before
MAX_OPENINGS = 4  # of one lineage: the first opening and at most three more


class StaleEpoch(ConsortiumError, ValueError, code="stale-epoch"):
    """An epoch is not newer than the last one that this site accepted."""


class OpeningAlreadyAccepted(ConsortiumError, ValueError, code="opening-already-accepted"):
    """This site accepted another opening of the run before."""


class TooManyOpenings(ConsortiumError, ValueError, code="too-many-openings"):
    """A run was opened too often. The members must decide how to go on."""


class KeyBurned(ConsortiumError, ValueError, code="key-burned"):
    """A checksum failed under this run's key before, so the key is never used again."""


class SiteMemory(SiteStore):
    """The memory of one site, in a directory of its own.

    Its attribute `answers` holds the replies that the site gave, `rosters` for whom it counts,
    `draws` who is added together, `pairs` its secrets with other sites, `masks` what it confirmed
    in masked runs, `reached` from which state such a run can go on, `tails` what came last to the
    site's log and ledger.
    """

    form = MEMORY

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        replies = ReplyStore(self._database, directory / "kept")
        self.answers = AnswerMemory(self._database, replies)
        self.rosters = RosterMemory(self._database)
        self.draws = DrawMemory(self._database)
        erasures = Erasures(self._database)
        self.pairs = PairMemory(self._database, erasures)
        self.masks = MaskMemory(self._database, replies, erasures)
        self.reached = ReachedStates(self._database, replies, self.answers)
        self.tails = CarriedTails(self._database)

    def last_epoch(self) -> int:
        """Return the number of the last accepted epoch; 0 before the first."""
        row = self._database.row("SELECT epoch FROM epochs ORDER BY epoch DESC LIMIT 1")
        return row[0] if row else 0

    def accept_epoch(self, epoch: int, fingerprint: bytes) -> None:
        """Remember an epoch. Accepting the last epoch again does nothing.

        Raises:
            StaleEpoch: It is older than the last one, or another one of the same number.
        """
        with self._database.writing():
            last = self.last_epoch()
            known = self._database.row("SELECT fingerprint FROM epochs WHERE epoch = ?", epoch)
            if epoch == last and known == (fingerprint,):
                return
            if epoch <= last:
                raise StaleEpoch(
                    f"an epoch after {last} was expected, got epoch {epoch}",
                    last=last,
                    came=epoch,
                )
            self._database.execute("INSERT INTO epochs VALUES (?, ?)", epoch, fingerprint)

    def accept_opening(self, run: str, digest: bytes, *, lineage: str | None = None) -> None:
        """Remember the opening of a run. Accepting the same opening again does nothing.

        What was kept to be answered again is let go, but for the last `RUNS_KEPT` runs and for
        masked runs that stand open or went on.

        Raises:
            KeyBurned: The run's key is burned.
            OpeningAlreadyAccepted: Another opening was accepted for this run.
            TooManyOpenings: `MAX_OPENINGS` of this lineage were accepted.
        """
        if self._is_accepted(run, digest):
            return  # nothing is written, so nobody else need wait
        with self._database.writing():
            if self._is_accepted(run, digest):
                return
            if self._database.row("SELECT digest FROM openings WHERE run = ?", run):
                raise OpeningAlreadyAccepted(f"another opening of run {run} was accepted before")
            # Counted per lineage, or a coordinator could ask for a new opening of the same run for
            # ever, and learn from each failure.
            root = self._lineage_root(lineage or run)
            self._require_room(root)
            self._database.execute("INSERT INTO openings VALUES (?, ?, ?)", run, digest, root)
            last = self._database.column(
                "SELECT run FROM openings ORDER BY rowid DESC LIMIT ?", RUNS_KEPT
            )
        # Runs that failed never come to their end. What the run before kept stays, because it may
        # still be under way, or be taken up again. After a death here the next opening does it.
        # So does what belongs to a masked run that waits for a site, or went on as another one:
        # the other one may be opened several times before it begins.
        self.answers.let_go_other_runs(*last, *self.pairs.open_runs(), *self.reached.continued())

    def burn_key(self, run: str) -> None:
        """Mark the run's key as never to be used again, and delete the pair secrets of the run."""
        self.pairs.forget_run(run)

    def require_unburned(self, run: str) -> None:
        """Check that the run's key is not burned.

        Raises:
            KeyBurned: It is.
        """
        if self._database.row("SELECT run FROM burned WHERE run = ?", run):
            raise KeyBurned(f"a checksum failed in run {run}: its key is burned at this site")

    def _is_accepted(self, run: str, digest: bytes) -> bool:
        # The burn comes first: a burned run stays closed, even for the opening it once had.
        self.require_unburned(run)
        known = self._database.row("SELECT digest FROM openings WHERE run = ?", run)
        return bool(known == (digest,))

    def _lineage_root(self, run: str) -> str:
        row = self._database.row("SELECT lineage FROM openings WHERE run = ?", run)
        return row[0] if row else run

    def _require_room(self, root: str) -> None:
        opened = self._database.column("SELECT run FROM openings WHERE lineage = ?", root)
        if len(opened) >= MAX_OPENINGS:
            raise TooManyOpenings(
                f"{len(opened)} openings of {root} were accepted: the members decide how to go on",
                at_most=MAX_OPENINGS,
            )
