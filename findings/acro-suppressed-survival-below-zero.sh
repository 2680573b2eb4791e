#!/usr/bin/env bash
# Package: acro 1.0.2 with statsmodels 0.15.0, pandas 2.3.3 and NumPy 2.0.2. Seen 2026-11-29.
#
# Question: how does acro, which checks what may leave a trusted research environment, coarsen a
#   survival curve if suppression is on?
# Good guess: the curve stays where it is until ten more people have died or left, and then steps
#   to the estimate of that day. Without censoring the steps lie on the Kaplan-Meier curve exactly.
# What happens: each step divides the deaths since the last step, the newest included, by those who
#   were at risk at its end, where the others of these deaths are gone already. Every step is too
#   low. Forty patients who die one a month: 0.65 for 0.725 and 0.325 for 0.475. In the placebo arm
#   of the leukaemia trial of 1963 (21 patients) the curve is at -0.57. The smaller the hospital,
#   the worse its survival looks, and the plot hides what is below zero. The docstring says
#   "rounded", and no documentation says how.
# Why it matters here: hospitals whose curves pass through such a check look deadlier the fewer
#   patients they have, and a pooled curve takes that over.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLBACKEND=Agg MPLCONFIGDIR="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet acro==1.0.2 statsmodels==0.15.0 pandas==2.3.3 numpy==2.0.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import warnings

warnings.simplefilter("ignore")
from acro import ACRO

logging.disable(logging.CRITICAL)
checker = ACRO(suppress=True)


def curves(times):
    table = checker.surv_func(times, [1] * len(times), output="table")
    return table["Surv prob"], table["rounded_survival_fun"]


for patients in (20, 40, 100, 200, 400):
    true, shown = curves(range(1, patients + 1))
    half = patients // 2 + 1
    print(f"{patients} patients, one death a month; month {half}:", end=" ")
    print(f"Kaplan-Meier {true[half]:.3f}, suppressed {shown[half]:.3f}")

true, shown = curves(range(1, 41))
steps = [month for month in range(2, 41) if shown[month] != shown[month - 1]]
print("Steps of the 40, as (month, Kaplan-Meier, suppressed):")
print([(month, round(float(true[month]), 3), round(float(shown[month]), 3)) for month in steps])
assert steps == [11, 21, 31]
assert [round(true[month], 3) for month in steps] == [0.725, 0.475, 0.225]
assert [round(shown[month], 3) for month in steps] == [0.65, 0.325, 0]
by_the_end = 39 / 40 * (30 - 10) / 30  # ten deaths, of 39 at risk before them, divided by 30
assert abs(shown[11] - by_the_end) < 1e-12 and abs(true[11] - 29 / 40) < 1e-12

placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
true, shown = curves(placebo)
print(f"Placebo arm, week 11: Kaplan-Meier {true[11]:.3f}, suppressed {shown[11]:.3f}")
assert round(true[11], 3) == 0.286 and round(shown[11], 3) == -0.565

axes, _ = checker.surv_func(placebo, [1] * 21, output="plot", filename="curve.png")
line = axes.get_lines()[0].get_ydata()
print(f"Plot for release: lowest point {min(line):.3f}, axis from {axes.get_ylim()[0]:.0f}")
assert round(min(line), 3) == -0.565 and axes.get_ylim()[0] == 0
PYTHON
