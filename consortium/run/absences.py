"""Who is not in a run, or not in all of it, and why: what everybody who starts a run is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consortium.run.records import QuarantineRecord, Summary
from consortium.wording import formatting as words
from consortium.wording.formatting import count_in_words, name_list, readable_name
from consortium.wording.refusals import MILLI, SITE_REFUSED, refusal_reason
from privacy.errors import number_of
from strategies.coordinator.encrypted.parameters import MembersMissing, RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import SiteQuarantined, SitesJoined
from strategies.coordinator.messaging.refusal_finality import is_final
from strategies.coordinator.messaging.roster import NeverCame

NEVER_CAME = NeverCame.code
LEFT_OUT_BY_NAME = "left-out-by-name"
NOT_BEGUN = "not-begun"

_WITHOUT_A_CODE = {
    LEFT_OUT_BY_NAME: "The run was started without it.",
    NOT_BEGUN: "The run ended before it began.",
}
_MOST_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Absence:
    """One reason for which a site is not in a run, or not in some of its rounds.

    Args:
        site: Its name; the name of its node if it told none.
        code: The code of the reason; `NEVER_CAME`, `LEFT_OUT_BY_NAME` or `NOT_BEGUN` if there
            is none.
        counts: The counts that were told with the code, those of the last time.
        rounds: The rounds that it is left out of; 0 is the start.
        joined: Whether it is in the run at all.
    """

    site: str
    code: str
    counts: Mapping[str, int] = field(default_factory=dict)
    rounds: tuple[int, ...] = ()
    joined: bool = False

    @property
    def refused(self) -> bool:
        """Whether the site itself refused."""
        return self.code.startswith(SITE_REFUSED)

    @property
    def meaning(self) -> str:
        """What the code means, without a full stop."""
        told = _WITHOUT_A_CODE.get(self.code) or refusal_reason(self.code)
        return told.removesuffix(".")

    @property
    def reason(self) -> str:
        """The code with its counts, and what it means."""
        return f"{code_and_counts(self.code, self.counts)}: {self.meaning}"


def code_and_counts(code: str, counts: Mapping[str, int]) -> str:
    """Return a code with its counts in brackets, as terminals and `status` show it."""
    return f"{code}{_in_brackets(counts)}"


def absences_of(summary: Summary) -> tuple[Absence, ...]:
    """Return why sites were left out, in the charter's order; one for each site and code."""
    return absences_among(
        {site.name: site.present or site.answered > 0 for site in summary.sites},
        summary.quarantined,
        left_out=str(summary.config.get("without", "")).split(","),
    )


def absences_among(
    present: Mapping[str, bool],
    quarantined: Sequence[QuarantineRecord],
    *,
    left_out: Sequence[str] = (),
) -> tuple[Absence, ...]:
    """Return why sites were left out, in the order of `present`, unknown nodes last.

    Args:
        present: The members, with whether each joined.
        quarantined: The answers that were not used.
        left_out: Members that the run config leaves out.
    """
    found: dict[tuple[str, str], list[QuarantineRecord]] = {}
    for one in quarantined:
        found.setdefault((one.site, one.code), []).append(one)
    told = [
        Absence(
            site=site,
            code=code,
            counts=records[-1].counts,
            rounds=tuple(sorted({one.server_round for one in records})),
            joined=present.get(site, False),
        )
        for (site, code), records in found.items()
    ]
    named = {one.site for one in told}
    silent = NEVER_CAME if any(present.values()) else NOT_BEGUN
    told += [
        Absence(site=site, code=LEFT_OUT_BY_NAME if site in left_out else silent)
        for site, there in present.items()
        if not there and site not in named
    ]
    order = {site: at for at, site in enumerate(present)}
    return tuple(sorted(told, key=lambda one: order.get(one.site, len(order))))


