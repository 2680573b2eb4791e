#!/usr/bin/env bash
# Packages: pandas 3.1.1 (read), pyreadstat 1.3.7 (write, and read to compare). Seen 2026-11-29.
#
# Question: how many rows has a SAS transport file (XPORT, version 5)?
# Good guess: the rows that were written. The format pads the last 80 bytes with blanks, so at
#   most rows that are wholly blank, at the very end, could be in doubt.
# What happens, where a row has at most 80 bytes: `pandas.read_sas` counts every blank group of 8
#   bytes in the last 80 as padding, wherever it stands. One empty text cell among the last rows,
#   with full rows after it, makes the last row disappear: here subject 5 of 5, who has a number
#   and a term. And where a row is shorter than 8 bytes, rows appear that nobody wrote. No warning,
#   no error.
# Why it matters here: trial and registry data reach hospitals as XPORT. A site that loses the last
#   patient, or gains empty ones, still sends a plausible tally.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 pyreadstat==1.3.7 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/table.xpt" <<'PYTHON'
import sys
import warnings

import pandas as pd
import pyreadstat

warnings.simplefilter("error")
file = sys.argv[1]


def read_back(table):
    pyreadstat.write_xport(table, file, table_name="AE", file_format_version=5)
    return pd.read_sas(file, format="xport", encoding="ascii"), pyreadstat.read_xport(file)[0]


terms = ["HEADACHE", "", "DIZZY", "NAUSEA", "FATIGUE"]
by_pandas, by_pyreadstat = read_back(pd.DataFrame({"SUBJECT": [1.0, 2, 3, 4, 5], "TERM": terms}))
print("Written: subjects 1 to 5; only the term of subject 2 is empty.")
print("pyreadstat reads subjects", by_pyreadstat.SUBJECT.astype(int).tolist())
print("pandas reads subjects    ", by_pandas.SUBJECT.astype(int).tolist())
assert by_pyreadstat.SUBJECT.tolist() == [1, 2, 3, 4, 5]
assert by_pandas.SUBJECT.tolist() == [1, 2, 3, 4]

terms[1] = "VERTIGO"
by_pandas, _ = read_back(pd.DataFrame({"SUBJECT": [1.0, 2, 3, 4, 5], "TERM": terms}))
print("With that cell filled, pandas reads", len(by_pandas), "rows.")
assert len(by_pandas) == 5

terms = ["HEADACHE"] * 35 + [""] * 4 + ["FATIGUE"]
table = pd.DataFrame({"SUBJECT": [float(i) for i in range(1, 41)], "TERM": terms})
by_pandas, by_pyreadstat = read_back(table)
print("40 rows, empty terms in rows 36 to 39: pandas reads", len(by_pandas))
assert (len(by_pandas), len(by_pyreadstat)) == (38, 40)

by_pandas, by_pyreadstat = read_back(pd.DataFrame({"SEX": ["F2"]}))
print("One row of one code of two letters: pandas reads", len(by_pandas), "rows")
assert (len(by_pandas), len(by_pyreadstat)) == (4, 1)
PYTHON
