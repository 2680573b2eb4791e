from pathlib import Path

import pytest

from consortium.run.directory import ENVIRONMENT, BadRunDirectory, RunDirectory

PATHS = [name for name, value in vars(RunDirectory).items() if isinstance(value, property)]


def test_every_place_is_in_the_directory_and_no_two_are_one(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    places = [getattr(run, name) for name in PATHS] + [run.site("north"), run.site("south")]
    assert len(set(places)) == len(places)
    outside = {place for place in places if not place.is_relative_to(tmp_path)}
    # Beside the runs of a coordinator: they count for all of them.
    assert outside == {run.failed_openers, run.counted_rosters}


def test_what_one_site_has_is_apart_from_the_coordinators_and_from_the_others(
    tmp_path: Path,
) -> None:
    run = RunDirectory(tmp_path)
    for name in PATHS:
        assert not run.site("north").is_relative_to(getattr(run, name))
        assert not getattr(run, name).is_relative_to(run.site("north"))
    assert run.site("north").parent == run.site("south").parent


def test_what_only_the_coordinator_keeps_is_in_its_folder(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.checkpoint.is_relative_to(run.coordinator)
    assert run.vault.is_relative_to(run.coordinator)


def test_a_process_finds_the_directory_its_launcher_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert RunDirectory.from_environment() == RunDirectory(tmp_path)


@pytest.mark.parametrize("named", [None, ""])
def test_a_process_that_was_started_by_something_else_is_told_how_to(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    if named is not None:
        monkeypatch.setenv(ENVIRONMENT, named)
    with pytest.raises(BadRunDirectory, match="scenario run"):
        RunDirectory.from_environment()
