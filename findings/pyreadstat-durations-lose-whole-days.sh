#!/usr/bin/env bash
# Packages: pyreadstat 1.3.7, and pandas 3.1.1 whose `read_spss` uses it. Seen 2026-11-29.
#
# Question: how long did a patient stay, or wait for surgery, where an SPSS file holds the hours as
#   TIME (30:15) or DTIME (1 06:15), or a SAS transport file as TIME or HHMM?
# Good guess: 30 hours and 15 minutes, as a duration or as seconds. In SPSS both formats are for
#   spans of time: DTIME counts the days, and TIME has hours above 24.
# What happens: the column becomes `datetime.time`, a time of day, and whole days are dropped.
#   30:15 is read as 06:15, exactly two days as 00:00, and an hour before admission (-1:00) as
#   23:00. Nothing warns, and no value is missing. A column whose spans are all below a day looks
#   right, so a test on a few rows finds nothing. Written again, the file itself holds the short
#   times. With `disable_datetime_conversion=True` the seconds are right. MTIME, the third such
#   format, comes as seconds anyhow. The documentation says that times become Python times, and
#   nothing of days that are lost.
# Why it matters here: the longest stays, which are the sickest patients, become the shortest ones.
#   Here a median wait of 30.25 hours becomes 7, and all five waits are within a day instead of two.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyreadstat==1.3.7 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import statistics
import warnings
from datetime import time

import pandas as pd
import pyreadstat

warnings.simplefilter("error")
HOUR = 3600
spans = [30.25, 48.0, 31.0, 9.0, 20.0]  # hours from admission to surgery
table = pd.DataFrame({"wait": [span * HOUR for span in spans]})
WRONG = [time(6, 15), time(0, 0), time(7, 0), time(9, 0), time(20, 0)]


def hours(times):
    return [one.hour + one.minute / 60 for one in times]


for form in ("TIME8", "DTIME11"):
    pyreadstat.write_sav(table, "waits.sav", variable_format={"wait": form})
    stored = pyreadstat.read_sav("waits.sav", disable_datetime_conversion=True)[0]
    assert stored.wait.tolist() == table.wait.tolist()  # the file has the true seconds
    read, facts = pyreadstat.read_sav("waits.sav")
    assert facts.original_variable_types == {"wait": form}
    print(f"SPSS {form}: hours {spans} are read as {[str(one) for one in read.wait]}")
    assert read.wait.tolist() == WRONG
    assert pd.read_spss("waits.sav").wait.tolist() == WRONG  # pandas hands it on
    true, found = statistics.median(spans), statistics.median(hours(read.wait))
    print(f"  median: {true} hours; as read: {found}")
    assert (true, found) == (30.25, 7.0)

    pyreadstat.write_sav(read, "again.sav")
    again = pyreadstat.read_sav("again.sav", disable_datetime_conversion=True)[0]
    print("  written again, the file holds hours", [second / HOUR for second in again.wait])
    assert [second / HOUR for second in again.wait] == [6.25, 0, 7, 9, 20]

for form in ("TIME8", "HHMM5"):
    pyreadstat.write_xport(table, "waits.xpt", variable_format={"wait": form})
    stored = pyreadstat.read_xport("waits.xpt", disable_datetime_conversion=True)[0]
    assert stored.wait.tolist() == table.wait.tolist()
    read = pyreadstat.read_xport("waits.xpt")[0]
    print(f"SAS {form}: read as {[str(one) for one in read.wait]}")
    assert read.wait.tolist() == WRONG

before = pd.DataFrame({"wait": [-1.0 * HOUR]})
pyreadstat.write_sav(before, "before.sav", variable_format={"wait": "TIME8"})
(one,) = pyreadstat.read_sav("before.sav")[0].wait
print("An hour before (-1:00) is read as", one)
assert one == time(23, 0)

pyreadstat.write_sav(table, "waits.sav", variable_format={"wait": "MTIME8"})
plain = pyreadstat.read_sav("waits.sav")[0]
print("SPSS MTIME8: read as seconds", plain.wait.tolist())
assert plain.wait.tolist() == table.wait.tolist()
PYTHON
