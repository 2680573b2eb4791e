"""What the page of a run says: a pure function of the run's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consortium.config import RunConfig
from consortium.report.watch.run_so_far import RunSoFar
from consortium.run.absences import Absence, absences_among
from consortium.run.privacy_records import PrivacyCost
from consortium.run.records import QuarantineRecord, Summary
from consortium.wording import formatting as words
from privacy.errors import number_of

_ROUNDS_SHOWN = 10
_SUMS_SHOWN = 10
_COARSE_S = 10


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """The last entry of an audit log.

    Args:
        whose: Whose log it is.
        entries: How many entries it has.
        hash: The hash of the last one, hexadecimal.
    """

    whose: str
    entries: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What the files of a run say at one moment.

    Args:
        name: The name of the run's directory.
        consortium: The name in the charter.
        members: The members in the charter.
        so_far: What the events say.
        config: The run config; None before it is written.
        summary: The summary; None before the end.
        privacy: What ledgers said in measured runs; None if that was not measured.
        heads: The ends of the audit logs that lie in the run's directory.
        is_led: Whether a process leads the run.
        quiet_s: Seconds since the last event.
        now: The time, in UTC.
    """

    name: str
    consortium: str
    members: tuple[str, ...]
    so_far: RunSoFar
    config: RunConfig | None
    summary: Summary | None
    privacy: PrivacyCost | None
    heads: tuple[AuditHead, ...]
    is_led: bool
    quiet_s: float
    now: datetime


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """What an operator asks about one site, each answer as a sentence or a part of one."""

    name: str
    in_this_round: str
    last_refusal: str
    budget_left: str


@dataclass(frozen=True, kw_only=True)
class PageState:
    """What the page says.

    Args:
        consortium: The name in the charter.
        run: The name of the run's directory.
        started: When the run began; empty before that.
        status: One word.
        is_well: Whether that word is good news.
        question: What the heading asks.
        ending: The answer: when the run ends, or how it ended.
        key: Key figures, each with its name.
        this_round: The round that the table of sites is about.
        sites: One line for each member.
        budget: What the run costs in privacy.
        refused_sums: The last sums that sites refused.
        rounds: The last finished rounds, the newest first: round, sites, seconds, bytes.
        heads: The ends of the audit logs.
    """

    consortium: str
    run: str
    started: str
    status: str
    is_well: bool
    question: str
    ending: str
    key: tuple[tuple[str, str], ...]
    this_round: str
    sites: tuple[SiteState, ...]
    budget: str
    refused_sums: tuple[str, ...]
    rounds: tuple[tuple[str, str, str, str], ...]
    heads: tuple[AuditHead, ...]


def page_state(files: RunFiles) -> PageState:
    """Return what the page says of a run.

    Guarantee: it depends on the arguments alone. They hold names, counts, times, codes and what
    sites published of their budgets; no figure of a record or of a model is among them.
    """
    so_far, wanted = files.so_far, _rounds_wanted(files)
    status = _status(files)
    return PageState(
        consortium=files.consortium,
        run=files.name,
        started=words.moment(so_far.started, seconds=True),
        status=status,
        is_well=status in {"running", "finished", "waiting"},
        question="How did it end?" if _has_ended(files) else "When will it end?",
        ending=_ending(files, wanted),
        key=_key_figures(files, wanted),
        this_round=_round_name(so_far.server_round, wanted),
        sites=tuple(_site_states(files, wanted)),
        budget=_budget_sentence(files.config),
        refused_sums=tuple(so_far.refused_sums[-_SUMS_SHOWN:][::-1]),
        rounds=_last_rounds(so_far, wanted),
        heads=files.heads,
    )


def seconds_left(so_far: RunSoFar, wanted: int, quiet_s: float) -> float | None:
    """Return how long a run still takes at its pace so far; None before a round is finished.

    The pace is the mean over all finished rounds, with the time between them. The evaluation at
    the end counts as one round. The result is 0 if the run should have ended already.

    Args:
        so_far: What the events say.
        wanted: Rounds of training that were asked for.
        quiet_s: Seconds since the last event.
    """
    if not so_far.rounds or so_far.rounds_began_s is None:
        return None
    last = so_far.rounds[max(so_far.rounds)]
    pace = (last.at_s - so_far.rounds_began_s) / last.server_round
    since = so_far.at_s - last.at_s + quiet_s
    return max(0.0, pace * (wanted + 1 - last.server_round) - since)


def _rounds_wanted(files: RunFiles) -> int:
    return files.config.num_server_rounds if files.config else 0


def _status(files: RunFiles) -> str:
    if files.summary:
        return files.summary.status
    if files.so_far.failure:
        return "failed"
    if files.is_led:
        return "running"
    return "interrupted" if files.so_far.started else "waiting"


def _has_ended(files: RunFiles) -> bool:
    return bool(files.summary or files.so_far.failure)


