"""Sections on what a run protects, its settings, and its versions and fingerprints."""

from consortium.config import DEFAULTS
from consortium.report.elements.blocks import Block, Column, Facts, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words


def protection_section(recorded: Recorded) -> Section | None:
    """Return the section on what a run in the clear protects; None for an encrypted run."""
    if not recorded.mode.coordinator_reads:
        return None
    return Section(
        anchor="protection",
        title="What does this protect, and what not?",
        short="What is protected",
        lead=(
            "This run was in the clear: records stayed in place, but the operator of the "
            f"coordinator could read what each of the {recorded.nouns} sent. All of them must "
            "trust the coordinator."
        ),
        blocks=(_protected_points(recorded), _unprotected_points(recorded)),
    )


def _protected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    return Points(
        "Protected",
        (
            f"No record left its {noun}. Each round, only the model update left "
            f"({words.count_with_noun(recorded.summary.dim, 'number')}), and counts.",
            f"Error messages, which may quote a record, stayed at the {noun}: only their code "
            "left.",
            f"This report shows figures of a single {noun} only if its own policy releases them, "
            f"and only above its minimum count.{_subtraction_sentence(recorded)}",
            "No person has records both in the held-out set and in the training set of the same "
            f"{noun}, so the figures here are not inflated.",
        ),
    )


def _subtraction_sentence(recorded: Recorded) -> str:
    """Return whose withheld figures follow from the total and the others; "" if nobody's do."""
    where = recorded.site_that_follows
    if not where:
        return ""
    return (
        f" All of them but {where} release theirs, so the counts of {where} follow from the total "
        "by subtraction: being the only one to withhold hides nothing."
    )


def _unprotected_points(recorded: Recorded) -> Block:
    noun = recorded.noun
    points = [
        f"The coordinator could read each {noun}'s model updates. An update can reveal something "
        "about the records behind it, in the worst case single records.",
        f"The coordinator could also read each {noun}'s counts, even those withheld in this "
        "report.",
        recorded.promised_privacy.model_reveals(recorded.people),
        _rule_sentence(recorded),
    ]
    return Points("Not protected", tuple(points))


def _rule_sentence(recorded: Recorded) -> str:
    rule = recorded.summary.config.get("rule.name", "mean")
    if rule == "mean":
        return (
            f"Updates were averaged. A {recorded.noun} that sends a harmful update of the agreed "
            "shape can ruin the model."
        )
    bound = int(recorded.summary.config.get("rule.num-byzantine", 0))
    if not bound:
        return (
            f"Updates were combined by the rule {rule}, which was set to expect no harmful "
            f"{recorded.noun}."
        )
    expected = words.count_with_noun(bound, recorded.noun)
    protection = recorded.summary.protection
    verb = "bound the harm of" if protection and protection.only_bounds else "withstand"
    return (
        f"Updates were combined by the rule {rule}, set to {verb} {expected} that may send "
        "anything. A larger number could ruin the model."
    )


def settings_section(recorded: Recorded) -> Section:
    """Return the section with the complete run config, settings that differ from defaults first."""
    config = recorded.summary.config
    changed = [key for key, value in config.items() if key in DEFAULTS and value != DEFAULTS[key]]
    ordered = [*changed, *(key for key in config if key not in changed)]
    rows = tuple(
        (
            key,
            words.setting_text(config[key]),
            words.setting_text(DEFAULTS[key]) if key in changed else "",
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
    """Return the section with the versions and fingerprints that identify a run."""
    summary = recorded.summary
    prints = {
        "Model": summary.model_digest,
        "Charter": summary.charter_fingerprint,
        "Table": recorded.charter.table.fingerprint,
        "Layout of the model": summary.layout_digest,
    }
    return Section(
        anchor="identity",
        title="How can this run be identified and repeated?",
        short="Fingerprints",
        lead=(
            f"{recorded.promised_privacy.repetition_sentence(recorded.noun, summary.seed)} Two "
            "runs with the same model fingerprint have the same model."
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
