#!/usr/bin/env bash
# Packages: statsmodels 0.15.0; lifelines 0.30.3 (the same models, and the data). Seen 2026-11-29.
#
# Question: what does Cox regression say of a treatment that begins during the follow-up? Each
#   person has a record for each stretch of time (start, stop], with the treatment of that stretch.
# Good guess: what R and lifelines say. A record counts for the deaths after its start up to its
#   stop, so each person once at each death. Cutting a record in two changes nothing, by algebra.
# What happens: `PHReg` with `entry` has a record at risk at its start as well. Whoever changes
#   records on a day on which somebody dies is there twice, with the old and with the new treatment.
#   - Without any change of treatment, three-monthly records of the lung trial give coefficients
#     that differ from those of whole records. lifelines gives the same ones.
#   - Stanford's heart transplants, the textbook case: -0.055 for R's and lifelines' -0.010.
#   - Months as the unit, and a treatment that does nothing: a hazard ratio of 0.68 with p = 1e-6,
#     where lifelines has 0.94 and p = 0.5. The treated are counted at risk before they are.
#   Nothing warns. With half a unit added to each `entry`, `PHReg` is right. The package's own
#   Kaplan-Meier curve (`SurvfuncRight` with `entry`) is right, too. The documentation calls `entry`
#   "the entry times, if left truncation occurs", and a comment in the source holds that R does so.
# Why it matters here: hospitals record days, banks months. Ties of starts with events are the rule.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
import pandas as pd
from lifelines import CoxTimeVaryingFitter
from lifelines.datasets import load_lung, load_stanford_heart_transplants
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight


def by_statsmodels(records, columns, delay=0.0):
    return PHReg(
        records["stop"].to_numpy(float), records[columns].to_numpy(float),
        status=records["event"].to_numpy(int), entry=records["start"].to_numpy(float) + delay,
        ties="efron",
    ).fit()


def by_lifelines(records, columns):
    named = records[["id", "start", "stop", "event", *columns]]
    fitter = CoxTimeVaryingFitter()
    return fitter.fit(named, id_col="id", event_col="event", start_col="start", stop_col="stop")


def cut(people, columns, step):
    rows = []
    for person in people.to_dict("records"):
        edges = [*np.arange(0.0, person["stop"], step), person["stop"]]
        for start, stop in zip(edges, edges[1:]):
            event = person["event"] if stop == person["stop"] else 0
            known = {name: person[name] for name in ("id", *columns)}
            rows.append({"start": start, "stop": stop, "event": event} | known)
    return pd.DataFrame(rows)


columns = ["age", "sex", "ph.ecog"]
lung = load_lung().dropna(subset=columns)
lung["stop"] = np.ceil(lung["time"] / 30.4375)
lung = lung.assign(start=0.0, event=lung["status"], id=range(len(lung)))
pieces = cut(lung, columns, 3)
print(f"lung trial in months, {lung['event'].sum()} deaths: {columns}")
for name, fit in (
    ("statsmodels", lambda records: by_statsmodels(records, columns).params),
    ("lifelines", lambda records: by_lifelines(records, columns).params_.to_numpy()),
):
    whole, in_pieces = fit(lung), fit(pieces)
    print(f"  {name}: whole {whole.round(4)}, in pieces {in_pieces.round(4)}")
    same = np.allclose(whole, in_pieces, atol=1e-6)
    assert same == (name == "lifelines")
curves = [
    SurvfuncRight(each["stop"], each["event"], entry=each["start"]) for each in (lung, pieces)
]
assert np.allclose(curves[0].surv_prob, curves[1].surv_prob)

heart = load_stanford_heart_transplants()
columns = ["age", "year", "surgery", "transplant"]
ours, theirs = by_statsmodels(heart, columns).params, by_lifelines(heart, columns).params_
print(f"heart transplants: {columns}:")
print(f"  statsmodels {ours.round(4)}, lifelines {theirs.to_numpy().round(4)}")
assert np.allclose(theirs, [0.0272, -0.1463, -0.6372, -0.0103], atol=1e-4)  # as R has them
assert abs(ours[3] + 0.0554) < 1e-3

random = np.random.default_rng(0)
rows = []
for person in range(1000):
    treated = 0
    for month in range(12):
        event = int(random.random() < 0.2)
        rows.append((person, month, month + 1, event, treated))
        if event:
            break
        treated = max(treated, int(random.random() < 0.2))
trial = pd.DataFrame(rows, columns=["id", "start", "stop", "event", "treated"])
naive, delayed = (by_statsmodels(trial, ["treated"], delay) for delay in (0.0, 0.5))
right = by_lifelines(trial, ["treated"])
ratios = [float(np.exp(fit)) for fit in (naive.params[0], delayed.params[0], right.params_.iloc[0])]
chances = [naive.pvalues[0], right.summary["p"].iloc[0]]
print(f"a useless treatment, hazard ratio: statsmodels {ratios[0]:.3f}, p = {chances[0]:.1e};")
print(f"  half a month later {ratios[1]:.3f}; lifelines {ratios[2]:.3f}, p = {chances[1]:.2f}")
assert ratios[0] < 0.7
assert chances[0] < 1e-5
assert abs(ratios[1] - ratios[2]) < 1e-6
assert chances[1] > 0.4
PYTHON
