#!/usr/bin/env bash
# Package: nvflare 2.9.0, with pandas 3.1.1. Seen 2026-11-30.
#
# Question: what are the mean and the standard deviation of an interest rate, over all banks?
# Good guess: those of all loans, rounded to four decimals, the default `precision` of NVFLARE's
#   federated statistics: rates of 5 % are written as 0.05, with a standard deviation of 0.0076.
# What happens: each bank's share of the variance is rounded to four decimals when it is added, and
#   the root is taken of what is left. The standard deviation of one bank is 0.01, that of the same
#   loans at two or more banks is 0. Rates in percent (5 for 0.05) give the right 0.76. The more
#   sites, the larger the values that vanish: with 20 hospitals, a spread below 0.03.
# Why it matters here: columns with small units (rates, creatinine in mmol/l, shares) look constant, and
#   who scales by such a deviation divides by zero. Ours are sums of whole numbers on the declared
#   range of a column, rounded once, when a page shows them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nvflare==2.9.0 pandas==3.1.1
"$folder/venv/bin/python" <<'PYTHON'
import inspect

import numpy as np
import pandas as pd
from nvflare.app_common.app_constant import StatisticsConstants as Phase
from nvflare.app_common.statistics.numeric_stats import get_global_stats
from nvflare.app_common.workflows.statistics_controller import StatisticsController
from nvflare.app_opt.statistics.df.df_core_statistics import DFStatisticsCore

assert inspect.signature(StatisticsController).parameters["precision"].default == 4


class Bank(DFStatisticsCore):
    def __init__(self, rates):
        super().__init__()
        self.data = {"loans": pd.DataFrame({"rate": rates})}


def pooled(parts):
    """Return mean and deviation as the server's controller finds them, in its two phases."""
    banks = {f"bank-{number}": Bank(part) for number, part in enumerate(parts)}

    def asked(statistic, *facts):
        return {
            name: {"loans": {"rate": getattr(bank, statistic)("loans", "rate", *facts)}}
            for name, bank in banks.items()
        }

    found = get_global_stats(
        {}, {name: asked(name) for name in ("count", "sum", "mean")}, Phase.STATS_1st_STATISTICS, {}
    )
    mean, count = (found[name]["loans"]["rate"] for name in ("mean", "count"))
    shares = {Phase.STATS_VAR: asked("variance_with_mean", mean, count), Phase.STATS_STDDEV: {}}
    found = get_global_stats(found, shares, Phase.STATS_2nd_STATISTICS, {})
    return float(mean), float(found["stddev"]["loans"]["rate"])


rates = np.random.default_rng(7).normal(0.05, 0.008, 800).round(4)
print(f"all loans      mean {rates.mean():.4f}  deviation {rates.std(ddof=1):.4f}")
for banks in (1, 2, 8):
    mean, deviation = pooled(np.split(rates, banks))
    print(f"{banks} bank(s)      mean {mean:.4f}  deviation {deviation:.4f}")
    assert mean == 0.0492
    assert deviation == (0.01 if banks == 1 else 0.0)
mean, deviation = pooled(np.split(100 * rates, 8))
print(f"8, in percent  mean {mean:.4f}  deviation {deviation:.4f}")
assert abs(deviation - 100 * rates.std(ddof=1)) < 1e-3

values = np.tile([0.0, 0.06], 400)  # a deviation of 0.03
mean, deviation = pooled(np.split(values, 20))
print(f"20 sites       mean {mean:.4f}  deviation {deviation:.4f} where it is {values.std():.4f}")
assert (mean, deviation) == (0.03, 0.0)
PYTHON
echo "As described: an interest rate that is written as 0.05 has no spread over two banks."
