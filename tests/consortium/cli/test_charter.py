"""The commands that draft, revise and show a charter: what they let the members agree on."""

from pathlib import Path

import pytest

from consortium.charter.document import Charter
from consortium.cli.main import app as consortium
from consortium.provisioning.charter_drafts import AgreedMasks, with_agreed_masks
from consortium.site.agreed_map import OtherMap
from consortium.site.directory import SiteDirectory, read_site_config
from sites.data.mapped.digests import map_digest_of
from sites.data.source import OmopDatabase
from tests.consortium.founded import TABLE, Founded, found
from tests.omop_databases import heart_omop_map
from tests.typed import typed

SAID = ("suite = mlkem768_x25519", "max_colluders = 1")


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return found(tmp_path / "c")


def new_charter(founded: Founded, to: Path, *chosen: str) -> Charter:
    """Draft a charter as its coordinator would, from what the sites showed."""
    schema = to.with_name("schema.json")
    schema.write_text(TABLE.model_dump_json())
    words: list[str | Path] = ["charter", "new", to, "--name", "banks", "--task", "credit"]
    words += ["--table", schema, "--coordinator", "127.0.0.1:9443"]
    words += ["--authority", founded.coordinator / "authority.pem"]
    for half in founded.halves:
        half.write(to.with_name(f"{half.member.name}.json"))
        words += ["--member", to.with_name(f"{half.member.name}.json")]
    typed(consortium, *words, *chosen)
    return Charter.read(to)


def test_a_draft_asks_for_masks_unless_it_says_nothing_of_them_as_before(
    founded: Founded, tmp_path: Path
) -> None:
    asking = new_charter(founded, tmp_path / "charter.json")
    assert asking == founded.charter.model_copy(update={"suite": "mlkem768_x25519"})
    assert asking.asks_for_masks
    assert new_charter(founded, tmp_path / "before.json", "--suite", "") == founded.charter


def test_what_is_chosen_of_masks_is_drafted_shown_and_revised(
    founded: Founded, tmp_path: Path
) -> None:
    chosen = ("--max-colluders", "1", "--sets-in-run", "any")
    drafted = tmp_path / "charter.json"
    agreed = new_charter(founded, drafted, *chosen)
    assert (agreed.max_colluders, agreed.sets_in_run) == (1, "any")
    assert agreed.asks_for_masks
    revised = tmp_path / "revised.json"
    typed(consortium, "charter", "revise", drafted, "--to", revised, "--without-masks")
    later = Charter.read(revised)
    assert later.without_masks
    assert later.sets_in_run == "any"
    assert not later.asks_for_masks


@pytest.mark.parametrize(
    ("masks", "shown"),
    [
        (
            AgreedMasks(suite="mlkem768_x25519", sets_in_run="any"),
            ["in every encrypted run", *SAID, "sets_in_run = any"],
        ),
        (
            AgreedMasks(),
            [
                "where a run config asks for them",
                *SAID,
                "sets_in_run = one, and any where updates carry noise",
            ],
        ),
        (AgreedMasks(suite="x25519"), ["none: the suite is x25519"]),
    ],
    ids=["every run", "nothing said", "no masks"],
)
def test_a_charter_is_shown_with_what_holds_for_masks(
    founded: Founded, tmp_path: Path, masks: AgreedMasks, shown: list[str]
) -> None:
    """Whether its members wrote it down, or it is what holds where they wrote nothing."""
    with_agreed_masks(founded.charter, masks).write(tmp_path / "charter.json")
    lines = typed(consortium, "charter", "show", tmp_path / "charter.json").splitlines()
    said = [line.removeprefix("masks").strip() for line in lines if line.startswith("masks ")]
    assert said == shown


def test_a_map_is_agreed_on_shown_revised_and_signed_by_who_reads_by_it_only(
    founded: Founded, tmp_path: Path
) -> None:
    """The sites here have CSV files: the one with the map is given a database."""
    declared, drafted = tmp_path / "omop.toml", tmp_path / "charter.json"
    declared.write_text(heart_omop_map())
    digest = map_digest_of(declared)
    agreed = new_charter(founded, drafted, "--map", f"north={declared}", "--map", "east=")
    assert agreed.map_of("north") == digest
    shown = typed(consortium, "charter", "show", drafted).splitlines()
    assert f"map         north                {digest}" in shown
    typed(consortium, "charter", "sign", drafted, founded.site("east"))
    with pytest.raises(OtherMap, match="its records have no map: put that map in its place"):
        consortium(
            ["charter", "sign", str(drafted), str(founded.site("north"))], standalone_mode=False
        )
    config = read_site_config(founded.site("north"))
    source = OmopDatabase(url="sqlite:///cdm.db", map=declared)
    changed = config.model_copy(update={"source": source})
    SiteDirectory(founded.site("north")).config.write_text(changed.model_dump_json())
    typed(consortium, "charter", "sign", drafted, founded.site("north"))
    revised = tmp_path / "revised.json"
    typed(consortium, "charter", "revise", drafted, "--to", revised, "--map", f"west={'b' * 64}")
    assert [(one.member, one.sha256) for one in Charter.read(revised).maps] == [
        ("north", digest),
        ("west", "b" * 64),
    ]
    typed(consortium, "charter", "revise", drafted, "--to", revised, "--map", "north=")
    assert Charter.read(revised).maps == ()
