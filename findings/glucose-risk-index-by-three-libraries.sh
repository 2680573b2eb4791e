#!/usr/bin/env bash
# Packages: glucostats 1.0.0, diametrics 0.4.3, cgmpy 0.6.0. Seen 2026-11-29.
#
# Question: what is the Glycemia Risk Index (GRI) of a patient who wears a glucose sensor? It was
#   published in 2022 as 3.0 VLow + 2.4 Low + 1.6 VHigh + 0.8 High, in percent of the time below
#   54, from 54 to below 70, above 250, and above 180 to 250 mg/dL; at most 100. Zone A (to 20) is
#   the best of five, E the worst.
# Good guess: three libraries that name this index give the same number, but for rounding.
# What happens: glucostats exchanges the weights of High and VHigh. Who is at 300 mg/dL for 40 % of
#   the time has 32 (zone B); at 240 mg/dL for as long, 64 (zone D). A reading of just 70 is low to
#   it, and a patient who was in range all the time has no row in its answer. diametrics weighs
#   VLow and VHigh 0.5, Low and High 0.2: a low counts no more than a high, nobody has more than 50,
#   and 10 % of the time at 50 mg/dL is 5 instead of 30. cgmpy has the weights, but counts just 70
#   as low and just 180 as high, which are in range by the international consensus and by its own
#   `tir`, and goes beyond 100. Nothing warns. The docstrings of glucostats and diametrics name the
#   index without a formula (a comment in the source of diametrics has its weights); that of cgmpy
#   has the formula and leaves open where 70 and 180 belong.
# Why it matters here: hospitals that each compute the index, and pool it, pool three scales. By
#   one of them a treatment that brings patients down from 300 to 240 makes them worse.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLBACKEND=Agg MPLCONFIGDIR="$folder"
# Two environments: glucostats wants NumPy 2, diametrics NumPy 1.
python3.11 -m venv "$folder/one"
"$folder/one/bin/pip" install --quiet glucostats==1.0.0
python3.11 -m venv "$folder/two"
"$folder/two/bin/pip" install --quiet numpy==1.26.4 pandas==2.2.3 scipy==1.15.2 \
    scikit-learn==1.6.1 matplotlib==3.10.1 seaborn==0.13.2
"$folder/two/bin/pip" install --quiet --no-deps cgmpy==0.6.0 diametrics==0.4.3
cd "$folder"

cat > people.py <<'PYTHON'
"""Sensors of 1001 readings, one in five minutes: a share of them out of place, the others 120."""


def sensor(percent, level):
    return [120] + [level if place % 100 < percent else 120 for place in range(1000)]


PEOPLE = {
    "40 % at 240": sensor(40, 240),
    "40 % at 300": sensor(40, 300),
    "10 % at 50": sensor(10, 50),
    "95 % at 50": sensor(95, 50),
    "5 % at 70": sensor(5, 70),
    "5 % at 180": sensor(5, 180),
}
PYTHON

"$folder/one/bin/python" -W ignore - <<'PYTHON'
import json

import pandas as pd
from glucostats.stats.risks_stats import glycemia_risk
from people import PEOPLE

table = pd.concat(
    pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=len(readings), freq="5min"),
            "glucose": [float(reading) for reading in readings],
        },
        index=[name] * len(readings),
    )
    for name, readings in PEOPLE.items()
)
with open("one.json", "w") as file:
    json.dump(glycemia_risk(table).gri.round().astype(int).to_dict(), file)
PYTHON

"$folder/two/bin/python" -W ignore - <<'PYTHON'
import json

import pandas as pd
from cgmpy.metrics.time_in_range import tir
from cgmpy.metrics.variability.risk import gri
from diametrics.metrics import glycemic_risk_index
from people import PEOPLE


def published(readings):
    def weight(reading):
        if reading < 54:
            return 3.0
        if reading < 70:
            return 2.4
        if reading > 250:
            return 1.6
        return 0.8 if reading > 180 else 0.0

    return min(100.0, 100 * sum(map(weight, readings)) / len(readings))


with open("one.json") as file:
    glucostats = json.load(file)
found = {}
for name, readings in PEOPLE.items():
    times = pd.date_range("2026-01-01", periods=len(readings), freq="5min")
    frame = pd.DataFrame({"time": times, "glc": readings})
    found[name] = (
        round(published(readings)),
        glucostats.get(name),
        round(float(glycemic_risk_index(frame, units="mg").gri.iloc[0])),
        round(float(gri(pd.Series(readings))["GRI"])),
    )
    print(f"{name}: published, glucostats, diametrics, cgmpy:", *found[name])

assert found == {
    "40 % at 240": (32, 64, 8, 32),
    "40 % at 300": (64, 32, 20, 64),  # worse glucose, half the risk
    "10 % at 50": (30, 30, 5, 30),
    "95 % at 50": (100, 100, 47, 285),
    "5 % at 70": (0, 12, 0, 12),
    "5 % at 180": (0, None, 0, 4),  # no row
}
in_range = [tir(pd.Series(PEOPLE[name])) for name in ("5 % at 70", "5 % at 180")]
print("cgmpy's own time in range of the last two:", in_range)
assert in_range == [100, 100]
PYTHON
