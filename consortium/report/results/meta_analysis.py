"""What sites that fit their own models would find together: the way without exact sums."""

from collections.abc import Mapping, Sequence
from typing import Any

from consortium.model.regression_table import significant
from consortium.report.elements.blocks import Column, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words


def ratio_text(value: float | None) -> str:
    """Return a hazard ratio in words; one that no number holds is beyond."""
    return "beyond" if value is None else significant(value)


def meta_analysis_section(recorded: Recorded, found: Mapping[str, Any]) -> Section | None:
    """Return the section that sets a meta-analysis beside the model of all records.

    None if fewer than two sites have a model of their own.
    """
    told = [
        one
        for one in found["coefficients"]
        if not one["left_out"] and one["settled"] and one["own"] is not None
    ]
    if not told or found["sites_with_own_fit"] < 2:
        return None
    lost = found["sites"] - found["sites_with_own_fit"]
    return Section(
        anchor="alone",
        title=f"What would models of single {recorded.nouns} have found?",
        short="Meta-analysis",
        lead=f"A meta-analysis of models that each {recorded.noun} fits alone is what is done "
        f"where records cannot be pooled. {words.capitalized_text(_lost_text(lost, recorded))} The "
        "others' models differ from the one above as far as the table says.",
        blocks=(_both_table(recorded, told),),
    )


def _both_table(recorded: Recorded, told: Sequence[Mapping[str, Any]]) -> Table:
    nouns = words.capitalized_text(recorded.nouns)
    return Table(
        caption="All records together, and a meta-analysis of single models",
        columns=(
            Column("Input"),
            Column("Together", "number"),
            Column("Meta-analysis (95 % interval)", "number"),
            Column("Coefficient off by", "number"),
            Column(nouns, "number"),
            Column("I squared", "number"),
        ),
        rows=tuple(_row(one) for one in told),
        note="Hazard ratios. The meta-analysis weighs single models by the inverse of "
        "their variance, from sealed sums. I squared: share of the differences between "
        "single models that chance does not explain. "
        f"{nouns}: those whose own model has this input.",
    )


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    own = one["own"]
    off = abs(own["coefficient"] / one["coefficient"] - 1) if one["coefficient"] else 0.0
    ends = f"{ratio_text(own['low'])} to {ratio_text(own['high'])}"
    return (
        one["name"],
        ratio_text(one["hazard_ratio"]),
        f"{ratio_text(own['hazard_ratio'])} ({ends})",
        words.percent(off),
        words.count(own["sites"]),
        words.percent(own["i_squared"]),
    )


def _lost_text(lost: int, recorded: Recorded) -> str:
    if not lost:
        return f"every {recorded.noun} has a model of its own here."
    has = "has" if lost == 1 else "have"
    return (
        f"{words.count_with_noun(lost, recorded.noun)} {has} none: too few events, or no finite "
        "estimate."
    )
