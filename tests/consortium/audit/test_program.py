"""The digest by which a log names the program, computed again from the code that an auditor has."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from consortium.audit import journal as audit
from consortium.audit.journal import open_journal
from consortium.audit.known_programs import OtherProgram
from consortium.audit.program import package_digest, program_digest, read_program
from consortium.cli.main import app
from consortium.deployment.app_bundle import Bundle, stage_bundle
from privacy.secrets.keys import Identity
from tests.made_by_0_1_0.unpacking import unpack
from tests.typed import typed

INSTALLED = "the package installed here"
OF_0_1_0 = "d0797fc9ca15c1308df973d7a41bfe0ac631e86ba3cc212c1bfb2fa2bbc9d5b5"

names = st.sampled_from(["consortium/a.py", "sites/b.py", "sites/b/c.py", "privacy/b-c.py"])
programs = st.dictionaries(names, st.binary(max_size=8), min_size=1)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code that a coordinator ships."""
    return stage_bundle(tmp_path_factory.mktemp("code") / "app", Bundle())


def packed(folder: Path, into: Path) -> Path:
    """Pack a folder as a bundle."""
    with zipfile.ZipFile(into, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    return into


def party(folder: Path, *ran: str) -> Path:
    """Return the directory of a party whose log names programs, one for each run."""
    identity = Identity.generate("north")
    journal = open_journal(folder, owner="north", key=identity.public.signing, sign=identity.sign)
    for program in ran:
        journal.note(audit.RUN, program=program)
    journal.commit()
    journal.chain.close()
    return folder


@given(programs, programs)
def test_two_programs_have_one_digest_only_if_they_are_the_same(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (program_digest(one) == program_digest(other)) == (one == other)
    assert program_digest(dict(reversed(one.items()))) == program_digest(one)


@given(programs)
def test_what_is_no_module_of_ours_does_not_count(program: dict[str, bytes]) -> None:
    more = {"pyproject.toml": b"a", "tests/a.py": b"b", "sites/note.txt": b"c", "sites.py": b"d"}
    assert program_digest({**program, **more}) == program_digest(program)


def test_what_is_shipped_installed_and_packed_is_one_program(code: Path, tmp_path: Path) -> None:
    assert program_digest(read_program(code)) == package_digest()
    bundle, site = packed(code, tmp_path / "app.fab"), party(tmp_path / "north", package_digest())
    said = typed(app, "audit", "program", site, "--code", bundle, "--code", code)
    assert said.splitlines()[0] == f"{package_digest()}  {bundle} and {code}"


def test_the_code_that_answered_is_named_with_the_times(tmp_path: Path) -> None:
    said = typed(app, "audit", "program", party(tmp_path, package_digest(), package_digest()))
    assert said.splitlines()[0] == f"{package_digest()}  {INSTALLED}"
    assert re.search(rf"log of north: 2 times, \S+: {INSTALLED}", said)


def test_one_byte_of_one_module_is_other_code(code: Path, tmp_path: Path) -> None:
    """So whoever exchanged a line at a site is found, if the machine told what it ran."""
    changed = shutil.copytree(code, tmp_path / "changed")
    module = changed / "privacy" / "secrets" / "sealer.py"
    module.write_bytes(module.read_bytes() + b"\n")
    other = program_digest(read_program(changed))
    site = party(tmp_path / "north", package_digest(), other)
    result = CliRunner().invoke(app, ["audit", "program", str(site)])
    assert isinstance(result.exception, OtherProgram)
    assert other[:16] in str(result.exception)
    assert f"OTHER CODE, {other}" in result.output
    assert INSTALLED in result.output
    said = typed(app, "audit", "program", site, "--code", code, "--code", changed)
    assert "OTHER" not in said


def test_bundles_that_a_site_approved_are_code_too(code: Path, tmp_path: Path) -> None:
    site = party(tmp_path / "north", package_digest())
    (site / "approved").mkdir()
    bundle = packed(code, site / "approved" / "abc.fab")
    said = typed(app, "audit", "program", site)
    assert said.splitlines()[0] == f"{package_digest()}  {bundle} and {INSTALLED}"


def test_code_that_holds_none_of_ours_is_refused(tmp_path: Path) -> None:
    site = party(tmp_path / "north", package_digest())
    for wrong in (tmp_path / "nowhere", tmp_path):
        result = CliRunner().invoke(app, ["audit", "program", str(site), "--code", str(wrong)])
        assert result.exit_code == 1
        assert isinstance(result.exception, ValueError | OSError)


def test_the_program_of_version_0_1_0_is_named_as_it_was_then(tmp_path: Path) -> None:
    """Its digest was computed again from the repository at that version when this was written."""
    run = unpack("deployed", tmp_path) / "coordinator" / "runs" / "first"
    result = CliRunner().invoke(app, ["audit", "program", str(run)])
    assert isinstance(result.exception, OtherProgram)
    assert f"OTHER CODE, {OF_0_1_0}" in result.output


def test_a_name_in_somebody_elses_code_that_leads_to_no_file_is_not_read(tmp_path: Path) -> None:
    """A device never ends, and a directory is no module."""
    (tmp_path / "sites" / "b.py").mkdir(parents=True)
    (tmp_path / "sites" / "a.py").write_text("1")
    (tmp_path / "sites" / "zero.py").symlink_to("/dev/zero")
    assert read_program(tmp_path) == {"sites/a.py": b"1"}
