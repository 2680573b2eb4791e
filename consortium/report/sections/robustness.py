"""Section on malicious clients: what the rule withstands, and which sites are outliers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consortium.protocol.robustness_estimate import WATCHED_ROUNDS
from consortium.report.elements.blocks import Block, Column, Facts, Paragraph, Section, Table
from consortium.report.elements.run_reader import EvidenceLine, Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.heatmap import Heat, draw_heatmap
from consortium.run.records import Protection
from consortium.wording import formatting as words

APART = 2.0  # a site is named an outlier from this multiple of the median distance
_DARKEST = 4.0
_MOST_ROUNDS = 60


def robustness_section(recorded: Recorded) -> Section | None:
    """Return the robustness section; None if no liar was expected and nothing was compared."""
    protection = recorded.summary.protection
    if protection is None or not (protection.liars or protection.buckets > 1 or recorded.evidence):
        return None
    return Section(
        anchor="liars",
        title="Could a malicious site have ruined the model?",
        short="Malicious sites",
        lead=_promise_sentence(recorded, protection),
        blocks=(
            Facts(items=tuple(_robustness_facts(recorded, protection))),
            *(_encrypted_blocks(recorded) if protection.buckets else _outlier_blocks(recorded)),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class OutlierScore:
    """Distance and cosine of one site's updates to the aggregates of the run.

    Args:
        site: The site.
        distance: Median over rounds of its distance, in units of the round's median distance.
        cosine: Median over rounds of its cosine.
        near: Rounds in which it was among the n - f updates nearest to the aggregate.
        rounds: Rounds in which its update counted.
    """

    site: str
    distance: float
    cosine: float
    near: int
    rounds: int

    @property
    def is_outlier(self) -> bool:
        """Whether it is an outlier: far from the aggregate, or in the opposite direction."""
        return self.distance >= APART or self.cosine < 0


def outlier_scores(evidence: Sequence[EvidenceLine], liars_expected: int) -> list[OutlierScore]:
    """Return each site's outlier score over the run, the furthest site first."""
    distances: Mapping[str, list[float]] = defaultdict(list)
    cosines: Mapping[str, list[float]] = defaultdict(list)
    near: Mapping[str, list[bool]] = defaultdict(list)
    for line in evidence:
        order = np.argsort(line.distances, kind="stable")
        nearest = set(order[: len(line.sites) - liars_expected].tolist())
        for place, (site, distance) in enumerate(
            zip(line.sites, _relative_distances(line), strict=True)
        ):
            distances[site].append(distance)
            cosines[site].append(line.cosines[place])
            near[site].append(place in nearest)
    found = [
        OutlierScore(
            site=site,
            distance=float(np.median(distances[site])),
            cosine=float(np.median(cosines[site])),
            near=sum(near[site]),
            rounds=len(near[site]),
        )
        for site in distances
    ]
    return sorted(found, key=lambda one: (-one.distance, one.site))


def _relative_distances(line: EvidenceLine) -> list[float]:
    """Return each site's distance in units of the round's median distance."""
    usual = float(np.median(line.distances))
    return [distance / usual if usual > 0 else 0.0 for distance in line.distances]


def _promise_sentence(recorded: Recorded, protection: Protection) -> str:
    rule = protection.rule
    if protection.pre_step != "none":
        rule = f"{protection.pre_step} with {rule}"
    if not protection.liars:
        return f"The run has no guarantee against one: the rule {rule} was set to expect none."
    voters = "bucket means" if protection.buckets else recorded.nouns
    number = words.count_with_noun(protection.liars, recorded.noun)
    verb = "bounds the harm of" if protection.only_bounds else "withstands"
    stopped = (
        " By sending nothing, or values that are not numbers, they cannot ruin it but can stop the "
        "run."
        if protection.can_be_stopped
        else ""
    )
    return (
        f"The rule {rule} over {protection.voters} {voters} {verb} {number} that may send "
        f"anything ({protection.claim}). A larger number could ruin the model.{stopped}"
    )


