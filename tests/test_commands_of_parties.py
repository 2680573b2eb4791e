"""Every command of a party that has its directory: out of order, and with what it cannot use."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from consortium.audit.journal import ALLOWED
from consortium.charter.signatures import sign_charter
from consortium.cli.policy import note_in_journal
from consortium.provisioning.charter_drafts import signature_path
from consortium.site.directory import SiteDirectory, read_identity
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Budget, DataSet
from privacy.differential.mechanisms import SampledGaussian
from tests.consortium.founded import NOW, TABLE, Founded, found
from tests.typed_commands import LEAVES, NOBODY, Leaf, assert_spoken, files_under, given, run


@dataclass(frozen=True)
class Stage:
    """How far a consortium has come: the directories in which each program's commands are tried."""

    name: str
    party: str
    up: tuple[str, ...] = ()
    """Commands that are in order at this stage, and go on until they are stopped."""


STAGES = (
    Stage("a site that has no charter", "new-site"),
    Stage("a coordinator that has no charter", "new-coordinator"),
    Stage("a site whose consortium is not up", "east", up=("consortium site up",)),
    Stage("a coordinator that is not up", "coordinator", up=("consortium coordinator up",)),
)
OPERATORS = [leaf for leaf in LEAVES if leaf.words[0] == "consortium" and leaf.arguments]


@pytest.fixture(scope="module")
def founded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A consortium that was set up and never started, and two parties that only made their keys."""
    folder = tmp_path_factory.mktemp("commands") / "banks"
    banks = found(folder)
    banks.provision()
    banks.install()
    found(folder / "others")
    (folder / "others" / "north").rename(folder / "new-site")
    (folder / "others" / "coordinator").rename(folder / "new-coordinator")
    write_papers(banks)
    return folder


def write_papers(banks: Founded) -> None:
    """Write what the parties sent each other, and give a site a log and a ledger."""
    agreed = banks.path / "charter.json"
    banks.charter.write(agreed)
    (banks.path / "schema.json").write_text(TABLE.model_dump_json())
    (banks.path / "sent").mkdir()
    for half in banks.halves:
        half.write(banks.path / "sent" / f"{half.name}.json")
        signature = sign_charter(banks.charter, read_identity(banks.site(half.name)))
        signature.write(signature_path(agreed, half.name))
    note_in_journal(banks.site("east"), ALLOWED)
    with Ledger(SiteDirectory(banks.site("east")).ledger) as ledger:
        ledger.reserve(
            SampledGaussian(
                noise_multiplier=3.0, sampling_rate=0.02, steps=100, clip_norm=0.5, unit="person"
            ),
            data_set=DataSet(name="records", fingerprint="a" * 64),
            run="run-1",
            budget=Budget(epsilon=5.0, delta=1e-6),
            now=NOW,
        )


@pytest.fixture
def world(founded_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which commands are typed."""
    shutil.copytree(founded_once, tmp_path / "banks")
    monkeypatch.chdir(tmp_path / "banks")
    return tmp_path / "banks"


