"""The entry points alone; tests/scenarios/test_deployment.py runs them under a real SuperNode."""

import io
import os
import sqlite3
import subprocess
import sys
import tomllib
import zipfile
from contextlib import closing
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.superlink.config_loader import get_objectstore_linkstate_factories
from flwr.superlink.federation import NoOpFederationManager
from packaging.requirements import Requirement

from consortium.deployment.code_approval import (
    Approvals,
    Approved,
    BundleGate,
    SiteApp,
    bundle_digest,
)
from consortium.deployment.flower_entrypoints import (
    CHANGED,
    DATABASES,
    REVIEWED,
    UnknownFlower,
    _replace_names,
    require_database,
    require_version,
)
from consortium.run.directory import SITE
from consortium.run.party_directory import PartyDirectory
from consortium.site.policy_templates import for_a_scenario, strict
from privacy.protocol.membership_proof import Declined
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from scenarios.library.registry import scenario_named
from tests.consortium.deployment.test_code_approval import NOW
from tests.consortium.founded import found
from tests.consortium.staged import message, ward
from tests.docs.pages import ROOT


def hostile_bundle(marker: Path) -> bytes:
    """Return a bundle that would write a file if it were imported."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        code = f"open({str(marker)!r}, 'w').close()"
        archive.writestr("consortium/__init__.py", code)
        archive.writestr("consortium/client_app.py", code)
    return content.getvalue()


FOLDER = Path("unpacked")


class Seen:
    """Records what was unpacked and what was loaded."""

    def __init__(self) -> None:
        self.unpacked: list[bytes] = []
        self.loaded: list[Path] = []

    def unpack(self, bundle: bytes) -> Path:
        """Stand in for what unpacks a bundle."""
        self.unpacked.append(bundle)
        return FOLDER

    def load(self, folder: Path) -> SiteApp:
        """Stand in for what loads one."""
        self.loaded.append(folder)
        return installed

    def gate(self, approvals: Approvals) -> BundleGate:
        """Return the gate of a site."""
        return BundleGate(
            approvals, installed=lambda: installed, unpack=self.unpack, load=self.load
        )


def installed(message: Message, context: Context) -> Message:
    return Message(RecordDict(), reply_to=message)


def put(app: SiteApp) -> RecordDict:
    """Return an app's answer to a first message."""
    InProcessGrid(app, 1, {})
    asked = Message(messages.greeting("c" * 64, b"c" * 32), 1, messages.HELLO)
    return app(message=asked, context=Context(1, 1, {}, RecordDict(), {})).content  # type: ignore[call-arg]  # by name, as Flower does


BUNDLE = b"whatever"
LISTED = Approvals(run="listed", bundles=(Approved(digest=bundle_digest(BUNDLE), at=NOW),))


def test_by_default_the_installed_app_answers_and_no_bundle_is_touched() -> None:
    seen = Seen()
    gate = seen.gate(Approvals())
    gate.install_bundle(BUNDLE, skip_prompt=True)
    assert gate.choose_app("id", "1", "digest") is installed
    assert (seen.unpacked, seen.loaded) == ([], [])


def test_a_bundle_on_the_list_brings_its_own_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "consortium.deployment.code_approval._unload_installed_modules", lambda: None
    )
    seen = Seen()
    gate = seen.gate(LISTED)
    gate.install_bundle(BUNDLE, skip_prompt=True)
    gate.choose_app("id", "1", "digest")
    assert (seen.unpacked, seen.loaded) == ([BUNDLE], [FOLDER])


def test_any_other_bundle_is_neither_unpacked_nor_loaded_and_refused_by_type(
    tmp_path: Path,
) -> None:
    seen = Seen()
    gate = seen.gate(LISTED)
    gate.install_bundle(hostile_bundle(tmp_path / "marker"), skip_prompt=True)
    answer = put(
        gate.choose_app("id", "1", bundle_digest(BUNDLE))
    )  # the hash it claims is not believed
    assert wire.read_refusal(answer) == ("not-approved", {"listed": 1})
    assert (seen.unpacked, seen.loaded) == ([], [])
    assert not (tmp_path / "marker").exists()


