"""Resources are read line by line, all of the types that are asked for."""

import gzip
import json
from pathlib import Path

import pytest

from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.refusals import place_name
from sites.data.tables import BrokenFile, EmptyTable, MissingFile
from tests.sites.data.fhir.wards import observation, patient

P, Q = json.dumps(patient()), json.dumps(observation())


def read(path: Path, *types: str) -> list[tuple[str, str]]:
    files = ResourceFiles(path)
    return [
        (place_name(place, files.files), resource["id"]) for place, resource in files.read(types)
    ]


def test_files_of_a_directory_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.ndjson").write_text(f"{P}\n\n{Q}\r\n")
    (tmp_path / "a").mkdir()
    with gzip.open(tmp_path / "a" / "z.ndjson.gz", "wt") as file:
        file.write(f"\ufeff{Q}\n{P}")
    (tmp_path / "._b.ndjson").write_bytes(b"\0")
    (tmp_path / "notes.txt").write_text("no resource")
    assert read(tmp_path, "Patient") == [("z.ndjson.gz line 2", "1"), ("b.ndjson line 1", "1")]
    assert read(tmp_path, "Observation", "Patient") == [
        *(("z.ndjson.gz line 1", "o1"), ("z.ndjson.gz line 2", "1")),
        *(("b.ndjson line 1", "1"), ("b.ndjson line 3", "o1")),
    ]
    assert read(tmp_path / "b.ndjson", "Observation") == [("b.ndjson line 3", "o1")]


def test_the_type_may_stand_anywhere_in_a_resource(tmp_path: Path) -> None:
    lines = ['{"id":"x","resourceType":"Patient"}', '{ "resourceType" : "Patient", "id":"y"}']
    (tmp_path / "a.ndjson").write_text("\n".join(lines))
    assert [name for _, name in read(tmp_path, "Patient")] == ["x", "y"]
    assert read(tmp_path, "Observation") == []


def test_a_file_without_a_type_is_not_read_again_for_it(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(P)
    files = ResourceFiles(tmp_path)
    assert [*files.read({"Observation"})] == []
    assert files.types == {"Patient"}
    (tmp_path / "a.ndjson").write_text(Q)
    assert [*files.read({"Observation"})] == []
    assert len([*ResourceFiles(tmp_path).read({"Observation"})]) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{P}\n{P[:-9]}".encode(), "line 2 is not JSON"),
        (b'{"resourceType": "Patient", "id": NaN}', "NaN is no number of JSON"),
        (b'{"resourceType": "Patient", "id": %s}' % (b"9" * 5000), "line 1 is not JSON"),
        (b'{"id":1,"a":' + b"[" * 100_000, "line 1 is not JSON"),
        (b'{"resourceType": "Patient", "id": "\\ud83d"}', "line 1 holds half a character"),
        (b'["Patient"]', "line 1 is not a FHIR resource"),
        (b'{"id": "1"}', "line 1 is not a FHIR resource"),
        (b'{"resourceType": "Patient", "id": "\xe9"}', "not UTF-8 text in line 1"),
        (b'{"type": "batch", "resourceType": "Bundle"}', "line 1 is a Bundle"),
        (b'{"resourceType": "Bundle", "entry": []}', "line 1 is a Bundle"),
    ],
)
def test_a_line_that_is_no_resource_is_refused_with_its_place(
    content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "a.ndjson").write_bytes(content)
    with pytest.raises(BrokenFile, match=told):
        read(tmp_path, "Patient")


def test_a_file_that_was_cut_off_in_its_compression_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(P.encode() * 1000)[:-20])
    with pytest.raises(BrokenFile, match=r"cannot be read: .*export or copy it again"):
        read(tmp_path, "Patient")


def test_no_files_are_no_source(tmp_path: Path) -> None:
    with pytest.raises(EmptyTable, match=r"holds no file that ends in \.ndjson"):
        ResourceFiles(tmp_path)
    with pytest.raises(MissingFile):
        ResourceFiles(tmp_path / "none")
