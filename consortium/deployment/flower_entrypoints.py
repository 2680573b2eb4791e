"""What Flower's SuperNode and SuperLink start in place of Flower's own programs.

Flower runs whatever bundle a run was submitted with. These programs stand first, and alone, on
the PATH of the processes that start apps by name: they run the installed package whatever the
bundle holds, or, at a site that keeps a list, a bundle that is on it. A bundle that is not is
neither imported nor unpacked: every message of its run gets a typed refusal.

The one file that uses Flower's private names; it refuses any version it was not written for.
"""

import os
import subprocess
import sys
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
from privacy.errors import ConsortiumError
from privacy.wire.flower_records import refusal_content
from sites.tasks.registry import load_libraries

FLOWER = "1.41."
_ANSWERS = "flwr-clientapp"
_PREPARED = "prepared"
_MODULE = "consortium.deployment.flower_entrypoints"
_OURS = ("consortium", "sites", "strategies", "privacy", "scenarios")

SiteApp: TypeAlias = Callable[[Message, Context], Message]


class UnknownFlower(ConsortiumError, RuntimeError):
    """Flower is of a version whose inner names nobody has looked at."""

    code = "unknown-flower"


def require_version(version: str) -> None:
    """Return if the gate was written for this version of Flower.

    Raises:
        UnknownFlower: It was not; what it would replace may have another name or meaning.
    """
    if not version.startswith(FLOWER):
        raise UnknownFlower(f"approved code needs Flower {FLOWER}x, this is {version}")


class BundleGate:
    """Decides on a bundle before any of it is unpacked or imported.

    Args:
        approvals: What the site runs.
        installed: Returns the app of the installed package.
        unpack: Flower's own: unpacks a bundle where its loader looks.
        load: Flower's own loader, given identity, version and hash of an unpacked bundle.
    """

    def __init__(
        self,
        approvals: Approvals,
        *,
        installed: Callable[[], SiteApp],
        unpack: Callable[..., object],
        load: Callable[[str, str, str], SiteApp],
    ) -> None:
        self._approvals = approvals
        self._installed = installed
        self._unpack = unpack
        self._load = load
        self._refused: NotApproved | None = None

    def install_bundle(self, bundle: bytes, **_how: object) -> None:
        """Unpack a bundle, if the site keeps a list and the bundle is on it; else do nothing."""
        if self._approvals.runs_installed:
            return
        try:
            self._approvals.require_approved(bundle)
        except NotApproved as error:
            self._refused = error
        else:
            self._unpack(bundle, skip_prompt=True)

    def choose_app(self, identity: str, version: str, digest: str) -> SiteApp:
        """Return the app that answers."""
        if self._refused is not None:
            return refusing_app(self._refused)
        if self._approvals.runs_installed:
            return self._installed()
        _unload_installed_modules()
        return self._load(identity, version, digest)


def refusing_app(error: ConsortiumError) -> SiteApp:
    """Return an app that answers every message with a refusal."""

    def app(message: Message, context: Context) -> Message:
        return Message(refusal_content(error), reply_to=message)

    return app


def run_superexec() -> None:
    """Start what answers each message at a site: `flower-superexec`.

    The process of a message is forked from one that has loaded what it needs; where that is dead,
    it is started alone, as Flower does.
    """
    require_version(metadata.version("flwr"))
    prepared = ForkServer([sys.executable, "-P", "-m", _MODULE, _PREPARED])
    from flwr.supercore.cli.flower_superexec import flower_superexec
    from flwr.supercore.superexec.executor import subprocess_executor

    def start(
        command: Sequence[str], *, stdout: int | None = None, stderr: int | None = None
    ) -> None:
        if command[0] != _ANSWERS or not prepared.start_program(command[1:]):
            subprocess.Popen(command, stdout=stdout, stderr=stderr)  # noqa: S603 -- of our own PATH

    processes = SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL)
    _replace_names(subprocess_executor, {"subprocess": processes})
    flower_superexec()


def serve_messages() -> None:
    """Wait for messages to be answered at a site, with all that answers them loaded."""
    serve_forks(_load_for_messages, run_client_app)


def _load_for_messages() -> None:
    _skip_package_init("flwr.supernode.cli")
    import_module("flwr.supernode.cli.flwr_clientapp")
    import_module("consortium.client_app")
    try:
        task = Charter.read(PartyDirectory(Path(os.environ[SITE])).charter).task
    except ConsortiumError:  # the answer to a message will say so
        return
    load_libraries(task)


def run_client_app() -> None:
    """Run one message at a site: `flwr-clientapp`."""
    _skip_package_init("flwr.supernode.cli")
    from flwr.cli.install import install_from_fab  # each program loads its own half of Flower
    from flwr.clientapp.utils import get_load_client_app_fn
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp

    require_version(metadata.version("flwr"))
    gate = BundleGate(
        read_approvals(Path(os.environ[SITE])),
        installed=_installed_app,
        unpack=install_from_fab,
        load=get_load_client_app_fn("", None, multi_app=True),
    )
    replaced = {
        "install_from_fab": gate.install_bundle,
        "get_load_client_app_fn": lambda **_: gate.choose_app,
        "install_app_dependencies": _refuse_to_install,
    }
    _replace_names(run_clientapp, replaced)
    flwr_clientapp()


def run_server_app() -> None:
    """Run what was ordered at the coordinator: `flwr-serverapp`."""
    from flwr.superlink.cli.flwr_serverapp import flwr_serverapp

    require_version(metadata.version("flwr"))
    coordinator = Path(os.environ[COORDINATOR])
    import_module("consortium.server_app")  # the installed one, before Flower looks elsewhere
    runtime = import_module("flwr.superlink.runtime.run_serverapp")  # its package hides it

    def ordered(_app: Path, submitted: Mapping[str, Scalar]) -> dict[str, Scalar]:
        order = claim_order(coordinator, submitted)
        os.environ[ENVIRONMENT] = str(order.run)
        return dict(order.config)

    replaced = {
        "install_from_fab": lambda *_, **__: None,
        "get_project_dir": lambda *_: CoordinatorDirectory(coordinator).app,
        "get_fused_config_from_dir": ordered,
        "install_app_dependencies": _refuse_to_install,
    }
    _replace_names(runtime, replaced)
    flwr_serverapp()


def refuse_program() -> None:
    """End at once: stands for every program of Flower's that a site or coordinator never runs."""
    sys.exit("this program of Flower's is not run here")


def _replace_names(module: ModuleType, replaced: Mapping[str, object]) -> None:
    for name, replacement in replaced.items():
        setattr(module, name, replacement)


def _skip_package_init(package: str) -> None:
    """Let a module of a package load without those that the package loads beside it.

    Beside the program that Flower starts for a message stands the one that runs for weeks, with its
    database.
    """
    spec = util.find_spec(package)
    if spec is not None and package not in sys.modules:
        sys.modules[package] = util.module_from_spec(spec)


def _installed_app() -> SiteApp:
    from consortium.client_app import app

    return app


def _unload_installed_modules() -> None:
    """Let an approved bundle bring its own packages: no half of the installed one stays."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]


def _refuse_to_install(*_: object, **__: object) -> None:
    raise NotApproved("nothing is installed at run time")


def main() -> None:
    """Be the program that the first argument names; the others are its own."""
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