@pytest.mark.parametrize(
    ("stage", "leaf"),
    [(stage, leaf) for stage in STAGES for leaf in OPERATORS if leaf.name not in stage.up],
    ids=lambda one: one.name,
)
def test_a_command_out_of_order_says_so_and_leaves_no_run(
    stage: Stage,
    leaf: Leaf,
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files_under(world)
    code = run(monkeypatch, given(leaf, stage.party))
    told = capsys.readouterr()
    assert code in (0, 1, 2), told
    assert_spoken(told.out + told.err)
    assert code == 0 or files_under(world) == before
    assert not [*world.glob("*/runs/*"), *world.glob("*/last-run")]


# What an option that takes words is given; one that takes a number or a path gets the same for all.
WRONG_WORDS = {
    "--set": (NOBODY, f"{NOBODY}=1", "quorum=many", "quorum="),
    "--data": (NOBODY, f"={NOBODY}", f"file://{NOBODY}", f"east={NOBODY}"),
    "--engine": (NOBODY,),
    "--attack": (NOBODY,),
    "--without": (NOBODY,),
    "--name": (NOBODY,),
    "--unit": (NOBODY,),
    "--reason": (),  # any
}
SETTLED = {
    "consortium run --name": "a new run",
    "consortium coordinator delete-uploads --older-than": "any number",
}
NAMED = {"scenario run": "heart-diagnosis", "scenario compare": "heart-diagnosis"}
PARTY = {"site": "east", "coordinator": "coordinator", "charter": "charter.json", "audit": "east"}


def wrong_options() -> Iterator[tuple[Leaf, str, str]]:
    """Yield each command with each of its options and a value that the option cannot have."""
    for leaf in LEAVES:
        for one in leaf.options:
            name = one.opts[0]
            if f"{leaf.name} {name}" in SETTLED or leaf.words[-1] == "up":
                continue
            if name == "--what-if":
                yield leaf, name, "many 1 1"
            elif isinstance(one.type, click.types.IntParamType):
                yield leaf, name, "many"
            elif isinstance(one.type, click.Path):
                yield leaf, name, f"bytes/{NOBODY}"
            else:
                for value in WRONG_WORDS.get(name, (NOBODY,)):
                    yield leaf, name, value


@pytest.mark.parametrize(
    ("leaf", "option", "value"),
    list(wrong_options()),
    ids=lambda one: one.name if isinstance(one, Leaf) else one,
)
def test_an_option_with_a_wrong_value_is_refused_and_nothing_is_done(
    leaf: Leaf,
    option: str,
    value: str,
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("bytes").write_bytes(bytes(range(256)))
    before = files_under(world)
    party = NAMED.get(leaf.name) or PARTY.get(leaf.words[1], "coordinator")
    code = run(monkeypatch, [*given(leaf, party), option, *value.split(" ")])
    told = capsys.readouterr()
    assert code in (1, 2), told
    assert_spoken(told.out + told.err)
    assert files_under(world) == before


MEMBERS = " ".join(f"--member sent/{name}.json" for name in ("east", "north", "west"))
WRITERS = (
    "consortium site init {} --name new --data east.csv",
    "consortium site public east --out {}",
    "consortium site renew-node-key east --out {}",
    "consortium site ledger east --csv {}",
    "consortium site ledger east --plot {}",
    "consortium site ledger east --export {}",
    "consortium coordinator init {} --host 127.0.0.1",
    "consortium charter new {} --name new --task credit --table schema.json --authority "
    f"coordinator/authority.pem --coordinator 127.0.0.1:9443 {MEMBERS}",
    "consortium charter revise charter.json --to {} --authority coordinator/authority.pem",
    "consortium provision {} --charter charter.json --authority coordinator/authority.pem "
    f"{MEMBERS}",
    "consortium audit receipt east --out {}",
    "consortium audit evidence east --out {}",
    "scenario practice heart-diagnosis {}",
    "scenario run heart-diagnosis --out {}",
    "scenario compare heart-diagnosis --out {}",
)


def contents_under(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files but databases, which SQLite touches to read them."""
    files = [path for path in files_under(folder) if path.is_file()]
    return {path: path.read_bytes() for path in files if path.suffix != ".sqlite"}


KERNELS = "/sys/nobody-has-this-name"  # where nobody may write, whoever runs the tests


@pytest.mark.parametrize("place", [KERNELS, f"bytes/{NOBODY}"])
@pytest.mark.parametrize("line", WRITERS, ids=lambda line: line.replace("{}", "OUT"))
def test_where_one_may_not_write_a_command_says_so_and_changes_nothing(
    line: str,
    place: str,
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("bytes").write_bytes(bytes(range(256)))
    before = contents_under(world)
    code = run(monkeypatch, line.format(place).split())
    told = capsys.readouterr()
    assert code in (1, 2), told
    assert_spoken(told.out + told.err)
    assert place in (told.out + told.err).replace("\n", "")
    assert contents_under(world) == before


@pytest.mark.parametrize("line", WRITERS[:-2], ids=lambda line: line.replace("{}", "OUT"))
def test_where_one_may_write_the_same_commands_do(
    line: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the test above would prove nothing."""
    assert run(monkeypatch, line.format(world / "new").split()) == 0
    assert (world / "new").exists()


@pytest.mark.parametrize(
    "line",
    [
        "consortium site init new-coordinator --name new --data east.csv",
        "consortium coordinator init new-site --host 127.0.0.1",
    ],
)
def test_no_site_and_coordinator_share_a_directory(
    line: str, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents_under(world)
    assert run(monkeypatch, line.split()) == 1
    assert "one of its own" in " ".join(capsys.readouterr().err.split())
    assert contents_under(world) == before
