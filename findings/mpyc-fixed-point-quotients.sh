#!/usr/bin/env bash
# Package: mpyc 0.11. Seen 2026-11-29.
#
# Question: how exact are quotients of secret numbers, and the statistics made of them, with the
#   default fixed-point type? `SecFxp()` has 32 bits, 16 of them after the point; the docstring asks
#   for about that proportion where numbers are divided.
# Good guess: to a few times 2 ** -16, as sums are, as long as all values fit the type.
# What happens: `a / b` is `a` times `1 / b`, and `1 / b` is rounded to 16 bits after the point
#   first. For b = 13,000 that leaves 5 or 6 units of the last place. `a` multiplies the error.
#   - The correlation of 40 pairs of blood pressures is 0.89 or 1.02, from run to run, where 0.945
#     is right. The slope is 7 % too low or 16 % too high.
#   - The variance of 10,000 patients is 7 % too large, that of 100,000 is 53 % too large. `mean`
#     takes care of this and is right, up to 131,071 patients. From 131,072 on it is 0.
#   - With 64 bits, 2 billion of loans over 1.2 billion of equity are 1.40 or 1.86, not 1.67.
#   - `x ** -1` is not `1 / x`: it is the inverse in the field, where the point does not count.
#     0.5 ** -1 is 0.00003.
#   No warning. The docstrings say that means are rounded to the nearest number, that the
#   statistics are meant for "small scale use", and that powers take a public integer.
# Why it matters here: sites that share secrets see nothing but the result.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mpyc==0.11
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import statistics

logging.disable(logging.CRITICAL)
from mpyc import statistics as secret
from mpyc.runtime import mpc

mpc.run(mpc.start())  # one party is enough
Number = mpc.SecFxp()
assert (Number.bit_length, Number.frac_length) == (32, 16)


def reveal(value):
    return mpc.run(mpc.output(value))


systolic = [100 + (37 * i * i + 11 * i) % 71 for i in range(40)]
diastolic = [50 + (systolic[i] - 100) / 2 + 7 * i % 13 for i in range(40)]
x, y = [Number(v) for v in systolic], [Number(v) for v in diastolic]
for values in (systolic, diastolic):  # all that is summed fits into 15 bits before the point
    assert sum(values) < 2**15 and statistics.pvariance(values) * 40 < 2**15

right = statistics.correlation(systolic, diastolic)
seen = [reveal(secret.correlation(x, y)) for _ in range(10)]
print(f"Correlation of 40 pressures {right:.3f}, mpyc {sorted({round(v, 3) for v in seen})}")
assert all(abs(v - right) > 0.05 for v in seen)

right = statistics.linear_regression(systolic, diastolic).slope
seen = [reveal(secret.linear_regression(x, y).slope) for _ in range(10)]
print(f"Slope {right:.3f}, mpyc {sorted({round(v, 3) for v in seen})}")
assert all(abs(v / right - 1) > 0.06 for v in seen)

print("One patient of ten is ill: the mean is 0.1, the variance 0.09")
found = {}
for patients in (1000, 10_000, 100_000, 131_071, 131_072):
    ill = [Number(int(i % 10 == 0)) for i in range(patients)]
    found[patients] = [
        reveal(v) for v in (secret.mean(ill), secret.variance(ill), mpc.sum(ill) / patients)
    ]
    print("{}: mean {:.4f}, variance {:.4f}, sum / n {:.4f}".format(patients, *found[patients]))
assert all(abs(found[n][0] - 0.1) < 1e-4 for n in (1000, 10_000, 100_000, 131_071))
assert abs(found[10_000][1] / 0.09 - 1.068) < 0.002
assert abs(found[100_000][1] / 0.09 - 1.526) < 0.002
assert abs(found[131_072][0]) < 1e-4 and abs(found[131_072][2]) < 1e-4

large = mpc.SecFxp(64)
assert large.frac_length == 32
ratios = [reveal(large(2e9) / large(1.2e9)) for _ in range(10)]
print(f"64 bits, 2 billion / 1.2 billion: {sorted({round(v, 3) for v in ratios})}")
assert all(abs(v - 5 / 3) > 0.1 for v in ratios)

powers = {v: reveal(Number(v) ** -1) for v in (0.5, 1.0, 2.0)}
print("x ** -1:", powers, " 1 / x:", {v: reveal(1 / Number(v)) for v in powers})
assert powers[0.5] == 2**-15 and powers[1.0] == 2**-16 and powers[2.0] < -1e18
assert all(abs(reveal(1 / Number(v)) - 1 / v) < 1e-3 for v in powers)
PYTHON
