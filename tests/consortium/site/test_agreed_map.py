"""The charter's map: by it a site reads its records, and by no other; its log says by which."""

import hashlib
from pathlib import Path

import pytest
import sqlalchemy

from consortium.audit.cross_check import read_log
from consortium.charter.document import Charter
from consortium.cli.main import app as consortium
from consortium.provisioning.charter_drafts import with_agreed_maps
from consortium.run.directory import RunDirectory
from consortium.site.agreed_map import OtherMap, require_agreed_map
from privacy.wire import messages
from privacy.wire.flower_records import read_refusal
from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.engines.staging import stage
from sites.data.mapped.digests import MapDigests, map_digests
from sites.data.source import OmopDatabase, TableFile
from tests.consortium.staged import SCENARIO, Ward
from tests.omop_databases import heart_omop_map, write_heart_database
from tests.small_consortium import forget_processes
from tests.typed import typed

NAME = "cleveland"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> OmopDatabase:
    """Return a hospital's database with its map."""
    folder = tmp_path_factory.mktemp("cdm")
    frame = load_dataset("heart-disease")
    write_heart_database(frame[heart_hospitals(frame) == NAME].head(120), folder / "cdm.db")
    (folder / "map.toml").write_text(heart_omop_map())
    return OmopDatabase(url=f"sqlite:///{folder}/cdm.db", map=folder / "map.toml")


def digests(source: OmopDatabase) -> MapDigests:
    found = map_digests(source)
    assert found is not None
    return found


def hospital(folder: Path, database: OmopDatabase, maps: dict[str, str]) -> Ward:
    """Return a site with its database, of members that agreed on maps."""
    forget_processes()
    run, config = RunDirectory(folder), SCENARIO.config_with({"aggregation": "clear"})
    folder.mkdir()
    stage(run, SCENARIO, {NAME: database}, config=config)
    agreed = with_agreed_maps(Charter.read(run.charter), maps)
    for path in folder.rglob("charter.json"):
        agreed.write(path)
    return Ward(run, NAME, config)


def greeted(site: Ward) -> str:
    """Return the code with which the site refuses to join; nothing if it joins."""
    question = messages.greeting(site.site.charter.fingerprint, b"c" * 32)
    refusal = read_refusal(site.ask(messages.HELLO, question))
    return refusal[0] if refusal else ""


def run_facts(site: Ward) -> dict[str, object]:
    """Return what the site's log says of the run, which it says before the answer left."""
    entries = read_log(site.run.site(NAME) / "audit" / "log.jsonl").entries
    kinds = [entry.event.kind for entry in entries]
    assert kinds.index("run") < kinds.index("sent")
    return dict(entries[kinds.index("run")].event.facts)


def test_the_log_names_the_map_and_the_sql_that_was_run(
    tmp_path: Path, database: OmopDatabase
) -> None:
    ran: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", heard)
    try:
        site = hospital(tmp_path / "run", database, {})
        assert greeted(site) == ""
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", heard)
    selected = [one for one in ran if one.startswith("SELECT")]
    lines = "".join(f"{one}\n" for one in selected)
    facts = run_facts(site)
    assert facts["statements"] == hashlib.sha256(lines.encode()).hexdigest()
    assert facts["map"] == digests(database).map
    shown = typed(consortium, "audit", "show", site.run.site(NAME))
    assert str(facts["statements"]) in "".join(shown.split())


def test_a_site_whose_records_have_no_map_logs_as_before(
    tmp_path: Path, database: OmopDatabase
) -> None:
    site = hospital(tmp_path / "run", database, {})
    other = Ward(site.run, "hungary", site.config)
    assert greeted(other) == ""
    (entry,) = read_log(other.run.site("hungary") / "audit" / "log.jsonl").entries_of("run")
    assert not {"map", "statements"} & {*entry.event.facts}


def test_by_the_agreed_map_a_site_joins_and_by_another_it_says_what_to_do(
    tmp_path: Path, database: OmopDatabase
) -> None:
    assert greeted(hospital(tmp_path / "a", database, {NAME: digests(database).map})) == ""
    site = hospital(tmp_path / "b", database, {NAME: "a" * 64})
    assert greeted(site) == "other-map"
    assert f"SHA-256 {'a' * 64}, and its map has SHA-256 {digests(database).map}" in site.log
    assert "put that map in its place" in site.log


def test_a_map_that_is_changed_later_is_refused_at_the_next_question(
    tmp_path: Path, database: OmopDatabase
) -> None:
    own = database.model_copy(update={"map": tmp_path / "own.toml"})
    own.map.write_text(heart_omop_map())
    site = hospital(tmp_path / "run", own, {NAME: digests(own).map})
    assert greeted(site) == ""
    own.map.write_text(heart_omop_map().replace("[-365, 7]", "[-366, 7]"))
    assert greeted(site) == "other-map"
    entries = [*read_log(site.run.site(NAME) / "audit" / "log.jsonl").entries_of("run")]
    assert [one.event.facts["map"] for one in entries][-1] == digests(own).map
    assert len({one.event.facts["map"] for one in entries}) == 2


def test_records_without_a_map_are_not_those_that_were_agreed_on(tmp_path: Path) -> None:
    charter = with_agreed_maps(SCENARIO.charter, {NAME: "a" * 64})
    table = TableFile(path=tmp_path / "t.csv")
    require_agreed_map(charter, "hungary", table)
    with pytest.raises(OtherMap, match="its records have no map: put that map in its place"):
        require_agreed_map(charter, NAME, table)
