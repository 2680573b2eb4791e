"""Entry points that replace Flower's own programs at a site and at the coordinator.

Flower runs whatever bundle a run was submitted with. It starts its programs by name, and here
the PATH of its processes holds only the programs in this file. They ignore the bundle and run the
installed package or, at a site that keeps a list, a bundle on that list. A bundle that is not on
the list is neither unpacked nor imported: every message of its run gets a typed refusal.

This is the only file that uses Flower's private names, so it refuses a Flower whose names were not
read: before Flower is imported, and so before a newer one changes the database of the older.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from importlib import import_module, metadata, util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from consortium.charter.document import Charter
from consortium.config import Scalar
from consortium.deployment.code_approval import (
    BundleGate,
    NotApproved,
    SiteApp,
    read_approvals,
)
from consortium.deployment.programs.prefork import (
    ANSWERING_PROGRAM,
    AnsweringProcesses,
    ForkServer,
    serve_forks,
)
from consortium.deployment.run_orders import claim_order
from consortium.run.directory import COORDINATOR, ENVIRONMENT, SITE
from consortium.run.party_directory import CoordinatorDirectory, PartyDirectory
from consortium.site.last_answer import LastAnswer
from consortium.site.waits import (
    Doorbell,
    NodeWaits,
    shortest_pause_of_hub_s,
    shortest_question_pause_s,
    wait_for_ring,
)
from privacy.errors import ConsortiumError
from privacy.policy.document import read_policy
from sites.learners.plans import may_train
from sites.tasks.registry import LEARNING_LIBRARIES, load_libraries

REVIEWED = ("1.41", "1.42")  # the series with which all tests of deployments pass
# What a series changed of what this file relies on, for whom reviews the next one.
CHANGED: Mapping[str, str] = {
    "1.42": (
        "the SuperLink migrates its database when it first starts (revision d9bd9d502cf9), and "
        "1.41 cannot open it any more; RuntimeTracingMiddleware is gone from both services"
    ),
}
# The newest revision of the SuperLink's database that a series knows, and so leaves behind.
DATABASES: Mapping[str, str] = {"d90a2f91f23c": "1.41", "d9bd9d502cf9": "1.42"}
# Where Flower waits, and for what, was read in these.
WAITS_KNOWN = frozenset({"1.41.0", "1.42.0"})
_MISSING_PIECE_S = 0.05  # before one asks again for a piece that its sender is still sending
# What Flower's SuperLink puts around every question, but which acts on those under one path only.
_ACTS_ON = {
    "ControlSensitiveResponseMiddleware": "/v1/control/",
    "ControlAuthenticationMiddleware": "/v1/control/",
    "ControlLicenseMiddleware": "/v1/control/",
    "ControlEventLogMiddleware": "/v1/control/",
    "RuntimeTracingMiddleware": "/v1/runtime/",  # in 1.41 only
    "NodeAuthMiddleware": "/v1/fleet/",
    "FleetEventLogMiddleware": "/v1/fleet/",
}
_UNARY = ("/v1/fleet/", "/v1/runtime/")
# What the libraries of Flower import when they are first used: in each process, if not before.
_LATE_LIBRARIES = ("httpcore", "cryptography.hazmat.backends.openssl.backend")
_PREPARED = "prepared"
_MODULE = "consortium.deployment.flower_entrypoints"


class UnknownFlower(ConsortiumError, RuntimeError, code="unknown-flower"):
    """The installed Flower was not reviewed, or is older than the database that it is to open."""


def require_version(version: str) -> None:
    """Check that this file was written for the given version of Flower.

    Raises:
        UnknownFlower: It was not: the names it replaces may be absent or mean something else. The
            message says what is installed, what was tested, and what to type.
    """
    if _series(version) not in REVIEWED:
        tested = " or ".join(f"{one}.x" for one in REVIEWED)
        raise UnknownFlower(
            f"deployments were tested with Flower {tested}, but {version} is installed; nothing "
            f"was started, and no database was opened: `pip install 'flwr=={REVIEWED[-1]}.*'`, "
            "then try again"
        )


def require_database(database: Path, version: str) -> None:
    """Check that a version of Flower can open a SuperLink's database, if there is one.

    Guarantee: the database is read only.

    Raises:
        UnknownFlower: A later one that was reviewed migrated it. The message says which.
    """
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            found = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:  # none yet, or none that was read: Flower makes it, or says what it is
        return
    left_by = DATABASES.get(found[0]) if found else None
    if left_by and REVIEWED.index(left_by) > REVIEWED.index(_series(version)):
        raise UnknownFlower(
            f"Flower {left_by} changed the database, and Flower {version} is installed, which "
            f"cannot open it; nothing was started: `pip install 'flwr=={left_by}.*'`, or put the "
            "copy of before the upgrade in its place, then try again"
        )


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def knows_waits() -> bool:
    """Return whether the waits of the installed Flower were reviewed, and may be replaced."""
    return metadata.version("flwr") in WAITS_KNOWN


def run_supernode() -> None:
    """Run `flower-supernode`, which asks the coordinator for messages and sends the answers.

    Its fixed pauses are replaced by those of `consortium.site.waits`, and when the coordinator
    answered a heartbeat is noted. In a Flower whose waits were not reviewed, all stays as it is.
    """
    require_version(metadata.version("flwr"))
    from flwr.supernode import fleet_http_connection as connection
    from flwr.supernode import main as service
    from flwr.supernode import start_client_internal as loop
    from flwr.supernode.cli import flower_supernode

    if knows_waits():
        site, bell = Path(os.environ[SITE]), Doorbell()
        pause_s = shortest_pause_of_hub_s if _hub_of_node() else shortest_question_pause_s
        waits = NodeWaits(pause_s(site), bell)
        replaced = {
            "time": SimpleNamespace(sleep=waits.sleep),
            "subprocess": SimpleNamespace(Popen=bell.start),
            **_prompt(loop, "pull_objects"),
            "_pull_and_store_message": waits.with_ring(loop._pull_and_store_message),
            "_push_messages": waits.with_wait(loop._push_messages),
        }
        _replace_names(loop, replaced)
        _replace_names(service, {"create_app": spared(service.create_app)})
        heard, sender = LastAnswer(PartyDirectory(site).flower), vars(connection)["HeartbeatSender"]
        heard.expect()
        _replace_names(connection, {"HeartbeatSender": lambda ask: sender(heard.noting(ask))})
    flower_supernode()


def run_superexec() -> None:
    """Run `flower-superexec`, which starts a process for each message at a site.

    The process is forked from a fork server that has loaded all libraries. If the fork server is
    dead, the process starts from scratch, as it does in Flower.

    Guarantee: at most `MOST_PROCESSES` answer messages at a time, however many are sent; the others
    wait in the SuperNode. Flower's own executor has no bound.
    """
    require_version(metadata.version("flwr"))
    prepared = ForkServer([sys.executable, "-P", "-m", _MODULE, _PREPARED])
    processes = AnsweringProcesses(prepared)
    from flwr.supercore.cli.flower_superexec import flower_superexec
    from flwr.supercore.superexec.executor import subprocess_executor

    if knows_waits():
        # The package rebinds the module's name to a function, so `import` would return that.
        loop = import_module("flwr.supercore.superexec.run_superexec")
        _replace_names(loop, {"time": SimpleNamespace(sleep=wait_for_ring)})
    started = SimpleNamespace(Popen=processes.start, DEVNULL=subprocess.DEVNULL)
    _replace_names(subprocess_executor, {"subprocess": started})
    _replace_names(
        subprocess_executor.SubprocessExecutor,
        {"get_eligible_capacity": lambda _executor, kinds, **_: processes.takeable(kinds)},
    )
    flower_superexec()


def serve_messages() -> None:
    """Load everything that answers a message, then fork a process for each message.

    What learns is loaded beforehand where the site's policy allows training only. Otherwise no
    process loads it before a run trains: a site that counts never does.
    """
    serve_forks(_load_for_messages, run_client_app, late=LEARNING_LIBRARIES)


def _load_for_messages() -> None:
    _skip_package_init("flwr.supernode.cli")
    for library in ("flwr.supernode.cli.flwr_clientapp", *_LATE_LIBRARIES):
        import_module(library)
    if _hub_of_node():
        import_module("consortium.deployment.hubs.question_carrier")
        return
    import_module("consortium.client_app")
    site = Path(os.environ[SITE])
    try:
        charter, policy = Charter.read(PartyDirectory(site).charter), read_policy(site)
    except ConsortiumError:  # the message itself will be answered with this refusal
        return
    learning = all(may_train(one) for one in policy.learners)
    load_libraries(charter.task, charter.table, learning=learning)


def run_client_app() -> None:
    """Run `flwr-clientapp`, which answers one message at a site."""
    _skip_package_init("flwr.supernode.cli")
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp  # loads only this half of Flower
    from flwr.supernode.runtime import run_clientapp

    require_version(metadata.version("flwr"))
    with tempfile.TemporaryDirectory(prefix="consortium-bundle-") as folder:
        gate = bundle_gate(Path(os.environ[SITE]), Path(folder))
        _replace_names(run_clientapp, _prompt(run_clientapp, "pull_and_inflate_object_from_tree"))
        replaced = {
            "install_from_fab": gate.install_bundle,
            "get_load_client_app_fn": lambda **_: gate.choose_app,
            "install_app_dependencies": _refuse_to_install,
        }
        _replace_names(run_clientapp, replaced)
        flwr_clientapp()


def bundle_gate(site: Path, folder: Path) -> BundleGate:
    """Return the gate of a site.

    Args:
        site: The site's directory.
        folder: A new folder of this process, to which an approved bundle is unpacked. Flower's own
            would be the same for all runs that give their bundle the same name and the same first
            8 digits of its hash; what it finds there it loads without looking.
    """
    from flwr.cli.install import install_from_fab
    from flwr.clientapp.utils import get_load_client_app_fn

    hub = _hub_of_node()

    def load(unpacked: Path) -> SiteApp:
        told = tomllib.loads((unpacked / "pyproject.toml").read_text())
        name, publisher = told["project"]["name"], told["tool"]["flwr"]["app"]["publisher"]
        load_app = get_load_client_app_fn("", str(unpacked), multi_app=True)
        return load_app(f"{publisher}/{name}", told["project"]["version"], "")

    return BundleGate(
        read_approvals(site),
        installed=partial(_carrier_app, hub) if hub else _installed_app,
        unpack=lambda bundle: install_from_fab(bundle, folder, skip_prompt=True),
        load=load,
    )


def spared(create: Callable[..., Any]) -> Callable[..., Any]:
    """Return what creates a service of Flower, with less machinery around most questions to it."""
    from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

    from consortium.deployment.programs.unary_layers import spared_layers  # loads the web framework

    paths = frozenset(path for _, path in PROTOBUF_REQUEST_TYPES if path.startswith(_UNARY))

    def create_spared(*given: object, **named: object) -> object:
        service = create(*given, **named)
        service.user_middleware = spared_layers(service.user_middleware, paths, acts_on=_ACTS_ON)
        return service

    return create_spared


def run_superlink() -> None:
    """Run `flower-superlink`, which keeps the messages until they are asked for.

    Guarantee: a Flower that was not reviewed opens no database. A newer one would migrate it, and
    the older could not read it any more. A database that a newer one migrated is left alone, too.
    """
    require_version(metadata.version("flwr"))
    if "--database" in sys.argv:
        database = Path(sys.argv[sys.argv.index("--database") + 1])
        require_database(database, metadata.version("flwr"))
    from flwr.superlink import main as service
    from flwr.superlink.cli.flower_superlink import flower_superlink

    if knows_waits():
        _replace_names(service, {"create_app": spared(service.create_app)})
    flower_superlink()


def run_server_app() -> None:
    """Run `flwr-serverapp`, which executes a run at the coordinator if it was ordered."""
    from flwr.superlink.cli.flwr_serverapp import flwr_serverapp
    from flwr.superlink.grid import http_grid

    require_version(metadata.version("flwr"))
    coordinator = Path(os.environ[COORDINATOR])
    # Flower puts the app's folder first on sys.path; a module already imported stays this one.
    import_module("consortium.server_app")
    # The package rebinds the module's name to a function, so that `import` would return that.
    runtime = import_module("flwr.superlink.runtime.run_serverapp")

    def ordered_config(_app: Path, submitted: Mapping[str, Scalar]) -> dict[str, Scalar]:
        order = claim_order(coordinator, submitted)
        os.environ[ENVIRONMENT] = str(order.run)
        return dict(order.config)

    replaced = {
        "install_from_fab": lambda *_, **__: None,
        "get_project_dir": lambda *_: CoordinatorDirectory(coordinator).app,
        "get_fused_config_from_dir": ordered_config,
        "install_app_dependencies": _refuse_to_install,
    }
    _replace_names(runtime, replaced)
    _replace_names(http_grid, _prompt(http_grid, "pull_objects"))
    flwr_serverapp()


def refuse_program() -> None:
    """Exit with an error, in place of a Flower program that this party never runs."""
    sys.exit("this Flower program is disabled here")


def _prompt(module: ModuleType, pull: str) -> Mapping[str, object]:
    """Return what pulls the pieces of a message, and asks again soon for one that is on its way."""
    before = getattr(module, pull)
    return {pull: partial(before, initial_backoff=_MISSING_PIECE_S) if knows_waits() else before}


def _replace_names(module: ModuleType | type, replaced: Mapping[str, object]) -> None:
    for name, replacement in replaced.items():
        if not hasattr(module, name):  # else Flower's own would go on, and a bundle would be run
            raise UnknownFlower(
                f"{module.__name__} of Flower {metadata.version('flwr')} needs a name {name!r} to "
                "be replaced, and has none; nothing was started: install flwr "
                f"{' or '.join(sorted(WAITS_KNOWN))}, then try again"
            )
        setattr(module, name, replacement)


def _skip_package_init(package: str) -> None:
    """Register a package without running its `__init__`, so that one module of it loads alone.

    The `__init__` of `flwr.supernode.cli` also imports the long-running SuperNode and its database,
    which a process that answers one message does not need.
    """
    spec = util.find_spec(package)
    if spec is not None and package not in sys.modules:
        sys.modules[package] = util.module_from_spec(spec)


def _installed_app() -> SiteApp:
    from consortium.client_app import app

    return app


def _hub_of_node() -> Path | None:
    """Return the directory of the hub whose SuperNode this process serves; None at a site."""
    named = os.environ.get(COORDINATOR)
    return Path(named) if named and SITE in os.environ else None


def _carrier_app(hub: Path) -> SiteApp:
    from consortium.deployment.hubs.question_carrier import carrier_app

    return carrier_app(hub)


def _refuse_to_install(*_: object, **__: object) -> None:
    raise NotApproved("dependencies are never installed at run time: install them beforehand")


def main() -> None:
    """Run the program named by the first argument, with the remaining arguments."""
    name = sys.argv.pop(1)
    programs = {
        "flower-superlink": run_superlink,
        "flower-supernode": run_supernode,
        "flower-superexec": run_superexec,
        _PREPARED: serve_messages,
        ANSWERING_PROGRAM: run_client_app,
        "flwr-serverapp": run_server_app,
    }
    programs.get(name, refuse_program)()


if __name__ == "__main__":
    main()
