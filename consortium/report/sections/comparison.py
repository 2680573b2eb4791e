"""Sections that compare training alone, together, and with all records in one place."""

from collections.abc import Sequence
from typing import TypeVar

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.headline import Headline, OnOwn
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.intervals import Change, Row, draw_changes, draw_rows
from consortium.run.records import Arm, Chosen, Search
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of

MOST_DRAWN = 24

One = TypeVar("One")


def comparison_section(recorded: Recorded) -> Section | None:
    """Return the comparison on all sites' held-out records, or None if it was not measured."""
    if recorded.comparison is None:
        return None
    verdict, unit = Headline(recorded.comparison), _metric_unit(recorded)
    return Section(
        anchor="worth",
        title="Is it worth training together?",
        short="Is it worth it?",
        lead=_lead_text(recorded, verdict),
        blocks=(
            _arms_plot(verdict, unit),
            _differences_table(verdict, unit),
            *_mean_gain(recorded, unit),
            *_chosen_values(verdict),
        ),
    )


def own_records_section(recorded: Recorded) -> Section | None:
    """Return each site's gain on its own held-out records, or None if it was not measured."""
    if recorded.comparison is None or not Headline(recorded.comparison).own_records:
        return None
    verdict = Headline(recorded.comparison)
    return Section(
        anchor="own",
        title=f"What does each {recorded.noun} gain on its own {recorded.people}?",
        short="What each one gains",
        lead=own_gains_sentence(recorded, verdict),
        blocks=_own_blocks(recorded, verdict),
    )


def own_gains_sentence(recorded: Recorded, verdict: Headline) -> str:
    """Return a sentence on how many sites do better with the shared model on their own records."""
    better = sum(verdict.is_better(pair.together, pair.alone) for pair in verdict.own_records)
    at = words.part_in_words(better, len(verdict.own_records), recorded.nouns)
    return (
        f"On the records of one {recorded.noun}'s own {recorded.people} alone, the shared model "
        f"does better than the {recorded.noun}'s own model at {at}."
    )


def _metric_unit(recorded: Recorded) -> str:
    return recorded.unit if meaning_of(recorded.headline_metric).in_unit else ""


def _lead_text(recorded: Recorded, verdict: Headline) -> str:
    comparison, everyone = verdict.comparison, len(verdict.alone)
    ahead = words.part_in_words(len(verdict.worse_alone), everyone, "models trained alone")
    behind = words.count_in_words(len(verdict.better_alone))
    against = f" and worse than {behind}" if verdict.better_alone else ""
    direction = "Higher" if comparison.higher_is_better else "Lower"
    says = meaning_of(comparison.metric).says
    explained = f"{words.capitalized_text(comparison.metric_title)} says {says}. " if says else ""
    return (
        f"By more than chance, the shared model is better than {ahead}{against}. {explained}"
        f"{direction} is better."
    )


def _arms_plot(verdict: Headline, unit: str) -> Block:
    comparison = verdict.comparison
    alone, left_out = _best_and_worst(verdict.alone)
    arms = [verdict.together, *_personal(verdict), *alone, *_on_all_records(verdict)]
    rows = [_arm_row(arm) for arm in arms]
    axis = words.capitalized_text(comparison.metric_title) + (f", {unit}" if unit else "")
    return plots.full_width_plot(
        "comparison",
        lambda width: draw_rows(rows, axis, width, mark=verdict.together.value),
        title="Together, alone, and with all records in one place",
        alt="; ".join(f"{row.label}: {row.text}" for row in rows),
        caption=(
            "Dots are measured values; whiskers are 95 % intervals from "
            f"{words.count(comparison.resamples)} resamples of the held-out records. Models are "
            "measured on the same records, so overlapping whiskers do not mean that a difference "
            f"is due to chance; see the table below. The axis does not start at 0.{left_out}"
        ),
    )


def _arm_row(arm: Arm) -> Row:
    roles: dict[str, plots.Role] = {"federated": "together", "alone": "one"}
    return Row(
        label=arm.name,
        text=f"{words.figure(arm.value)} ({words.interval(arm.low, arm.high)})",
        value=arm.value,
        low=arm.low,
        high=arm.high,
        role=roles.get(arm.kind, "all"),
    )


def _personal(verdict: Headline) -> list[Arm]:
    return [] if verdict.personal is None else [verdict.personal]


def _on_all_records(verdict: Headline) -> list[Arm]:
    return [arm for arm in (verdict.pooled, verdict.trained) if arm is not None]


def _best_and_worst(alone: Sequence[One]) -> tuple[list[One], str]:
    """Return the best and worst of a sorted list that is too long to draw, and a remark."""
    if len(alone) <= MOST_DRAWN:
        return list(alone), ""
    half = MOST_DRAWN // 2
    remark = f" Of {len(alone)} models trained alone, the {half} best and {half} worst are shown."
    return [*alone[:half], *alone[-half:]], remark


