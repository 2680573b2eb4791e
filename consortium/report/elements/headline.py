"""The headline: the sentence that a report starts with, and the comparison behind it.

A model is called better only if the paired 95 % interval of the difference excludes zero. The
sentence also says when federated training did not pay off.
"""

from dataclasses import dataclass
from functools import cached_property

from consortium.report.elements.blocks import KeyFigure
from consortium.report.elements.run_reader import Recorded
from consortium.run.absences import NEVER_CAME, NOT_BEGUN, absences_of
from consortium.run.decisions import flags_clause
from consortium.run.records import Arm, Comparison, Difference, MetricValue
from consortium.wording import formatting as words
from consortium.wording.formatting import SPACE
from consortium.wording.metric_glossary import meaning_of
from sites.evaluation.decisions import Confusion


@dataclass(frozen=True, kw_only=True)
class OnOwn:
    """The metric of a site's own and of the shared model, on the site's own held-out records.

    And of the model that the site made for itself out of the shared one, if it made one.
    """

    site: str
    alone: float
    together: float
    personal: float | None = None


@dataclass(frozen=True)
class Headline:
    """The federated model against the other ways of training.

    Args:
        comparison: The measured comparison.
    """

    comparison: Comparison

    @property
    def together(self) -> Arm:
        """The arm of the federated model."""
        return next(arm for arm in self.comparison.arms if arm.kind == "federated")

    @property
    def pooled(self) -> Arm | None:
        """The arm trained on all records in one place, the ideal, if it was measured."""
        return next((arm for arm in self.comparison.arms if arm.kind == "pooled"), None)

    @property
    def trained(self) -> Arm | None:
        """The arm of a model by gradients, if a run that counted was compared with one."""
        return next((arm for arm in self.comparison.arms if arm.kind == "trained"), None)

    @property
    def personal(self) -> Arm | None:
        """The arm of the models that the sites made for themselves out of the shared one."""
        return next((arm for arm in self.comparison.arms if arm.kind == "personal"), None)

    @cached_property
    def alone(self) -> list[Arm]:
        """The arms trained at one site alone, the best first."""
        arms = [arm for arm in self.comparison.arms if arm.kind == "alone"]
        return sorted(arms, key=lambda arm: arm.value, reverse=self.comparison.higher_is_better)

    @cached_property
    def worse_alone(self) -> list[Arm]:
        """Arms of sites whose own model is worse than the shared one by more than chance."""
        return [arm for arm in self.alone if self.sign_against(arm) > 0]

    @cached_property
    def better_alone(self) -> list[Arm]:
        """Arms of sites whose own model is better than the shared one by more than chance."""
        return [arm for arm in self.alone if self.sign_against(arm) < 0]

    def difference(self, arm: Arm) -> Difference | None:
        """Return the difference federated minus an arm, or None if it was not measured."""
        name = arm.site or arm.kind
        return next((item for item in self.comparison.differences if item.against == name), None)

    def sign_against(self, arm: Arm) -> int:
        """Return 1 if the federated model is better than an arm, -1 if worse, 0 within chance."""
        found = self.difference(arm)
        if found is None or found.low <= 0 <= found.high:
            return 0
        return 1 if (found.low > 0) == self.comparison.higher_is_better else -1

    @cached_property
    def own_records(self) -> list[OnOwn]:
        """Both models on each site's own held-out records, where these define the metric."""
        return [
            OnOwn(
                site=arm.site,
                alone=arm.own_value,
                together=arm.federated_on_own,
                personal=arm.personal_on_own,
            )
            for arm in self.alone
            if arm.own_value is not None and arm.federated_on_own is not None
        ]

    def is_better(self, one: float, other: float) -> bool:
        """Return whether the first value is better than the other."""
        return one > other if self.comparison.higher_is_better else one < other


def headline(recorded: Recorded) -> str:
    """Return the result of a run in one sentence, or where it stopped."""
    if not recorded.is_finished:
        return _stopped_sentence(recorded)
    if recorded.comparison and Headline(recorded.comparison).alone:
        said = _comparison_sentence(recorded, Headline(recorded.comparison))
        return f"{said} {_flagged_sentence(recorded)}".rstrip()
    return _plain_sentence(recorded)


def flagged_key_figure(recorded: Recorded) -> KeyFigure | None:
    """Return how many are flagged, if that is nobody or everybody; otherwise None."""
    found = recorded.one_sided_threshold
    if found is None:
        return None
    return KeyFigure(
        f"{words.count(found.flagged)} of {words.count(found.records)}", "flagged at 0.5 or more"
    )


def _flagged_sentence(recorded: Recorded) -> str:
    """Return that the usual threshold separates nobody; "" if it does."""
    found = recorded.one_sided_threshold
    if found is None:
        return ""
    return f"At a score of 0.5 or more the shared model {_flags_clause(found)}."