def _ending(files: RunFiles, wanted: int) -> str:
    summary, so_far = files.summary, files.so_far
    if summary:
        ended = f"The run ended after {words.duration(summary.seconds)}"
        return f"{ended}: {summary.error}" if summary.error else f"{ended}; all rounds are done."
    if so_far.failure:
        return f"The run ended: {so_far.failure}"
    if not files.is_led:
        return _not_led(files)
    left = seconds_left(so_far, wanted, files.quiet_s)
    limit = ""
    if files.config:
        patience = words.duration(files.config.deadline_s)
        limit = f" A round waits {patience} for a site at most, and may be tried again."
    if left is None:
        return f"Not known before the first round is finished.{limit}"
    if not left:
        return f"It should have ended by now: this round takes longer than those before.{limit}"
    coarse = _COARSE_S * -(-left // _COARSE_S)
    at = files.now + timedelta(seconds=left)
    return (
        f"At about {at:%H:%M} UTC, in about {words.duration(coarse)}, if the rounds go on as they "
        f"did.{limit}"
    )


def _not_led(files: RunFiles) -> str:
    if not files.so_far.started:
        return "Nothing is recorded yet: no process leads the run."
    return (
        "It does not go on: no process leads the run, and it has not ended. Resume it from its "
        "last finished round."
    )


def _key_figures(files: RunFiles, wanted: int) -> tuple[tuple[str, str], ...]:
    so_far = files.so_far
    trained = sum(at <= wanted for at in so_far.rounds)
    here = len(so_far.answered & {*files.members})
    return (
        ("rounds completed", f"{trained} of {wanted}" if files.config else str(trained)),
        ("members in the run", f"{len(so_far.joined & {*files.members})} of {len(files.members)}"),
        ("answered in this round", f"{here} of {len(so_far.cohort)}"),
        ("sent and received in finished rounds", words.size(so_far.bytes)),
    )


def _round_name(server_round: int | None, wanted: int) -> str:
    """Return how the page calls a round."""
    if server_round is None:
        return "no round yet"
    if not server_round:
        return "the count before training"
    if server_round > wanted:
        return "the final evaluation"
    return f"round {server_round} of {wanted}"


def _site_states(files: RunFiles, wanted: int) -> list[SiteState]:
    so_far = files.so_far
    without = str(files.config.flat().get("without", "")) if files.config else ""
    missing = {
        one.site: one
        for one in absences_among(
            {name: name in so_far.joined for name in files.members},
            so_far.refusals,
            left_out=without.split(","),
        )
        if not one.joined
    }
    last = {one.site: one for one in so_far.refusals}
    unknown = sorted({*last} - {*files.members})  # nodes that told no member's name
    return [
        SiteState(
            name=name,
            in_this_round=_part_in_round(files, name, missing.get(name)),
            last_refusal=_refusal_text(last.get(name), wanted),
            budget_left=_budget_left(files, name),
        )
        for name in (*files.members, *unknown)
    ]


def _part_in_round(files: RunFiles, name: str, missing: Absence | None) -> str:
    """Return whether a site is in the last round that began, and if not, why."""
    so_far = files.so_far
    if not so_far.has_joined and not files.summary:
        return "not known yet: the members are still joining"
    if name in so_far.answered:
        return "yes: its answer is here"
    if (found := so_far.left_out.get(name)) is not None:
        return f"no, left out: {_absence(found).reason}"
    if missing is not None:
        return f"no, not in the run: {missing.reason}"
    return _part_of_who_is_silent(files, name)


def _part_of_who_is_silent(files: RunFiles, name: str) -> str:
    """Return whether an answer is awaited of a site that has joined."""
    so_far = files.so_far
    if so_far.server_round is None:
        return "it has joined; no round has begun"
    if name not in so_far.cohort:
        return "no: it was not asked in this round"
    over = _has_ended(files) or not files.is_led
    return "asked; no answer was accepted" if over else "yes: asked, its answer is awaited"


def _refusal_text(found: QuarantineRecord | None, wanted: int) -> str:
    """Return the last reason for which a site was left out, with the round."""
    if found is None:
        return "none in this run"
    return f"{_round_name(found.server_round, wanted)}: {_absence(found).reason}"


def _absence(found: QuarantineRecord) -> Absence:
    return Absence(site=found.site, code=found.code, counts=found.counts, joined=True)


def _budget_sentence(config: RunConfig | None) -> str:
    """Return what the run costs each site that takes part."""
    if config is None:
        return "The settings of the run are not written yet."
    offered = config.privacy.offered
    if offered is None:
        return (
            "This run trains without differential privacy: budgets stay as they are, and there is "
            "no proven bound on what its model says about one person."
        )
    if offered.epsilon is None:
        return "What this run takes from a budget, each site computes from the noise that is set."
    return (
        f"This run asks for epsilon {offered.epsilon:g} by {offered.unit} at each site, reserved "
        "before the first step."
    )


def _budget_left(files: RunFiles, name: str) -> str:
    """Return what a site published of its budget after this run."""
    told = [one.counts for one in files.so_far.refusals if one.site == name]
    spent = [counts for counts in told if "left_milli" in counts]
    if spent:
        left, budget = (spent[-1].get(key, 0) / 1000 for key in ("left_milli", "budget_milli"))
        return f"epsilon {left:g} of {budget:g}, as it said when it refused"
    lines = files.privacy.campaign[-1].sites if files.privacy and files.privacy.campaign else ()
    for line in lines:
        if line.site == name:
            left = max(0.0, line.allowed - line.spent)
            return f"epsilon {left:.2f} of {line.allowed:g}, after the measured runs"
    if files.config is not None and files.config.privacy.offered is None:
        return "as before the run"
    return "not published; the ledger at the site says it"


def _last_rounds(so_far: RunSoFar, wanted: int) -> tuple[tuple[str, str, str, str], ...]:
    last: Sequence[int] = sorted(so_far.rounds)[-_ROUNDS_SHOWN:][::-1]
    return tuple(
        (
            _round_name(at, wanted),
            number_of(one.sites, "site"),
            words.duration(one.seconds),
            words.size(one.bytes),
        )
        for at in last
        for one in (so_far.rounds[at],)
    )
