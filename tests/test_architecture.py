"""Facts about imports that the linter cannot state."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "sites", "strategies", "privacy", "scenarios")
DOORS = {"flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.serverapp.strategy"}
GATE = "consortium/deployment/flower_entrypoints.py"
MEMBER = "tests/consortium/deployment/test_control_client.py"  # plays one with Flower's own client
FLOWERS_OWN_CLIENT = (
    "flwr.proto.fleet_pb2",
    "flwr.proto.message_pb2",
    "flwr.proto.node_pb2",
    "flwr.supercore.primitives.asymmetric",
    "flwr.supercore.routers.runtime",
    "flwr.superlink.routers.control",
    "flwr.superlink.routers.fleet.router",
    "flwr.supernode.fleet_http_client",
    "flwr.supernode.node_auth_http_interceptor",
)
LAYERS = "tests/consortium/deployment/test_unary_layers.py"  # asks Flower's own service
EXCEPTIONS = {
    ("scenarios/engines/in_process.py", "flwr.supercore.task_identity"),
    (GATE, "flwr.cli.install"),
    (GATE, "flwr.clientapp.utils"),
    (GATE, "flwr.supercore.cli.flower_superexec"),
    (GATE, "flwr.supercore.superexec.executor"),
    (GATE, "flwr.supercore.protobuf.translation"),
    (GATE, "flwr.supernode"),
    (GATE, "flwr.supernode.cli"),
    (GATE, "flwr.supernode.cli.flwr_clientapp"),
    (GATE, "flwr.supernode.runtime"),
    (GATE, "flwr.superlink"),
    (GATE, "flwr.superlink.cli.flower_superlink"),
    (GATE, "flwr.superlink.cli.flwr_serverapp"),
    (GATE, "flwr.superlink.grid"),
    ("tests/consortium/deployment/test_flower_entrypoints.py", "flwr.supercore.constant"),
    ("tests/consortium/deployment/test_flower_entrypoints.py", "flwr.superlink.config_loader"),
    ("tests/consortium/deployment/test_flower_entrypoints.py", "flwr.superlink.federation"),
    ("tests/consortium/deployment/test_site_gateway.py", "flwr.superlink.routers.fleet.router"),
    *((MEMBER, name) for name in FLOWERS_OWN_CLIENT),
    (LAYERS, "flwr.proto.fleet_pb2"),
    (LAYERS, "flwr.proto.node_pb2"),
    (LAYERS, "flwr.supercore.primitives.asymmetric"),
    (LAYERS, "flwr.supercore.protobuf.translation"),
    (LAYERS, "flwr.superlink.main"),
}
LEARNING = ("torch", "transformers", "sklearn", "pandas", "opacus", "peft")
SECRETS = ("privacy.secrets.keys", "privacy.secrets.key_exchange", "privacy.secrets.sealer")


def modules(*folders: str) -> list[Path]:
    """Return every Python file in folders of the repository, relative to its root."""
    return sorted(
        path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at its top or anywhere inside."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_coordinators_app_loads_neither_what_learns_nor_a_secret() -> None:
    """In a process of its own, as the ServerApp is started."""
    code = (
        "import sys, consortium.server_app\n"
        f"print(*[name for name in {LEARNING + SECRETS} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_flower_is_entered_by_its_public_doors() -> None:
    """And by others in two files: one makes messages outside Flower, one is started by Flower."""
    read = modules(*PACKAGES, "tests")
    assert len(read) > 1_000
    entered = {
        (str(path), name)
        for path in read
        if "flwr" in (ROOT / path).read_text()
        for name in imported(path)
        if name.partition(".")[0] == "flwr" and name not in DOORS
    }
    assert entered <= EXCEPTIONS


def test_every_module_has_its_test() -> None:
    read = [path for path in modules("strategies", "sites") if path.name != "__init__.py"]
    assert len(read) > 200
    without = [
        str(path)
        for path in read
        if not (ROOT / "tests" / path.parent / f"test_{path.name}").exists()
    ]
    assert without == []


@pytest.mark.parametrize("package", [*PACKAGES, "strategies/rules", "scenarios/data"])
def test_importing_a_package_imports_nothing(package: str) -> None:
    """Otherwise a site could not load one module without what is beside it.

    What scientists import loads each name when it is first used, with a module of Python's own.
    """
    lazily = ["importlib"] if package == "consortium" else []
    assert list(imported(Path(package) / "__init__.py")) == lazily
