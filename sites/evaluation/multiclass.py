"""Pooled evaluation of classification into three or more classes; a site may lack some."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Tally, Vector
from sites.evaluation import calibration, metric_values, ranking
from sites.evaluation.calibration import Reliability
from sites.evaluation.input_checks import class_codes, class_distributions
from sites.evaluation.metric_values import Figures, Undefined, ratio
from sites.schema.tables import ClassLabel
from sites.statistics.histograms import histograms
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout, fixed_point, mean

BINS = 256
_EMPTY = "there are no held-out records"
_NAMES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_roc_auc",
    "log_loss",
    "brier",
    "ece",
    "mean_class_distance",
)


@dataclass(frozen=True)
class ClassesEvaluation:
    """Turns probabilities of every class into a tally, and a pooled tally into metrics.

    Guarantee: the tallies of sites add up to the tally of their records, exactly. Metrics of the
    confusion matrix are exact; sums are right to 2**-33 per record; a one-versus-rest AUC has the
    largest error bound that its 256 bins allow. A mean over classes covers the classes that
    held-out records have, and the absent ones are named.

    Args:
        label: The classes; if they are ordered, their distance is a metric too.
    """

    label: ClassLabel

    pair_parts: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        n_classes = len(self.label.classes)
        return TallyLayout(
            {
                "confusion": n_classes**2,
                "rest": n_classes * BINS,
                "own": n_classes * BINS,
                "brier": 2,
                "log_loss": 2,
                "confident": calibration.BINS,
                "confident_and_right": calibration.BINS,
                "confidence": 2 * calibration.BINS,
            }
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: Probabilities, shape (n, n_classes), rows adding up to 1.
            labels: Codes of classes, shape (n,).

        Raises:
            ConsortiumError: Predictions are not finite, not probabilities or not one row per
                record; a label is not declared; or there are 2**25 records or more.
        """
        n_classes = len(self.label.classes)
        codes = class_codes(labels, n_classes)
        shares = class_distributions(predictions, len(codes), n_classes)
        of_label = shares[np.arange(len(codes)), codes]  # (n,)
        # Brier score: |p - e_y|^2 with the probabilities p and the unit vector e_y of the class.
        misses = shares.copy()
        misses[np.arange(len(codes)), codes] -= 1.0
        predicted = shares.argmax(axis=1)
        confidence = shares.max(axis=1)
        confusion = np.bincount(codes * n_classes + predicted, minlength=n_classes**2)
        reliable = histograms(
            confidence, (predicted == codes).astype(np.int64), n_groups=2, n_bins=calibration.BINS
        )
        return self.layout.join(
            {
                "confusion": confusion.astype(np.int64),
                **_one_versus_rest(shares, of_label, codes),
                "brier": fixed_point((misses**2).sum(axis=1)),
                "log_loss": fixed_point(metric_values.log_losses(of_label)),
                "confident": reliable.sum(axis=0),
                "confident_and_right": reliable[1],
                "confidence": calibration.sums_by_bin(confidence, confidence),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign, a sum is impossible, or counts disagree.
        """
        self.layout.check(tally)
        n, support = self.num_examples(tally), self._confusion(tally).sum(axis=1)
        rest, own = self._histograms(tally)
        if (own.sum(axis=1) != support).any() or (rest.sum(axis=1) != n - support).any():
            raise ImpossibleTally("score histograms and confusion matrix count different records")
        largest = {"brier": 2.0, "log_loss": metric_values.LARGEST_LOG_LOSS}
        metric_values.check_means(self.layout, tally, examples=n, largest=largest)
        self._reliability(tally).check(n)

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return self.layout.count("confusion", tally)

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records of each class."""
        return tuple(int(count) for count in self._confusion(tally).sum(axis=1))

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name.

        `accuracy`, `balanced_accuracy` (mean recall), `macro_f1`, `macro_roc_auc` (mean of
        one-versus-rest), `log_loss` (probabilities taken as at least 1e-7), `brier` (squared
        distance over all classes, 0 to 2), `ece` (of the confidence, 16 bins); for ordered
        classes `mean_class_distance`, by how many classes the predicted one is off.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        return metric_values.defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics.

        A class without held-out records is named too, as `class NAME`.
        """
        absent = {
            f"class {name}": "has no held-out record: it is in no mean over classes"
            for name, count in zip(self.label.classes, self.class_counts(tally), strict=True)
            if count == 0
        }
        return {**metric_values.undefined_reasons(self._figures(tally)), **absent}

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to plot, as plain JSON values.

        `confusion` (a row per true class), `calibration` of the confidence (16 bins with their
        counts), `classes`: for each class its support and, where they are defined, precision,
        recall, F1, one-versus-rest AUC with its error bound, and ROC curve; and, if there are
        records, `averages` of precision, recall and F1 (`class_averages`).

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        confusion = self._confusion(tally)
        averages = {"averages": class_averages(confusion)} if confusion.any() else {}
        return {
            **averages,
            "confusion": {
                "classes": list(self.label.classes),
                "counts": confusion.tolist(),
            },
            "calibration": self._reliability(tally).curve(),
            "classes": {
                name: self._one_class(tally, code) for code, name in enumerate(self.label.classes)
            },
        }

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        n = self.num_examples(tally)
        if n == 0:
            return dict.fromkeys(_NAMES, Undefined(_EMPTY))
        confusion = self._confusion(tally)
        right, support = np.diag(confusion), confusion.sum(axis=1)
        held = support > 0
        f1 = 2 * right[held] / (support + confusion.sum(axis=0))[held]
        return {
            "accuracy": Metric(float(right.sum() / n)),
            "balanced_accuracy": Metric(float((right[held] / support[held]).mean())),
            "macro_f1": Metric(float(f1.mean())),
            "macro_roc_auc": self._macro_auc(tally),
            "log_loss": mean(self.layout.real_sum("log_loss", tally), n),
            "brier": mean(self.layout.real_sum("brier", tally), n),
            "ece": self._reliability(tally).calibration_error(),
            "mean_class_distance": self._distance(tally),
        }

    def _distance(self, tally: Tally) -> Metric | Undefined:
        if not self.label.ordered:
            return Undefined("the classes are not declared as ordered")
        codes, confusion = np.arange(len(self.label.classes)), self._confusion(tally)
        steps = (np.abs(codes[:, None] - codes) * confusion).sum()
        return Metric(float(steps / confusion.sum()))

    def _macro_auc(self, tally: Tally) -> Metric | Undefined:
        rest, own = self._histograms(tally)
        areas = [
            ranking.roc_auc(others, mine)
            for others, mine in zip(rest, own, strict=True)
            if others.sum() and mine.sum()
        ]
        if not areas:
            return Undefined("needs held-out records of two classes")
        value, bound = np.mean([[area.value, area.error_bound] for area in areas], axis=0)
        return Metric(float(value), float(bound))

    def _one_class(self, tally: Tally, code: int) -> dict[str, Any]:
        confusion, (rest, own) = self._confusion(tally), self._histograms(tally)
        right, support = int(confusion[code, code]), int(confusion[code].sum())
        predicted = int(confusion[:, code].sum())
        shares: Figures = {
            "precision": ratio(right, predicted, "never predicted"),
            "recall": ratio(right, support, _EMPTY),
            "f1": ratio(2 * right, support + predicted, _EMPTY),
        }
        found: dict[str, Any] = {"support": support}
        found |= {
            name: metric.value for name, metric in metric_values.defined_metrics(shares).items()
        }
        # One versus rest needs records of the class and of the rest.
        if 0 < support < self.num_examples(tally):
            area = ranking.roc_auc(rest[code], own[code])
            found |= {"roc_auc": area.value, "roc_auc_error_bound": area.error_bound}
            found["roc"] = ranking.roc_curve(rest[code], own[code], np.arange(BINS + 1) / BINS)
        return found

    def _confusion(self, tally: Tally) -> Tally:
        n_classes = len(self.label.classes)
        return self.layout.part("confusion", tally).reshape(n_classes, n_classes)

    def _histograms(self, tally: Tally) -> tuple[Tally, Tally]:
        rest, own = (self.layout.part(name, tally).reshape(-1, BINS) for name in ("rest", "own"))
        return rest, own

    def _reliability(self, tally: Tally) -> Reliability:
        return Reliability(
            self.layout.part("confident", tally).astype(np.float64),
            self.layout.real_sums("confidence", tally),
            self.layout.part("confident_and_right", tally).astype(np.float64),
        )


def class_averages(confusion: Tally) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 over all classes, by kind of average, with their support.

    `micro` counts every record alike: with one class a record all three are the accuracy. `macro`
    is the mean over the classes, and `weighted` weighs each by its records. They are those of
    scikit-learn's `classification_report`: a class that is never predicted has the precision 0
    there. A class without a record is in no mean.

    Args:
        confusion: Counts with a row for each true class, shape (n_classes, n_classes), not all 0.
    """
    right, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    held = support > 0
    figures = {
        "precision": right[held] / np.maximum(predicted[held], 1),
        "recall": right[held] / support[held],
        "f1": 2 * right[held] / (support + predicted)[held],
    }
    n = int(support.sum())
    accuracy = float(right.sum() / n)
    shares = support[held] / n
    return {
        "micro": {**dict.fromkeys(figures, accuracy), "support": n},
        "macro": {**{name: float(one.mean()) for name, one in figures.items()}, "support": n},
        "weighted": {**{name: float(one @ shares) for name, one in figures.items()}, "support": n},
    }


def _one_versus_rest(shares: Matrix, of_label: Vector, codes: Tally) -> dict[str, Tally]:
    # Every record is counted in the histogram of each class's probability. Without the record's
    # own class that is the histogram of the rest, so nothing is counted twice.
    n_classes = shares.shape[1]
    columns = np.tile(np.arange(n_classes), len(codes))
    every = histograms(shares.ravel(), columns, n_groups=n_classes, n_bins=BINS)
    own = histograms(of_label, codes, n_groups=n_classes, n_bins=BINS)
    return {"rest": every - own, "own": own}