def _differences_table(verdict: Headline, unit: str) -> Block:
    alone, left_out = _best_and_worst(verdict.alone)
    rows = []
    for arm in [*_personal(verdict), *alone, *_on_all_records(verdict)]:
        found = verdict.difference(arm)
        if found is not None:
            spread = words.interval(found.low, found.high)
            says = {1: "better", 0: "no difference beyond chance", -1: "worse"}[
                verdict.sign_against(arm)
            ]
            rows.append((arm.name, words.difference(found.value, unit), spread, says))
    return Table(
        caption="The shared model minus each other model",
        columns=(
            Column("Against"),
            Column("Difference", "number"),
            Column("95 % interval", "number"),
            Column("The shared model is"),
        ),
        rows=tuple(rows),
        note="Both models are measured on the same resampled records, so the difficulty of the "
        f"records cancels out.{left_out}",
    )


def _mean_gain(recorded: Recorded, unit: str) -> tuple[Block, ...]:
    comparison = recorded.comparison
    found = comparison.over_mean_alone if comparison else None
    if comparison is None or found is None:
        return ()
    return (
        Paragraph(
            f"The mean over the models that one {recorded.noun} trained alone is "
            f"{words.figure(found.mean_alone, unit)}. The shared model has "
            f"{words.figure(found.ratio)} times that (95 % interval "
            f"{words.interval(found.low, found.high)}; 1 would be no difference)."
        ),
    )


def _chosen_values(verdict: Headline) -> tuple[Block, ...]:
    """Return the table of what each way of training chose for itself, if each was tuned."""
    search = verdict.comparison.search
    if search is None:
        return ()
    alone, left_out = _best_and_worst(verdict.alone)
    arms = [verdict.together, *alone, *_on_all_records(verdict)]
    rows = [(arm.name, *_cells(one)) for arm in arms for one in [arm.chosen] if one is not None]
    table = Table(
        caption="What each way of training chose for itself",
        columns=(
            Column("Trained"),
            Column("Chose"),
            Column(words.capitalized_text(verdict.comparison.metric_title), "number"),
        ),
        rows=tuple(rows),
        note=f"Searched: {'; '.join(search.searches)}. Each chose {search.basis}. The figure is "
        "the one by which it chose, each on records of its own: do not compare the rows."
        f"{left_out}",
    )
    return (table, *_search_price(search))


def _cells(chosen: Chosen) -> tuple[str, str]:
    if chosen.figure is None:
        return f"nothing, and has the values of the run: {chosen.failed}", "none"
    return chosen.words, words.figure(chosen.figure)


def _search_price(search: Search) -> tuple[Block, ...]:
    if not search.epsilons:
        return ()
    most = max(search.epsilons.values())
    return (
        Paragraph(
            "The search of the shared model and its run are paid for together: an epsilon of at "
            f"most {words.figure(most)} at each of them."
        ),
    )


def _own_blocks(recorded: Recorded, verdict: Headline) -> tuple[Block, ...]:
    unit, noun = _metric_unit(recorded), recorded.noun
    shown, left_out = _best_and_worst(verdict.own_records)
    changes = [_own_change(pair, verdict) for pair in shown]
    axis = verdict.comparison.metric_title + (f", {unit}" if unit else "")
    picture = plots.full_width_plot(
        "own-records",
        lambda width: draw_changes(changes, axis, width),
        title=f"From the own model to the shared one, on each {noun}'s own records",
        alt="; ".join(f"{change.label}: {change.text}" for change in changes),
        caption="Hollow: its own model. Filled: the shared model, blue where that is better and "
        f"orange where it is not. The axis does not start at 0.{left_out}",
    )
    remark = (
        f"A single {noun} has few held-out records, so these differences are uncertain, and no "
        "interval is given for them. The own model has an advantage here: it was trained on "
        f"{recorded.people} of the same kind."
    )
    if verdict.comparison.nobody_held_out:
        where = words.name_list(verdict.comparison.nobody_held_out)
        remark += f" None at {where}: nobody is held out there."
    return picture, *_personal_blocks(recorded, verdict), Paragraph(remark, "quiet")


def _personal_blocks(recorded: Recorded, verdict: Headline) -> tuple[Block, ...]:
    """Return the table of the models that the sites made for themselves, if they made any."""
    shown = [pair for pair in verdict.own_records if pair.personal is not None]
    if not shown:
        return ()
    unit = _metric_unit(recorded)
    rows = [
        (
            pair.site,
            words.figure(pair.alone, unit),
            words.figure(pair.together, unit),
            words.figure(pair.personal or 0.0, unit),
        )
        for pair in _best_and_worst(shown)[0]
    ]
    table = Table(
        caption=f"The own model that each {recorded.noun} made out of the shared one",
        columns=(
            Column(words.capitalized_text(recorded.noun)),
            Column("Trained alone", "number"),
            Column("Shared", "number"),
            Column("Made its own", "number"),
        ),
        rows=tuple(rows),
        note=f"{words.capitalized_text(verdict.comparison.metric_title)} on the {recorded.noun}'s "
        f"own held-out records. The shared model was trained further on the {recorded.noun}'s own "
        "training records, after the run; nothing of that left it.",
    )
    return (table,)


def _own_change(pair: OnOwn, verdict: Headline) -> Change:
    gain = words.difference(pair.together - pair.alone)
    return Change(
        label=pair.site,
        text=f"{words.figure(pair.alone)} to {words.figure(pair.together)} ({gain})",
        before=pair.alone,
        after=pair.together,
        better=verdict.is_better(pair.together, pair.alone),
    )
