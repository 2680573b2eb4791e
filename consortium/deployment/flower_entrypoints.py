"""Entry points that replace Flower's own programs at a site and at the coordinator.

Flower runs whatever bundle a run was submitted with. It starts its programs by name, and here
the PATH of its processes holds only the programs in this file. They ignore the bundle and run the
installed package or, at a site that keeps a list, a bundle on that list. A bundle that is not on
the list is neither unpacked nor imported: every message of its run gets a typed refusal.

This is the only file that uses Flower's private names, so it refuses any other Flower version.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata, util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TypeAlias

from flwr.app import Context, Message

from consortium.charter.document import Charter
from consortium.config import Scalar
from consortium.deployment.code_approval import Approvals, NotApproved, read_approvals
from consortium.deployment.prefork import ForkServer, serve_forks
from consortium.deployment.run_orders import claim_order
from consortium.run.directory import COORDINATOR, ENVIRONMENT, SITE
from consortium.run.party_directory import CoordinatorDirectory, PartyDirectory
from consortium.site.directory import SiteDirectory, read_site_config, site_directory
from privacy.errors import ConsortiumError
from privacy.wire.flower_records import refusal_content, refusal_of
from sites.tasks.registry import load_libraries

FLOWER = "1.41."
MOST_PROCESSES = 4  # a site answers one message of a run at a time; a second run may be begun
_ANSWERS = "flwr-clientapp"
_PREPARED = "prepared"
_MODULE = "consortium.deployment.flower_entrypoints"
_OURS = ("consortium", "sites", "strategies", "privacy", "scenarios")

SiteApp: TypeAlias = Callable[[Message, Context], Message]


class UnknownFlower(ConsortiumError, RuntimeError, code="unknown-flower"):
    """The installed Flower is a version whose private names were not reviewed."""


def require_version(version: str) -> None:
    """Check that this file was written for the given version of Flower.

    Raises:
        UnknownFlower: It was not: the names it replaces may be absent or mean something else.
    """
    if not version.startswith(FLOWER):
        raise UnknownFlower(f"approved code needs Flower {FLOWER}x, but {version} is installed")


class BundleGate:
    """Accepts or refuses a bundle before any of it is unpacked or imported.

    Guarantee: the code that is loaded is in the bytes that were checked. They are unpacked to a
    folder that nobody used before. What a run says its bundle is called decides nothing.

    Args:
        approvals: Which code the site runs.
        installed: Returns the app of the installed package.
        unpack: Unpacks a bundle to an unused folder of this process, and returns the folder.
        load: Returns the app in such a folder.
    """

    def __init__(
        self,
        approvals: Approvals,
        *,
        installed: Callable[[], SiteApp],
        unpack: Callable[[bytes], Path],
        load: Callable[[Path], SiteApp],
    ) -> None:
        self._approvals = approvals
        self._installed = installed
        self._unpack = unpack
        self._load = load
        self._refused = NotApproved("the run came without a bundle, and this site keeps a list")
        self._unpacked: Path | None = None

    def install_bundle(self, bundle: bytes, **_how: object) -> None:
        """Unpack a bundle if the site keeps a list and the bundle is on it; else do nothing."""
        if self._approvals.runs_installed:
            return
        try:
            self._approvals.require_approved(bundle)
        except NotApproved as error:
            # Raised here, the error would reach the coordinator as a crash of the site. The app
            # refuses the message instead.
            self._refused = error
        else:
            self._unpacked = self._unpack(bundle)

    def choose_app(self, *_claimed: str) -> SiteApp:
        """Return the app that answers the message, whatever id, version and hash the run claims."""
        if self._approvals.runs_installed:
            return self._installed()
        if self._unpacked is None:
            return refusing_app(self._refused)
        _unload_installed_modules()
        return self._load(self._unpacked)


def refusing_app(error: ConsortiumError) -> SiteApp:
    """Return an app that answers every message with a refusal, in the name of its site."""
    from consortium.client.greeting_proofs import proven_refusal  # only a refusal needs it

    def app(message: Message, context: Context) -> Message:
        try:
            place = SiteDirectory(site_directory(context))
            name, charter = read_site_config(place.path).name, Charter.read(place.charter)
        except ConsortiumError:  # a site that is not set up must refuse all the same
            return Message(refusal_content(error), reply_to=message)
        refusal = refusal_of(error.code, error.counts, site=name)
        return Message(
            proven_refusal(
                refusal, message, context, directory=place.path, name=name, charter=charter
            ),
            reply_to=message,
        )

    return app


class AnsweringProcesses:
    """The processes that answer messages at a site: forked if possible, and never too many.

    Args:
        prepared: The fork server that starts them.
    """

    def __init__(self, prepared: ForkServer) -> None:
        self._prepared = prepared
        self._from_scratch: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], *, stdout: int | None = None, stderr: int | None = None
    ) -> None:
        """Start a process for a message."""
        if command[0] != _ANSWERS or not self._prepared.start_program(command[1:]):
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr)  # noqa: S603 -- of our own PATH
            self._from_scratch.append(process)

    def takeable(self, kinds: set[str]) -> tuple[set[str], set[str]]:
        """Return the kinds of messages that may be taken now, as Flower's executor is asked."""
        self._from_scratch = [one for one in self._from_scratch if one.poll() is None]
        running = len(self._from_scratch) + self._prepared.running_programs()
        return (kinds if running < MOST_PROCESSES else set()), set()


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

    started = SimpleNamespace(Popen=processes.start, DEVNULL=subprocess.DEVNULL)
    _replace_names(subprocess_executor, {"subprocess": started})
    _replace_names(
        subprocess_executor.SubprocessExecutor,
        {"get_eligible_capacity": lambda _executor, kinds, **_: processes.takeable(kinds)},
    )
    flower_superexec()


