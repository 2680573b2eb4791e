"""The text of which a charter's fingerprint is made: pinned, and that of version 0.1.0."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from consortium.charter.canonical_json import canonical_json, canonical_number
from consortium.charter.document import Charter
from scenarios.library.registry import SCENARIOS

PINNED = "d02f45b53cf78f7fc2c9c907d7c71a500b56f39f80ccd47b9678f07ad28c5bd1"
TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(PLAIN)
def test_it_is_what_the_library_of_version_0_1_0_wrote(value: object) -> None:
    """Charters that were signed before keep their fingerprint."""
    assert canonical_json(value) == to_json(value).decode()  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_was(value: float) -> None:
    assert float(canonical_number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "0.00001"), (1e-6, "1e-6"), (1e4, "10000.0"), (-1.5e16, "-1.5e+16"), (0.1, "0.1")],
)
def test_numbers_have_one_form(value: float, text: str) -> None:
    assert canonical_number(value) == text


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_shipped_charter_is_written_as_before(name: str) -> None:
    charter = SCENARIOS[name].charter
    later = {"authority", "coordinator_key"}
    described = charter.model_dump(mode="json", exclude=later)
    assert canonical_json(described) == charter.model_dump_json(exclude=later)


def test_the_fingerprint_of_a_charter_is_pinned(tmp_path: Path) -> None:
    charter = SCENARIOS["heart-diagnosis"].charter
    charter.write(tmp_path / "charter.json")
    assert Charter.read(tmp_path / "charter.json").fingerprint == charter.fingerprint == PINNED
