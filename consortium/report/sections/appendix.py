"""What the run protects and what it does not; how it was set; what it can be recognised by."""

from consortium.config import KEYS
from consortium.report.elements.blocks import Block, Column, Facts, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words


def protection_section(recorded: Recorded) -> Section | None:
    """Return what a run in the clear keeps from whom, and what it does not."""
    if not recorded.mode.coordinator_reads:
        return None
    return Section(
        anchor="protection",
        title="What does this protect, and what not?",
        short="What is protected",
        lead=(
            "This run was in the clear: records stayed where they are, but whoever runs the "
            "coordinator could read what each single one of the "
            f"{recorded.nouns} sent. All of them must trust the coordinator."
        ),
        blocks=(_protected_points(recorded), _unprotected_points(recorded)),
    )


def _protected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    return Points(
        "Protected",
        (
            f"No record left its {noun}. What left each round is how training moved the model "
            f"({words.count_with_noun(recorded.summary.dim, 'number')}), and counts.",
            f"Error messages, which may quote a record, stayed at the {noun}: no more than their "
            "kind left.",
            f"In this report, figures of one {noun} alone stand only where its own policy releases "
            "them, and only above its minimum count.",
            "Nobody whose records were held out to measure the model had records in the same "
            f"{noun}'s training, so no figure here flatters it.",
        ),
    )


def _unprotected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    points = [
        f"The coordinator read each {noun}'s model updates. From updates, something about the "
        "records behind them can be inferred, at worst single records.",
        f"The coordinator also read each {noun}'s counts, those too that this report withholds.",
        "The model itself was not trained with differential privacy: what it remembers of single "
        f"{recorded.people} has no proven bound.",
        _rule_sentence(recorded),
    ]
    return Points("Not protected", tuple(points))


def _rule_sentence(recorded: Recorded) -> str:
    rule = recorded.summary.config.get("rule.name", "mean")
    if rule == "mean":
        return (
            f"Updates were averaged. A {recorded.noun} that sends a harmful update in the agreed "
            "form can spoil the model."
        )
    bound = int(recorded.summary.config.get("rule.num-byzantine", 0))
    expected = words.count_with_noun(bound, recorded.noun)
    return (
        f"Updates were combined by the rule {rule}, told to withstand {expected} that may send "
        "anything; more could spoil the model."
    )


def settings_section(recorded: Recorded) -> Section:
    """Return the whole run config, and what differs from the defaults."""
    config = recorded.summary.config
    changed = [key for key, value in config.items() if key in KEYS and value != KEYS[key]]
    ordered = [*changed, *(key for key in config if key not in changed)]
    rows = tuple(
        (
            key,
            words.setting_text(config[key]),
            words.setting_text(KEYS[key]) if key in changed else "",
        )
        for key in ordered
    )
    differ = words.part_in_words(len(changed), len(config), "settings")
    verb = "differs" if len(changed) == 1 else "differ"
    lead = f"{words.capitalized_text(differ)} {verb} from the defaults."
    return Section(
        anchor="settings",
        title="How was the run set up?",
        short="Settings",
        lead=lead,
        blocks=(
            Table(
                caption="Run config",
                columns=(
                    Column("Setting", "code"),
                    Column("Value", "code"),
                    Column("Default, where it differs", "code"),
                ),
                rows=rows,
            ),
        ),
    )


def identity_section(recorded: Recorded) -> Section:
    """Return the versions and fingerprints by which a run can be recognised and repeated."""
    summary = recorded.summary
    prints = {
        "Model": summary.model_digest,
        "Charter": summary.charter_fingerprint,
        "Table": recorded.charter.table.fingerprint,
        "Layout of the model": summary.layout_digest,
    }
    return Section(
        anchor="identity",
        title="How can it be recognised and repeated?",
        short="Fingerprints",
        lead=(
            f"The same data, settings and seed ({summary.seed}) give the same model, to the last "
            "bit. Two runs with the same model fingerprint have the same model."
        ),
        blocks=(
            Facts(items=tuple((name, text) for name, text in prints.items() if text), kind="code"),
            Table(
                caption="Versions",
                columns=(Column("Software"), Column("Version", "code")),
                rows=tuple(summary.versions.items()),
            ),
        ),
    )