def absences_in(events: Iterable[Mapping[str, Any]]) -> tuple[Absence, ...]:
    """Return why sites are left out of a run that goes on, from the events that it recorded."""
    present: dict[str, bool] = {}
    found = []
    for event in events:
        match event:
            case {"event": SitesJoined.kind, "sites": sites, "absent": absent}:
                present = {**dict.fromkeys(sites, True), **dict.fromkeys(absent, False)}
            case {"event": SiteQuarantined.kind}:
                fields = QuarantineRecord.model_fields.keys() & event.keys()
                told = {name: event[name] for name in fields}
                found.append(QuarantineRecord.model_validate(told))
    return absences_among(present, found)


def absences_by_code(absences: Iterable[Absence]) -> dict[str, list[Absence]]:
    """Return absences by their code, in the order in which the codes come first."""
    found: dict[str, list[Absence]] = {}
    for one in absences:
        found.setdefault(one.code, []).append(one)
    return found


def absence_text(one: Absence, *, last_round: int) -> str:
    """Return one line: which site, which rounds, the typed reason, and what it means."""
    if not one.joined:
        return f"not in the run: {one.site}, {one.reason}"
    return f"left out of {rounds_in_words(one, last_round=last_round)}: {one.site}, {one.reason}"


def rounds_in_words(one: Absence, *, last_round: int) -> str:
    """Return which rounds a site is left out of: at most six of them, and how many more."""
    named = ["the start" if at == 0 else f"round {at}" for at in one.rounds if at <= last_round]
    named += ["the final evaluation"] if one.rounds and one.rounds[-1] > last_round else []
    more = len(named) - _MOST_ROUNDS
    return ", ".join(named[:_MOST_ROUNDS]) + (f" and {more} more" if more > 0 else "")


def shortage_text(
    error: QuorumNotReached | RoundVoid, absences: Sequence[Absence], *, members: Sequence[str]
) -> str:
    """Return why a run ended that lacked sites: the reasons first, then what to do.

    Guarantee: if all members are left out for one reason, the text begins with that. If all
    reasons are final, it asks nobody to bring a site back. Every site and every code is named.

    Args:
        error: What the run ended with.
        absences: Why sites were left out since they last answered.
        members: Names of the members that the run asks.
    """
    if not absences:
        return str(error)
    said = [_group_text(some, members) for some in absences_by_code(absences).values()]
    return f"{'. '.join(said)}. {_advice(error, absences)}"


def _group_text(some: Sequence[Absence], members: Sequence[str]) -> str:
    """Return who is left out for one reason, with the counts of each."""
    sites = [f"{one.site}{_in_brackets(one.counts)}" for one in some]
    one = some[0]
    if len(some) > 1 and {each.site for each in some} == set(members):
        all_sites = f"all {count_in_words(len(some))} sites are left out for one reason"
        return f"{all_sites}, {one.code}: {one.meaning}. At {name_list(sites)}"
    return f"left out: {name_list(sites)}, {one.code}: {one.meaning}"


def _advice(error: QuorumNotReached | RoundVoid, absences: Sequence[Absence]) -> str:
    final = all(is_final(one.code) for one in absences)
    if isinstance(error, MembersMissing) or not (final or isinstance(error, QuorumNotReached)):
        return words.capitalized_text(str(error))
    short = _shortage(error.counts)
    if final:
        return f"{short}. Who refused would refuse again: correct the cause there first"
    return f"{short}. Bring them back, or lower quorum, and run again"


def _shortage(counts: Mapping[str, int]) -> str:
    """Return how many sites answered, as far as the counts of an error say it."""
    needed, came, missing = (counts.get(name) for name in ("needed", "came", "missing"))
    if needed and came is not None:
        return f"The round needs {number_of(needed, 'site')}, and {came} answered"
    if came is not None:
        return f"Too few sites answered ({came})"
    if missing:
        return f"Too few sites answered: {number_of(missing, 'site')} did not"
    return "Too few sites answered"


def _in_brackets(counts: Mapping[str, int]) -> str:
    told = ", ".join(_plain_count(name, number) for name, number in counts.items())
    return f" ({told})" if told else ""


def _plain_count(name: str, number: int) -> str:
    if name.endswith(MILLI):
        return f"{readable_name(name.removesuffix(MILLI))} {number / 1000:g}"
    return f"{readable_name(name)} {number}"
