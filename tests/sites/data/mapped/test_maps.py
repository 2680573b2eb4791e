"""A map of any kind is read from TOML or JSON, and has no key but those declared."""

from pathlib import Path

import pytest

from sites.data.fhir.maps import BadFhirMap
from sites.data.mapped.maps import Conversion, read_declared
from sites.data.tables import MissingFile


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("factor = 2.5")
    (tmp_path / "m.json").write_text('{"factor": 2.5, "plus": 0}')
    found = [
        read_declared(tmp_path / name, Conversion, refusal=BadFhirMap)
        for name in ("m.toml", "m.json")
    ]
    assert found == [Conversion(factor=2.5)] * 2


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"factor = ", "is not TOML"), (b"factor = 1\nplsu = 2", "plus"), (b"\xff", "not UTF-8")],
)
def test_what_is_no_map_is_refused_with_its_reason(
    content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "m.toml").write_bytes(content)
    with pytest.raises(BadFhirMap, match=told):
        read_declared(tmp_path / "m.toml", Conversion, refusal=BadFhirMap)


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"there is no map .*m\.toml"):
        read_declared(tmp_path / "m.toml", Conversion, refusal=BadFhirMap)
