import hashlib
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy

from sites.data.fingerprint import fingerprint_of
from sites.data.source import FhirFiles, OmopDatabase, SqlQuery, TableFile, TextFolder, with_words
from sites.data.tables import UnreadableSource
from tests.omop_databases import write_database
from tests.sites.data.omop.cdm import INDEX, database, person


def test_a_fingerprint_depends_on_the_content_of_a_file_not_on_its_name(tmp_path: Path) -> None:
    for name, text in (("a.csv", "x\n1\n"), ("b.csv", "x\n1\n"), ("c.csv", "x\n2\n")):
        (tmp_path / name).write_text(text)
    one, same, other = (fingerprint_of(TableFile(path=tmp_path / f"{n}.csv")) for n in "abc")
    assert one == same != other
    assert len(one) == 64


def test_the_fingerprint_of_a_folder_covers_all_its_files(tmp_path: Path) -> None:
    folder = TextFolder(path=tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("one")
    before = fingerprint_of(folder)
    (tmp_path / "b.txt").write_text("two")
    assert fingerprint_of(folder) != before


def test_the_fingerprint_of_a_query_is_that_of_its_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    engine = sqlalchemy.create_engine(url)
    pd.DataFrame({"x": [1, 2]}).to_sql("t", engine, index=False)
    engine.dispose()
    whole, again, part = (
        fingerprint_of(SqlQuery(url=url, query=query))
        for query in ("SELECT x FROM t", "SELECT * FROM t", "SELECT x FROM t WHERE x > 1")
    )
    assert whole == again != part


def test_an_unreadable_source_has_no_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        fingerprint_of(TableFile(path=tmp_path / "gone.csv"))
    with pytest.raises(UnreadableSource):
        fingerprint_of(SqlQuery(url=f"sqlite:///{tmp_path / 'no.db'}", query="SELECT x FROM t"))


def test_records_that_are_read_by_other_words_are_others(tmp_path: Path) -> None:
    """Without words, the digest is that of version 0.1.0: of the digests of the files."""
    (tmp_path / "a.csv").write_text("age\n1,5\n")
    plain = TableFile(path=tmp_path / "a.csv")
    inner = hashlib.sha256((tmp_path / "a.csv").read_bytes()).digest()
    assert fingerprint_of(plain) == hashlib.sha256(inner).hexdigest()
    words = ("decimal:comma", "missing:-9", "encoding:cp1252", "column:age=ALTER")
    found = {fingerprint_of(with_words(plain, [word])) for word in words}
    assert len(found | {fingerprint_of(plain)}) == 5


def test_fhir_files_that_another_map_reads_are_other_records(tmp_path: Path) -> None:
    export, declared = tmp_path / "export", tmp_path / "ward.toml"
    export.mkdir()
    (export / "Patient.ndjson").write_text("{}")
    source = FhirFiles(path=export, map=declared)
    found = set()
    for said in ("one", "another"):
        declared.write_text(said)
        found.add(fingerprint_of(source))
    (export / "Patient.ndjson").write_text("{ }")
    assert len(found | {fingerprint_of(source)}) == 3


def test_the_fingerprint_of_an_omop_database_is_that_of_the_rows_its_map_makes(
    tmp_path: Path,
) -> None:
    """The same rows in another database are the same records."""
    found = []
    for name, people in (("a.db", [1, 2]), ("b.duckdb", [2, 1]), ("c.db", [1, 3])):
        write_database(tmp_path / name, {"person": [person(one) for one in people]})
        (tmp_path / "map.toml").write_text(
            f'{INDEX}[columns.age]\ntable = "person"\nvalue = "age"\n'
        )
        source = OmopDatabase(url=database(tmp_path / name), map=tmp_path / "map.toml")
        found.append(fingerprint_of(source))
    assert found[0] == found[1] != found[2]