def test_a_site_signs_that_it_did_not_approve_the_code(tmp_path: Path) -> None:
    """Or its absence would be that of a node whose name nobody knows."""
    at = ward(tmp_path, aggregation="encrypted")
    greeting = messages.greeting(at.site.charter.fingerprint, b"c" * 32)
    app = Seen().gate(LISTED).choose_app("id", "1", bundle_digest(BUNDLE))
    refused = app(message(messages.HELLO, greeting), at.context).content
    assert wire.refusing_site(refused) == "hungary"
    signed = Declined(
        charter=bytes.fromhex(at.site.charter.fingerprint),
        run=at.context.run_id,
        node=at.context.node_id,
        challenge=b"c" * 32,
        site="hungary",
        code="not-approved",
        counts={},
    )
    public = at.site.charter.identities["hungary"]
    public.verify(signed.encode(), wire.refusal_proof(refused))


def test_a_site_with_a_list_runs_nothing_for_a_run_without_a_bundle() -> None:
    answer = put(Seen().gate(LISTED).choose_app("id", "1", bundle_digest(BUNDLE)))
    refused = wire.read_refusal(answer)
    assert refused is not None
    assert refused[0] == "not-approved"


def test_only_the_flower_that_was_looked_at() -> None:
    for version in ("1.41.0", "1.41.7", "1.42.0"):
        require_version(version)
    for version in ("1.40.9", "1.43.0", "2.0", "1.410.0"):
        with pytest.raises(UnknownFlower, match=f"{version} is installed") as refused:
            require_version(version)
        assert "tested with Flower 1.41.x or 1.42.x, but" in str(refused.value)
        assert "pip install 'flwr==1.42.*'" in str(refused.value)


def test_what_may_be_installed_is_what_was_looked_at() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    simulation = project["optional-dependencies"]["simulation"]
    wanted = [Requirement(one) for one in (*project["dependencies"], *simulation)]
    ranges = [one.specifier for one in wanted if one.name == "flwr"]
    admitted = [f"1.{minor}" for minor in range(30, 60) if ranges[0].contains(f"1.{minor}.3")]
    assert ranges[0] == ranges[1]
    assert tuple(admitted) == REVIEWED
    assert set(DATABASES.values()) == {*REVIEWED}
    assert {*CHANGED} <= {*REVIEWED}


# What shows that a series changed what the table says: a module, and words in it before or since.
MIDDLEWARE = ("flwr.superlink.main", "RuntimeTracingMiddleware")
BROKEN = {
    "1.42": {
        "before": (MIDDLEWARE, ("flwr.supernode.main", MIDDLEWARE[1])),
        "since": (("flwr.supercore.state.schema.corestate_models", "token_count"),),
    },
}


@pytest.mark.parametrize("series", CHANGED)
def test_the_table_says_what_broke_with_which_flower(series: str) -> None:
    """Of what a series changed, the installed Flower has all or nothing."""
    installed_series = ".".join(metadata.version("flwr").split(".")[:2])
    changed = REVIEWED.index(installed_series) >= REVIEWED.index(series)
    for when, places in BROKEN[series].items():
        for module, words in places:
            source = Path(find_spec(module).origin).read_text()  # type: ignore[union-attr,arg-type]
            assert (words in source) == (changed == (when == "since")), (module, words)
    assert MIDDLEWARE[1] in CHANGED["1.42"]


# Alembic says so of the configuration that Flower gives it.
of_alembic = pytest.mark.filterwarnings("ignore:No path_separator:DeprecationWarning")


@of_alembic
def test_the_table_names_the_database_that_the_installed_flower_leaves(tmp_path: Path) -> None:
    database = tmp_path / "superlink.db"
    open_with_flower(database)
    assert DATABASES[revision(database)] in metadata.version("flwr")


