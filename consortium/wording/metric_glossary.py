"""The usual name of each metric, and its meaning in plain words."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Meaning:
    """A metric in plain words.

    Args:
        title: Its usual name.
        says: What its value says.
        better: Which values are better; "" for a figure of the records, whatever the model.
        in_unit: Whether its unit is that of the predicted number, or of the declared costs.
    """

    title: str
    says: str
    better: Literal["higher", "lower", "nearer 0", ""] = "higher"
    in_unit: bool = False

    @property
    def explained(self) -> str:
        """What its value says, and which values are better."""
        return f"{self.says}; {self.better} is better." if self.better else f"{self.says}."


_MEANINGS = {
    "roc_auc": Meaning(
        "AUC",
        "how often a random positive record gets a higher score than a random negative one: 0.5 is "
        "chance, 1 is perfect",
    ),
    "pr_auc": Meaning(
        "Average precision",
        "the share of true positives among the highest scores, averaged from the top down; by "
        "chance it is the share of positives",
    ),
    "ks": Meaning(
        "KS",
        "the largest gap between the shares of positives and of negatives below the same score",
    ),
    "gini": Meaning(
        "Gini", "the AUC on a scale from 0 (chance) to 1 (perfect): twice the AUC, minus 1"
    ),
    "brier": Meaning(
        "Brier score",
        "mean squared difference between the predicted probability and the outcome",
        "lower",
    ),
    "log_loss": Meaning(
        "Log loss",
        "how much the outcomes surprised the model; confident mistakes cost most",
        "lower",
    ),
    "ece": Meaning(
        "Calibration error",
        "how far predicted probabilities are from observed frequencies, on average",
        "lower",
    ),
    "accuracy": Meaning("Accuracy", "share of records classified correctly"),
    "balanced_accuracy": Meaning(
        "Balanced accuracy",
        "mean share found per class, so that rare classes count as much as frequent ones",
    ),
    "precision": Meaning("Precision", "share of the flagged records that are truly positive"),
    "recall": Meaning(
        "Sensitivity (recall)", "share of the truly positive records that are flagged"
    ),
    "recall_at_1_percent": Meaning(
        "Recall at 1 % alerts",
        "which share of the truly positive records is found where at most 1 % of all are flagged",
    ),
    "recall_at_0_1_percent": Meaning(
        "Recall at 0.1 % alerts",
        "which share of the truly positive records is found where at most 0.1 % of all are flagged",
    ),
    "precision_at_1_percent": Meaning(
        "Precision at 1 % alerts",
        "share of truly positive records among those flagged, at most 1 % of all records",
    ),
    "precision_at_0_1_percent": Meaning(
        "Precision at 0.1 % alerts",
        "share of truly positive records among those flagged, at most 0.1 % of all records",
    ),
    "cost_at_1_percent": Meaning(
        "Cost at 1 % alerts",
        "what missed positive records and alerts cost for each 1,000 records, by the costs that "
        "the members declared, where at most 1 % of all records are flagged",
        "lower",
        in_unit=True,
    ),
    "cost_at_0_1_percent": Meaning(
        "Cost at 0.1 % alerts",
        "the same where at most 0.1 % of all records are flagged",
        "lower",
        in_unit=True,
    ),
    "specificity": Meaning(
        "Specificity", "share of the truly negative records that are not flagged"
    ),
    "f1": Meaning("F1", "precision and recall in one figure (their harmonic mean)"),
    "macro_f1": Meaning(
        "Macro F1",
        "precision and recall in one figure, averaged over the classes, each counting equally",
    ),
    "micro_f1": Meaning(
        "Micro F1",
        "precision and recall in one figure over all labels of all records, frequent ones counting "
        "most",
    ),
    "subset_accuracy": Meaning("Subset accuracy", "share of records with every label right"),
    "entity_precision": Meaning(
        "Entity precision",
        "share of the predicted entities that have the right type, first and last word",
    ),
    "entity_recall": Meaning(
        "Entity recall", "share of the true entities that are found with their exact words"
    ),
    "entity_f1": Meaning(
        "Entity F1",
        "precision and recall of whole entities in one figure: an entity that is wrong by one word "
        "counts as wrong twice",
    ),
    "macro_entity_f1": Meaning(
        "Mean entity F1", "the same, averaged over the types, each counting equally"
    ),
    "token_accuracy": Meaning(
        "Token accuracy",
        "share of words with the right tag; most words are in no entity (O), so it is to be read "
        "beside the share of O",
    ),
    "outside_share": Meaning(
        "Share of O",
        "share of words that are in no entity: the token accuracy of a model that finds nothing",
        "",
    ),
    "macro_roc_auc": Meaning(
        "Mean AUC",
        "how well each class is ranked above the rest, averaged over the classes: 0.5 is chance, "
        "1 is perfect",
    ),
    "mean_class_distance": Meaning(
        "Mean distance in grades",
        "mean number of grades between the predicted and the true grade",
        "lower",
    ),
    "mae": Meaning(
        "Mean absolute error",
        "how far a prediction is from the truth, on average",
        "lower",
        in_unit=True,
    ),
    "rmse": Meaning(
        "Root mean squared error",
        "how far a prediction is from the truth; large errors count more",
        "lower",
        in_unit=True,
    ),
    "r2": Meaning(
        "R squared",
        "share of the variation that is explained: 0 is no better than the mean, 1 is perfect",
    ),
    "bias": Meaning(
        "Bias",
        "mean of prediction minus truth: above 0 predicts too high",
        "nearer 0",
        in_unit=True,
    ),
    "median_absolute_error": Meaning(
        "Median absolute error",
        "half of the predictions are closer to the truth than this",
        "lower",
        in_unit=True,
    ),
    "concordance": Meaning(
        "Concordance within sites",
        "of two records of one site, how often the one with the higher predicted risk has its "
        "event first: 0.5 is chance, 1 is perfect",
    ),
    "risk_calibration_error": Meaning(
        "Calibration error at the horizon",
        "how far predicted risks are from the observed ones (Kaplan-Meier), on average, where a "
        "record was watched until then",
        "lower",
    ),
    "predicted_risk": Meaning("Mean predicted risk", "of the event by the horizon", "nearer 0"),
    "observed_risk": Meaning(
        "Observed risk", "share with the event by the horizon (Kaplan-Meier)", "nearer 0"
    ),
    "share_at_bound": Meaning(
        "Predictions at a bound",
        "share of predictions at or beyond the declared bounds, taken as the bound",
        "nearer 0",
    ),
}

AVERAGES = {
    "micro": "All records alike (micro)",
    "macro": "Mean over the classes (macro)",
    "weighted": "Mean weighted by records",
}


def meaning_of(name: str) -> Meaning:
    """Return the meaning of a metric; an unknown metric is titled with its own name."""
    return _MEANINGS.get(name, Meaning(name.replace("_", " "), ""))
