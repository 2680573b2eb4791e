import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from consortium.run.directory import BadRunDirectory
from consortium.run.records import (
    Comparison,
    MetricValue,
    Saturation,
    Summary,
    Tallies,
    json_schemas,
    read_record,
    write_record,
)
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.consortium.sample_run import CLEAR_WIN, Sample

DOCS = Path(__file__).parents[3] / "docs"
KINDS: dict[str, type[BaseModel]] = {
    "summary": Summary,
    "comparison": Comparison,
    "statistics": Tallies,
    "evaluation": Tallies,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's directory with all of these files."""
    out = (SiteQuarantined(server_round=2, site="birch-bank", code="silent", counts={"n": 3}),)
    sample = Sample(values=CLEAR_WIN, quarantined=out)
    return sample.write(tmp_path_factory.mktemp("run")).path


def schema_of(kind: str) -> Any:
    name = "tallies" if KINDS[kind] is Tallies else kind
    return json.loads((DOCS / f"{name}.schema.json").read_text())


@pytest.mark.parametrize("name", json_schemas())
def test_the_published_schema_is_the_current_one(name: str) -> None:
    """If this fails, write `json_schemas()[name]` to `docs/NAME.schema.json` and tell users."""
    assert (DOCS / f"{name}.schema.json").read_text() == json_schemas()[name]


@given(
    counted=st.dictionaries(st.integers(1, 12), st.integers(0, 3), max_size=8),
    rounds=st.integers(1, 10),
)
def test_saturated_values_are_those_of_the_rounds_that_trained(
    counted: dict[int, int], rounds: int
) -> None:
    """The evaluation after the last round has no updates; what nobody told is not said to be 0."""
    trained = {at: number for at, number in counted.items() if at <= rounds}
    found = Saturation.of(counted, rounds=rounds)
    assert (found is None) == (not trained)
    if found is not None:
        assert found.rounds == len(trained)
        assert sum(found.values.values()) == sum(trained.values())
        assert 0 not in found.values.values()


@pytest.mark.parametrize("name", KINDS)
def test_what_a_run_writes_is_valid_under_the_published_schema(name: str, written: Path) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((written / f"{name}.json").read_text()), schema)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("summary", {"status": "perhaps"}),
        ("summary", {"surprise": 1}),
        ("summary", {"metrics": {"roc_auc": 0.7}}),
        ("summary", {"version": 2}),
        ("comparison", {"arms": [{"name": "x"}]}),
        ("statistics", {"pooled": [0.5]}),
        ("evaluation", {"by_site": {"birch-bank": [0.5]}}),
    ],
)
def test_the_published_schema_and_the_reader_refuse_the_same(
    name: str, change: dict[str, Any], written: Path, tmp_path: Path
) -> None:
    schema = schema_of(name)
    wrong = {**json.loads((written / f"{name}.json").read_text()), **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(BadRunDirectory, match=f"{name}.json is not a"):
        read_record(path, KINDS[name])


@pytest.mark.parametrize("name", KINDS)
def test_a_record_that_is_written_is_read_back_equal(
    name: str, written: Path, tmp_path: Path
) -> None:
    record = read_record(written / f"{name}.json", KINDS[name])
    write_record(tmp_path / "again.json", record)
    assert read_record(tmp_path / "again.json", KINDS[name]) == record


@given(
    pooled=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    by_site=st.dictionaries(st.text(max_size=9), st.lists(st.integers(), max_size=4), max_size=4),
)
def test_a_mapping_written_by_entries_is_read_back_like_one_written_at_once(
    pooled: list[int], by_site: dict[str, list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "tallies.json"
    write_record(path, Tallies(pooled=pooled), by_site=iter(by_site.items()))
    assert read_record(path, Tallies) == Tallies(pooled=pooled, by_site=by_site)


def test_entries_that_fail_half_way_leave_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "tallies.json"
    write_record(path, Tallies(pooled=[1]))

    def entries() -> Iterator[tuple[str, list[int]]]:
        yield "elm-bank", [1]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_record(path, Tallies(pooled=[2]), by_site=entries())
    assert read_record(path, Tallies) == Tallies(pooled=[1])


@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    error=st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)
def test_a_figure_keeps_every_bit(value: float, error: float) -> None:
    figure = MetricValue(value=value, error_bound=error)
    assert MetricValue.model_validate_json(figure.model_dump_json()) == figure


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadRunDirectory, match="name the directory of a finished run"):
        read_record(tmp_path / "summary.json", Summary)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MetricValue(value=0.7).value = 0.9  # type: ignore[misc]
