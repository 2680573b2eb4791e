"""What a coordinator together with members in league with it can open of a run: it is solved.

Every kept upload is decrypted with the run's key, and written as its site's value and the streams
of masks on it. The streams that those in league know are struck out, and the others eliminated.
What is left of the equations is what opens, and nothing else of these uploads does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby, product
from pathlib import Path

from numpy.linalg import norm

from consortium.audit.league.elimination import Combination, combinations_without
from consortium.audit.league.holdings import (
    HeldUpload,
    held_uploads,
    kept_update,
    member_holdings,
    uploads_without_receipt,
)
from consortium.audit.league.plaintexts import (
    Numbers,
    Plaintexts,
    RoundNumbers,
    adjusted_for_their_number,
)
from consortium.audit.league.streams import League, Symbol, Value
from consortium.audit.sum_verification import Auditor
from consortium.modes.registry import mode_of
from consortium.run.directory import BadRunDirectory
from privacy.protocol.masks.groups import smallest_sum
from privacy.secrets.sealer import BfvSecret


@dataclass(frozen=True, kw_only=True)
class OpenPart:
    """A combination of the sites' values that opens.

    Args:
        factors: How often the value of each site is in it.
        honest: The sites in it that are not in league.
        confirmed_by: Who confirmed exactly this sum; nobody if it is none that was confirmed.
        is_small: Whether it holds fewer honest sites than every sum of the run must.
        numbers: What it holds, as far as the secrets for it are still kept.
    """

    factors: Mapping[str, Fraction]
    honest: tuple[str, ...]
    confirmed_by: tuple[str, ...]
    is_small: bool
    numbers: Numbers | None


@dataclass(frozen=True, kw_only=True)
class UploadView:
    """One kept upload.

    Args:
        site: Whose it is.
        attempt: The attempt at its round.
        p_value: How likely bits at least as uneven are, if what is left of it is noise; corrected
            for the number of uploads.
    """

    site: str
    attempt: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """The uploads of one kind in one round.

    Args:
        server_round: The round.
        what: `updates`, `counts` or `statistics`.
        uploads: Those that were kept.
        open: What opens of them.
    """

    server_round: int
    what: str
    uploads: tuple[UploadView, ...]
    open: tuple[OpenPart, ...]

    @property
    def alone(self) -> tuple[OpenPart, ...]:
        """What opens of a site alone, or of fewer honest sites than a sum must hold."""
        return tuple(one for one in self.open if one.is_small)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What two confirmed sums of rounds that follow one another say of the site between them.

    Where the sets of two rounds differ by one site, the difference of their sums is close to what
    that site sent: the others move little from one round to the next.

    Args:
        site: The site that is in one of them.
        server_round: The round in which it was.
        other_round: The round in which it was not.
        norm: Length of the estimate.
        cosine: Of the angle between the estimate and what the site trained; None if the site did
            not keep it to compare with.
        relative_error: Length of the error by that of what the site trained; None as before.
    """

    site: str
    server_round: int
    other_round: int
    norm: float
    cosine: float | None
    relative_error: float | None


@dataclass(frozen=True, kw_only=True)
class LeagueView:
    """What those in league can open.

    Args:
        members: The members in league with the coordinator.
        masked: Whether the run has masks.
        rounds: What there is of each round.
        without_secrets: Members whose secrets with other sites are deleted: what these closed is
            taken as known to them, but is not computed here.
        unsigned: Kept uploads of which no receipt is kept.
        estimates: What can be estimated from one round to the next.
    """

    members: tuple[str, ...]
    masked: bool
    rounds: tuple[RoundView, ...]
    without_secrets: tuple[str, ...]
    unsigned: int
    estimates: tuple[Estimate, ...]

    @property
    def opened_sites(self) -> tuple[str, ...]:
        """The sites of which something opens beside what was confirmed, sorted."""
        parts = [part for one in self.rounds for part in one.alone]
        return tuple(sorted({site for part in parts for site in part.honest}))


def view_of_league(
    auditor: Auditor, sites: Mapping[str, Path], *, evidence: Mapping[str, Path] | None = None
) -> LeagueView:
    """Return what the coordinator and some members can open of a run.

    Args:
        auditor: Of the coordinator's files.
        sites: The directory of each member in league.
        evidence: The directories of sites, only to say how close an estimate of them is.

    Raises:
        BadRunDirectory: There is no upload, no member, or its files are not those of a member.
        ConsortiumError: The files do not belong to a run under its charter.
    """
    opening, uploads = auditor.verified_opening(), held_uploads(auditor)
    if not uploads or not sites:
        raise BadRunDirectory(
            f"{auditor.vault.folder} has no upload with its receipt, or no member was named: there "
            "is nothing to open, and no key to open it with"
        )
    members = tuple(
        member_holdings(path, name, auditor, uploads) for name, path in sorted(sites.items())
    )
    terms, epoch = opening.terms, members[0].epoch
    league = League(
        run=opening.run,
        roster=terms.roster,
        members=members,
        keys=epoch.run_keys(charter=terms.charter, run=opening.run),
        masked=mode_of(auditor.config).masks_uploads,
        colluders=auditor.charter.num_colluders,
    )
    material = epoch.unwrap(opening.wrapped, terms=terms.encode())
    parameters = uploads[0].placement.parameters
    solver = _Solver(auditor, league, BfvSecret.from_material(parameters, material))
    rounds = _corrected(list(solver.rounds(uploads)))
    return LeagueView(
        members=tuple(sorted(league.names)),
        masked=league.masked,
        rounds=rounds,
        without_secrets=tuple(
            sorted(one.name for one in members if league.masked and not one.pairs)
        ),
        unsigned=uploads_without_receipt(auditor, uploads),
        estimates=tuple(_estimates(rounds, uploads, evidence or {})),
    )