def open_with_flower(database: Path) -> tuple[set[str], list[object]]:
    """Open a database as the installed Flower does; return names of nodes, deadlines of runs."""
    _, link = get_objectstore_linkstate_factories(str(database), NoOpFederationManager())
    state = link.state()
    deadlines: list[object] = [run.override_config["deadline-s"] for run in state.get_run_info()]
    return {node.name for node in state.get_node_info()}, deadlines


def revision(database: Path) -> str:
    """Return the revision of a database."""
    with closing(sqlite3.connect(database)) as opened:
        ((found,),) = opened.execute("SELECT version_num FROM alembic_version")
    return str(found)


@of_alembic
def test_the_database_of_the_first_flower_is_opened_by_the_installed_one(tmp_path: Path) -> None:
    """Its sites stay enrolled, and its run is known."""
    database = tmp_path / "superlink.db"
    with closing(sqlite3.connect(database)) as made:
        made.executescript((ROOT / "tests" / "made_by_flower_1_41" / "superlink.sql").read_text())
    assert revision(database) == "d90a2f91f23c"
    assert open_with_flower(database) == ({"cleveland", "hungary", "switzerland"}, [20.0])
    assert DATABASES[revision(database)] in metadata.version("flwr")


def test_a_flower_older_than_the_database_is_refused_and_leaves_it_alone(tmp_path: Path) -> None:
    database = tmp_path / "superlink.db"
    require_database(database, "1.41.0")
    assert not database.exists()
    with closing(sqlite3.connect(database)) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        require_database(database, "1.41.0")
        made.execute("INSERT INTO alembic_version VALUES ('d9bd9d502cf9')")
        made.commit()
    before = database.read_bytes()
    require_database(database, "1.42.0")
    with pytest.raises(UnknownFlower, match=r"1\.42 changed the database, and Flower 1\.41\.0"):
        require_database(database, "1.41.0")
    assert database.read_bytes() == before


STARTED_WITH = """
import sys
from importlib import metadata
installed = metadata.version
metadata.version = lambda name: "1.41.0" if name == "flwr" else installed(name)
from consortium.deployment import flower_entrypoints
sys.argv = ["", *sys.argv[1:]]
flower_entrypoints.main()
"""


def test_a_superlink_older_than_its_database_does_not_start(tmp_path: Path) -> None:
    database = tmp_path / "superlink.db"
    with closing(sqlite3.connect(database)) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES ('d9bd9d502cf9')")
        made.commit()
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", STARTED_WITH),
            *("flower-superlink", "--insecure", "--database", str(database)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'flwr==1.42.*'" in done.stderr
    assert "copy of before the upgrade" in done.stderr


def test_a_name_that_flower_has_no_more_is_not_replaced_in_silence() -> None:
    """Or Flower's own would go on: it would unpack the bundle of a run."""
    module = ModuleType("flwr.some_module")
    module.kept = 1  # type: ignore[attr-defined]
    _replace_names(module, {"kept": 2})
    with pytest.raises(UnknownFlower, match=r"flwr\.some_module .* needs a name 'gone'"):
        _replace_names(module, {"gone": 2})
    assert vars(module).get("kept") == 2
    assert "gone" not in vars(module)


STARTED = """
import sys
from importlib import metadata
installed = metadata.version
metadata.version = lambda name: "1.43.0" if name == "flwr" else installed(name)
from consortium.deployment import flower_entrypoints
sys.argv = ["", *sys.argv[1:]]
before = set(sys.modules)
try:
    flower_entrypoints.main()
except flower_entrypoints.UnknownFlower:
    print(any(name.startswith("flwr.superlink") for name in set(sys.modules) - before))
"""


def test_a_flower_that_nobody_read_opens_no_database(tmp_path: Path) -> None:
    database = tmp_path / "superlink.db"
    database.write_bytes(b"of another Flower")
    said = subprocess.check_output(
        [
            *(sys.executable, "-W", "ignore", "-c", STARTED),
            *("flower-superlink", "--insecure", "--database", str(database)),
        ],
        text=True,
    )
    assert said.split() == ["False"]
    assert database.read_bytes() == b"of another Flower"
    assert [path.name for path in tmp_path.iterdir()] == ["superlink.db"]


REPLACED = """
import subprocess, sys, time
from importlib import metadata
installed = metadata.version
metadata.version = lambda name: sys.argv[1] if name == "flwr" else installed(name)
from flwr.supernode import cli, main, start_client_internal as loop
from flwr.superlink import main as link
from flwr.supercore.inflatable.inflatable_utils import pull_objects
import flwr.superlink.cli.flower_superlink
cli.flower_supernode = lambda: None
sys.modules["flwr.superlink.cli.flower_superlink"].flower_superlink = lambda: None
from consortium.deployment import flower_entrypoints
pull, push, node, service = (
    loop._pull_and_store_message, loop._push_messages, main.create_app, link.create_app
)
flower_entrypoints.run_supernode()
flower_entrypoints.run_superlink()
print(loop.time is time, loop.subprocess is subprocess, loop.pull_objects is pull_objects,
      loop._pull_and_store_message is pull, loop._push_messages is push,
      main.create_app is node, link.create_app is service)
"""


@pytest.mark.parametrize(("version", "as_it_is"), [("1.42.0", "False"), ("1.41.7", "True")])
def test_in_a_flower_whose_waits_nobody_read_all_stays_as_it_is(
    version: str, as_it_is: str, tmp_path: Path
) -> None:
    founded = found(tmp_path / "sites")
    site = founded.site("east")
    founded.charter.write(site / "charter.json")
    PartyDirectory(site).flower.mkdir()
    said = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", REPLACED, version],
        text=True,
        env={**os.environ, SITE: str(site)},
    )
    assert said.split() == [as_it_is] * 7