def _flags_clause(found: Confusion) -> str:
    return flags_clause("all" if found.flagged else "none", found.records)


def _stopped_sentence(recorded: Recorded) -> str:
    done, wanted = recorded.summary.rounds, recorded.rounds_wanted
    planned = words.count_with_noun(wanted, "round")
    if not recorded.rounds:
        return f"The run stopped before its first round was complete{_shared_reason(recorded)}."
    if done >= wanted:
        return f"The run stopped after its {planned}, before the final evaluation."
    return f"The run stopped after {done} of {planned}."


def _shared_reason(recorded: Recorded) -> str:
    """Return why all members are left out, if that is one reason."""
    found = absences_of(recorded.summary)
    if {one.site for one in found} != set(recorded.charter.names):
        return ""
    meanings = {one.meaning for one in found if one.code not in (NEVER_CAME, NOT_BEGUN)}
    if len({one.code for one in found}) > 1 or not meanings:
        return ""
    return f", because all {recorded.nouns} were left out for one reason: {meanings.pop()}"


def _plain_sentence(recorded: Recorded) -> str:
    name = recorded.headline_metric
    found = recorded.summary.metrics.get(name)
    trained = recorded.trained_sites or recorded.summary.evaluated
    who = f"{words.count_in_words(len(trained))} {recorded.nouns}"
    if not recorded.learner.predicts:
        return f"Together, {who} counted their records."
    if found is None:
        return f"Together, {who} trained a model that predicts {recorded.target}."
    how = named_value(name, found, recorded.unit)
    one_sided = recorded.one_sided_threshold
    if one_sided is not None:
        return (
            f"Together, {who} trained a model that {_flags_clause(one_sided)} at a score of 0.5 or "
            f"more: it puts {recorded.target} in order ({how}), and needs another threshold."
        )
    return f"Together, {who} trained a model that predicts {recorded.target} ({how})."


def named_value(name: str, found: MetricValue, unit: str) -> str:
    """Return a metric with its name, as written inside a sentence."""
    meaning = meaning_of(name)
    value = words.figure(found.value, unit if meaning.in_unit else "")
    return f"{words.title_in_sentence(meaning.title)}{SPACE}{value}"


def _comparison_sentence(recorded: Recorded, verdict: Headline) -> str:
    unit = recorded.unit if meaning_of(verdict.comparison.metric).in_unit else ""
    title = words.title_in_sentence(verdict.comparison.metric_title)
    who = f"{words.count_in_words(len(verdict.alone))} {recorded.nouns}"
    measured = f"({title}{SPACE}{words.figure(verdict.together.value, unit)})"
    best = words.figure(verdict.alone[0].value, unit)
    target, n_ahead = recorded.target, len(verdict.worse_alone)
    within = _within_chance_clause(verdict, unit)
    if verdict.better_alone:
        better_alone = verdict.better_alone[0].site
        said = (
            f"{better_alone} alone predicts {target} better ({best}) than {who} together {measured}"
        )
    elif n_ahead == len(verdict.alone):
        others = "any of them alone" if n_ahead > 1 else "one alone"
        said = (
            f"Together, {who} predict {target} better {measured} than {others} (best{SPACE}{best})"
        )
    elif n_ahead:
        others = f"{words.count_in_words(n_ahead)} of them alone"
        said = f"Together, {who} predict {target} better {measured} than {others}"
    else:
        said = f"Together, {who} predict {target} {measured} no better than alone"
    told = [said, "" if verdict.better_alone else within, _pooled_clause(verdict, unit)]
    return "; ".join(part for part in told if part) + "."


def _within_chance_clause(verdict: Headline, unit: str) -> str:
    """Say which other models, the pooled one included, differ only within chance."""
    close = [arm for arm in verdict.alone if verdict.sign_against(arm) == 0]
    named = []
    if len(close) == 1:
        named.append(f"{close[0].site} alone ({words.figure(close[0].value, unit)})")
    elif close:
        some = (
            "all"
            if len(close) == len(verdict.alone)
            else f"the other {words.count_in_words(len(close))}"
        )
        named.append(f"{some} alone (best{SPACE}{words.figure(close[0].value, unit)})")
    if verdict.pooled and verdict.sign_against(verdict.pooled) == 0:
        value = words.figure(verdict.pooled.value, unit)
        named.append(f"pooling all records in one place ({value})")
    if not named:
        return ""
    many = len(close) > 1 or len(named) > 1
    return (
        f"{words.name_list(named)} {'differ' if many else 'differs'} from that only within chance"
    )


def _pooled_clause(verdict: Headline, unit: str) -> str:
    if verdict.pooled is None or not (verdict.better_alone or verdict.sign_against(verdict.pooled)):
        return ""
    value = words.figure(verdict.pooled.value, unit)
    return f"pooling all records in one place would give {value}"