def serve_messages() -> None:
    """Load everything that answers a message, then fork a process for each message."""
    serve_forks(_load_for_messages, run_client_app)


def _load_for_messages() -> None:
    _skip_package_init("flwr.supernode.cli")
    import_module("flwr.supernode.cli.flwr_clientapp")
    import_module("consortium.client_app")
    try:
        charter = Charter.read(PartyDirectory(Path(os.environ[SITE])).charter)
    except ConsortiumError:  # the message itself will be answered with this refusal
        return
    load_libraries(charter.task, charter.table)


def run_client_app() -> None:
    """Run `flwr-clientapp`, which answers one message at a site."""
    _skip_package_init("flwr.supernode.cli")
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp  # loads only this half of Flower
    from flwr.supernode.runtime import run_clientapp

    require_version(metadata.version("flwr"))
    with tempfile.TemporaryDirectory(prefix="consortium-bundle-") as folder:
        gate = bundle_gate(Path(os.environ[SITE]), Path(folder))
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

    def load(unpacked: Path) -> SiteApp:
        told = tomllib.loads((unpacked / "pyproject.toml").read_text())
        name, publisher = told["project"]["name"], told["tool"]["flwr"]["app"]["publisher"]
        load_app = get_load_client_app_fn("", str(unpacked), multi_app=True)
        return load_app(f"{publisher}/{name}", told["project"]["version"], "")

    return BundleGate(
        read_approvals(site),
        installed=_installed_app,
        unpack=lambda bundle: install_from_fab(bundle, folder, skip_prompt=True),
        load=load,
    )


def run_server_app() -> None:
    """Run `flwr-serverapp`, which executes a run at the coordinator if it was ordered."""
    from flwr.superlink.cli.flwr_serverapp import flwr_serverapp

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
    flwr_serverapp()


def refuse_program() -> None:
    """Exit with an error, in place of a Flower program that this party never runs."""
    sys.exit("this Flower program is disabled here")


def _replace_names(module: ModuleType | type, replaced: Mapping[str, object]) -> None:
    for name, replacement in replaced.items():
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


def _unload_installed_modules() -> None:
    """Remove the installed package from `sys.modules`, so that a bundle imports only its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]


def _refuse_to_install(*_: object, **__: object) -> None:
    raise NotApproved("dependencies are never installed at run time: install them beforehand")


def main() -> None:
    """Run the program named by the first argument, with the remaining arguments."""
    name = sys.argv.pop(1)
    programs = {
        "flower-superexec": run_superexec,
        _PREPARED: serve_messages,
        _ANSWERS: run_client_app,
        "flwr-serverapp": run_server_app,
    }
    programs.get(name, refuse_program)()


if __name__ == "__main__":
    main()