def test_what_a_site_never_runs_ends_at_once() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "consortium.deployment.flower_entrypoints",
            "flwr-agentapp",
            "--token",
            "x",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "disabled here" in done.stderr


def test_what_answers_one_message_loads_no_database_of_flowers(tmp_path: Path) -> None:
    """Otherwise each message would cost each site a second of CPU."""
    gate = ["-P", "-m", "consortium.deployment.flower_entrypoints", "flwr-clientapp", "--help"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *gate],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, SITE: str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "flwr.supernode.runtime.run_clientapp" in loaded
    assert not loaded & {"sqlalchemy", "alembic", "flwr.supernode.cli.flower_supernode"}


def test_the_programs_the_gate_stands_for_are_all_that_flower_starts() -> None:
    """If a later Flower adds a program, this test fails before a site can run it."""
    from flwr.supercore.constant import TASK_TYPE_TO_COMMAND

    from consortium.deployment.programs.path_shims import STARTED

    assert set(TASK_TYPE_TO_COMMAND.values()) == set(STARTED)


def test_what_waits_for_messages_has_loaded_what_answers_them(tmp_path: Path) -> None:
    """The code that answers; what reads, where there is a charter; what trains, if all runs do.

    A site that may count loads no torch before a run trains.
    """
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from consortium.deployment import flower_entrypoints\n"
        "site = Path(sys.argv[1])\n"
        "def load():\n    flower_entrypoints._load_for_messages()\n    print(*sys.modules)\n"
        "load()\n(site / 'signed.json').rename(site / 'charter.json')\nload()\n"
        "(site / 'later' / 'policy.json').rename(site / 'policy.json')\nload()"
    )
    charter = scenario_named("bank-credit").charter
    charter.write(tmp_path / "signed.json")
    (tmp_path / "later").mkdir()
    for_a_scenario(charter).write(tmp_path)
    strict(charter).write(tmp_path / "later")
    said = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path)],
        text=True,
        env={**os.environ, SITE: str(tmp_path)},
    )
    without, counting, training = (set(line.split()) for line in said.splitlines())
    answers = {"consortium.client_app", "flwr.supernode.runtime.run_clientapp", "httpcore"}
    reads, learns = {"sites.tasks.tabular.loading"}, {"torch", "sites.tasks.tabular.model"}
    assert answers <= without
    assert not (reads | learns) & without
    assert reads <= counting
    assert not learns & counting
    assert learns <= training