def _robustness_facts(recorded: Recorded, protection: Protection) -> list[tuple[str, str]]:
    spare = words.count_with_noun(
        protection.spare, "bucket" if protection.buckets else recorded.noun
    )
    items = [
        ("May be missing in a round", spare),
        ("Smallest consortium that would suffice", str(protection.smallest_consortium)),
        (
            f"A {recorded.noun} downloads in a round",
            words.size(protection.bytes_down_per_site),
        ),
    ]
    if protection.buckets > 1:
        items += [
            (
                f"{words.capitalized_text(recorded.nouns)} in a bucket",
                f"{protection.crowd} or more",
            ),
            (
                "What a bucket reveals about one of them",
                f"its direction with correlation {protection.fixed_shows:.2f}; buckets drawn anew "
                f"over {WATCHED_ROUNDS} rounds would reveal {protection.reshuffled_shows:.2f}",
            ),
        ]
    return items


def _encrypted_blocks(recorded: Recorded) -> tuple[Block, ...]:
    return (
        Paragraph(
            "It is unknown whether a site was malicious: a harmful value inside a ciphertext "
            "cannot be seen, only bounded and outvoted. Signed receipts show, without keys, who "
            f"sent an upload in which round. Only the {recorded.nouns} know which bucket was "
            "outvoted, and they did not release it."
        ),
    )


def _outlier_blocks(recorded: Recorded) -> tuple[Block, ...]:
    protection = recorded.summary.protection
    if not recorded.evidence or protection is None:
        return (Paragraph("Updates were added as they arrived, and never compared.", "quiet"),)
    found = outlier_scores(recorded.evidence, protection.liars)
    return (
        Paragraph(_outlier_sentence(recorded, found)),
        _distance_heatmap(recorded, found),
        _outlier_table(recorded, found),
    )


def _outlier_sentence(recorded: Recorded, found: Sequence[OutlierScore]) -> str:
    named = [one.site for one in found if one.is_outlier]
    if not named:
        return (
            f"No {recorded.noun} is an outlier: none was typically {APART:.0f} times as far from "
            "the aggregate as the median, and none moved in the opposite direction."
        )
    verb = "is an outlier" if len(named) == 1 else "are outliers"
    return (
        f"{words.name_list(named)} {verb}: far from the aggregate, or in the opposite direction. "
        f"That is a reason to ask, not a proof. A {recorded.noun} with different {recorded.people} "
        "looks like this, and a malicious one that stays within the spread of the others does not."
    )


def _distance_heatmap(recorded: Recorded, found: Sequence[OutlierScore]) -> Block:
    lines = recorded.evidence[-_MOST_ROUNDS:]
    rows = [one.site for one in found]
    values = np.full((len(rows), len(lines)), np.nan)
    for column, line in enumerate(lines):
        for site, distance in zip(line.sites, _relative_distances(line), strict=True):
            values[rows.index(site), column] = distance
    heat = Heat(
        sites=rows,
        rounds=[line.server_round for line in lines],
        values=values,
        darkest=_DARKEST,
        title="distance (median of the round: 1)",
    )
    return plots.full_width_plot(
        "liars",
        lambda width: draw_heatmap(heat, width),
        title="Distance to the aggregate, round by round",
        alt=_outlier_sentence(recorded, found),
        caption=(
            f"Darker is further from the aggregate; {_DARKEST:.0f} times the median and more is "
            f"darkest. Empty: the {recorded.noun} was not asked, or was left out."
        ),
    )


def _outlier_table(recorded: Recorded, found: Sequence[OutlierScore]) -> Block:
    return Table(
        caption="Each update compared with the aggregate, over the rounds of the run",
        columns=(
            Column(words.capitalized_text(recorded.noun)),
            Column("Distance (median: 1)", "number"),
            Column("Cosine", "number"),
            Column("Among the nearest", "number"),
        ),
        rows=tuple(
            (
                one.site,
                f"{one.distance:.2f}",
                f"{one.cosine:.2f}".replace("-", words.MINUS),
                f"{one.near} of {one.rounds}",
            )
            for one in found
        ),
        note=(
            "Medians over rounds. Among the nearest: rounds in which its update was one of the "
            "n - f nearest to the aggregate, with f the number of malicious sites expected."
        ),
    )
