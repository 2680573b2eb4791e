#!/usr/bin/env bash
# Package: scikit-survival 0.28.0. Seen 2026-11-29.
#
# Question: how good is a survival model by the Brier score, where times are whole years (or months,
#   or weeks), as in registries and loan books? Some people are censored in the year in which others
#   die.
# Good guess: the score that one would see without censoring: inverse weights are there to give it,
#   and here censoring is pure chance. A constant S, the Kaplan-Meier share, scores S (1 - S); that
#   holds exactly, with any censoring.
# What happens: the dead of a year are weighted by the share still uncensored *after* that year, the
#   survivors as they should be. Who dies in year t was seen because he was not censored before t,
#   and the package's own Kaplan-Meier curve takes events to come first. So deaths weigh too much:
#   the weights add up to 1.12 of the people. The true model scores 0.239, where 0.212 is right.
#   The constant scores 0.282, worse than a coin, which has 0.25. And the score gets better if
#   everybody is told a survival that is 8 % too low.
#   With half a year taken off each event, so that nothing is tied, all of this is right. The
#   documentation writes the weight as 1/G(y) and says nothing of ties; R's riskRegression and pec
#   take the value just before y. For the concordance index, which has the same weights, the
#   difference from R was reported in 2024.
# Why it matters here: models are chosen by this score, and it prefers those that are too gloomy, by
#   more the more are censored. Sites with different losses to follow-up choose different ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-survival==0.28.0 scikit-learn==1.9.1 pandas==2.3.3 \
    numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import numpy as np
from sksurv.metrics import brier_score
from sksurv.nonparametric import CensoringDistributionEstimator, kaplan_meier_estimator
from sksurv.util import Surv

YEAR = 3
random = np.random.default_rng(0)
hazard = random.choice([0.1, 0.3], size=20_000)
death = random.geometric(hazard)
leaving = random.geometric(0.2, size=20_000)  # one in five leaves after each year
seen = death <= leaving
time = np.minimum(death, leaving).astype(float)
model = (1 - hazard) ** YEAR
truth = np.mean(((death > YEAR) - model) ** 2)
print(f"{1 - seen.mean():.0%} censored; without censoring the model scores {truth:.3f}")

times, shares = kaplan_meier_estimator(seen, time)
share = shares[np.searchsorted(times, YEAR, side="right") - 1]
factors = np.arange(0.80, 1.11, 0.01)
found = {}
for name, moved in (("tied", time), ("untied", time - 0.5 * seen)):
    people = Surv.from_arrays(seen, moved)

    def score(survival):
        column = np.broadcast_to(survival, len(time))[:, None]
        return float(brier_score(people, people, column, [YEAR])[1][0])

    censoring = CensoringDistributionEstimator().fit(people)
    dead = censoring.predict_ipcw(people)[moved <= YEAR].sum()
    alive = (moved > YEAR).sum() / censoring.predict_proba([YEAR])[0]
    best = factors[np.argmin([score(factor * model) for factor in factors])]
    found[name] = score(model), score(share), (dead + alive) / len(time), best
    print(
        f"{name}: the model {found[name][0]:.3f}, the constant {found[name][1]:.3f} "
        f"(S(1 - S) = {share * (1 - share):.3f}), weights {found[name][2]:.3f} of the people, "
        f"best score for {best:.2f} of the true survival"
    )

model_score, constant_score, weights, best = found["untied"]
assert abs(model_score - truth) < 0.003
assert abs(constant_score - share * (1 - share)) < 1e-9
assert abs(weights - 1) < 1e-9
assert 0.98 < best < 1.02
model_score, constant_score, weights, best = found["tied"]
assert model_score > truth + 0.02
assert constant_score > 0.25 > share * (1 - share)
assert weights > 1.1
assert best < 0.93
PYTHON
