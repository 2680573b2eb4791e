#!/usr/bin/env bash
# Package: episia 0.1.3 (epidemiology, after OpenEpi); statsmodels 0.15.0 to compare. Seen
#   2026-11-30.
#
# Question: a drug halves mortality from 40 % to 20 % in each of two hospitals. What are the relative
#   risk, the odds ratio and the risk difference over both hospitals, by `mantel_haenszel_or`?
# Good guess: those of both hospitals, 0.5, 0.375 and -0.2, with the interval of Robins, Breslow and
#   Greenland, which the code names.
# What happens:
# * The relative risk is 0.583. The table has the exposed in its first column; the sums take its
#   first row for them, so it compares exposure of the dead with exposure of the survivors.
# * The risk difference is -15. It is a sum of deaths divided by the number of strata.
# * The odds ratio is right and its interval too narrow, 0.28 to 0.50 for 0.26 to 0.54: a part of the
#   variance, PS + QR, is missing. Where there is no effect, the error is 1/sqrt(2) of the right one.
# * With no event among 100, the Clopper-Pearson limit is 0.7 % and not 3.6 %: the power of 95 % is
#   taken where 5 % belongs.
# * The power to find that a risk is halved is 6e-11 for 500 persons a group: only harm is looked for.
#   `sample_size_risk_ratio` says that 199 a group have a power of 0.8.
# * The attributable fraction of the population takes the exposure of the cases where Levin's formula
#   has that of the population: 0.88, where without the exposure a fifth of the cases would remain.
# No warning. The package's page calls it validated against OpenEpi.
# Why it matters here: over hospitals, effects are pooled like this. Here they differ from each
#   hospital's own, though all hospitals agree.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export MPLCONFIGDIR="$folder"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet episia==0.1.3 statsmodels==0.15.0 numpy==2.4.6 \
    scipy==1.17.1 pandas==2.3.3 matplotlib==3.11.2 plotly==7.1.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from math import isclose, sqrt

import numpy as np
from episia.stats.contingency import Table2x2
from episia.stats.descriptive import proportion_ci
from episia.stats.samplesize import power_calculation, sample_size_risk_ratio
from episia.stats.stratified import mantel_haenszel_or
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

# dead with the drug, dead without, alive with, alive without
hospitals = [(40, 80, 160, 120), (20, 40, 80, 60)]


def pool(hospitals):
    """Return what both packages say of all hospitals."""
    rows = [[[dead, alive], [dead_without, alive_without]]
            for dead, dead_without, alive, alive_without in hospitals]
    return (
        mantel_haenszel_or([Table2x2(*hospital) for hospital in hospitals]),
        StratifiedTable([np.array(table) for table in rows]),
    )


for hospital in hospitals:
    table = Table2x2(*hospital)
    assert table.risk_ratio().estimate == 0.5
    assert isclose(table.risk_difference()["estimate"], -0.2)
said, right = pool(hospitals)
print(f"relative risk in each hospital 0.5, over both {said.common_rr:.3f}")
print(f"risk difference in each -0.2, over both {said.common_rd}")
assert isclose(right.riskratio_pooled, 0.5) and isclose(said.common_rr, 7 / 12)
assert said.common_rd == -15
interval = right.oddsratio_pooled_confint()
print(f"odds ratio {said.common_or}, {np.round(said.or_ci, 3)}; right: {np.round(interval, 3)}")
assert isclose(said.common_or, right.oddsratio_pooled)
assert np.allclose(interval, [0.2603, 0.5403], atol=1e-4)
assert np.allclose(said.or_ci, [0.283, 0.498], atol=1e-3)

said, right = pool([(60, 60, 140, 140), (30, 30, 70, 70)])
width, full = (np.diff(np.log(each))[0] for each in (said.or_ci, right.oddsratio_pooled_confint()))
assert said.common_or == 1 and isclose(width / full, 1 / sqrt(2), rel_tol=1e-6)

upper = proportion_ci(0, 100, method="clopper_pearson").ci_upper
exact = binomtest(0, 100).proportion_ci(method="exact").high
print(f"no event among 100: at most {upper:.4f}, by SciPy {exact:.4f}")
assert isclose(upper, 0.0074, abs_tol=1e-4) and isclose(exact, 0.0362, abs_tol=1e-4)
assert isclose(proportion_ci(1, 100, method="clopper_pearson").ci_upper, 0.0545, abs_tol=1e-4)

power = power_calculation(n_per_group=500, risk_unexposed=0.2, risk_ratio=0.5).power
effect = proportion_effectsize(0.2, 0.1)
other = NormalIndPower().power(effect, 500, 0.05)
enough = sample_size_risk_ratio(0.2, 0.5).n_per_group
print(f"power for a halved risk, 500 a group: {power:.1g}, by statsmodels {other:.3f}")
assert power < 1e-9 and other > 0.99 and enough == 199
assert power_calculation(n_per_group=500, risk_unexposed=0.1, risk_ratio=2.0).power > 0.99

table = Table2x2(90, 10, 910, 990)
fraction = table.attributable_fraction_population()
right = 1 - table.risk_unexposed / (table.total_cases / table.total)
print(f"attributable fraction: {fraction:.2f}; 1 - risk without exposure / risk: {right:.2f}")
assert isclose(fraction, 0.878, abs_tol=1e-3) and isclose(right, 0.8)
PYTHON
