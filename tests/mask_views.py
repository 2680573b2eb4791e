"""Every view of one masked round that a malicious coordinator and one member can have.

Which question a site is asked, which state it is shown, which sets it is shown and when: all of it
is enumerated. What the sites answer and confirm is decided by the real rules and by real memories.
Each upload is then a row: the site's value, its own mask, its pair masks. Known masks are struck
out, and what is left is solved by elimination. Equal places of masks, as the real rules make them,
are equal unknowns.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, count, product
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.protocol.masks.groups import (
    cohort_digest,
    confirmations_needed,
    neighbours,
    smallest_sum,
)
from privacy.protocol.masks.set_checks import KnownRound, check_cohort, check_set
from privacy.secrets.masks.mask_streams import UPDATE_DOOR, MaskPlace
from tests.masked_sites import (
    MaskedSite,
    Upload,
    identities,
    no_claim,
    shown,
    slot_of,
    upload_of,
)

Cohort = tuple[str, ...]
Asked = tuple[Cohort | None, ...]  # of each honest site, in one attempt
States = tuple[int, ...]  # of each honest site
Row = dict[object, int]

ATTEMPTS = (1, 2)
PRIME = 2**31 - 1  # solved modulo a prime: what is no combination there, is none of whole numbers


@dataclass(frozen=True)
class Told:
    """A set as the coordinator may show it: the uploads of these sites in one attempt."""

    attempt: int
    sites: Cohort


@dataclass(frozen=True)
class Course:
    """What came of one site: in which attempts it uploaded, and what it confirmed."""

    uploads: frozenset[int]
    confirmed: frozenset[Told]


@dataclass(frozen=True)
class View:
    """What the coordinator chose, and what lies open to it then."""

    asked: tuple[Asked, Asked]
    states: States
    courses: tuple[Course, ...]
    opens: str


@dataclass
class Play:
    """One round of a masked run, against all that its coordinator and some members may do.

    Args:
        honest: The honest sites.
        in_league: The members that are in league with the coordinator.
        folder: For the memories.
        min_others: Of the charter.
        too_few: By how much the quorum is lowered.
        forgets: Whether a site's memory is put back from an older copy between two sets.
        state_in_masks: Whether masks depend on the state.
    """

    honest: Cohort
    in_league: Cohort
    folder: Path
    min_others: int = 2
    too_few: int = 0
    forgets: bool = False
    state_in_masks: bool = True
    tried: int = 0
    opened: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.roster = tuple(sorted((*self.honest, *self.in_league)))
        self.buckets = dict.fromkeys(self.roster, 0)
        self.floor = smallest_sum(len(self.in_league), self.min_others)
        needed = confirmations_needed(len(self.roster), len(self.in_league))
        self.needed = needed - self.too_few
        self.cohorts = [
            names
            for size in range(1, len(self.roster) + 1)
            for names in combinations(self.roster, size)
        ]
        # Each play remembers for itself: a test may have taken a rule away.
        self._upload = cache(self._make_upload)
        self._passes = cache(self._check)
        self._memory = cache(self._play_memory)
        self._opened = cache(self._solve)

    def views(self, states: Sequence[States]) -> Iterator[View]:
        """Return every view in which something lies open that may not."""
        ways = list(product(*(self._askable(site) for site in self.honest)))
        for shown_states in states:
            told = {
                (attempt, asked): self._sets(attempt, asked, shown_states)
                for attempt in ATTEMPTS
                for asked in ways
            }
            for first, second in product(ways, ways):
                sets, asked = told[1, first] + told[2, second], (first, second)
                most = max((self._voters(one, asked, shown_states) for one in sets), default=0)
                if most + len(self.in_league) >= self.needed:
                    yield from self._views(sets, asked, shown_states)

    def _askable(self, site: str) -> list[Cohort | None]:
        """Return for which sites this one may be asked to seal; the real rule decides."""
        found: list[Cohort | None] = [None]
        for names in self.cohorts:
            try:
                check_cohort(names, site=site, buckets=self.buckets, floor=self.floor)
            except ConsortiumError:
                continue
            found.append(names)
        return found

    def _sets(self, attempt: int, asked: Asked, states: States) -> list[Told]:
        """Return the sets of an attempt for which the coordinator can have all receipts."""
        by_site = dict(zip(self.honest, asked, strict=True))
        return [
            told
            for names in self.cohorts
            if all(by_site.get(one, names) for one in names)
            for told in [Told(attempt, names)]
            if self._voters(told, (asked, asked), states)
        ]

    def _voters(self, told: Told, asked: tuple[Asked, Asked], states: States) -> int:
        """Return how many honest sites find nothing wrong in a set, at whatever moment."""
        return sum(
            any(self._is_lawful(one, told, asked, states, last) for last in (0, *ATTEMPTS))
            for one in self.honest
        )

    def _is_lawful(
        self, site: str, told: Told, asked: tuple[Asked, Asked], states: States, last: int
    ) -> bool:
        of_attempt = asked[told.attempt - 1]
        place = self.honest.index(site)
        uploads = tuple(
            (one, of_attempt[i], states[i])
            for i, one in enumerate(self.honest)
            if one in told.sites
        )
        own = of_attempt[place] if last >= told.attempt else None
        return self._passes(site, told, uploads, own, states[place] if last else None, last)

    def _views(
        self, sets: Sequence[Told], asked: tuple[Asked, Asked], states: States
    ) -> Iterator[View]:
        each = [self._courses(site, sets, asked, states) for site in self.honest]
        for courses in product(*each):
            by_site = dict(zip(self.honest, courses, strict=True))
            self.tried += 1
            votes = Counter(told for course in courses for told in course.confirmed)
            readable = frozenset(
                told
                for told, confirmed in votes.items()
                if confirmed + len(self.in_league) >= self.needed
                and all(
                    told.attempt in by_site[one].uploads for one in told.sites if one in by_site
                )
            )
            if readable:
                self.opened += 1
                opens = self._opened(readable, asked, states, courses)
                if opens:
                    yield View(asked, states, courses, opens)

    def _courses(
        self, site: str, sets: Sequence[Told], asked: tuple[Asked, Asked], states: States
    ) -> set[Course]:
        """Return what may come of a site that is shown a set before and after the second ask."""
        first, second = (bool(one[self.honest.index(site)]) for one in asked)
        found = set()
        for early, late in product([None, *sets], [None, *sets]):
            uploads = {1} if first else set()
            if early and not self._is_lawful(site, early, asked, states, max(uploads, default=0)):
                continue
            sealed, kept_early, _ = self._memory(first, second, early and early.attempt, None)
            last = max(sealed, default=0)
            if late and not self._is_lawful(site, late, asked, states, last):
                continue
            late_is = None if late is None else (late.attempt, late == early)
            sealed, kept_early, kept_late = self._memory(
                first, second, early and early.attempt, late_is
            )
            confirmed = {early} if kept_early and early else set()
            confirmed |= {late} if kept_late and late else set()
            found.add(Course(frozenset(sealed), frozenset(confirmed)))
        return found

    def _make_upload(self, site: str, attempt: int, cohort: Cohort, state: int) -> Upload:
        return upload_of(site, slot_of(attempt), cohort, state=bytes([state]) * 32)

    def _check(
        self,
        site: str,
        told: Told,
        uploads: tuple[tuple[str, Cohort, int], ...],
        own: Cohort | None,
        state: int | None,
        last: int,
    ) -> bool:
        """Return whether a site finds nothing wrong in a set; the real rule decides."""
        came = [self._upload(one, told.attempt, cohort, of) for one, cohort, of in uploads]
        of_set = uploads[0][1:] if uploads else (told.sites, 0)
        # Who is in league signs whatever fits.
        came += [
            self._upload(one, told.attempt, of_set[0], of_set[1])
            for one in told.sites
            if one in self.in_league
        ]
        known = KnownRound(
            slot=slot_of(),
            roster=identities(self.roster),
            buckets=self.buckets,
            floor=self.floor,
            site=site,
            own=self._upload(site, told.attempt, own, state).receipt if own else None,
            state=None if state is None else bytes([state]) * 32,
            last_attempt=last,
        )
        try:
            check_set(
                shown(slot_of(told.attempt), of_set[0], came, state=bytes([of_set[1]]) * 32), known
            )
        except ConsortiumError:
            return False
        return True

    def _play_memory(
        self, first: bool, second: bool, early: int | None, late: tuple[int, bool] | None
    ) -> tuple[set[int], bool, bool]:
        """Return what a real memory lets a site seal and confirm, in the order of events.

        Args:
            first: Whether it is asked in the first attempt.
            second: Whether it is asked in the second attempt.
            early: The attempt of a set that it is shown in between.
            late: The attempt of a set that it is shown at the end, and whether it is that one.
        """
        sealed: set[int] = set()
        kept_early = kept_late = False
        site = MaskedSite.begun(
            "site", self.folder / f"memory-{next(self._numbers)}", {"site": 0}, floor=1
        )
        if first and self._lets(site, lambda: site.ask(slot_of(1), ("site",))):
            sealed.add(1)
        if early:
            kept_early = self._lets(site, lambda: _confirm(site, early, b"\x01" * 32))
        if second and self._lets(site, lambda: site.ask(slot_of(2), ("site",))):
            sealed.add(2)
        if late:
            digest = b"\x01" * 32 if late[1] else b"\x02" * 32
            kept_late = self._lets(site, lambda: _confirm(site, late[0], digest))
        site.memory.close()
        return sealed, kept_early, kept_late

    def _lets(self, site: MaskedSite, act: Callable[[], object]) -> bool:
        """Say whether a site does something; what it confirmed is forgotten before, if it is."""
        if self.forgets:
            site.memory.database.execute("DELETE FROM confirmed")
        try:
            act()
        except ConsortiumError:
            return False
        return True

    def _solve(
        self,
        readable: frozenset[Told],
        asked: tuple[Asked, Asked],
        states: States,
        courses: tuple[Course, ...],
    ) -> str:
        """Return what lies open of the honest sites' values that may not; empty if nothing does."""
        unmasked = {(one, told.attempt) for told in readable for one in told.sites}
        rows = [
            self._row(site, attempt, asked[attempt - 1], states)
            for site, course in zip(self.honest, courses, strict=True)
            for attempt in course.uploads
            # An own mask that stays is in no other row, so nothing comes of that row.
            if (site, attempt) in unmasked
        ]
        return self._verdict(open_sums(rows, self.honest), states)

    def _row(self, site: str, attempt: int, asked: Asked, states: States) -> Row:
        place = self.honest.index(site)
        cohort = asked[place]
        assert cohort is not None
        masks = MaskPlace(
            slot=slot_of(attempt),
            state=bytes([states[place] if self.state_in_masks else 0]) * 32,
            question=bytes(32),
            cohort=cohort_digest(cohort),
            bucket=0,
            door=UPDATE_DOOR,
        )
        row: Row = {site: 1}
        for other in neighbours(site, cohort):
            if other in self.honest:
                pair = tuple(sorted((site, other)))
                row[pair, masks.digest] = 1 if pair[0] == site else -1
        return row

    def _verdict(self, found: list[list[int]], states: States) -> str:
        if not found:
            return ""
        if len(found) > 1:
            return "more than one sum"
        inside = [i for i, weight in enumerate(found[0]) if weight]
        if len(inside) < 2:
            return "one site"
        if len({found[0][i] for i in inside}) > 1:
            return "sites with unequal weights"
        if len({states[i] for i in inside}) > 1:
            return "sites in several states"
        return ""


