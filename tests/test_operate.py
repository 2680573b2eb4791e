"""docs/operate.md, and what docs/hubs.md says of institutions, followed word by word."""

import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import OPERATE, shell_lines
from tests.followed_operation import follow_page, follow_page_of_hubs, with_programs


def test_the_page_goes_from_nothing_to_a_model_in_its_order() -> None:
    """So that a word changed in the page cannot empty the test below."""
    verbs = [" ".join(command.split()[:3]) for command in shell_lines(OPERATE)]
    assert len(verbs) > 20
    for verb in (
        "consortium site init",
        "consortium charter sign",
        "consortium run coordinator",
        "consortium charter revise",
    ):
        assert any(said.startswith(verb) for said in verbs)


def test_a_copy_before_an_upgrade_brings_everything_back(tmp_path: Path) -> None:
    """Flower's database, runs and a site's memory; modes too, and nobody else reads the copies."""
    kept = ("coordinator/flower/superlink.db", "coordinator/runs/first/state", "va/memory/epoch")
    for name in kept:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"before: {name}")
        path.chmod(0o600)
    first, *back = section_lines("## Before an upgrade")
    copies = [first, back.pop(0)]
    run_in_shell(copies, tmp_path)
    (tmp_path / kept[0]).write_text("migrated")
    run_in_shell(back, tmp_path)
    assert len(back) == 3
    for name in kept:
        path = tmp_path / name
        assert path.read_text() == f"before: {name}"
        assert path.stat().st_mode & 0o777 == 0o600
    for archive in tmp_path.glob("*.tar.gz"):
        assert archive.stat().st_mode & 0o777 == 0o600
    (tmp_path / "va").rename(tmp_path / "va-after")
    run_in_shell([line.replace("coordinator", "va") for line in back[1:]], tmp_path)
    assert (tmp_path / kept[2]).read_text() == f"before: {kept[2]}"


def section_lines(heading: str) -> list[str]:
    """Return the commands that one section of the page shows."""
    section = OPERATE.read_text().split(f"{heading}\n")[1].split("\n## ")[0]
    shown = [part.split("```")[0] for part in section.split("```sh\n")[1:]]
    return [line for part in shown for line in part.splitlines()]


def run_in_shell(commands: list[str], folder: Path) -> None:
    for command in commands:
        subprocess.run(command, shell=True, cwd=folder, check=True)  # noqa: S602 -- the page's own


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    follow_page(tmp_path, with_programs(tmp_path / "bin"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hubs_of_two_hospitals_do_what_their_page_says_and_one_dies(tmp_path: Path) -> None:
    follow_page_of_hubs(tmp_path, with_programs(tmp_path / "bin"))
