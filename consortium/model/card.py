"""The model card: what a model is, its training data, its quality and its limits.

Everything in it comes from recorded facts. Nothing is filled in by hand, and what is unknown is
said to be unknown. It quotes no text of any record.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.model.coefficients import coefficient_table, coefficients_note
from consortium.model.result_lines import result_lines
from consortium.modes.registry import mode_of
from consortium.run.records import Comparison
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of
from privacy.errors import number_of
from privacy.layout import Tally
from sites.evaluation.contract import Evaluation, Metric
from sites.evaluation.groups.gaps import group_gaps
from sites.evaluation.groups.subgroups import SMALLEST_GROUP, GroupedEvaluation, shown_groups
from sites.evaluation.metric_values import wilson_interval
from sites.plans import MINILM, TextModelPlan
from sites.schema.tables import Schema
from sites.statistics.coefficients import LinearSum
from sites.statistics.contract import statistics_for

_MOST_CLASSES = 30
_MOST_NAMED = 12
_SHARES = frozenset({"accuracy", "subset_accuracy"})
_FEDERATED = "federated"
_ONE_PERCENT = 0.01


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model that a card describes.

    Args:
        charter: The members' charter.
        config: The run config of its training.
        statistics: Pooled statistics of the training records; zeros if none were released.
        digest: The model's digest.
        start: The initial parameters it was trained from, as named in its layout.
        linear_sums: The coefficients of a linear model; none of any other.
        results: What the state says, as the learner's `results`; empty if it is a model alone.
    """

    charter: Charter
    config: RunConfig
    statistics: Tally
    digest: str
    start: str
    linear_sums: tuple[LinearSum, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        """Whether statistics of the training records were released."""
        layout = statistics_for(self.charter.table).layout
        return bool(layout.count("records", self.statistics))


@dataclass(frozen=True, kw_only=True)
class ModelEvaluation:
    """A run's evaluation of its model.

    Args:
        evaluation: Turns the tally into metrics.
        tally: The pooled evaluation tally.
        comparison: The comparison with each site alone, if it was requested.
    """

    evaluation: Evaluation
    tally: Tally
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What the directory of a model's run says of the model, beyond the model itself.

    Args:
        trained: The members whose updates are in the model.
        judged: The run's evaluation of it; None if it ended without figures.
        name: Of the run's directory.
        synthetic: Which records are made up, in a sentence; "" if none are.
    """

    trained: tuple[str, ...]
    judged: ModelEvaluation | None = None
    name: str = ""
    synthetic: str = ""


def model_card(model: Subject, run: RunOutcome | None) -> str:
    """Return the card as Markdown.

    Args:
        model: The model that the card describes.
        run: What its run came to; without it the card has no metrics, and does not say which
            members took part.
    """
    judged = run.judged if run else None
    sections = {
        "What it is": _description_lines(model, run.trained if run else ()),
        "What it learnt from": (*_synthetic_lines(run), *_data_lines(model)),
        **({"What it weighs": _coefficient_lines(model)} if model.linear_sums else {}),
        **({"What it found": found} if (found := result_lines(model.results)) else {}),
        "How good it is": _metric_lines(model, judged),
        "Who could see what": _privacy_lines(model.config),
        "Limits": (f"- {line}" for line in limit_lines(model, judged)),
    }
    parts = [f"# {model.charter.name}: {model.charter.task}"]
    parts += [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items()]
    return "\n\n".join(parts) + "\n"


def _description_lines(model: Subject, trained: Sequence[str]) -> Iterator[str]:
    config, charter, encoder = model.config, model.charter, model.config.text_model
    if isinstance(charter.table, Schema):
        name = model.results.get("kind", config.table_model.name)
        yield f"- A model of kind `{name}` for the columns of `{charter.table.name}`."
    else:
        yield f"- An encoder, `{encoder.base}`, with a head; trained: {_trained_part(encoder)}."
        yield (
            f"- It reads {encoder.max_tokens} tokens at once. Longer texts were split into windows "
            f"that overlap by {encoder.stride} tokens, and scores averaged over the windows. Do "
            "the same when you use it."
        )
    predicted = words.name_list(_predicted_values(model)[:50])
    yield f"- It predicts `{charter.table.label.column}`: {predicted}."
    rounds = number_of(config.num_server_rounds, "round")
    yield f"- Trained in {rounds} by {_trained_by(model, trained)}."
    yield f"- Model digest `{model.digest}`."
    yield f"- Start: `{model.start}`."


def _trained_by(model: Subject, trained: Sequence[str]) -> str:
    """Return whose updates are in the model, as far as the card's writer can know it."""
    members, left_out = model.charter.names, model.config.left_out
    without = f" without {words.name_list(sorted(left_out))}" if left_out else ""
    if not trained:
        return (
            f"members of a consortium of {number_of(len(members), 'site')}{without}; which of them "
            "took part is in the directory of the run"
        )
    if len(trained) == len(members):
        return number_of(len(members), "site")
    named = f" ({words.name_list(trained)})" if len(trained) <= _MOST_NAMED else ""
    return f"{len(trained)} of {number_of(len(members), 'site')}{named}"


def _trained_part(encoder: TextModelPlan) -> str:
    return {
        "lora": f"adapters (LoRA) of rank {encoder.lora_rank}, and the head",
        "head": "the head",
        "top-k": f"the last {encoder.top_layers} layers, and the head",
        "full": "everything",
    }[encoder.travels]


def _predicted_values(model: Subject) -> list[str]:
    label = model.charter.table.label
    for name in ("classes", "labels", "types"):
        if hasattr(label, name):
            return list(getattr(label, name))
    return ["a number"]


def _synthetic_lines(run: RunOutcome | None) -> tuple[str, ...]:
    return (f"- {run.synthetic}",) if run is not None and run.synthetic else ()


def _data_lines(model: Subject) -> Iterator[str]:
    if not model.counted:
        yield "- Nothing about the training records was released, except the model."
        return
    described = statistics_for(model.charter.table).describe(model.statistics)
    yield (
        f"- {number_of(described['records'], 'training record')} of "
        f"{number_of(described['persons'], 'person')}. The sites counted them; the counts were "
        "added up. A share is of all values that a column has."
    )
    for name, column in described["columns"].items():
        yield f"- `{name}`: {_column_text(column)}"


def _column_text(column: Mapping[str, Any]) -> str:
    if column["kind"] == "number":
        shown = {item["q"]: item["value"] for item in column.get("quantiles", ())}
        if not shown:
            return "no values"
        return (
            f"median {words.amount(shown[0.5], column['unit'])}, 90 % between "
            f"{words.amount(shown[0.05], column['unit'])} and "
            f"{words.amount(shown[0.95], column['unit'])}"
        )
    # Shares, and no counts: a count of a few would stand here, or follow from a table of the same
    # records that hides it.
    counts, total = np.array(column["counts"]), sum(column["counts"])
    if not total:
        return "no values"
    order = np.argsort(counts, kind="stable")[::-1][:_MOST_CLASSES]
    return ", ".join(f"{column['values'][i]} {_share_text(counts[i] / total)}" for i in order)


def _share_text(share: float) -> str:
    return "under 1 %" if share < _ONE_PERCENT else f"{100 * share:.0f} %"


def _coefficient_lines(model: Subject) -> Iterator[str]:
    for found in model.linear_sums:
        table = coefficient_table(found, mark="`")
        yield f"{table.caption}:"
        yield ""
        yield f"| {' | '.join(table.headings)} |"
        yield f"|---|{'--:|' * (len(table.headings) - 1)}"
        yield from (f"| {' | '.join(row)} |" for row in table.rows)
        yield ""
    yield coefficients_note(model.config, counted=model.counted)


def _metric_lines(model: Subject, judged: ModelEvaluation | None) -> Iterator[str]:
    if judged is None:
        yield "- Unknown: the card was written without the evaluation of a run."
        return
    tally, evaluation = judged.tally, judged.evaluation
    n = evaluation.num_examples(tally)
    yield f"On {words.count(n)} held-out records of other persons, pooled over the sites:"
    yield ""
    yield "| Figure | Value | 95 % interval |"
    yield "|---|--:|--:|"
    for name, metric in evaluation.metrics(tally).items():
        title = meaning_of(name).title
        interval = _interval_text(name, metric, n, judged.comparison)
        yield f"| {title} | {words.figure(metric.value)} | {interval} |"
    yield ""
    yield (
        "An interval shows how much the metric depends on the choice of held-out persons; a dash "
        "means that it was not computed. `scenario compare` computes it for its headline metric, "
        "by resampling persons. For shares it is Wilson's interval, which treats records as "
        "independent."
    )
    yield from _group_lines(judged)


def _group_lines(judged: ModelEvaluation) -> Iterator[str]:
    """Yield each metric of each declared group that is large enough to be told."""
    evaluation, tally = judged.evaluation, judged.tally
    if not isinstance(evaluation, GroupedEvaluation):
        return
    shown = shown_groups(evaluation, tally, fewest=SMALLEST_GROUP)
    yield ""
    if not shown:
        yield "No declared group has enough held-out records to be told by itself."
        return
    yield "By group, with the gap to all other records:"
    yield ""
    yield "| Group | Records | Figure | Value | Gap |"
    yield "|---|--:|---|--:|--:|"
    for group in shown:
        held = words.count(evaluation.base.num_examples(evaluation.of_group(group, tally)))
        for one in group_gaps(evaluation, tally, group):
            title, value = meaning_of(one.metric).title, words.figure(one.value)
            yield f"| {group.name} | {held} | {title} | {value} | {words.difference(one.gap)} |"


def _interval_text(name: str, metric: Metric, n: int, compared: Comparison | None) -> str:
    if compared and compared.metric == name:
        (arm,) = [arm for arm in compared.arms if arm.kind == _FEDERATED]
        return f"{words.figure(arm.low)} to {words.figure(arm.high)}"
    if name not in _SHARES or not n:
        return words.DASH
    low, high = wilson_interval(metric.value, n)
    return f"{words.figure(low)} to {words.figure(high)}"


def _privacy_lines(config: RunConfig) -> Iterator[str]:
    yield "- Records stayed at their sites. Only model updates and counts left the sites."
    yield f"- {mode_of(config).who_reads}"
    yield f"- {config.privacy.card}"


def limit_lines(model: Subject, judged: ModelEvaluation | None) -> Iterator[str]:
    """Yield what the model is not for, and was not tested for, a sentence or two each."""
    if not isinstance(model.charter.table, Schema) and model.config.text_model.base == MINILM:
        yield "The encoder was pretrained on general English, nothing clinical or financial."
    yield "It was evaluated on persons of the members; elsewhere it may do worse."
    yield "Labels that were never seen in training cannot be predicted."
    if judged is not None:
        for what, why in judged.evaluation.undefined_reasons(judged.tally).items():
            yield f"{what}: {why}."
    yield "It must not decide by itself: it was not tested as a medical device or a credit rule."
