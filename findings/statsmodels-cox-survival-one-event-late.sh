#!/usr/bin/env bash
# Packages: statsmodels 0.15.0; lifelines 0.30.3 to compare. Seen 2026-11-29.
#
# Question: of 1000 loans 200 default in each of five years. What share survives the first year, by
#   a Cox model whose only column has no effect?
# Good guess: 0.82, which is exp(-200/1000): the documentation of `PHReg` names the Nelson-Aalen
#   estimate, and survival at the given times. Kaplan-Meier has 0.80.
# What happens: all of them survive it. `baseline_cumulative_hazard`, and `predict` with "surv" or
#   "cumhaz", give at each time the value just before it. Each year has the survival of the year
#   before. The events of the last year are never counted: 28 % of the loans survive it, and any
#   later time, of which none did. `get_distribution` has a mean of 3.2 years, for 3.
#   Martingale residuals use the same curve. By algebra they sum to 0; here the sum is 457 of 1000
#   events. Who defaults first has exactly 1, whatever the model expected. Delayed entry is left
#   out of them, too: a record is charged with the hazard of times before it began.
#   With one event at a time and many people nobody sees it. With yearly or monthly data it is a
#   whole period. No warning, and the documentation says nothing of it; a comment in the source
#   owns to some disagreements with R.
# Why it matters here: a probability of default in the first year that is 0, and residual plots that
#   find a model too optimistic for all. Whoever tests pooled curves against it finds a fault.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from statsmodels.duration.hazard_regression import PHReg

years = np.arange(1.0, 6.0)
loans = pd.DataFrame({"year": np.repeat(years, 200), "event": 1})
loans["column"] = np.tile([0.0, 1.0], 500)
model = PHReg(loans["year"], loans[["column"]].to_numpy(), status=loans["event"]).fit()
assert abs(model.params[0]) < 1e-9
asked = np.append(years, 20.0)
naive = model.predict(exog=np.zeros((6, 1)), endog=asked, pred_type="surv").predicted_values
left = np.array([1000, 800, 600, 400, 200])
right = np.exp(-np.cumsum(200 / left))
curve = KaplanMeierFitter().fit(loans["year"], loans["event"])
print("years                 ", asked)
print("statsmodels PHReg     ", naive.round(3))
print("exp of -Nelson-Aalen  ", right.round(3))
print("Kaplan-Meier          ", curve.predict(years).to_numpy().round(3))
assert naive[0] == 1.0
assert np.allclose(naive[1:5], right[:4])
assert naive[5] == naive[4] > 0.27
assert np.allclose(model.baseline_cumulative_hazard[0][2], naive[:5])
assert abs(model.get_distribution().mean()[0] - 3.19) < 0.01

fitter = CoxPHFitter().fit(loans, "year", "event")
theirs = fitter.compute_residuals(loans, "martingale")["martingale"]
ours = model.martingale_residuals
print(f"sum of martingale residuals: statsmodels {ours.sum():.1f}, lifelines {theirs.sum():.1f}")
assert abs(theirs.sum()) < 1e-6
assert ours.sum() > 450
assert (ours[:200] == 1.0).all()

# Without ties, where the package is right but for the last event: delayed entry changes nothing.
random = np.random.default_rng(0)
stop = random.exponential(size=2000) + 0.5
column = random.normal(size=(2000, 1))
event = np.ones(2000)
for start in (np.zeros(2000), stop * random.random(2000)):
    fitted = PHReg(stop, column, status=event, entry=start).fit()
    residuals = fitted.martingale_residuals
    print(f"mean entry {start.mean():.2f}: mean martingale residual {residuals.mean():.3f}")
    assert abs(residuals.mean()) < 0.01 if not start.any() else residuals.mean() < -0.3
PYTHON