@dataclass(frozen=True, eq=False)
class _Solver:
    auditor: Auditor
    league: League
    secret: BfvSecret = field(repr=False)

    def rounds(self, uploads: Sequence[HeldUpload]) -> Iterator[RoundView]:
        """Solve the uploads of each round and kind: no stream is in two of them."""
        ordered = sorted(uploads, key=_round_of)
        for (server_round, what), group in groupby(ordered, key=_round_of):
            mine = tuple(group)
            equations = tuple(self.league.equation(one) for one in mine)
            plaintexts = Plaintexts(
                uploads=mine,
                equations=equations,
                seeds=self.league.seeds(mine),
                secret=self.secret,
                keys=self.league.keys,
            )
            yield RoundView(
                server_round=server_round,
                what=what,
                uploads=tuple(
                    UploadView(
                        site=one.site, attempt=one.receipt.label.slot.attempt, p_value=p_value
                    )
                    for one, p_value in zip(mine, plaintexts.p_values(), strict=True)
                ),
                open=tuple(self._open(plaintexts, mine)),
            )

    def _open(self, plaintexts: Plaintexts, uploads: Sequence[HeldUpload]) -> Iterator[OpenPart]:
        """Yield all that opens, if members kept what they once knew; with numbers if they did."""
        league = self.league
        computed = {
            self._honest(one): one for one in self._combinations(plaintexts, lambda _: False)
        }
        numbers = RoundNumbers(self.auditor, league.keys, plaintexts)
        smallest = smallest_sum(league.colluders, self.auditor.charter.floors.min_others)
        for one in self._combinations(plaintexts, league.could_know):
            honest = self._honest(one)
            found = computed.get(honest)
            sites = tuple(sorted(value.site for value, _ in honest))
            yield OpenPart(
                factors={value.site: factor for value, factor in (found or one).left.items()},
                honest=sites,
                confirmed_by=self._confirmed_by(sites, uploads),
                is_small=len(sites) < max(2, smallest - len(league.names)),
                numbers=None if found is None else numbers.of(found),
            )

    def _combinations(
        self, plaintexts: Plaintexts, supposed: Callable[[Symbol], bool]
    ) -> tuple[Combination[Value], ...]:
        """Return what opens, with everything that is known or supposed to be struck out."""
        equations = [
            {
                symbol: factor
                for symbol, factor in one.items()
                if symbol not in plaintexts.seeds and not supposed(symbol)
            }
            for one in plaintexts.equations
        ]
        left = {symbol for one in equations for symbol in one}
        values = sorted(
            (one for one in left if isinstance(one, Value)),
            key=lambda value: (value.site in self.league.names, value.site),
        )
        return tuple(
            Combination(
                weights=one.weights,
                left={value: one.left[value] for value in values if value in one.left},
            )
            for one in combinations_without(equations, left - {*values}, values)
        )

    def _honest(self, one: Combination[Value]) -> frozenset[tuple[Value, Fraction]]:
        return frozenset(
            (value, factor)
            for value, factor in one.left.items()
            if not self.league.could_know(value)
        )

    def _confirmed_by(
        self, honest: Sequence[str], uploads: Sequence[HeldUpload]
    ) -> tuple[str, ...]:
        added: dict[tuple[int, int], set[str]] = {}
        for one in uploads:
            label = one.receipt.label
            if one.of is not None:
                added.setdefault((label.slot.attempt, label.bucket), set()).add(one.site)
        for one in uploads:
            label = one.receipt.label
            sites = added.get((label.slot.attempt, label.bucket), set())
            if one.of is not None and sites - self.league.names == {*honest}:
                return tuple(sorted(given.witness for given in one.of.confirmations))
        return ()


def _round_of(upload: HeldUpload) -> tuple[int, str]:
    return upload.receipt.label.slot.server_round, upload.what


def _corrected(rounds: Sequence[RoundView]) -> tuple[RoundView, ...]:
    """Return the rounds with p-values that are corrected for the number of all uploads."""
    raw = [upload.p_value for one in rounds for upload in one.uploads]
    adjusted = iter(adjusted_for_their_number(raw))
    return tuple(
        replace(
            one, uploads=tuple(replace(upload, p_value=next(adjusted)) for upload in one.uploads)
        )
        for one in rounds
    )


def _estimates(
    rounds: Sequence[RoundView], uploads: Sequence[HeldUpload], evidence: Mapping[str, Path]
) -> Iterator[Estimate]:
    """Yield an estimate for each two confirmed sums, one round apart, that differ by one site."""
    updates = [one for one in rounds if one.what == "updates"]
    for (before, first), (after, second) in product(_confirmed(updates), repeat=2):
        if abs(before - after) != 1 or first.numbers is None or second.numbers is None:
            continue
        more, fewer = {*first.factors}, {*second.factors}
        if not fewer < more or len(more - fewer) != 1:
            continue
        (site,) = more - fewer
        guessed = first.numbers.values - second.numbers.values
        labels = [
            one.receipt.label
            for one in uploads
            if (one.what, one.site) == ("updates", site)
            and one.receipt.label.slot.server_round == before
        ]
        kept = kept_update(evidence[site], labels[0]) if site in evidence else None
        yield Estimate(
            site=site,
            server_round=before,
            other_round=after,
            norm=float(norm(guessed)),
            cosine=None if kept is None else float(guessed @ kept / norm(guessed) / norm(kept)),
            relative_error=None if kept is None else float(norm(guessed - kept) / norm(kept)),
        )


def _confirmed(rounds: Sequence[RoundView]) -> list[tuple[int, OpenPart]]:
    return [
        (one.server_round, part)
        for one in rounds
        for part in one.open
        if part.confirmed_by and not part.is_small
    ]
