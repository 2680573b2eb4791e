"""The typed pass says what the exact pass says, or nothing."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from sites.data.source import TableFile
from sites.data.tables import read_table
from sites.data.typed_tables import read_typed_table
from sites.data.validation import validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.tasks.tabular.loading import read_valid_table

SCHEMA = Schema(
    name="ward",
    person="patient",
    features=(
        Number(name="age", low=0, high=120, missing=True),
        Category(name="pool", values=("NA", "\u00e9", "1"), missing=True),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
HEADER = "patient,age,pool,ill,note"
CLEAN = f"{HEADER}\np1,63,NA,no,a\np2,,\u00e9,yes,\np3,0.1,1.0,no,c\n"

PATIENTS = ("p", " p", "7", "7.0", "07", "NA", "e\u0301", "", "p.1", "-", "#REF!", "1E+11")
AGES = (
    "1",
    "0.1",
    "",
    "NA",
    "Na",
    "nan",
    "-nan",
    "+5",
    " 6 ",
    "inf",
    "1e1",
    "121",
    "x",
    "1_0",
    "7\u00a0",
)
POOLS = ("NA", "na", "1", "1.0", "True", "\u00e9", "e\u0301", "", "?", "x")
SPOILT = ('"', "\r", "\n", "\ufeff", "\0", ",", " ")


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return the text of a file that is clean, or nearly so."""
    quote = draw(st.sampled_from(["", "", '"']))
    columns = (PATIENTS, AGES, POOLS, ("no", "yes", "No"), ("", "a b", "\u2028", "\x1f"))
    n_usual = draw(st.sampled_from([2, 14]))
    row = st.tuples(*(st.sampled_from(column[:n_usual]) for column in columns))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    rows = draw(st.lists(row, min_size=1, max_size=4))
    lines = [HEADER, *(",".join(f"{quote}{cell}{quote}" for cell in cells) for cells in rows)]
    text = end.join(lines) + draw(st.sampled_from(["", end]))
    place = draw(st.integers(0, len(text)))
    spoilt = draw(st.sampled_from(["", "", *SPOILT]))
    return text[:place] + spoilt + text[place:]


def outcome(read: Callable[[], pd.DataFrame]) -> pd.DataFrame | str:
    """Return the table that is read, or with what it is refused."""
    try:
        return read()
    except ConsortiumError as refusal:
        return f"{refusal.code}: {refusal}"


@given(texts())
@example('patient,age,pool,ill,note\np,1,NA,no,"')
@example('patient,age,pool,ill,note\np,1,NA,no,a"b\np,1,NA,no,"c')
@example('patient,age,pool,ill,note\np,1,NA,no,"5" tall\n')
@example('patient,age,pool,ill,note\np,1,NA,no,"a\nq,2,1,no,b\nr,2,1,no,"c"\n')
@example("patient,age,pool,ill,note\np,1,NA,no,\n\np,1,NA,no,\n")
@example("patient,age,pool,ill,ill\np,1,NA,no,yes\n")
@example("patient,age,pool,ill,note\np,-nan,NA,no,\n")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_is_the_same_in_the_typed_and_in_the_exact_pass(tmp_path: Path, text: str) -> None:
    """Values, rows and lines; and whatever the exact pass refuses, the two together refuse."""
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    source = TableFile(path=path)
    exact = outcome(lambda: validate_table(read_table(source), SCHEMA))
    found = outcome(lambda: read_valid_table(source, SCHEMA))
    if isinstance(exact, str) or isinstance(found, str):
        assert found == exact
        return
    pd.testing.assert_frame_equal(found, exact, check_index_type=False, check_dtype=False)


@pytest.mark.parametrize("form", ["plain", "windows", "quoted", "tabs", "compressed", "marked"])
def test_a_clean_file_needs_the_typed_pass_only(tmp_path: Path, form: str) -> None:
    path = tmp_path / {"tabs": "a.tsv", "compressed": "a.csv.gz"}.get(form, "a.csv")
    text = {
        "windows": CLEAN.replace("\n", "\r\n"),
        "quoted": CLEAN.replace("NA", '"NA"').replace("a\n", '"a ""b"", c"\n'),
        "tabs": CLEAN.replace(",", "\t"),
        "marked": f"\ufeff{CLEAN}",
    }.get(form, CLEAN)
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if form == "compressed" else content)
    frame = read_typed_table(TableFile(path=path), SCHEMA)
    assert frame is not None
    assert frame["age"].fillna(-1).tolist() == [63, -1, 0.1]
    assert frame["pool"].tolist() == ["NA", "\u00e9", "1.0"]
    assert list(frame.index) == [2, 3, 4]
    assert list(frame.columns) == ["age", "pool", "ill", "patient"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HEADER.encode(),
        CLEAN.encode()[:-6],
        CLEAN.replace("a\n", "a\n\n").encode(),
        CLEAN.replace("a\n", '"a\n"\n').encode(),
        CLEAN.encode("latin-1"),
        CLEAN.replace("note", "ill").encode(),
        CLEAN.replace("age", "Age").encode(),
        CLEAN.replace("63", "-nan").encode(),
        f'{CLEAN}p4,1,1,no,"'.encode(),
    ],
)
def test_what_is_not_clean_is_left_to_the_exact_pass(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert read_typed_table(TableFile(path=tmp_path / "a.csv"), SCHEMA) is None


def test_other_formats_and_files_that_are_not_there_have_no_typed_pass(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        assert read_typed_table(TableFile(path=tmp_path / name), SCHEMA) is None
