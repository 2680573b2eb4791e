#!/usr/bin/env bash
# Package: fairlearn 0.15.0. Seen 2026-11-29.
#
# Question: how fair is a model that makes no mistake, where one group has no cases yet?
# Good guess: perfectly fair (equalized odds difference 0), or not defined (NaN): that group has no
#   true positive rate. In any case the true positive rate and the false negative rate of a group
#   add up to 1, as the documentation of these rates defines them.
# What happens: both rates of that group are 0. The equalized odds difference of the perfect
#   model is 1, the worst value there is, and no warning is given. Without that group it is 0.
# Why it matters here: small sites have groups without cases, and groups without healthy people.
#   One such group decides the fairness figure of the whole consortium.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fairlearn==0.15.0 scikit-learn==1.9.1 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

from fairlearn.metrics import (
    MetricFrame,
    equalized_odds_difference,
    false_negative_rate,
    true_positive_rate,
)

warnings.simplefilter("error")
outcome = [1, 0, 1, 0] + [1, 0, 0, 0] + [0, 0, 0]
group = ["a"] * 4 + ["b"] * 4 + ["c"] * 3  # nobody in c is a case
rates = MetricFrame(
    metrics={"true positive": true_positive_rate, "false negative": false_negative_rate},
    y_true=outcome,
    y_pred=outcome,
    sensitive_features=group,
).by_group
print("Every prediction is right. Rates by group:")
print(rates)
assert rates.loc["a"].tolist() == [1, 0]
assert rates.loc["c"].tolist() == [0, 0]
whole = equalized_odds_difference(outcome, outcome, sensitive_features=group)
without = equalized_odds_difference(outcome[:8], outcome[:8], sensitive_features=group[:8])
print(f"equalized odds difference: {whole} with the group that has no cases, {without} without it")
assert (whole, without) == (1, 0)
PYTHON
