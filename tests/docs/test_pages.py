"""Every page can be reached and followed, and names only what is there."""

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from typer.main import get_command

from consortium.wording.formatting import Plain, setting_text
from tests.docs.pages import (
    DATA,
    DEPLOY,
    HUBS,
    INDEX,
    NOT_RUN,
    OPERATE,
    PAGES,
    README,
    ROOT,
    RUN_CONFIG,
    anchors,
    blocks,
    codes,
    commands,
    is_outside,
    linked_file,
    links,
    reached_from,
    reading_order,
    shell_lines,
)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
PROGRAMS = ("consortium", "scenario")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def program(name: str) -> click.Command:
    """Return the command line that is installed under a name."""
    module, _, _ = SETTINGS["project"]["scripts"][name].partition(":")
    return get_command(importlib.import_module(module).app)


def named_commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command of the project that a page names, in blocks and in prose."""
    shown = [c.line for b in blocks(page) if b.language == "console" for c in commands(b)]
    for line in (*codes(page), *shown, *shell_lines(page)):
        typed = re.sub(r"^podman-compose (?:run -T --rm|exec -T) \S+ ", "", line)
        if typed.partition(" ")[0] in PROGRAMS:
            yield shlex.split(typed.partition(";")[0])


def require_known(words: list[str]) -> None:
    """Raise `AssertionError` for a command that is not there, or for an option it does not have."""
    found, rest = program(words[0]), words[1:]
    context = click.Context(found)
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        assert rest[0] in found.list_commands(context), f"{' '.join(words)}: there is no {rest[0]}"
        _, inner, _ = found.resolve_command(context, rest[:1])  # one that is lazy, with its options
        assert inner is not None
        found, rest = inner, rest[1:]
    known = {"--help"}.union(*((*item.opts, *item.secondary_opts) for item in found.params))
    unknown = [word for word in rest if word.startswith("--") and word not in known]
    assert unknown == [], f"{' '.join(words)}: {found.name} has {sorted(known)}"


@every_page
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    """To a file, and where they name a heading, to that heading."""
    for target in links(page):
        if is_outside(target):
            continue
        linked = linked_file(page, target)
        assert linked.exists(), f"{page.name} links to {target}"
        _, _, anchor = target.partition("#")
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}"


def test_every_page_is_reached_from_the_index_and_the_index_from_the_readme() -> None:
    assert sorted({*PAGES, DATA} - reached_from(INDEX)) == []
    assert INDEX in {linked_file(README, target) for target in links(README)}


def test_the_index_names_every_page() -> None:
    """The site's navigation is made from it, so a page that it does not name would be in none."""
    named = {linked_file(INDEX, target) for target in links(INDEX)}
    assert sorted({*PAGES, DATA} - named - {INDEX}) == []


def test_pages_are_followed_once_each() -> None:
    assert sorted(reading_order()) == sorted(PAGES)


@every_page
def test_a_block_of_code_is_one_that_a_test_runs(page: Path) -> None:
    """Console and Python by `test_*_followed.py`, shell by tests of operation and containers."""
    shell = {"sh"} if page in {OPERATE, DEPLOY, HUBS} else set[str]()
    allowed = shell if page in {OPERATE, DEPLOY} else {"console", "python"} | shell
    assert {block.language for block in blocks(page)} <= allowed


@every_page
def test_a_console_block_is_nothing_but_commands_and_what_they_print(page: Path) -> None:
    """Lines before the first command would be run by nobody."""
    for block in blocks(page):
        assert block.language != "console" or block.text.startswith("$ ")


def test_commands_that_are_not_run_are_shown_somewhere() -> None:
    """A reason that is left over would let a command of the same words pass later."""
    shown = {
        command.line
        for page in PAGES
        for block in blocks(page)
        if block.language == "console"
        for command in commands(block)
    }
    assert set(NOT_RUN) - shown == set()


@every_page
def test_a_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    for words in named_commands(page):
        require_known(words)


def test_commands_of_the_project_are_found_in_prose_and_in_blocks() -> None:
    """So that the test above cannot become empty."""
    found = {" ".join(words[:3]) for page in PAGES for words in named_commands(page)}
    assert {"consortium site check", "scenario run heart-diagnosis"} <= found
    assert len(found) > 40


def test_an_option_that_is_not_there_is_found() -> None:
    with pytest.raises(AssertionError, match="there is no lookup"):
        require_known(["consortium", "site", "lookup"])
    with pytest.raises(AssertionError, match="check has"):
        require_known(["consortium", "site", "check", "SITE", "CHARTER", "--sett", "a=b"])


@every_page
def test_files_that_a_page_names_are_there(page: Path) -> None:
    rooms = r"(?:consortium|sites|strategies|privacy|scenarios|tests|docs)/[\w./-]*"
    named = {code for code in codes(page) if re.fullmatch(rooms, code)}
    here = [name for name in sorted(named) if "SITE" not in name]  # in a run directory
    assert [name for name in here if not (ROOT / name).exists()] == []


@every_page
def test_programs_and_targets_that_a_page_names_are_there(page: Path) -> None:
    """Those that print figures, and those of make."""
    for code in codes(page):
        if module := re.match(r"python -m ([\w.]+)", code):
            path = ROOT / module[1].replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), code
        if target := re.match(r"make ([\w-]+)", code):
            assert re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text(), re.M), code


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 220


def test_the_page_of_the_run_config_has_every_key_with_its_default() -> None:
    """In a block that is generated, between two marks."""
    _, _, rest = RUN_CONFIG.read_text().partition("<!-- generated: the run config -->\n")
    generated, end, _ = rest.partition("<!-- end of what is generated -->\n")
    assert end
    rows = re.findall(r"^\| `([a-z0-9.-]+)` \| (?:`([^`]*)`|empty) \|", generated, re.M)
    declared = flat(SETTINGS["tool"]["flwr"]["app"]["config"])
    assert sorted(rows) == sorted((key, setting_text(value)) for key, value in declared)


def flat(keys: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Plain]]:
    """Yield keys as Flower names them: those of a table behind its name and a dot."""
    for name, value in keys.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