def open_sums(rows: Sequence[Row], wanted: Sequence[str]) -> list[list[int]]:
    """Return the combinations of wanted values that follow from rows, whatever the masks are."""
    masks = sorted({name for row in rows for name in row} - set(wanted), key=repr)
    order = [*masks, *wanted]
    left = [[row.get(name, 0) % PRIME for name in order] for row in rows]
    done = 0
    for column in range(len(order)):
        pivot = next((i for i in range(done, len(left)) if left[i][column]), None)
        if pivot is None:
            continue
        left[done], left[pivot] = left[pivot], left[done]
        inverse = pow(left[done][column], -1, PRIME)
        left[done] = [value * inverse % PRIME for value in left[done]]
        for i, row in enumerate(left):
            if i != done and row[column]:
                factor = row[column]
                left[i] = [(a - factor * b) % PRIME for a, b in zip(row, left[done], strict=True)]
        done += 1
    free = len(masks)
    return [row[free:] for row in left if not any(row[:free]) and any(row[free:])]


def _confirm(site: MaskedSite, attempt: int, digest: bytes) -> None:
    site.memory.masks.confirm(slot_of(attempt), digest, only_sites={}, claim=no_claim)


def first_of(views: Iterable[View]) -> View | None:
    """Return the first of some views, or None."""
    return next(iter(views), None)
