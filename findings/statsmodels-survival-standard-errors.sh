#!/usr/bin/env bash
# Package: statsmodels 0.15.0. Seen 2026-11-29.
#
# Question: how exact is a Kaplan-Meier curve made from counts (so many deaths, so many censored, in
#   each month), and how exact are hazard ratios by robust ("sandwich") errors, with Efron's ties?
# Good guess: as exact as those from one row a person: `freq_weights` are frequency weights. Robust
#   errors are close to those of the jackknife, which leaves out one person at a time.
# What happens:
#   - The curve from counts is right, its standard errors are not. `SurvfuncRight` with
#     `freq_weights`, even weights of 1, gives the error of the cumulative hazard for that of the
#     survival: it grows to the end, where the true one shrinks with the curve. At a survival of
#     10 % it is 0.069 for 0.009. With weights of 1 the median of the lung trial is between 239 days
#     and infinity; without, between 284 and 361. The documentation calls both "the standard errors
#     for the estimated survival probabilities"; the source names another formula for weights.
#   - `PHReg(ties="efron").fit(groups=...)` takes its residuals from Breslow's model. They do not
#     add up to 0 at Efron's estimate, and the errors are too small where many are tied: by 29 %
#     for the lung trial in years, by 11 % in quarters; Efron's residuals and the jackknife agree on
#     larger ones. Where little is tied, or with Breslow's ties, it is right.
# Why it matters here: counts by month are what hospitals can pool, and groups of hospitals are why
#   robust errors are asked for. Neither warns.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 lifelines==0.30.3 pandas==2.3.3 \
    numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
from lifelines.datasets import load_lung  # only the data
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight

months = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.0])
died = np.array([1, 1, 1, 1, 1, 0])
people = np.array([200, 200, 200, 200, 100, 100])
each = np.repeat(np.arange(6), people)
counts = SurvfuncRight(months, died, freq_weights=people)
rows = SurvfuncRight(months[each], died[each])
alive = rows.surv_prob
greenwood = np.sqrt(alive * (1 - alive) / 1000)  # nobody is censored before the last month
print("survival       ", counts.surv_prob.round(3))
print("error, counts  ", counts.surv_prob_se.round(4))
print("error, rows    ", rows.surv_prob_se.round(4))
assert np.allclose(counts.surv_prob, alive)
assert np.allclose(rows.surv_prob_se, greenwood)
hazard_error = np.sqrt(np.cumsum(counts.n_events / counts.n_risk**2))
assert np.allclose(counts.surv_prob_se, hazard_error)
assert counts.surv_prob_se[-1] > 7 * greenwood[-1]

columns = ["age", "sex", "ph.ecog"]
lung = load_lung().dropna(subset=columns)
table, event = lung[columns].to_numpy(float), lung["status"].to_numpy(int)
days = lung["time"].to_numpy(float)
ones = SurvfuncRight(days, event, freq_weights=np.ones(len(lung)))
plain = SurvfuncRight(days, event)
intervals = [[float(end) for end in each.quantile_ci(0.5)] for each in (plain, ones)]
print(f"lung trial, median {plain.quantile(0.5)}, interval {intervals[0]};", end=" ")
print(f"with weights of 1 {intervals[1]}")
assert ones.quantile(0.5) == plain.quantile(0.5)
assert intervals == [[284, 361], [239, np.inf]]


def efron_residuals(time, event, table, coefficients):
    """Return the score residuals of Therneau and Grambsch (2000) for Efron's ties."""
    hazard = np.exp(table @ coefficients)
    residuals = np.zeros_like(table)
    for moment in np.unique(time[event == 1]):
        there, dying = time >= moment, (time == moment) & (event == 1)
        for k in range(dying.sum()):
            at_risk = hazard * there * np.where(dying, 1 - k / dying.sum(), 1.0)
            mean = at_risk @ table / at_risk.sum()
            residuals[dying] += (table[dying] - mean) / dying.sum()
            residuals -= (table - mean) * at_risk[:, None] / at_risk.sum()
    return residuals


def robust_errors(residuals, covariance):
    return np.sqrt(np.diag(covariance @ residuals.T @ residuals @ covariance))


numbers = np.arange(len(lung))
shares = {}
for unit, width in (("days", 1.0), ("quarters", 365.25 / 4), ("years", 365.25)):
    time = np.ceil(days / width)
    model = PHReg(time, table, status=event, ties="efron")
    fitted, grouped = model.fit(), model.fit(groups=numbers)
    residuals = efron_residuals(time, event, table, fitted.params)
    assert np.allclose(residuals.sum(axis=0), 0, atol=1e-6)
    right = robust_errors(residuals, fitted.cov_params())
    left_out = np.array([
        PHReg(np.delete(time, i), np.delete(table, i, 0), status=np.delete(event, i), ties="efron")
        .fit(disp=0).params for i in numbers
    ])
    jackknife = left_out.std(axis=0) * np.sqrt(len(lung) - 1)
    print(f"{unit}: statsmodels {grouped.bse.round(4)}", end=", ")
    print(f"Efron's residuals {right.round(4)}, jackknife {jackknife.round(4)}")
    shares[unit] = grouped.bse[0] / right[0]
    assert (jackknife > right).all()
    assert np.allclose(jackknife, right, rtol=0.09)
print("age: share of the right error", {unit: round(float(s), 2) for unit, s in shares.items()})
assert shares["days"] > 0.99
assert shares["quarters"] < 0.9
assert shares["years"] < 0.72

time = np.ceil(days / 365.25)
breslow = PHReg(time, table, status=event).fit()
assert np.allclose(breslow.score_residuals.sum(axis=0), 0, atol=1e-6)
PYTHON
