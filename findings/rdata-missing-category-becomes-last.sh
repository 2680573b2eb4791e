#!/usr/bin/env bash
# Packages: rdata 1.1.0 (write, read), pyreadr 0.5.8 (read, and write to compare). Seen 2026-11-29.
#
# Question: a data frame has a column of categories with gaps. What stands in the gaps after it was
#   written to a file for R and read back?
# Good guess: a missing value, as for texts, counts and truth values in the same file.
# What happens: rdata writes the code 0 where R wants its missing integer, and its reader takes
#   level 0 - 1, which is Python's last element. So each missing category comes back as the last
#   level, without a warning. pandas sorts categories, so of "discharged" and "died", the last is
#   "discharged"; of "default" and "performing", "performing". pyreadr finds gaps in the same file,
#   so two readers count differently. R itself calls a factor with the code 0 malformed. The order
#   of ordered categories is lost, too.
# rdata reads missing levels in a file by pyreadr correctly: it is its own files that change. Its
#   documentation shows categories among what can be written and names no limit for gaps.
# Why it matters here: R's files carry tables between a site's Python and R programs, as for
#   DataSHIELD. Here 20 of 40 known outcomes are deaths; read back, it is 20 of 100.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rdata==1.1.0 pyreadr==0.5.8 pandas==3.1.1 numpy==2.4.6 \
  xarray==2026.9.0
"$folder/venv/bin/python" - "$folder/table.rds" <<'PYTHON'
import sys
import warnings

import pandas as pd
import pyreadr
import rdata

warnings.simplefilter("error")
file = sys.argv[1]


def counts(column):
    return {str(k): int(v) for k, v in column.value_counts(dropna=False).sort_index().items()}


def read_both():
    return rdata.read_rds(file), pyreadr.read_r(file)[None]


outcome = pd.Series(["died"] * 20 + ["discharged"] * 20 + [None] * 60, dtype="category")
table = pd.DataFrame({"outcome": outcome, "ward": ["A", None] * 50, "beds": [1.0, None] * 50})
table["stay"] = pd.array([3, None] * 50, dtype="Int64")
rdata.write_rds(file, table)
by_rdata, by_pyreadr = read_both()
print("Written:      ", counts(table.outcome))
print("rdata reads:  ", counts(by_rdata.outcome))
print("pyreadr reads:", counts(by_pyreadr.outcome))
assert counts(table.outcome) == {"died": 20, "discharged": 20, "nan": 60}
assert counts(by_rdata.outcome) == {"died": 20, "discharged": 80}
assert counts(by_pyreadr.outcome) == counts(table.outcome)

codes = rdata.parser.parse_file(file).object.value[0].value
print("Codes in the file:", sorted(set(codes.tolist())), "(R's missing integer is -2147483648)")
assert sorted(set(codes.tolist())) == [0, 1, 2]

gaps = {column: int(by_rdata[column].isna().sum()) for column in table.columns}
print("Gaps by rdata, of 60 outcomes and 50 of each other column:", gaps)
assert gaps == {"outcome": 0, "ward": 50, "beds": 50, "stay": 50}

pyreadr.write_rds(file, table[["outcome"]])
by_rdata, by_pyreadr = read_both()
print("Written by pyreadr, rdata reads:", counts(by_rdata.outcome))
assert counts(by_rdata.outcome) == counts(by_pyreadr.outcome) == counts(table.outcome)

grade = pd.Categorical(["II", "I", None], ["I", "II", "III"], ordered=True)
rdata.write_rds(file, pd.DataFrame({"grade": grade}))
by_rdata, by_pyreadr = read_both()
print("Grades II, I and unknown:", list(by_rdata.grade), "ordered:", by_rdata.grade.cat.ordered)
assert list(by_rdata.grade) == ["II", "I", "III"] and not by_rdata.grade.cat.ordered
assert by_pyreadr.grade.isna().tolist() == [False, False, True]
PYTHON
