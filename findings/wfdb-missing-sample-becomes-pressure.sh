#!/usr/bin/env bash
# Package: wfdb 4.3.1. Seen 2026-11-29.
#
# Question: what does a reader say of a pressure curve where the monitor lost single samples? The
#   record holds signals of several rates, as monitors write them: two samples of the pressure in
#   each frame, and a missing sample as the lowest number of its format (-32768 for format 16).
# Good guess: NaN for a frame with a missing sample, or the mean of those that are there.
# What happens: by default (`smooth_frames=True`) `rdrecord` and `rdsamp` average the stored numbers
#   of a frame, and look for missing ones only afterwards: -32768 is averaged like any other.
#   With a gain of 200 a mean pressure of 90 mmHg becomes -36.9 mmHg. With the gain that wfdb itself
#   chooses when it writes, the false value lies within the range of the record: 80 mmHg for 90.
#   Only a frame that is wholly missing is NaN. `smooth_frames=False` has every gap as NaN. No
#   warning. The documentation says that frames are smoothed, and nothing of gaps. The WFDB library
#   in C had the same fault, calls it one in its news of version 10.4.22 (2009), and mended it.
# Why it matters here: each gap that does not fill its frames leaves false, finite values at its
#   edges: hypotension that nobody had, and nothing for a filter of NaN to find.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wfdb==4.3.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" <<'PYTHON'
import numpy as np
import wfdb


def shown(name):
    frames, fields = wfdb.rdsamp(name)
    samples = wfdb.rdrecord(name, smooth_frames=False).e_p_signal[0]
    print(f"  every sample:     {np.round(samples, 1)}")
    print(f"  frames (default): {np.round(frames[:, 0], 1)} {fields['units'][0]}")
    assert np.array_equal(frames, wfdb.rdrecord(name).p_signal, equal_nan=True)
    return samples, frames[:, 0]


print("A header as of a monitor: format 16, gain 200 per mmHg, two samples a frame:")
np.array([18000, 18000, 18000, -32768, -32768, -32768, 18000, 18000], dtype="<i2").tofile("a.dat")
with open("a.hea", "w") as header:
    header.write("a 1 62.5 4\na.dat 16x2 200(0)/mmHg 16 0 18000 0 0 ABP\n")
samples, frames = shown("a")
assert np.array_equal(samples, [90, 90, 90, *[np.nan] * 3, 90, 90], equal_nan=True)
assert np.allclose(frames, [90, -36.92, np.nan, 90], equal_nan=True)

print("Written by wfdb, beside a signal of half the rate:")
pressure = np.array([70, 110, 90, 90, 90, np.nan, np.nan, np.nan, 90, 90])
breath = np.array([0, 0.5, 1, 0.5, 0])
wfdb.wrsamp(
    "b",
    fs=62.5,
    units=["mmHg", "V"],
    sig_name=["ABP", "RESP"],
    e_p_signal=[pressure, breath],
    samps_per_frame=[2, 1],
    fmt=["16", "16"],
)
samples, frames = shown("b")
assert np.allclose(samples, pressure, atol=0.01, equal_nan=True)
assert np.allclose(frames, [90, 90, 80, np.nan, 90], atol=0.01, equal_nan=True)
PYTHON
