"""A resource that stands twice is refused where it would count twice, or where both differ."""

from pathlib import Path
from typing import Any

import pytest

from sites.data.fhir.refusals import BadResources
from tests.sites.data.fhir.wards import INDEX, POTASSIUM, observation, patient, quantity, table_of

COUNT = """
[columns.measured]
resource = "Observation"
codes = ["http://loinc.org|2823-3", "http://loinc.org|6298-4"]
take = "count"
within_days = "always"
"""
MEAN = POTASSIUM.replace("latest", "mean")


@pytest.mark.parametrize("columns", [COUNT, MEAN])
def test_a_resource_of_two_exports_is_refused_where_it_would_count(
    columns: str, tmp_path: Path
) -> None:
    files = {"a.ndjson": [patient(), observation()], "b.ndjson": [observation()]}
    with pytest.raises(
        BadResources, match=r"one line a resource, .*b.ndjson line 1 \(Observation/o1"
    ):
        table_of(tmp_path, files, INDEX + columns)


def test_where_it_changes_nothing_it_may_stand_twice(tmp_path: Path) -> None:
    lines = [patient(), observation(), observation()]
    assert table_of(tmp_path, lines, INDEX + POTASSIUM).frame["potassium"].item() == 4.5


@pytest.mark.parametrize(
    "later",
    [
        {"status": "entered-in-error"},
        {"status": "amended", "valueQuantity": quantity(9)},
    ],
)
def test_of_two_versions_of_a_resource_none_is_taken(later: dict[str, Any], tmp_path: Path) -> None:
    """Else a value would count that was withdrawn, or the larger of both."""
    files = {"a.ndjson": [patient(), observation()], "b.ndjson": [observation(**later)]}
    for columns in (POTASSIUM, MEAN):
        with pytest.raises(
            BadResources, match=r"one version of a resource, .*b.ndjson line 1 \(Observation/o1"
        ):
            table_of(tmp_path, files, INDEX + columns)


def test_what_a_server_says_of_a_resource_makes_no_other_version(tmp_path: Path) -> None:
    lines = [patient(), observation(), observation(meta={"lastUpdated": "2024-01-01T00:00:00Z"})]
    assert table_of(tmp_path, lines, INDEX + POTASSIUM).frame["potassium"].item() == 4.5


def test_components_of_one_resource_are_no_repetition(tmp_path: Path) -> None:
    code = observation()["code"]
    parts = [{"code": code, "valueQuantity": quantity(n)} for n in (4, 6)]
    panel = observation(code={"text": "panel"}, component=parts)
    frame = table_of(tmp_path, [patient(), panel], INDEX + COUNT + MEAN).frame
    assert frame[["measured", "potassium"]].to_numpy().tolist() == [[2.0, 5.0]]


def test_what_is_counted_needs_an_id(tmp_path: Path) -> None:
    bare = {name: one for name, one in observation().items() if name != "id"}
    with pytest.raises(BadResources, match="expected an id"):
        table_of(tmp_path, [patient(), bare], INDEX + COUNT)
