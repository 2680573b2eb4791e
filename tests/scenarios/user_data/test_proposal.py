"""What is proposed for tables takes those tables, and says what it guessed."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.site.data_check import check_data
from scenarios.user_data.proposal import NoProposal, Proposal, ProposedColumn, propose
from scenarios.user_data.proposed_file import proposed_file
from scenarios.user_data.scenario_file import ScenarioFile
from sites.schema.tables import ClassLabel, Feature, Number, Schema

NAMES = st.sampled_from(["Age", "ALTER (Jahre)", "7", "größe", "age", "a.b", "x\ty"])
MANY = 14


def cells(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(values, min_size=MANY, max_size=MANY)


COLUMNS = st.one_of(
    cells(st.integers(-3, 10**6)),
    cells(st.floats(-1e6, 1e6).map(lambda value: round(value, 3))),
    cells(st.sampled_from(["red", "green", None])),
    cells(st.sampled_from(["0", "1"])),
    cells(st.text("abc\"'\\ é", min_size=1, max_size=8).map(lambda text: f"t{text}")),
    cells(st.dates(date(1900, 1, 1), date(2060, 1, 1)).map(str)),
    cells(st.none()),
)


def proposal_of(sites: dict[str, pd.DataFrame], folder: Path, **named: str) -> ScenarioFile:
    """Return the file that is proposed, read again."""
    for name, frame in sites.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    proposal = propose({name: str(folder / f"{name}.csv") for name in sites}, **named)
    path = folder / "study.toml"
    path.write_text(proposed_file(proposal, "study", beside=folder))
    return ScenarioFile.read(path)


def features_of(declared: ScenarioFile) -> tuple[Feature, ...]:
    assert isinstance(declared.table, Schema)
    return declared.table.features


def frame(**columns: object) -> pd.DataFrame:
    known = {"patient": [f"p{row}" for row in range(MANY)], "end": ["no", "yes"] * (MANY // 2)}
    return pd.DataFrame({**known, **columns})


@settings(max_examples=20)
@given(columns=st.dictionaries(NAMES, COLUMNS, max_size=3), n_persons=st.sampled_from([0, 1]))
def test_the_tables_that_a_proposal_was_made_from_fit_it(
    columns: dict[str, list[object]], n_persons: int
) -> None:
    """Whatever is in them: their names, signs, dates and missing values are said in words."""
    given_columns = {"always": list(range(MANY)), **columns}
    table = frame(**given_columns)
    one = table if n_persons else table.drop(columns="patient")
    with TemporaryDirectory() as folder:
        declared = proposal_of({"north": one, "south": one}, Path(folder), label="end")
        for name, entry in declared.sites.items():
            source = entry.source(Path(folder))
            found = check_data(source, entry.words, declared.table)
            assert found.fits, (name, found.refusal, found.proposed, found.open)


def test_the_columns_of_a_table_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    table = frame(
        sex=["m", "f"] * 7,
        age=[20 + row for row in range(MANY)],
        flag=[0, 1] * 7,
        born=["1961-02-03", "1950-12-31"] * 7,
        note=[f"text {row}" for row in range(MANY)],
        ward=["A"] * MANY,
        weight=[None, 63.5, *range(50, 62)],
    )
    declared = proposal_of({"north": table}, tmp_path, label="end")
    told = {
        one.name: one.model_dump(exclude={"name", "unit", "scale"}) for one in features_of(declared)
    }
    assert told == {
        "sex": {"kind": "category", "values": ("f", "m"), "missing": False},
        "age": {"kind": "number", "low": 20, "high": 40, "missing": False},
        "flag": {"kind": "category", "values": ("0", "1"), "missing": False},
        "born": {"kind": "number", "low": -73_000, "high": 36_500, "missing": False},
        "weight": {"kind": "number", "low": 50, "high": 70, "missing": True},
    }
    assert declared.table.person == "patient"
    text = (tmp_path / "study.toml").read_text()
    assert "# note is left out: it has 14 different texts" in text
    assert "# ward is left out: it has one value" in text


def test_the_label_is_the_last_column_of_few_values_unless_it_is_named(tmp_path: Path) -> None:
    table = frame(grade=[1, 2, 3, 4, 5, 6, 7] * 2, size=list(range(MANY)))
    assert proposal_of({"north": table}, tmp_path).table.label.column == "grade"
    named = proposal_of({"north": table}, tmp_path, label="size").table.label
    assert (named.column, named.kind) == ("size", "number")
    with pytest.raises(NoProposal, match="did you mean 'grade'"):
        proposal_of({"north": table}, tmp_path, label="grades")
    with pytest.raises(NoProposal, match="say --label COLUMN"):
        proposal_of({"north": table[["patient", "size"]]}, tmp_path)


def test_bounds_are_rounded_outwards_to_one_digit(tmp_path: Path) -> None:
    """So that the agreed schema does not say how old the oldest patient of a ward is."""
    table = frame(age=[18, 97, *range(40, 52)], gain=[-341.0, *range(13)])
    found = features_of(proposal_of({"north": table}, tmp_path, label="end"))
    bounds = [(one.low, one.high) for one in found if isinstance(one, Number)]
    assert bounds == [(10, 100), (-400, 100)]


def test_two_columns_never_get_one_name() -> None:
    with TemporaryDirectory() as folder:
        table = frame(**{"Age": range(MANY), "age": range(MANY), "AGE ": range(MANY)})
        declared = proposal_of({"north": table}, Path(folder), label="end")
    assert [one.name for one in features_of(declared)] == ["age", "age_2", "age_3"]


def test_columns_of_two_tables_are_one_where_their_names_are_alike(tmp_path: Path) -> None:
    """Each site gets the words for its own table: its names, and how it writes dates."""
    born = [f"19{year}-0{month}-11" for year in (41, 63) for month in range(1, 8)]
    north = frame(**{"Größe (cm)": range(MANY), "CRP [mg/l]": range(MANY), "Born": born})
    other = [f"{day[8:]}.{day[5:7]}.{day[:4]}" for day in born]
    south = frame(groesse_cm=range(MANY), crp=range(MANY), born=other)
    declared = proposal_of({"north": north, "south": south}, tmp_path, label="end")
    assert [one.name for one in features_of(declared)] == ["grosse_cm", "crp_mg_l", "born"]
    assert declared.sites["north"].words == (
        "column:grosse_cm=Größe (cm)",
        "column:crp_mg_l=CRP [mg/l]",
        "column:born=Born",
        "date:born=YYYY-MM-DD",
    )
    assert declared.sites["south"].words == (
        "column:grosse_cm=groesse_cm",
        "column:crp_mg_l=crp",
        "date:born=DD.MM.YYYY",
    )


def test_a_column_that_a_table_lacks_is_named_with_the_site(tmp_path: Path) -> None:
    proposal_of({"north": frame(weight=range(MANY)), "south": frame()}, tmp_path, label="end")
    text = (tmp_path / "study.toml").read_text()
    assert "# no column of south has such a name: say which, or remove it\n[[schema" in text


def test_what_is_affirmed_is_the_second_class(tmp_path: Path) -> None:
    table = frame(died=["ja", "nein"] * 7)
    assert proposal_of({"north": table}, tmp_path, label="died").table.label == ClassLabel(
        column="died", classes=("nein", "ja")
    )


@pytest.mark.parametrize("name", ["Patienten-ID", "MRN", "Fall-Nr.", "Aufnahme Nr."])
def test_a_column_whose_name_says_so_is_whose_a_row_is(name: str, tmp_path: Path) -> None:
    table = frame(size=range(MANY)).rename(columns={"patient": name})
    declared = proposal_of({"north": table}, tmp_path)
    assert f"column:{declared.table.person}={name}" in declared.sites["north"].words


def test_data_are_named_from_the_folder_of_the_file(tmp_path: Path) -> None:
    """Files, FHIR resources with their map; a query stays as it was typed."""
    (tmp_path / "ehr").mkdir()
    (tmp_path / "ehr" / "map.toml").write_text("")
    places = {
        "a": str(tmp_path / "a.csv"),
        "f": f"fhir:{tmp_path / 'ehr'},map:{tmp_path / 'ehr' / 'map.toml'}",
        "q": "sqlite:///a.db::SELECT 1",
    }
    (tmp_path / "a.csv").write_text("")
    made = propose_nothing(places)
    text = proposed_file(made, "study", beside=tmp_path / "studies")
    assert [line for line in text.splitlines() if line.startswith("data = ")] == [
        'data = "../a.csv"',
        'data = "fhir:../ehr,map:../ehr/map.toml"',
        'data = "sqlite:///a.db::SELECT 1"',
    ]


def propose_nothing(places: dict[str, str]) -> Proposal:
    """Return a proposal of one column for tables that nobody reads."""
    label = ProposedColumn(
        ours="end",
        theirs=dict.fromkeys(places, "end"),
        values=("no", "yes"),
        bounds=None,
        dates={},
        missing=False,
        n_texts=2,
    )
    return Proposal(
        sites=places, words=dict.fromkeys(places, ()), columns=[label], person=None, label=label
    )
