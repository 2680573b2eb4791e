"""The digests of a map: what it says counts, not how that is written."""

from pathlib import Path

import pytest

from sites.data.fhir.maps import BadFhirMap
from sites.data.mapped.digests import MapDigests, map_digest_of, map_digests
from sites.data.omop.maps import read_map
from sites.data.omop.statements import statements_digest, statements_of
from sites.data.source import FhirFiles, OmopDatabase, TableFile
from tests.fhir_exports import heart_map
from tests.omop_databases import heart_omop_map

AGE = """person = "patient"
[index]
on = 2024-06-30
[columns.age]
table = "person"
value = "age"
"""
AGE_OF_FHIR = AGE.replace('table = "person"', 'resource = "Patient"')


def omop(folder: Path, text: str) -> MapDigests:
    (folder / "map.toml").write_text(text)
    found = map_digests(OmopDatabase(url="sqlite:///none.db", map=folder / "map.toml"))
    assert found is not None
    return found


def test_the_digest_is_that_of_what_the_map_says(tmp_path: Path) -> None:
    r"""Worked by hand: `printf 'consortium.map/1\n{"columns":...}' | sha256sum`, keys in order."""
    expected = "983dc82d8357ac60b65bf4d96efe5cfa0809acd8d93cdd39342c461b27a4ea05"
    assert omop(tmp_path, AGE).map == expected
    written = f"# ours\nversion = 1\npartial_dates = 'middle'\n{AGE}"
    assert omop(tmp_path, written) == omop(tmp_path, AGE)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("2024-06-30", "2024-06-29"), ('"age"', '"gender"\nmeans = { 1 = "f" }')]
)
def test_another_map_has_another_digest(ours: str, theirs: str, tmp_path: Path) -> None:
    assert omop(tmp_path, AGE.replace(ours, theirs)).map != omop(tmp_path, AGE).map


def test_statements_are_told_beside_a_map_of_omop_only(tmp_path: Path) -> None:
    found = omop(tmp_path, heart_omop_map())
    assert found.statements == statements_digest(statements_of(read_map(tmp_path / "map.toml")))
    (tmp_path / "fhir.toml").write_text(heart_map())
    of_fhir = map_digests(FhirFiles(path=tmp_path, map=tmp_path / "fhir.toml"))
    assert of_fhir is not None
    assert of_fhir.statements == ""
    assert of_fhir.map == map_digest_of(tmp_path / "fhir.toml")
    assert map_digests(TableFile(path=tmp_path / "t.csv")) is None


def test_a_map_of_either_kind_is_known_by_what_it_says(tmp_path: Path) -> None:
    one, other = tmp_path / "omop.toml", tmp_path / "fhir.toml"
    one.write_text(AGE)
    other.write_text(AGE_OF_FHIR)
    assert map_digest_of(one) == omop(tmp_path, AGE).map
    assert map_digest_of(other) != map_digest_of(one)
    one.write_text("person = 'patient'\n")
    with pytest.raises(BadFhirMap, match="index"):
        map_digest_of(one)
