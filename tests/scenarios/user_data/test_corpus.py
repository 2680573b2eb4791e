"""Laws of a corpus for all sites: no record lost or doubled, persons kept together."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.cli.options import BadOption
from consortium.run.directory import RunDirectory
from consortium.site.directory import read_site_config
from scenarios.data.datasets import load_dataset
from scenarios.data.synthetic_sentences import DISEASE
from scenarios.engines.staging import stage
from scenarios.library import clinical_entities, clinical_notes
from scenarios.library.registry import scenario_named
from scenarios.user_data.corpus import Corpus, UndividedCorpus, read_corpus, scenario_with_corpus
from scenarios.user_data.sources import scenario_with_user_data
from sites.data.annotations import read_annotated_sentences
from sites.data.reading import AS_DECLARED, BadReading
from sites.data.source import AnnotatedFiles, FhirFiles, IobFiles, TableFile, TextFolder
from sites.data.tables import BadTexts, read_table
from sites.data.validation import MissingColumns, validate_table
from sites.schema.tables import ClassLabel, Number
from sites.schema.texts import EntitySchema, MultiLabel, NotesSchema
from sites.tasks.tabular.loading import read_agreed_table
from tests.fhir_exports import heart_map, write_heart_export

HEART = scenario_named("heart-diagnosis")
NOTES = clinical_notes.SCENARIO
ENTITIES = clinical_entities.SCENARIO


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 9))
def test_persons_are_kept_together_and_divided_evenly(persons: list[int], seed: int) -> None:
    frame = pd.DataFrame({"patient": [str(person) for person in persons]})
    n_persons = len(set(persons))
    corpus = Corpus(frame, None)
    if n_persons < len(HEART.sites):
        with pytest.raises(UndividedCorpus, match="would have no records"):
            scenario_with_corpus(HEART, corpus, seed=seed)
        return
    dealt, _ = scenario_with_corpus(HEART, corpus, seed=seed)
    assert dealt.records is not None
    assert dealt.site_of_row is not None
    owner = dealt.site_of_row(dealt.records())
    assert (owner.groupby(frame["patient"]).nunique() == 1).all()
    sizes = frame.assign(site=owner).groupby("site")["patient"].nunique()
    assert sizes.sum() == n_persons
    assert sizes.max() - sizes.min() <= 1


def test_annotated_documents_may_be_one_corpus_or_those_of_a_site(tmp_path: Path) -> None:
    """What could not be kept of them is told."""
    for name in ENTITIES.sites:
        (tmp_path / f"{name}.txt").write_text("An old cold.")
        (tmp_path / f"{name}.ann").write_text("T1\tX 3 11\told cold\nT2\tX 7 11\tcold\n")
    whole = scenario_with_user_data(ENTITIES, [str(tmp_path)], seed=1)
    assert whole.scenario.records is not None
    assert set(whole.scenario.records()["tags"]) == {("O", "B-X", "I-X", "O")}
    site = ENTITIES.sites[0]
    own = scenario_with_user_data(ENTITIES, [f"{site}={tmp_path}"], seed=1)
    assert own.sources == {site: AnnotatedFiles(path=tmp_path)}
    said = f"{len(ENTITIES.sites)} entities not used, which overlap a longer or an earlier one"
    assert said in whole.notes
    assert f"{site}: {said}" in own.notes


def test_fhir_files_may_be_one_corpus_or_those_of_a_site(tmp_path: Path) -> None:
    frame = load_dataset("heart-disease").head(20)
    write_heart_export(frame, tmp_path / "ehr")
    (tmp_path / "heart.toml").write_text(heart_map())
    typed = f"fhir:{tmp_path}/ehr,map:{tmp_path}/heart.toml"
    whole = scenario_with_user_data(HEART, [typed], seed=1).scenario
    assert whole.records is not None
    assert sorted(whole.records()["patient"]) == sorted("p" + frame["patient"].astype(str))
    own = scenario_with_user_data(HEART, [f"hungary={typed}"], seed=1)
    source = FhirFiles(path=tmp_path / "ehr", map=tmp_path / "heart.toml")
    assert own.sources == {"hungary": source}


def heart(folder: Path, **columns: "str | pd.Series[str]") -> Path:
    frame = load_dataset("heart-disease").drop(columns=["hospital", "severity"]).assign(**columns)
    frame.to_csv(folder / "all.csv", index=False)
    return folder / "all.csv"


def test_a_file_for_all_becomes_the_sites_own_files(tmp_path: Path) -> None:
    """Every record of the file is at exactly one site, unchanged."""
    path = heart(tmp_path)
    given_data = scenario_with_user_data(HEART, [str(path)], seed=7)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    stage(run, given_data.scenario, given_data.sources)
    parts = [read_table(read_site_config(run.site(name)).source) for name in HEART.sites]
    together = pd.concat(parts).sort_values("patient", key=lambda c: c.astype(int))
    whole = read_table(TableFile(path=path)).sort_values("patient", key=lambda c: c.astype(int))
    assert together.to_dict("list") == whole.to_dict("list")


def test_a_column_of_sites_decides_the_sites(tmp_path: Path) -> None:
    hospitals = load_dataset("heart-disease")["hospital"]
    made = scenario_with_user_data(HEART, [str(heart(tmp_path, site=hospitals))], seed=7).scenario
    assert made.records is not None
    assert made.site_of_row is not None
    assert made.site_of_row(made.records()).tolist() == hospitals.tolist()


def test_an_unknown_site_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(UndividedCorpus, match=r"names \['london'\]"):
        scenario_with_user_data(HEART, [str(heart(tmp_path, site="london"))], seed=7)


def test_a_person_in_two_forms_is_at_one_site() -> None:
    frame = pd.DataFrame({"patient": [form for n in range(20) for form in (str(n), f"{n}.0")]})
    made, _ = scenario_with_corpus(HEART, Corpus(frame, None), seed=7)
    assert made.site_of_row is not None
    owner = made.site_of_row(frame)
    assert owner[::2].tolist() == owner[1::2].tolist()


@pytest.mark.parametrize("cell", [None, "NA", "007"])
def test_a_corpus_in_which_it_is_unclear_whose_a_record_is_is_refused(cell: str | None) -> None:
    frame = pd.DataFrame({"patient": ["5", "6", "7", "8", cell]})
    with pytest.raises(UndividedCorpus, match="patient: expected"):
        scenario_with_corpus(HEART, Corpus(frame, None), seed=7)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = heart(tmp_path)
    frame = pd.read_csv(path, dtype=str).rename(columns={"patient": "mrn"})
    frame.to_csv(path, index=False)
    made = scenario_with_user_data(HEART, [str(path), "column:patient=mrn"], seed=7).scenario
    assert made.records is not None
    assert "patient" in made.records().columns
    with pytest.raises(MissingColumns, match="lack the columns of column:patient=nhs"):
        scenario_with_user_data(HEART, [str(path), "column:patient=nhs"], seed=7)


def test_tables_in_a_directory_keep_their_sides(tmp_path: Path) -> None:
    for side in ("train", "validation", "test"):
        (tmp_path / f"{side}.csv").write_text(f"patient,x\n{side}-1,1\n{side}-2,2\n")
    corpus = read_corpus(TextFolder(path=tmp_path), NOTES.table)
    assert corpus.split == "split"
    assert corpus.records["split"].tolist() == ["test"] * 2 + ["train"] * 2
    assert corpus.notes == ("2 records of dev are not used",)


def test_sentences_in_a_directory_keep_their_sides(tmp_path: Path) -> None:
    for side in ("train", "devel", "test"):
        (tmp_path / f"{side}.iob").write_text("a\tO\n")
    corpus = read_corpus(TextFolder(path=tmp_path), ENTITIES.table)
    assert corpus.records["split"].tolist() == ["test", "train"]
    assert corpus.split == "split"
    assert read_corpus(IobFiles(path=tmp_path), ENTITIES.table).split is None
    (tmp_path / "test.iob").unlink()
    assert read_corpus(TextFolder(path=tmp_path), ENTITIES.table).split is None


def notes(folder: Path, *records: Mapping[str, object]) -> str:
    path = folder / "notes.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_undeclared_classes_of_a_corpus_replace_the_declared_ones(tmp_path: Path) -> None:
    """Without a person column every record counts as a person of its own."""
    records = [{"text": f"note {n}", "chapter": "ab"[n % 2]} for n in range(10)]
    found = scenario_with_user_data(NOTES, [notes(tmp_path, *records)], seed=7)
    assert isinstance(found.scenario.table, NotesSchema)
    assert isinstance(found.scenario.table.label, ClassLabel)
    assert found.scenario.table.label.classes == ("a", "b")
    assert found.notes == (
        "classes taken from your records: a, b",
        "no column 'category': every record counts as a person of its own",
    )
    assert found.scenario.records is not None
    assert found.scenario.records()["category"].nunique() == 10


def test_declared_classes_stay_if_they_cover_the_corpus(tmp_path: Path) -> None:
    records = [{"text": "x", "chapter": "eye", "category": n} for n in range(5)]
    found = scenario_with_user_data(NOTES, [notes(tmp_path, *records)], seed=7)
    assert found.scenario.table == NOTES.table
    assert found.notes == ()


def test_several_labels_a_text_are_found_too(tmp_path: Path) -> None:
    label = MultiLabel(column="codes", labels=("x",))
    several = replace(NOTES, table=NotesSchema(name="n", person="p", label=label))
    cells = ["a|b", ["c"], None, "", "b"]
    records = [{"text": "x", "codes": cell, "p": n} for n, cell in enumerate(cells)]
    table = scenario_with_user_data(several, [notes(tmp_path, *records)], seed=7).scenario.table
    assert isinstance(table.label, MultiLabel)
    assert table.label.labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("record", "error", "said"),
    [
        ({"text": " ", "chapter": "eye"}, BadTexts, "no text in 5 rows: 1, 2"),
        ({"text": "x", "diagnosis": "eye"}, MissingColumns, r"lack \['chapter'\]"),
        ({"text": "x", "chapter": "mine"}, UndividedCorpus, "two classes"),
    ],
)
def test_a_corpus_that_cannot_be_learnt_from_is_refused(
    tmp_path: Path, record: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        scenario_with_user_data(NOTES, [notes(tmp_path, *[record] * 5)], seed=7)


def test_entity_types_are_those_of_the_corpus(tmp_path: Path) -> None:
    """The corpus has the form of the NCBI disease corpus: files by side, no documents."""
    for side in ("train", "devel", "test"):
        (tmp_path / f"{side}.tsv").write_text("gene\tB-Gene\nx\tO\n\n" * 100)
    found = scenario_with_user_data(ENTITIES, [str(tmp_path)], seed=7)
    assert isinstance(found.scenario.table, EntitySchema)
    assert found.scenario.table.types == ("Gene",)
    assert found.scenario.split == "split"
    assert found.notes[-1] == "classes taken from your records: Gene"
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    stage(run, found.scenario)
    parts = [
        read_annotated_sentences(read_site_config(run.site(name)).source, found.scenario.table)
        for name in ENTITIES.sites
    ]
    assert sum(len(part.tokens) for part in parts) == 200
    assert {side for part in parts if part.sides is not None for side in part.sides} == {
        "train",
        "test",
    }


def test_an_entity_type_that_never_occurs_is_dropped(tmp_path: Path) -> None:
    """In a corpus of diseases only, figures on drugs would be undefined, and hide the others."""
    text = f"gout\tB-{DISEASE}\nx\tO\n\n" * 100
    for side in ("train", "test"):
        (tmp_path / f"{side}.tsv").write_text(text)
    found = scenario_with_user_data(ENTITIES, [str(tmp_path)], seed=7)
    assert isinstance(found.scenario.table, EntitySchema)
    assert found.scenario.table.types == (DISEASE,)
    assert f"classes taken from your records: {DISEASE}" in found.notes


def test_sentences_without_entities_keep_the_declared_types(tmp_path: Path) -> None:
    for side in ("train", "test"):
        (tmp_path / f"{side}.tsv").write_text("well\tO\n\n" * 100)
    assert (
        scenario_with_user_data(ENTITIES, [str(tmp_path)], seed=7).scenario.table == ENTITIES.table
    )


def test_sites_may_have_sentences_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.iob").write_text("x\tO\n")
    sources = scenario_with_user_data(
        ENTITIES, [f"lake-hospital={tmp_path / 'mine.iob'}"], seed=7
    ).sources
    assert sources == {"lake-hospital": IobFiles(path=tmp_path / "mine.iob")}


def test_data_of_single_sites_leave_the_scenario_unchanged(tmp_path: Path) -> None:
    path = heart(tmp_path)
    found = scenario_with_user_data(HEART, [f"hungary={path}"], seed=7)
    assert found.scenario is HEART
    assert found.sources == {"hungary": TableFile(path=path)}


def test_one_query_may_give_all_records(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        load_dataset("heart-disease").to_sql("t", database, index=False)
    database.close()
    query = "SELECT * FROM t WHERE sex = 'male'"
    made = scenario_with_user_data(HEART, [f"sqlite:///{tmp_path}/a.db::{query}"], seed=7).scenario
    assert made.records is not None
    assert set(made.records()["sex"]) == {"male"}


def two_corpora(path: Path) -> list[str]:
    return [str(path), str(path)]


def corpus_and_site(path: Path) -> list[str]:
    return [str(path), f"hungary={path}"]


def column_without_corpus(path: Path) -> list[str]:
    del path
    return ["column:patient=mrn"]


def half_a_column(path: Path) -> list[str]:
    return [str(path), "column:patient"]


@pytest.mark.parametrize(
    "options", [two_corpora, corpus_and_site, column_without_corpus, half_a_column]
)
def test_contradictory_options_are_refused(
    tmp_path: Path, options: Callable[[Path], list[str]]
) -> None:
    path = heart(tmp_path)
    with pytest.raises((BadOption, BadReading), match="--data"):
        scenario_with_user_data(HEART, options(path), seed=7)


def ward(folder: Path) -> Path:
    """Write an export in which columns, signs and codes are not those of the schema."""
    path = heart(folder)
    frame = pd.read_csv(path, dtype=str, na_filter=False).drop(columns="patient")
    for item in HEART.columns.features:
        if isinstance(item, Number):
            frame[item.name] = frame[item.name].str.replace(".", ",")
    frame["cholesterol"] = frame["cholesterol"].replace({"": "-9"})
    frame.rename(columns={"age": "ALTER"}).to_csv(path, index=False, sep=";", encoding="cp1252")
    return path


WARD_WORDS = [
    "separator:semicolon",
    "encoding:cp1252",
    "decimal:comma",
    "missing:cholesterol=-9",
    "column:age=ALTER",
    "persons:rows",
]


def test_an_export_is_read_as_words_say_for_all_sites_and_for_one(tmp_path: Path) -> None:
    """The same words, after one corpus and after the file of a site."""
    path = ward(tmp_path)
    whole = scenario_with_user_data(HEART, [*WARD_WORDS, str(path)], seed=7)
    assert whole.scenario.records is not None
    found = validate_table(whole.scenario.records(), HEART.columns)
    ours = pd.read_csv(heart(tmp_path), dtype=str, na_filter=False)
    assert len(found) == len(ours)
    numbers = pd.to_numeric(ours["st_depression"])
    pd.testing.assert_series_equal(
        found["st_depression"].reset_index(drop=True), numbers, check_names=False
    )
    assert whole.notes[0].startswith("no column says whose a record is")
    path = ward(tmp_path)
    alone = scenario_with_user_data(
        HEART, ["va-long-beach=sqlite://::SELECT 1", f"hungary={path}", *WARD_WORDS], seed=7
    )
    assert alone.sources["va-long-beach"].reading == AS_DECLARED
    assert (
        validate_table(read_agreed_table(alone.sources["hungary"], HEART.columns), HEART.columns)[
            "age"
        ].tolist()
        == found["age"].tolist()
    )
    assert alone.notes[0].startswith("hungary: no column says whose a record is")


def test_a_corpus_without_persons_is_refused_with_what_to_type(tmp_path: Path) -> None:
    path = ward(tmp_path)
    with pytest.raises(MissingColumns, match="--data persons:rows"):
        scenario_with_user_data(HEART, [str(path), *WARD_WORDS[:-1]], seed=7)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("column:patiant=mrn", "did you mean 'patient'"),
        ("colum:patient=mrn", "there is no word 'colum': did you mean 'column'"),
    ],
)
def test_a_mistyped_word_is_refused_with_the_nearest(word: str, said: str, tmp_path: Path) -> None:
    """Else every note would count as a person, and patients would stand on both sides."""
    text = {"text": "fever", "diagnosis": "influenza", "mrn": "7"}
    for source, scenario in ((heart(tmp_path), HEART), (notes(tmp_path, text), NOTES)):
        wanted = word.replace("patient", scenario.table.person).replace(
            "patiant", scenario.table.person[:-1]
        )
        expected = said.replace("patient", scenario.table.person)
        with pytest.raises(BadReading, match=expected):
            scenario_with_user_data(scenario, [str(source), wanted], seed=7)
