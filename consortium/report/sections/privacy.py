"""Section on differential privacy: the guarantee, its cost, and the ledgers."""

from consortium.report.elements.blocks import Block, Column, Facts, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.privacy_utility import draw_privacy
from consortium.run.privacy_records import CampaignRun, LedgerLine, PrivacyCost
from consortium.wording import formatting as words


def privacy_section(recorded: Recorded) -> Section | None:
    """Return the privacy section; None if training was not private and no cost was measured."""
    promised, cost = recorded.promised_privacy, recorded.privacy
    if not promised.facts and cost is None:
        return None
    blocks: list[Block] = [Facts(items=promised.facts)]
    if cost is not None:
        blocks += [_privacy_plot(cost), _privacy_table(cost)]
        blocks += [_campaign_table(recorded, cost)] if cost.campaign else []
    return Section(
        anchor="privacy",
        title="What can the model reveal about one person?",
        short="Privacy",
        lead=_lead(recorded),
        blocks=tuple(blocks),
    )


def _lead(recorded: Recorded) -> str:
    promised = recorded.promised_privacy
    if promised.facts and not recorded.rounds:
        return (
            "No round was completed, so there is no model that could reveal anything. These "
            f"settings were asked for; what a {recorded.noun} reserved of its budget stands in its "
            "own ledger."
        )
    return promised.lead(recorded.people, recorded.noun)


def _privacy_plot(cost: PrivacyCost) -> Block:
    axis = words.capitalized_text(cost.metric_title)
    return plots.full_width_plot(
        "privacy",
        lambda width: draw_privacy(cost.points, axis, width),
        title="What privacy costs",
        alt="; ".join(f"epsilon {_epsilon_text(p.epsilon)}: {p.value:.3f}" for p in cost.points),
        caption=(
            f"{_point_meaning(len(cost.points[-1].values))} resamples of the same "
            f"{words.count(cost.held_out)} held-out records. The split of the records is the same "
            "at every epsilon."
        ),
    )


def _point_meaning(runs: int) -> str:
    """Return the first part of a caption: what a point and its whiskers show."""
    if runs == 1:
        return (
            "Each point is one run; the noise of another run would differ. Whiskers are 95 % "
            "intervals over"
        )
    return (
        f"Each point is the mean of {runs} runs, because noise differs between runs. Whiskers are "
        "95 % intervals over these runs and"
    )


def _privacy_table(cost: PrivacyCost) -> Block:
    return Table(
        caption="The model at each epsilon",
        columns=(
            Column("Epsilon"),
            Column(words.capitalized_text(cost.metric_title), "number"),
            Column("95 % interval", "number"),
            Column("Noise multiplier", "number"),
        ),
        rows=tuple(
            (
                _epsilon_text(point.epsilon),
                f"{point.value:.4f}",
                f"{point.low:.4f} to {point.high:.4f}",
                _noise_range(point.noise_multiplier),
            )
            for point in cost.points
        ),
    )


def _campaign_table(recorded: Recorded, cost: PrivacyCost) -> Block:
    return Table(
        caption="Several runs on the same records, until the ledgers refuse",
        columns=(
            Column("Run"),
            Column("Epsilon asked", "number"),
            Column(words.capitalized_text(cost.metric_title), "number"),
            Column(f"Epsilon spent, of the budget of each {recorded.noun}"),
            Column("Refused"),
        ),
        rows=tuple(_campaign_row(run) for run in cost.campaign),
        note=(
            "Spent: the epsilon in a ledger over all runs on the same records. A run that would "
            "exceed the budget is refused before any training."
        ),
    )


def _campaign_row(run: CampaignRun) -> tuple[str, ...]:
    return (
        str(run.number),
        f"{run.epsilon:g}",
        "not finished" if run.value is None else f"{run.value:.4f}",
        ", ".join(f"{line.site} {line.spent:.2f} of {line.allowed:g}" for line in run.sites),
        "; ".join(refusal_text(line) for line in run.sites if line.refused) or "nobody",
    )


def refusal_text(line: LedgerLine) -> str:
    """Return a site's refusal with the figures that the coordinator was told."""
    if line.asked is None or line.left is None:
        return f"{line.site} refused: {words.readable_name(line.refused)}"
    return f"{line.site} refused: epsilon {line.asked:.2f} asked, {line.left:.2f} left"


def _epsilon_text(epsilon: float | None) -> str:
    return "none (no privacy)" if epsilon is None else f"{epsilon:g}"


def _noise_range(noise: tuple[float, ...]) -> str:
    if not noise:
        return "no noise"
    low, high = min(noise), max(noise)
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
