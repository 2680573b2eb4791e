"""What a metric is for a group and for all others, and how sure the gap between them is."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from privacy.layout import Tally
from sites.evaluation.groups.subgroups import GroupedEvaluation, Subgroup
from sites.evaluation.metric_values import auc_reach, wilson_interval


@dataclass(frozen=True, kw_only=True)
class GroupGap:
    """A metric of a group beside that of all other records.

    Args:
        group: The group.
        metric: Name of the metric.
        value: Of the group.
        others: Of all other records: those of other groups, and those without a value.
        interval: 95 % interval of the gap, `value - others`; None where none is known.
    """

    group: Subgroup
    metric: str
    value: float
    others: float
    interval: tuple[float, float] | None

    @property
    def gap(self) -> float:
        """How much higher the metric is in the group."""
        return self.value - self.others


def group_gaps(
    evaluation: GroupedEvaluation[Any], tally: Tally, group: Subgroup
) -> tuple[GroupGap, ...]:
    """Return the gap of each metric that both the group and all others define.

    Args:
        evaluation: Of the groups.
        tally: Pooled.
        group: One whose figures may be shown.
    """
    base, own = evaluation.base, evaluation.of_group(group, tally)
    rest = evaluation.of_others(group, tally)
    mine, others = base.metrics(own), base.metrics(rest)
    return tuple(
        GroupGap(
            group=group,
            metric=name,
            value=mine[name].value,
            others=others[name].value,
            interval=_interval(
                name,
                (mine[name].value, base.class_counts(own)),
                (others[name].value, base.class_counts(rest)),
            ),
        )
        for name in mine
        if name in others
    )


def _interval(
    metric: str, one: tuple[float, tuple[int, ...]], other: tuple[float, tuple[int, ...]]
) -> tuple[float, float] | None:
    """Return the 95 % interval of the difference of two independent metrics."""
    if len(one[1]) != 2 or metric not in _REACHES:
        return None
    lower_one, upper_one = _REACHES[metric](*one)
    lower_other, upper_other = _REACHES[metric](*other)
    gap = one[0] - other[0]
    return gap - math.hypot(lower_one, upper_other), gap + math.hypot(upper_one, lower_other)


def _of_share(records_of: Callable[[int, int], int]) -> Callable[..., tuple[float, float]]:
    """Return how far a share reaches down and up: Newcombe 1998, method 10, by Wilson's interval.

    Args:
        records_of: Of how many records it is a share, from negatives and positives.
    """

    def reaches(value: float, counts: tuple[int, int]) -> tuple[float, float]:
        low, high = wilson_interval(value, records_of(*counts))
        return value - low, high - value

    return reaches


def _of_auc(value: float, counts: tuple[int, int]) -> tuple[float, float]:
    """Return how far an AUC reaches down and up."""
    reach = auc_reach(value, counts)
    return reach, reach


def _of_gini(value: float, counts: tuple[int, int]) -> tuple[float, float]:
    """Return how far a Gini coefficient reaches: it is 2 AUC - 1."""
    lower, upper = _of_auc((value + 1) / 2, counts)
    return 2 * lower, 2 * upper


_REACHES: Mapping[str, Callable[..., tuple[float, float]]] = MappingProxyType(
    {
        "roc_auc": _of_auc,
        "gini": _of_gini,
        "accuracy": _of_share(lambda negatives, positives: negatives + positives),
        "recall": _of_share(lambda _negatives, positives: positives),
        "specificity": _of_share(lambda negatives, _positives: negatives),
    }
)
