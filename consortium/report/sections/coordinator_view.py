"""Section on what the coordinator of an encrypted run saw, from the files that it kept."""

from consortium.audit.coordinator_view import CoordinatorView
from consortium.modes.contract import LeagueTerms
from consortium.report.elements.blocks import Block, Column, Facts, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words

_FLOAT32_BYTES = 4


def coordinator_section(recorded: Recorded) -> Section | None:
    """Return the section on what the coordinator could read; None for a run in the clear."""
    if recorded.mode.coordinator_reads:
        return None
    view = recorded.coordinator
    if view is None:
        return _nothing_kept_section(recorded)
    return Section(
        anchor="coordinator",
        title="What did the coordinator see?",
        short="What the coordinator saw",
        lead=(
            f"Ciphertexts, names, sizes and times. It added what each {recorded.noun} sealed "
            "without being able to read it, and it has no key that could open it."
        ),
        blocks=(
            _uploads_table(view),
            _figures_block(view),
            _audit_findings(view),
            *_hubs_points(recorded),
            _protected_points(recorded),
            _unprotected_points(recorded),
        ),
    )


def _nothing_kept_section(recorded: Recorded) -> Section:
    return Section(
        anchor="coordinator",
        title="What did the coordinator see?",
        short="What the coordinator saw",
        lead="The run ended before it completed an encrypted round: there is nothing to show.",
        blocks=(_protected_points(recorded), _unprotected_points(recorded)),
    )


def _uploads_table(view: CoordinatorView) -> Block:
    return Table(
        caption=f"Round {view.server_round} as it arrived",
        columns=(
            Column("From"),
            Column("Share in the average", "number"),
            Column("Bytes", "number"),
            Column("Bits of noise in a byte", "number"),
            Column("All that can be read"),
        ),
        rows=tuple(
            (
                site.site,
                f"{site.weight_class} of 8",
                words.count(site.upload_bytes),
                f"{site.bits_per_byte:.2f}",
                site.sample,
            )
            for site in view.sites
        ),
        note="8 bits of noise in a byte cannot be told from random bytes.",
    )


def _figures_block(view: CoordinatorView) -> Block:
    return Facts(
        items=(
            ("Secret keys it holds", words.count(view.secret_keys)),
            ("Run, by the digest of its opening", view.run_id),
            ("Opened by", f"{view.opener}, in epoch {view.epoch} of the members' keys"),
            ("An update as plain float32", words.size(_FLOAT32_BYTES * view.dim)),
            ("The sum of all updates, sealed", words.size(view.sum_bytes)),
            ("The model and its state, sealed", words.size(view.state_bytes)),
            ("The state's last bytes", view.state_sample),
        ),
    )


def _audit_findings(view: CoordinatorView) -> Block:
    wrong = [verdict for verdict in view.verdicts if verdict.deviation]
    if wrong:
        return Points(
            "What an auditor without keys found",
            tuple(
                f"Round {verdict.server_round}, {verdict.what}: {verdict.deviation}."
                for verdict in wrong
            ),
        )
    sums = words.count_with_noun(len(view.verdicts), "sum")
    return Points(
        "What an auditor without keys found",
        (
            f"{sums} of the last rounds were recomputed from the signed uploads, without a key. "
            "Each is correct.",
        ),
    )


def _hubs_points(recorded: Recorded) -> tuple[Block, ...]:
    """Return what hubs did; nothing of a run without hubs."""
    hubs = recorded.summary.hubs
    if not hubs:
        return ()
    behind = "; ".join(
        f"{name}: {words.count_with_noun(len(members), recorded.noun)}"
        for name, members in hubs.items()
    )
    return (
        Points(
            "Hubs between",
            (
                f"{behind}. Each hub added what its {recorded.nouns} sealed, and the coordinator "
                "added the sums. A hub sees what the table shows, and has no key either.",
            ),
        ),
    )


def _protected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    return Points(
        "Protected",
        (
            f"The coordinator could not read the update or the counts of any {noun}, nor the "
            "model.",
            "A sum other than that of the signed uploads fails a checksum that only the "
            f"{recorded.nouns} can compute; it is refused, and the run's key is never used again.",
            f"Before it opened a sum, every {noun} checked that enough others are in it, that its "
            "own part is in it unaltered, and that a majority had the same model.",
            *_league_terms(recorded).closed,
            *_released_points(recorded),
        ),
    )


def _league_terms(recorded: Recorded) -> LeagueTerms:
    noise = recorded.promised_privacy.offered is not None
    return recorded.mode.league_terms(
        recorded.charter, noun=recorded.noun, nouns=recorded.nouns, noise=noise
    )


def _released_points(recorded: Recorded) -> tuple[str, ...]:
    """Return what holds of the pooled figures, if there are any."""
    if not recorded.summary.held_out:
        return ()
    return (
        f"The pooled figures in this report are over all of the {recorded.nouns} that are in them, "
        "and a majority of these released the same figures.",
    )


def _unprotected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    return Points(
        "Not protected",
        (
            *_league_terms(recorded).not_closed,
            f"A {noun} can subtract its own part from a sum, so a sum always holds several others.",
            "Nobody can see whether a sealed value is harmful. It can only be bounded and "
            "outvoted.",
            recorded.promised_privacy.model_reveals(recorded.people),
        ),
    )
