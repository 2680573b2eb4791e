#!/usr/bin/env bash
# Package: optbinning 1.0.0 with scikit-learn 1.9.1, pandas 2.3.3 and NumPy 2.3.5. Seen 2026-11-29.
#
# Question: how bad is a group of borrowers all of whom defaulted, in the table of a scorecard?
# Good guess: its event rate is 1, and its weight of evidence is minus infinity, or is limited to
#   some large value, or raises.
# What happens: where a value is missing and all 50 such borrowers defaulted, the table counts 50
#   events of 50 records, says that their event rate is 0, and gives them the weight of evidence 0,
#   that of the average borrower. `transform` does so too, asked for the empirical values of missing
#   ones: an event rate of 0. With one borrower of the 50 who paid, the rate is 0.98 and the weight
#   -3.8. The same happens to special codes. If none of the 50 defaulted, the weight is 0 as well.
# Why it matters here: the purest group of a small bank turns from the worst to the best rate, or to
#   the average, by a single record, without a warning. A column of weights that a site prepares
#   with it tells a shared model the opposite of the site's records.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet optbinning==1.0.0 scikit-learn==1.9.1 pandas==2.3.3 numpy==2.3.5
"$folder/venv/bin/python" -W error::UserWarning - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
from optbinning import OptimalBinning

rng = np.random.default_rng(0)
income = rng.normal(size=2000)
default = (rng.random(2000) < 1 / (1 + np.exp(-income))).astype(int)


def last_group(values, outcomes, *, special=None):
    """Return records, events, event rate and weight of evidence, and what transform says."""
    binning = OptimalBinning(name="income", dtype="numerical", special_codes=special)
    binning.fit(values, outcomes)
    table = binning.binning_table.build()
    row = table[table["Bin"] == ("Special" if special else "Missing")].iloc[0]
    asked = np.array([values[0]])
    empirical = {"metric_missing": "empirical", "metric_special": "empirical"}
    said = [float(binning.transform(asked, metric=m, **empirical)[0]) for m in ("event_rate", "woe")]
    return int(row["Count"]), int(row["Event"]), float(row["Event rate"]), float(row["WoE"]), said


for special, code in ((None, np.nan), ([-99.0], -99.0)):
    income[:50] = code
    for events in (50, 49, 0):
        default[:50] = np.arange(50) < events
        records, counted, rate, weight, said = last_group(income, default, special=special)
        name = "special" if special else "missing"
        print(f"{name}: {counted} events of {records}, rate {rate:.2f}, weight {weight:.2f}, {said}")
        assert (records, counted) == (50, events)
        if events in (0, 50):
            assert (rate, weight) == (0.0, 0.0)
            assert said == [0.0, 0.0]
        else:
            assert abs(rate - 0.98) < 1e-9
            assert weight < -3
            assert np.allclose(said, [rate, weight])
PYTHON
