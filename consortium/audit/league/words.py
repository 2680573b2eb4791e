"""What those in league can open of a run, in words."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from consortium.audit.league.numbers import NUM_SHOWN, Numbers
from consortium.audit.league.view import LeagueView, OpenPart, RoundView
from privacy.errors import abbreviated_names, number_of


def described_league(view: LeagueView) -> Iterator[str]:
    """Yield the lines that say what opens, round by round, and the conclusion last."""
    members = ", ".join(view.members)
    yield (
        f"the coordinator in league with {members}: every kept upload is decrypted with the run's "
        f"key{', the masks that they know are taken off, ' if view.masked else ', '}"
        "and the equations that are left are solved"
    )
    for name in view.without_secrets:
        yield (
            f"{name} has deleted its secrets with other sites; the equations are solved as if it "
            "had kept them"
        )
    for one in view.rounds:
        yield from _described_round(one, view.members)
    if view.unsigned:
        yield f"{number_of(view.unsigned, 'kept upload')} without a receipt: not looked at"
    opened = view.opened_sites
    yield (
        f"OPEN: more than the confirmed sums, of {', '.join(opened)}"
        if opened
        else "nothing opens but sums that the sites confirmed"
    )


def _described_round(one: RoundView, members: Sequence[str]) -> Iterator[str]:
    yield f"round {one.server_round} {one.what}, {number_of(len(one.uploads), 'upload')}:"
    for part in one.open:
        yield f"  opens: {_described_part(part)}"
    if not one.open:
        yield "  nothing opens"
    told = ", ".join(
        f"{upload.site} {upload.p_value:.2g}"
        + (f" (attempt {upload.attempt})" if upload.attempt > 1 else "")
        for upload in one.uploads
        if upload.site not in members  # who knows what it sent itself
    )
    yield f"  p-values if what is left of each is noise, which is no proof: {told}"


def _described_part(part: OpenPart) -> str:
    if part.confirmed_by and not part.is_small:
        told = f"the sum over {_added(part.factors)}, confirmed by {abbreviated_names(part.confirmed_by)}"
    elif len(part.factors) == 1:
        told = f"what {part.honest[0]} sent, ALONE"
    else:
        told = f"{_added(part.factors)}, which nobody confirmed"
    return f"{told}; {_numbers(part.numbers)}"


def _added(factors: Mapping[str, Fraction]) -> str:
    if set(factors.values()) == {Fraction(1)}:
        return abbreviated_names(sorted(factors))
    return " ".join(f"{factor:+} {site}" for site, factor in sorted(factors.items()))


def _numbers(numbers: Numbers | None) -> str:
    if numbers is None:
        return "not computed: secrets that it takes are deleted"
    shown = " ".join(f"{one:.3g}" for one in numbers.values[:NUM_SHOWN])
    proof = "its checksum proves it" if numbers.checksum_right else "its checksum is WRONG"
    return (
        f"{number_of(len(numbers.values), 'number')} of norm {numbers.norm:.3g}, beginning "
        f"{shown}; {proof}"
    )
