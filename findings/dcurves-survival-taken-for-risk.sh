#!/usr/bin/env bash
# Package: dcurves 1.1.7 (Python) with lifelines 0.30.3, pandas 2.3.3 and NumPy 2.3.5. Seen
#   2026-11-29.
#
# Question: what is the net benefit of treating by a marker, where the outcome is a time until an
#   event? `dca(models_to_prob=["marker"], time=..., time_to_outcome_col=...)` first turns the
#   marker into a risk, by a Cox model.
# Good guess: the risk is the probability of the event by that time, 1 - S(t), as the documentation
#   of the argument says ("converted to risk scores from 0 to 1").
# What happens: the "risk" is S(t), the probability of no event. The patients with the best
#   prognosis get the highest risks, and the curve treats them first. Of 1000 patients, a good
#   marker has less net benefit than to treat no one, from a threshold of 0.4 on; by the risks of
#   the same Cox model, passed as a column, it has the most. In the package's own example data a
#   threshold of 0.3 treats 97 % of the patients instead of 16 %. The sign of the marker does not
#   matter: the Cox model undoes it. With a binary outcome the same argument gives the right risk.
#   Nothing warns. The R package of that name has the same formula in its source (not run here).
# Why it matters here: hospitals decide by such curves whether a shared model is worth using. A good
#   one looks harmful. A bad one may look better than it is.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dcurves==1.1.7 lifelines==0.30.3 statsmodels==0.15.0 pandas==2.3.3 numpy==2.3.5 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
from pathlib import Path

import dcurves
import numpy as np
import pandas as pd
from dcurves import dca
from lifelines import CoxPHFitter


def curves(table, *, time, duration, event, thresholds):
    """Return net benefit and treated share, of the marker and of its Cox model's probabilities."""
    table = table[[duration, event, "marker"]].copy()
    cox = CoxPHFitter().fit(table, duration, event)
    table["survival"] = cox.predict_survival_function(table, times=[time]).to_numpy()[0]
    table["risk"] = 1 - table["survival"]
    table["opposite"] = -table["marker"]
    answer = dca(
        data=table, outcome=event, modelnames=["marker", "opposite", "risk", "survival"],
        models_to_prob=["marker", "opposite"], thresholds=thresholds, time=time,
        time_to_outcome_col=duration,
    )
    answer = answer.pivot(index="threshold", columns="model")
    return answer["net_benefit"], answer["test_pos_rate"]


rng = np.random.default_rng(0)
marker = rng.normal(size=1000)
months = rng.exponential(10 * np.exp(-1.5 * marker))
people = pd.DataFrame({"months": np.minimum(months, 24), "death": months < 24, "marker": marker})
thresholds = [0.2, 0.4, 0.6]
benefit, _ = curves(people, time=6, duration="months", event="death", thresholds=thresholds)
print("net benefit of deaths within 6 months:")
print(benefit[["all", "none", "risk", "marker"]].round(3).to_string())
assert (benefit["risk"] > benefit[["all", "none"]].max(axis=1) + 0.02).all()
assert (benefit["marker"] < benefit["risk"] - 0.2).all()
assert (benefit.loc[[0.4, 0.6], "marker"] < -0.1).all()
assert np.allclose(benefit["marker"], benefit["survival"])
assert np.allclose(benefit["marker"], benefit["opposite"], atol=0.01)

people["dead"] = people["months"] <= 6
binary = dca(
    data=people.astype({"dead": int}), outcome="dead", modelnames=["marker"],
    models_to_prob=["marker"], thresholds=thresholds,
).query("model == 'marker'")["net_benefit"].to_numpy()
print("the same marker, dead or not within 6 months:", binary.round(3).tolist())
assert np.allclose(binary, benefit["risk"], atol=0.02)

shipped = pd.read_csv(Path(dcurves.__file__).parent / "data" / "df_surv.csv")
_, treated = curves(shipped, time=1.5, duration="ttcancer", event="cancer", thresholds=[0.3])
marker, risk = treated.loc[0.3, "marker"], treated.loc[0.3, "risk"]
print(f"the package's example: {marker:.0%} treated at a threshold of 0.3, {risk:.0%} by the risk")
assert marker > 0.95
assert risk < 0.2
PYTHON
