"""A class declares the paths in its directory once each; an object gives them below its own."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from consortium.run.paths import PathIn


@dataclass(frozen=True)
class Place:
    """A directory with three paths."""

    path: Path

    config = PathIn("site.json")
    keys = PathIn("secrets")
    node_key = keys / "node.key"
    flower = PathIn("flower", absolute=True)
    log = flower / "node.log"


@dataclass(frozen=True)
class Annex(Place):
    """A directory with one path more, in a folder that the other class declares."""

    annex_key = Place.keys / "annex.key"


def test_a_path_is_below_the_directory_of_its_object() -> None:
    assert Place(Path("east")).config == Path("east/site.json")
    assert Place(Path("west")).config == Path("west/site.json")


def test_a_path_in_a_folder_is_declared_from_the_folder() -> None:
    assert Place(Path("east")).node_key == Path("east/secrets/node.key")
    assert Annex(Path("east")).annex_key == Path("east/secrets/annex.key")


def test_an_absolute_path_holds_in_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Place(Path("east")).log == tmp_path.resolve() / "east" / "flower" / "node.log"


def test_a_path_is_no_field_of_its_object() -> None:
    assert Place(Path("east")) == Place(path=Path("east"))
    assert repr(Place(Path("east"))).count("=") == 1
