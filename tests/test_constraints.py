"""constraints.txt names what an installation needs, with hashes, and leads nowhere else."""

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.constraints import FILE, HEADER, lines
from tests.docs.pages import ROOT

PINNED = re.compile(r"([a-z0-9-]+)==([^ ]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
# What the build of torch for GPUs needs. The one that is tested needs none of it.
FOR_GPUS = re.compile(r"nvidia-|cuda-|triton$")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What the project needs with every extra that is for users.
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name != "dev"]
WANTED = [
    one
    for listed in (PROJECT["dependencies"], *map(PROJECT["optional-dependencies"].get, EXTRAS))
    for one in listed
    if Requirement(one).name != PROJECT["name"]
]


def pinned() -> dict[str, str]:
    """Return the versions in the file, by name."""
    return {found[1]: found[2] for found in PINNED.finditer(FILE.read_text())}


def installed() -> dict[str, str]:
    """Return the versions of what the installed project needs to run, by name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    needed = [Requirement(one) for one in WANTED]
    while needed:
        requirement = needed.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) not in seen:
            seen.add((name, extras))
            found[name] = metadata.version(name)
            needed += required_by(name, extras)
    return found


def required_by(name: str, extras: frozenset[str]) -> list[Requirement]:
    """Return what a package needs with some extras, as far as it applies here."""
    requirements = [Requirement(one) for one in metadata.requires(name) or []]
    return [
        one
        for one in requirements
        if one.marker is None
        or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def test_each_line_has_a_version_and_hashes_and_there_is_nothing_else() -> None:
    """No option, no place to download from, no range."""
    text = FILE.read_text()
    assert text.startswith(HEADER)
    assert PINNED.sub("", text.removeprefix(HEADER)) == ""
    assert "://" not in text


@pytest.mark.parametrize("wanted", WANTED)
def test_each_version_is_in_the_range_of_the_project(wanted: str) -> None:
    requirement = Requirement(wanted)
    version = pinned()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), "run `make constraints`"


def test_every_library_that_is_needed_is_named_and_no_other() -> None:
    """Of torch another build is installed, which needs no libraries for GPUs."""
    there = {name for name in pinned() if not FOR_GPUS.match(name)}
    assert set(installed()) == there, "run `make constraints`"


def test_a_lock_becomes_lines_without_the_places_to_download_from() -> None:
    """Built files go before source; of a package that has none, its source is named."""
    wheel = {"url": "https://there/b-1-py3-none-any.whl", "hashes": {"sha256": "b" * 64}}
    source = {"url": "https://there/a-2.tar.gz", "hashes": {"sha256": "a" * 64}}
    packages = [
        {"name": "b", "version": "1", "wheels": [wheel], "sdist": source},
        {"name": "a", "version": "2", "sdist": source},
    ]
    assert list(lines({"packages": packages})) == [
        f"a==2 \\\n    --hash=sha256:{'a' * 64}\n",
        f"b==1 \\\n    --hash=sha256:{'b' * 64}\n",
    ]
